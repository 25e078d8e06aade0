//! The connection record: all that an idle connection is, in one cache line.
//!
//! While a connection is *quiet* (nothing in flight, queued, owed or out of order) the record is
//! everything: `snd_una` = `snd_nxt`, the last acknowledgement sent = `rcv_nxt`. While it is
//! *busy* the record borrows an [`crate::extension::Extension`], and what both could hold is kept
//! in the extension alone: the window's edges and the estimates here are then stale.

use base::Instant;
use bitflags::bitflags;
use memory::Linked;
use wire::{Address, SeqNum};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Tuple;
use crate::quantum;
use crate::state::State;

/// 64 bytes; see DATAPLANE for the plan.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct Record {
    remote: [u8; 16],
    pub(crate) rcv_nxt: u32,
    pub(crate) snd_nxt: u32,
    pub(crate) ts_recent: u32,
    /// Odd while the record is in use.
    pub(crate) generation: u32,
    /// The extension while busy, the second of the last activity while quiet, the next of the
    /// list of ended connections in state CLOSED.
    pub(crate) extension: u32,
    /// The service's own word, or [`IDLE`] and the second since which the connection is idle.
    pub(crate) word: u32,
    remote_port: u16,
    local_port: u16,
    local: u16,
    pub(crate) hop: u16,
    /// The advertised right edge beyond `rcv_nxt`, in units of the receive scale, rounded up.
    pub(crate) rcv_edge: u16,
    /// The peer's window as it came, not scaled.
    pub(crate) snd_wnd: u16,
    flags: u16,
    pub(crate) listener: u16,
    /// Send scale (what the peer announced) in the low nibble, receive scale in the high one.
    scales: u8,
    mss_class: u8,
    srtt: u8,
    rttvar: u8,
    ssthresh: u8,
    cwnd: u8,
    /// The state in the low nibble, keep-alive probes sent in the high one.
    state: u8,
    /// The ACE counter of accurate ECN; zero until it is negotiated.
    pub(crate) ace: u8,
}

/// The bit of a word that says that the service has nothing under way, and the others since when.
pub(crate) const IDLE: u32 = 1 << 31;

bitflags! {
    /// What a connection has agreed on and what has happened to it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Flags: u16 {
        /// An extension is borrowed.
        const BUSY = 1 << 0;
        /// Timestamps are used in both directions.
        const TIMESTAMPS = 1 << 1;
        // Bit 2 is for SACK.
        /// Small segments are sent at once (Nagle's algorithm is off).
        const NODELAY = 1 << 3;
        /// The service takes no more data: what arrives resets the connection.
        const RECEIVE_CLOSED = 1 << 4;
        /// The service sends no more data.
        const SEND_CLOSED = 1 << 5;
        /// We opened it.
        const ACTIVE = 1 << 6;
        /// The service was refused room to send and is owed an `on_writable`.
        const WANTS_WRITE = 1 << 7;
        /// Keep-alive probes are sent.
        const KEEP_ALIVE = 1 << 8;
        /// The service has seen the connection: it is owed an `on_close`.
        const OPENED = 1 << 9;
        /// The peer's FIN has been taken in.
        const FIN_RECEIVED = 1 << 10;
        /// The service has closed, and the FIN waits for an extension.
        const WANTS_CLOSE = 1 << 11;
    }
}

/// The sizes an MSS is rounded down to in a quiet record: what common links and tunnels leave.
const MSS_CLASSES: [u16; 16] = [
    64, 256, 512, 536, 1_024, 1_200, 1_220, 1_240, 1_300, 1_360, 1_380, 1_400, 1_420, 1_440, 1_460,
    8_940,
];

