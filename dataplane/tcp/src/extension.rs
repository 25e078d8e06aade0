//! The extension: what a busy connection needs beyond its record, borrowed and given back.

use base::{NIL, WheelLinks};
use bitflags::bitflags;
use memory::{Linked, Slab};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::congestion;

/// At most 256 bytes of plain integers.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Extension {
    // Timers: deadlines in nanoseconds, 0 while unset. See `timer.rs`.
    pub(crate) rto_at: u64,
    pub(crate) ack_at: u64,
    pub(crate) probe_at: u64,
    /// When something last happened.
    pub(crate) busy_at: u64,
    /// When the wheel will look at this connection.
    pub(crate) armed_at: u64,
    /// When `due_una` must have been acknowledged; see `user_timeout.rs`.
    pub(crate) due_at: u64,
    wheel_next: u32,
    wheel_prev: u32,
    wheel_slot: u32,
    wheel_tick: u32,

    // Lists.
    /// The record this extension belongs to, or the next of the free list.
    pub(crate) record: u32,
    /// The next connection with something to send.
    pub(crate) dirty_next: u32,
    /// Neighbours in the order of borrowing, refreshed lazily.
    pub(crate) lru_prev: u32,
    pub(crate) lru_next: u32,
    /// The half-second at which the place in that order was taken.
    pub(crate) lru_at: u32,

    // Sending (RFC 9293 section 3.3.1; `snd_nxt` is in the record).
    pub(crate) snd_una: u32,
    /// The next number to send: below `snd_nxt` while going back after a time-out.
    pub(crate) snd_ptr: u32,
    /// The number after the last byte the service gave.
    pub(crate) snd_end: u32,
    pub(crate) snd_wnd: u32,
    pub(crate) snd_wnd_max: u32,
    pub(crate) snd_wl1: u32,
    pub(crate) snd_wl2: u32,
    pub(crate) send_head: u32,
    pub(crate) send_tail: u32,
    /// The node that holds `snd_ptr`.
    pub(crate) ptr_node: u32,

    // Receiving (`rcv_nxt` is in the record).
    /// The advertised right edge.
    pub(crate) rcv_edge: u32,
    /// The last acknowledgement sent.
    pub(crate) rcv_acked: u32,
    /// In order, and not taken by the service yet.
    pub(crate) backlog_head: u32,
    pub(crate) backlog_tail: u32,
    pub(crate) backlog_len: u32,
    /// Out of order, sorted by sequence number.
    pub(crate) ooo_head: u32,

    // Loss recovery (RFC 6582) and round-trip time (RFC 6298).
    pub(crate) recover: u32,
    /// Bytes that duplicate acknowledgements have added to the window during recovery.
    pub(crate) inflation: u32,
    pub(crate) srtt_us: u32,
    pub(crate) rttvar_us: u32,
    /// When our SYN was first sent, in microseconds, wrapped.
    pub(crate) syn_at_us: u32,

    /// Our timestamp clock's offset.
    pub(crate) ts_offset: u32,
    /// The second at which `ts_recent` was set.
    pub(crate) ts_recent_at_s: u32,

    /// The congestion control's own 32 bytes.
    pub(crate) congestion: [u8; congestion::STATE_LEN],

    flags: u16,
    pub(crate) ooo_count: u16,
    /// Payload bytes of a full segment: the peer's MSS less our options.
    pub(crate) mss: u16,
    /// Bytes received in order and not acknowledged yet, in segments.
    pub(crate) ack_segments: u8,
    pub(crate) quick_acks: u8,
    pub(crate) dup_acks: u8,
    /// Time-outs, or probes, in a row.
    pub(crate) backoff: u8,
    pub(crate) algorithm: u8,
    spare: u8,
    pub(crate) ooo_tail: u32,
    /// The number up to which the peer must have acknowledged at `due_at`.
    pub(crate) due_una: u32,
    /// Frames that this connection holds: sent and not acknowledged, queued, unread, out of order.
    pub(crate) frames: u32,
    /// The millisecond at which the peer, or the service, last took something; see `scarcity.rs`.
    pub(crate) moved_ms: u32,
    spare_word: u32,
}

