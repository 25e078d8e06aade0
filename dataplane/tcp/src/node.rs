//! A segment node: one stretch of a stream that lies in one frame.

use memory::{Linked, Stowed};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// 32 bytes of a list: what was sent and not acknowledged, what waits to be sent, what arrived
/// out of order, or what the service has not taken yet.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Node {
    /// The next node of the list, or of the free list.
    pub next: u32,
    /// The sequence number of the first byte.
    pub seq: u32,
    /// The bytes.
    pub frame: Stowed,
    /// When it was last sent, in microseconds, wrapped.
    pub sent_at_us: u32,
    /// How often it was sent.
    pub sends: u16,
    /// See [`Node::FIN`].
    pub flags: u16,
    /// Room for the delivery counts of rate estimation.
    pub spare: [u32; 2],
}

impl Node {
    /// The peer's FIN follows the bytes (lists of received data only).
    pub const FIN: u16 = 1;

    /// A node of `frame` whose first byte is `seq`.
    #[must_use]
    pub fn new(seq: u32, frame: Stowed) -> Self {
        Self { next: base::NIL, seq, frame, sent_at_us: 0, sends: 0, flags: 0, spare: [0; 2] }
    }

    /// The number after the last byte.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.frame.len))
    }
}

impl Linked for Node {
    fn link(&self) -> u32 {
        self.next
    }
    fn set_link(&mut self, next: u32) {
        self.next = next;
    }
}