impl Record {
    /// A record of a new connection in state `state`; `generation` goes on from the last user's.
    pub(crate) fn start(&mut self, tuple: &Tuple, state: State) {
        let generation = self.generation.wrapping_add(1) | 1;
        *self = Self {
            remote: tuple.remote.octets(),
            rcv_nxt: 0,
            snd_nxt: 0,
            ts_recent: 0,
            generation,
            extension: 0,
            word: 0,
            remote_port: tuple.remote_port,
            local_port: tuple.local_port,
            local: tuple.local,
            hop: u16::MAX,
            rcv_edge: 0,
            snd_wnd: 0,
            flags: 0,
            listener: u16::MAX,
            scales: 0,
            mss_class: 0,
            srtt: 0,
            rttvar: 0,
            ssthresh: u8::MAX,
            cwnd: 0,
            state: state as u8,
            ace: 0,
        };
    }

    /// Ends the life of the record: handles to it are stale from now on.
    pub(crate) fn end(&mut self) {
        self.generation = self.generation.wrapping_add(1) & !1;
        self.state = State::Closed as u8;
        self.flags = 0;
    }

    pub(crate) fn is_live(&self) -> bool {
        self.generation & 1 == 1
    }

    /// The four addresses that name the connection.
    #[must_use]
    pub fn tuple(&self) -> Tuple {
        Tuple {
            remote: Address::from_octets(self.remote),
            remote_port: self.remote_port,
            local_port: self.local_port,
            local: self.local,
        }
    }

    pub(crate) fn is_for(&self, tuple: &Tuple) -> bool {
        self.remote == tuple.remote.octets()
            && self.remote_port == tuple.remote_port
            && self.local_port == tuple.local_port
            && self.local == tuple.local
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_nibble(self.state & 0x0f)
    }

    pub(crate) fn set_state(&mut self, state: State) {
        self.state = (self.state & 0xf0) | state as u8;
    }

    pub(crate) fn probes_sent(&self) -> u8 {
        self.state >> 4
    }

    pub(crate) fn set_probes_sent(&mut self, probes: u8) {
        self.state = (self.state & 0x0f) | (probes.min(15) << 4);
    }

    /// The number that is expected next from the peer.
    #[must_use]
    pub fn rcv_nxt(&self) -> SeqNum {
        SeqNum(self.rcv_nxt)
    }

    /// The number after the last one that was sent.
    #[must_use]
    pub fn snd_nxt(&self) -> SeqNum {
        SeqNum(self.snd_nxt)
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.flags)
    }

    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags & flag.bits() == flag.bits()
    }

    pub(crate) fn set(&mut self, flag: Flags, on: bool) {
        if on {
            self.flags |= flag.bits();
        } else {
            self.flags &= !flag.bits();
        }
    }

    pub(crate) fn send_scale(&self) -> u8 {
        self.scales & 0x0f
    }

    pub(crate) fn receive_scale(&self) -> u8 {
        self.scales >> 4
    }

    pub(crate) fn set_scales(&mut self, send: u8, receive: u8) {
        self.scales = (receive << 4) | (send & 0x0f);
    }

    /// The peer's MSS, rounded down to its class.
    pub(crate) fn mss(&self) -> u16 {
        MSS_CLASSES[usize::from(self.mss_class & 15)]
    }

    pub(crate) fn set_mss(&mut self, mss: u16) {
        let above = MSS_CLASSES.iter().position(|&class| class > mss).unwrap_or(16);
        self.mss_class = u8::try_from(above.saturating_sub(1)).expect("there are 16 classes");
    }

    /// The right edge of the receive window while quiet.
    pub(crate) fn quiet_edge(&self) -> SeqNum {
        SeqNum(self.rcv_nxt) + (u32::from(self.rcv_edge) << self.receive_scale())
    }

    pub(crate) fn set_quiet_edge(&mut self, edge: SeqNum) {
        let scale = self.receive_scale();
        let ahead = edge.since(SeqNum(self.rcv_nxt));
        let units = ahead.div_ceil(1 << scale).min(u32::from(u16::MAX));
        self.rcv_edge = u16::try_from(units).expect("just clamped");
    }

    /// Marks activity of a quiet record.
    pub(crate) fn touch(&mut self, now: Instant) {
        debug_assert!(!self.has(Flags::BUSY), "a busy record's activity is its extension's");
        self.extension = now.as_secs_wrapped();
        self.set_probes_sent(0);
    }

    /// Marks the connection as one of which the service has nothing under way, since `since`.
    pub(crate) fn set_idle(&mut self, since: Instant) {
        self.word = IDLE | since.as_secs_wrapped();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.word & IDLE != 0
    }

    /// Seconds for which an idle connection has been so.
    pub(crate) fn idle_word_s(&self, now: Instant) -> u32 {
        now.as_secs_wrapped().wrapping_sub(self.word) & !IDLE
    }

    /// Keeps what must outlive the extension, logarithmically.
    pub(crate) fn keep_estimates(&mut self, kept: Estimates) {
        let Estimates { srtt_us, rttvar_us, ssthresh, cwnd } = kept;
        self.srtt = quantum::encode(srtt_us);
        self.rttvar = quantum::encode(rttvar_us);
        self.ssthresh = if ssthresh == u32::MAX { u8::MAX } else { quantum::encode(ssthresh) };
        self.cwnd = quantum::encode(cwnd);
    }

    pub(crate) fn estimates(&self) -> Estimates {
        Estimates {
            srtt_us: quantum::decode(self.srtt),
            rttvar_us: quantum::decode(self.rttvar),
            ssthresh: quantum::decode(self.ssthresh),
            cwnd: quantum::decode(self.cwnd),
        }
    }
}

