//! What an application is to the stack: callbacks on the core that owns the connection.

use memory::Frame;
use wire::Address;

use crate::{CloseReason, Conn, Context};

/// The service does not want a connection: it is reset, and `on_close` is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuse;

/// Received bytes of one connection, in order. They lie in the frame they arrived in.
#[derive(Debug)]
pub struct Data {
    pub(crate) frame: Option<Frame>,
}

impl Data {
    /// The bytes; empty once the frame has been taken.
    #[inline]
    #[must_use]
    pub fn bytes<'c>(&self, cx: &'c Context<'_>) -> &'c [u8] {
        self.frame.as_ref().map_or(&[], |frame| cx.core.arena.bytes(frame))
    }

    /// Takes the frame with its bytes, to be kept or sent on without a copy. It counts as all
    /// bytes taken, and must go back by [`Context::free`] or [`Context::send_frame`].
    #[must_use]
    pub fn take(&mut self) -> Option<Frame> {
        self.frame.take()
    }
}

/// A received UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub source: Address,
    /// From which port.
    pub source_port: u16,
    /// Our address it was sent to, by its index.
    pub local: u16,
    /// Our port.
    pub local_port: u16,
    /// The neighbour to answer through.
    pub hop: u16,
}

/// An application. All calls for a connection come on the core that owns it.
///
/// A call may send, close, connect and set timers through the context; none of them calls back
/// into the service before it has returned.
pub trait Service {
    /// A connection was accepted, or our `connect` succeeded.
    ///
    /// # Errors
    /// [`Refuse`] resets it; no other call follows.
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse>;

    /// Bytes in order. Returns how many were taken; the rest is offered again after
    /// [`Context::resume`], and closes the peer's window meanwhile.
    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize;

    /// The peer sends no more; everything it sent has been taken. The connection stays open for
    /// what we still have to say; by default it is closed.
    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        cx.close(conn);
    }

    /// There is room again after [`Context::send`] took less than all.
    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn);

    /// The connection has been idle for as long as its listener allows ([`Context::set_idle`]). By
    /// default it is closed.
    fn on_idle(&mut self, cx: &mut Context<'_>, conn: Conn) {
        cx.close(conn);
    }

    /// The connection has ended; once, last. The handle still finds the service's word, the
    /// listener and the peer, and nothing else.
    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason);

    /// A timer that [`Context::set_timer`] set has run out.
    fn on_timer(&mut self, _cx: &mut Context<'_>, _key: u64) {}

    /// A UDP datagram to a port that the stack was told to receive on.
    fn on_datagram(&mut self, _cx: &mut Context<'_>, _from: Datagram, _data: &mut Data) {}

    /// Once per turn, after everything that arrived.
    fn on_turn(&mut self, _cx: &mut Context<'_>) {}
}
