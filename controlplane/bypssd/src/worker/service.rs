//! What the worker moves bytes for: the switch, or what stands in for it in tests.

use base::Instant;

use crate::config::Access;

/// What the socket and TLS say of who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The node's id in the certificate that was verified.
    pub(crate) certified: Option<String>,
    /// Whether the connection comes from this machine.
    pub(crate) is_loopback: bool,
}

/// Something that the service counts or measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// What it is, as a sentence.
    pub(crate) help: &'static str,
    pub(crate) value: u64,
    /// It only rises.
    pub(crate) is_counter: bool,
}

/// Takes frames and gives frames; it knows connections by their index only, and an index is used
/// again after [`Service::handle_closed`].
pub(crate) trait Service {
    /// A connection is there.
    fn handle_opened(&mut self, conn: u32, peer: Peer, now: Instant);

    /// Takes whole frames from the front of `bytes`, and returns their length. Less than what is
    /// whole: the connection has too much under way, and is not to be read before it has taken some
    /// of its answers, or [`Service::next_unblocked`] names it.
    fn handle_bytes(&mut self, conn: u32, bytes: &[u8], now: Instant) -> usize;

    /// The connection is gone.
    fn handle_closed(&mut self, conn: u32, now: Instant);

    /// Does what is due, and says when it wants to be asked again.
    fn poll(&mut self, now: Instant) -> Option<Instant>;

    /// Whether it takes another connection now.
    fn has_room(&self) -> bool {
        true
    }

    /// The other end of the connection sends no more.
    fn handle_end(&mut self, _conn: u32) {}

    /// Whether the connection has or will have something to send, although nothing more is received.
    fn has_more(&self, conn: u32) -> bool {
        !self.outgoing(conn).is_empty()
    }

    /// Bytes of frames that were taken and are kept until some of the connection's answers have left.
    /// It is not to be read meanwhile; that there are others is told as something to send is.
    fn kept_len(&self, _conn: u32) -> usize {
        0
    }

    /// A connection whose frames were not taken for another reason than answers that wait, and may be
    /// now.
    fn next_unblocked(&mut self) -> Option<u32> {
        None
    }

    /// The thread will sleep; false: there is something to do that the kernel does not know of.
    fn lie_down(&mut self) -> bool {
        true
    }

    /// The thread is awake.
    fn rise(&mut self) {}

    /// A connection that has something to send or is to be closed, each once until it changes.
    fn next_dirty(&mut self) -> Option<u32>;

    /// What the connection has to send.
    fn outgoing(&self, conn: u32) -> &[u8];

    /// So many bytes of it were taken.
    fn handle_sent(&mut self, conn: u32, len: usize, now: Instant);

    /// Whether the connection is to be closed once it has nothing to send.
    fn is_closing(&self, conn: u32) -> bool;

    /// The node that the connection has come in as, by a number that is another's once none of its
    /// connections is there.
    fn node(&self, conn: u32) -> Option<u32>;

    /// Tells everybody that the switch ends, and that another may be at `hint`, unless it is empty.
    fn leave(&mut self, hint: &str, now: Instant);

    /// Who comes in from now on.
    fn handle_access(&mut self, access: &[Access], now: Instant);

    /// The epoch that it serves in, which may rise.
    fn epoch(&self) -> u64;

    /// Names and values of whatever it counts.
    fn figures(&self, now: Instant) -> Vec<Figure>;

    /// How long it gives nothing, after its start; zero once it does.
    fn grace_left(&self, now: Instant) -> base::Duration;
}