/// What a connection has learnt of its path and keeps while it is quiet. Zero means unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Estimates {
    pub(crate) srtt_us: u32,
    pub(crate) rttvar_us: u32,
    pub(crate) ssthresh: u32,
    pub(crate) cwnd: u32,
}

impl Linked for Record {
    fn link(&self) -> u32 {
        self.extension
    }
    fn set_link(&mut self, next: u32) {
        self.extension = next;
    }
}

#[cfg(test)]
mod tests {
    use super::{Estimates, Record};
    use crate::Tuple;
    use crate::state::State;
    use wire::{Address, SeqNum};
    use zerocopy::FromZeros;

    fn record() -> Record {
        let mut record = Record::new_zeroed();
        let remote = Address::from(core::net::Ipv4Addr::new(10, 0, 0, 1));
        let tuple = Tuple { remote, remote_port: 4_000, local_port: 80, local: 1 };
        record.start(&tuple, State::Established);
        assert!(record.is_for(&tuple));
        record
    }

    #[test]
    fn generation_is_odd_while_live_and_never_repeats_soon() {
        let mut record = record();
        let first = record.generation;
        assert!(record.is_live());
        record.end();
        assert!(!record.is_live());
        let tuple = record.tuple();
        record.start(&tuple, State::SynSent);
        assert_eq!(record.generation, first + 2);
    }

    #[test]
    fn edge_is_kept_rounded_up() {
        let mut record = record();
        record.set_scales(7, 3);
        record.rcv_nxt = u32::MAX - 5;
        let edge = SeqNum(record.rcv_nxt) + 1_001;
        record.set_quiet_edge(edge);
        assert_eq!(record.quiet_edge().since(edge), 7);
        assert_eq!((record.send_scale(), record.receive_scale()), (7, 3));
    }

    #[test]
    fn mss_is_rounded_down_to_a_class() {
        let mut record = record();
        for (given, kept) in [(1_460, 1_460), (1_459, 1_440), (64, 64), (9_000, 8_940), (537, 536)]
        {
            record.set_mss(given);
            assert_eq!(record.mss(), kept);
        }
    }

    #[test]
    fn state_and_probes_share_a_byte_without_touching() {
        let mut record = record();
        record.set_probes_sent(9);
        record.set_state(State::CloseWait);
        assert_eq!((record.state(), record.probes_sent()), (State::CloseWait, 9));
        record.keep_estimates(Estimates {
            srtt_us: 1_000,
            rttvar_us: 0,
            ssthresh: u32::MAX,
            cwnd: 14_600,
        });
        let kept = record.estimates();
        assert_eq!((kept.srtt_us, kept.rttvar_us, kept.ssthresh), (960, 0, u32::MAX));
    }
}
