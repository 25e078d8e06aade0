//! What a service can do while it is called.

use base::{Duration, Instant, Rng};
use memory::Frame;
use thiserror::Error;
use wire::Address;

use crate::core::Core;
use crate::service::{Data, Datagram};
use crate::{Conn, ConnectError, ListenerId, SendError, TimersFull};

/// The stack, as a service sees it during a call.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) core: &'a mut Core,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DatagramError {
    /// Longer than one packet can carry.
    #[error("a datagram of {len} bytes does not fit the link: {max} do")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// What fits.
        max: usize,
    },
    /// No route, or a neighbour that does not answer.
    #[error("no way to that address")]
    Unreachable,
    /// No frame, or no room in the transmit backlog, now.
    #[error("no room to send now")]
    ResourceRoom,
}

impl Context<'_> {
    /// The time of this turn.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.core.now
    }

    /// A seeded generator, for everything that is not a secret.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.core.rng
    }

    /// Opens a connection to `remote`; `on_open` or `on_close` follows. `word` is kept with it.
    ///
    /// # Errors
    /// No route to that address, or no room for another connection.
    pub fn connect(
        &mut self,
        remote: Address,
        remote_port: u16,
        word: u32,
    ) -> Result<Conn, ConnectError> {
        self.core.connect(remote, remote_port, word)
    }

    /// Queues a copy of as much of `bytes` as there is room for, and says how much; if that is
    /// less than all, `on_writable` follows.
    ///
    /// # Errors
    /// The connection has ended, or was closed.
    pub fn send(&mut self, conn: Conn, bytes: &[u8]) -> Result<usize, SendError> {
        let (tcp, mut cx) = self.core.tcp_cx();
        tcp.send(&mut cx, conn, bytes)
    }

    /// Queues a frame's bytes without a copy.
    ///
    /// # Errors
    /// The frame comes back with the reason; with `ResourceRoom`, `on_writable` follows.
    pub fn send_frame(&mut self, conn: Conn, frame: Frame) -> Result<(), (SendError, Frame)> {
        let (tcp, mut cx) = self.core.tcp_cx();
        tcp.send_frame(&mut cx, conn, frame)
    }

    /// Sends received bytes on, in the frame they came in; returns how many were taken, as
    /// `on_data` is to return it. What could not be sent stays in `data`.
    pub fn send_data(&mut self, conn: Conn, data: &mut Data) -> usize {
        let Some(frame) = data.take() else { return 0 };
        let len = frame.len();
        match self.send_frame(conn, frame) {
            Ok(()) => len,
            Err((_, frame)) => {
                data.frame = Some(frame);
                0
            }
        }
    }

    /// Bytes that `send` would take now, frames permitting.
    #[must_use]
    pub fn send_room(&self, conn: Conn) -> usize {
        self.core.tcp.send_room(conn)
    }

    /// Frees a frame that [`Data::take`] gave.
    pub fn free(&mut self, frame: Frame) {
        self.core.arena.free(frame);
    }

    /// Offers what the service left of its data again, in this turn.
    pub fn resume(&mut self, conn: Conn) {
        self.core.tcp.resume(conn);
    }

    /// Ends the connection once everything queued is sent. Nothing more is received: what still
    /// arrives resets it. `on_close` follows.
    pub fn close(&mut self, conn: Conn) {
        let (tcp, mut cx) = self.core.tcp_cx();
        let reply = tcp.close(&mut cx, conn);
        self.core.send_reply(reply);
    }

    /// Ends our direction once everything queued is sent; the peer may go on sending.
    pub fn finish(&mut self, conn: Conn) {
        let (tcp, mut cx) = self.core.tcp_cx();
        tcp.close_send(&mut cx, conn);
    }

    /// Resets the connection. `on_close` follows.
    pub fn abort(&mut self, conn: Conn) {
        let (tcp, mut cx) = self.core.tcp_cx();
        let reply = tcp.abort(&mut cx, conn);
        self.core.send_reply(reply);
    }

    /// The service's own word of a connection.
    #[must_use]
    pub fn word(&self, conn: Conn) -> Option<u32> {
        self.core.tcp.word(conn)
    }

    /// Sets the service's own word, of 31 bits.
    pub fn set_word(&mut self, conn: Conn, word: u32) {
        self.core.tcp.set_word(conn, word);
    }

    /// Says that nothing is under way on a connection: its word is zero, and `on_idle` follows
    /// when its listener's idle time is over without any data having moved.
    pub fn set_idle(&mut self, conn: Conn) {
        let now = self.core.now;
        self.core.tcp.set_idle(conn, now);
    }

    /// The listener a connection came in by; `None` for one we opened.
    #[must_use]
    pub fn listener(&self, conn: Conn) -> Option<ListenerId> {
        self.core.tcp.listener_of(conn)
    }

    /// The peer's address and port.
    #[must_use]
    pub fn peer(&self, conn: Conn) -> Option<(Address, u16)> {
        let tuple = self.core.tcp.record(conn)?.tuple();
        Some((tuple.remote, tuple.remote_port))
    }

    /// Our own TCP port of a connection.
    #[must_use]
    pub fn local_port(&self, conn: Conn) -> Option<u16> {
        Some(self.core.tcp.record(conn)?.tuple().local_port)
    }

    /// Calls `on_timer` with `key` after `delay`, at most a tick (1.05 ms) late per turn.
    ///
    /// # Errors
    /// All timers are set.
    pub fn set_timer(&mut self, delay: Duration, key: u64) -> Result<(), TimersFull> {
        let deadline = self.core.now + delay;
        self.core.timers.set(key, deadline)
    }

    /// Answers a datagram with a copy of `bytes`.
    ///
    /// # Errors
    /// It does not fit a packet, or there is no room now.
    pub fn answer(&mut self, datagram: &Datagram, bytes: &[u8]) -> Result<(), DatagramError> {
        self.core.send_datagram(datagram, bytes)
    }

    /// Answers a datagram with received bytes, in the frame they came in.
    ///
    /// # Errors
    /// There is no room now; the bytes are lost, as datagrams may be.
    pub fn answer_data(
        &mut self,
        datagram: &Datagram,
        data: &mut Data,
    ) -> Result<(), DatagramError> {
        match data.take() {
            Some(frame) => self.core.send_datagram_frame(datagram, frame),
            None => Ok(()),
        }
    }

    /// Frames that are free on this core.
    #[must_use]
    pub fn frames_free(&self) -> u32 {
        self.core.arena.frames_free()
    }
}
