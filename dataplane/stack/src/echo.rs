//! Echo requests of our own: `ping` through this core's routes and neighbours.

use base::Instant;
use ip::{ECHO_HEADER_LEN, EchoOutcome, EchoRequest, Resolution};
use memory::Stowed;
use nic::QueuePair;

use crate::core::{Core, Stack};

/// Why an echo request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EchoError {
    /// No way leads there, or nobody is there.
    #[error(transparent)]
    Unreachable(#[from] ip::Unreachable),
    /// This host has no address of that family.
    #[error("the gateway has no address of that family")]
    NoSource,
    /// It does not fit into a packet.
    #[error("a packet on this link has room for {len_max} bytes of data")]
    TooLong {
        /// Bytes of data at most.
        len_max: u16,
    },
    /// There is no frame, or no room to send it.
    #[error("no packet buffer is free, or the queue is full")]
    ResourceRoom,
}

impl<Q: QueuePair> Stack<Q> {
    /// Sends an echo request with the next burst, or lets it wait for its neighbour. What becomes of
    /// it is told to who listens: see [`Core::echoes`].
    ///
    /// # Errors
    /// It was not sent.
    pub fn send_echo(&mut self, request: &EchoRequest, now: Instant) -> Result<(), EchoError> {
        self.core.now = now;
        self.core.send_echo(request)
    }
}

impl Core {
    /// IP, to be told who listens for echoes, and to tell what it has heard.
    pub fn echoes(&mut self) -> &mut ip::Ip {
        &mut self.ip
    }

    fn send_echo(&mut self, request: &EchoRequest) -> Result<(), EchoError> {
        let &EchoRequest { remote, len, .. } = request;
        let len_max = self.ip.echo_len_max(remote);
        if len > len_max {
            return Err(EchoError::TooLong { len_max });
        }
        let local = self.ip.source_for(remote).ok_or(EchoError::NoSource)?;
        let (hop, is_resolved) = match self.ip.resolve(remote, ip::HopIndex::NONE, self.now) {
            Resolution::Known(hop) => (hop, true),
            Resolution::Wait(hop) => (hop, false),
            Resolution::Unreachable(why) => return Err(why.into()),
        };
        if self.tx.free() == 0 {
            return Err(EchoError::ResourceRoom);
        }
        let mut frame = self.arena.allocate().ok_or(EchoError::ResourceRoom)?;
        let headers_len = self.ip.headers_len(remote);
        self.arena.set_len(&mut frame, ECHO_HEADER_LEN + usize::from(len));
        self.arena.extend_front(&mut frame, headers_len);
        let bytes = self.arena.bytes_mut(&mut frame);
        self.ip.write_echo_request(bytes, request, (local, hop));
        self.depart(frame, hop, is_resolved);
        Ok(())
    }

    /// Frees a frame that was parked and is not sent.
    pub(crate) fn undelivered(&mut self, stowed: Stowed, outcome: EchoOutcome) {
        let frame = self.arena.unstow(stowed);
        self.ip.on_undelivered(self.arena.bytes(&frame), outcome, self.now);
        self.arena.free(frame);
    }
}