bitflags! {
    /// What is going on in a busy connection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Busy: u16 {
        /// In the list of connections with something to send.
        const DIRTY = 1 << 0;
        /// An acknowledgement is owed at once.
        const ACK_NOW = 1 << 1;
        /// A FIN follows the last byte.
        const FIN_QUEUED = 1 << 2;
        /// The FIN has been sent at least once.
        const FIN_SENT = 1 << 3;
        /// Fast recovery is under way until `recover` is acknowledged.
        const RECOVERY = 1 << 4;
        /// The segment at `snd_una` must be sent again.
        const RESEND_HEAD = 1 << 5;
        /// One byte must be sent into a closed window.
        const PROBE = 1 << 6;
        /// A SYN (or SYN-ACK) must be sent.
        const SYN_OWED = 1 << 7;
        /// Sending was limited by the congestion window since the last acknowledgement.
        const CWND_LIMITED = 1 << 8;
        /// The backlog is to be offered to the service again.
        const OFFER = 1 << 9;
        /// The peer's FIN is in, and the service has yet to be told.
        const END_OWED = 1 << 10;
        /// Both directions have ended: the tuple is to rest, or after LAST-ACK to be gone, as soon
        /// as the service has been told of the end.
        const REST_OWED = 1 << 11;
        /// Room to send has opened since the service was refused some.
        const WRITABLE = 1 << 12;
    }
}

impl Extension {
    /// An empty extension of record `record`.
    pub(crate) fn start(&mut self, record: u32) {
        *self = Self {
            rto_at: 0,
            ack_at: 0,
            probe_at: 0,
            busy_at: 0,
            armed_at: 0,
            due_at: 0,
            wheel_next: NIL,
            wheel_prev: NIL,
            wheel_slot: NIL,
            wheel_tick: 0,
            record,
            dirty_next: NIL,
            lru_prev: NIL,
            lru_next: NIL,
            lru_at: 0,
            snd_una: 0,
            snd_ptr: 0,
            snd_end: 0,
            snd_wnd: 0,
            snd_wnd_max: 0,
            snd_wl1: 0,
            snd_wl2: 0,
            send_head: NIL,
            send_tail: NIL,
            ptr_node: NIL,
            rcv_edge: 0,
            rcv_acked: 0,
            backlog_head: NIL,
            backlog_tail: NIL,
            backlog_len: 0,
            ooo_head: NIL,
            recover: 0,
            inflation: 0,
            srtt_us: 0,
            rttvar_us: 0,
            syn_at_us: 0,
            ts_offset: 0,
            ts_recent_at_s: 0,
            congestion: [0; congestion::STATE_LEN],
            flags: 0,
            ooo_count: 0,
            mss: 0,
            ack_segments: 0,
            quick_acks: 0,
            dup_acks: 0,
            backoff: 0,
            algorithm: 0,
            spare: 0,
            ooo_tail: NIL,
            due_una: 0,
            frames: 0,
            moved_ms: 0,
            spare_word: 0,
        };
    }

    pub(crate) fn has(&self, flag: Busy) -> bool {
        self.flags & flag.bits() == flag.bits()
    }

    pub(crate) fn has_any(&self, flags: Busy) -> bool {
        self.flags & flags.bits() != 0
    }

    pub(crate) fn set(&mut self, flag: Busy) {
        self.flags |= flag.bits();
    }

    pub(crate) fn clear(&mut self, flag: Busy) {
        self.flags &= !flag.bits();
    }

    /// The number after all that will ever be sent: the bytes, and the FIN if one is queued.
    pub(crate) fn send_limit(&self) -> u32 {
        self.snd_end.wrapping_add(u32::from(self.has(Busy::FIN_QUEUED)))
    }

    /// Bytes (and FIN) sent and not acknowledged, as the pointer counts them.
    pub(crate) fn in_flight(&self) -> u32 {
        self.snd_ptr.wrapping_sub(self.snd_una)
    }
}

impl Linked for Extension {
    fn link(&self) -> u32 {
        self.record
    }
    fn set_link(&mut self, next: u32) {
        self.record = next;
    }
}

/// The wheel's view of the extensions.
pub(crate) struct Links<'a>(pub(crate) &'a mut Slab<Extension>);

impl base::WheelStore for Links<'_> {
    fn links(&self, index: u32) -> WheelLinks {
        let extension = &self.0[index];
        WheelLinks {
            next: extension.wheel_next,
            prev: extension.wheel_prev,
            slot: extension.wheel_slot,
            tick: extension.wheel_tick,
        }
    }

    fn set_links(&mut self, index: u32, links: WheelLinks) {
        let WheelLinks { next, prev, slot, tick } = links;
        let extension = &mut self.0[index];
        extension.wheel_next = next;
        extension.wheel_prev = prev;
        extension.wheel_slot = slot;
        extension.wheel_tick = tick;
    }
}
