//! SYN cookies: what a SYN has told, kept by the peer while the half-open table is full.
//!
//! The naive answers to a full table are to refuse every SYN, which is what a flood wants, or to
//! forget the oldest entry, which keeps honest peers out as soon as the flood fills the table in
//! less than their round trip. Instead the number of our SYN-ACK says all that the table would
//! (RFC 4987 section 3.6), and the acknowledgement brings it back:
//!
//! ```text
//!   sequence number   | 28 bits: SipHash-2-4 of tuple, peer's number, slot, MSS | slot | MSS |
//!                                                                        1 bit    3 bits
//!   our timestamp     | milliseconds, rounded down to sixteen, never ahead | 4 bits: scale |
//! ```
//!
//! The MSS is one of eight, and a peer without timestamps loses its window scale. A cookie holds
//! for the rest of its slot of 64 seconds and the next one. Cookies are believed only while some
//! are out: otherwise nobody could win a connection by guessing.

use std::hash::Hasher as _;

use base::{Duration, Instant};
use siphasher::sip::SipHasher24;
use wire::SeqNum;

use crate::Tuple;
use crate::limits::{COOKIE_MSS, COOKIE_SLOT_S, WINDOW_SCALE_MAX};

const MSS_BITS: u32 = 3;
const MSS_MASK: u32 = (1 << MSS_BITS) - 1;
const SLOT_BIT: u32 = 1 << MSS_BITS;
const HASH_SHIFT: u32 = MSS_BITS + 1;
const _: () = assert!(COOKIE_MSS.len() == 1 << MSS_BITS);

/// The low bits of a timestamp, in which the scale is kept.
const SCALE_MASK: u32 = 15;
/// In those bits: the peer offered no window scale.
const SCALE_NONE: u32 = 15;
const _: () = assert!((WINDOW_SCALE_MAX as u32) < SCALE_NONE);

/// Makes and reads cookies.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    hasher: SipHasher24,
    /// Until when one that was given out may come back.
    believed_until: Instant,
}

/// What a cookie said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) mss: u16,
    /// The peer's scale, where its timestamps brought one back.
    pub(crate) send_scale: Option<u8>,
}

impl Cookies {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self { hasher: SipHasher24::new_with_key(key), believed_until: Instant::ZERO }
    }

    /// The number of a SYN-ACK for a SYN with the number before `rcv_nxt`.
    pub(crate) fn give(&mut self, tuple: &Tuple, rcv_nxt: u32, mss: u16, now: Instant) -> u32 {
        self.believed_until = now + Duration::from_secs(2 * COOKIE_SLOT_S);
        let below = COOKIE_MSS.iter().rposition(|&known| known <= mss);
        let index = u32::try_from(below.unwrap_or(0)).expect("eight");
        self.number(tuple, rcv_nxt, slot_at(now), index)
    }

    /// Whether some may still come back.
    pub(crate) fn are_out(&self, now: Instant) -> bool {
        now < self.believed_until
    }

    /// What `iss` said when we gave it out; `None` if we did not, or too long ago.
    pub(crate) fn read(
        &self,
        tuple: &Tuple,
        rcv_nxt: u32,
        iss: u32,
        echo: Option<u32>,
        now: Instant,
    ) -> Option<Said> {
        if !self.are_out(now) {
            return None;
        }
        let this = slot_at(now);
        let slot = if parity(this) == iss & SLOT_BIT { this } else { this.checked_sub(1)? };
        if self.number(tuple, rcv_nxt, slot, iss & MSS_MASK) != iss {
            return None;
        }
        let mss = COOKIE_MSS[(iss & MSS_MASK) as usize];
        let scale = echo.map(|echo| echo & SCALE_MASK).filter(|&scale| scale != SCALE_NONE);
        Some(Said { mss, send_scale: scale.map(|scale| u8::try_from(scale).expect("four bits")) })
    }

    fn number(&self, tuple: &Tuple, rcv_nxt: u32, slot: u64, mss: u32) -> u32 {
        let mut hasher = self.hasher;
        hasher.write(&tuple.remote.octets());
        let ports = u64::from(tuple.remote_port) << 32
            | u64::from(tuple.local_port) << 16
            | u64::from(tuple.local);
        hasher.write_u64(ports);
        hasher.write_u64(u64::from(rcv_nxt) << 32 | u64::from(mss));
        hasher.write_u64(slot);
        #[expect(clippy::cast_possible_truncation, reason = "28 bits of a hash are a hash")]
        let hash = hasher.finish() as u32;
        hash << HASH_SHIFT | parity(slot) | mss
    }
}

/// Our timestamp with the peer's scale in it, never later than `value`.
pub(crate) fn timestamp_with(value: u32, scale: Option<u8>) -> u32 {
    let kept = value & !SCALE_MASK | scale.map_or(SCALE_NONE, u32::from);
    if SeqNum(value).is_before(SeqNum(kept)) { kept.wrapping_sub(SCALE_MASK + 1) } else { kept }
}

fn slot_at(now: Instant) -> u64 {
    now.as_nanos() / Duration::from_secs(COOKIE_SLOT_S).as_nanos()
}

fn parity(slot: u64) -> u32 {
    if slot.is_multiple_of(2) { 0 } else { SLOT_BIT }
}

#[cfg(test)]
mod tests {
    use super::{Cookies, Said, timestamp_with};
    use crate::Tuple;
    use crate::limits::{COOKIE_MSS, COOKIE_SLOT_S};
    use base::{Duration, Instant};
    use wire::{Address, SeqNum};

    fn tuple(port: u16) -> Tuple {
        let remote = Address::from(core::net::Ipv4Addr::new(192, 0, 2, 9));
        Tuple { remote, remote_port: port, local_port: 80, local: 0 }
    }

    fn seconds(count: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(count)
    }

    #[test]
    fn what_was_given_is_read_again_for_one_to_two_slots() {
        let mut cookies = Cookies::new(&[7; 16]);
        for start in [0, 1, COOKIE_SLOT_S - 1, COOKIE_SLOT_S, 5 * COOKIE_SLOT_S + 3] {
            let iss = cookies.give(&tuple(9), 77, 1_448, seconds(start));
            let said = |at| cookies.read(&tuple(9), 77, iss, None, seconds(at));
            for later in [0, 1, COOKIE_SLOT_S] {
                assert_eq!(said(start + later), Some(Said { mss: 1_440, send_scale: None }));
            }
            let two_slots = 2 * COOKIE_SLOT_S;
            assert_eq!(said(start + two_slots), None, "given at {start}, it is too old");
            assert_eq!(said(start + 2 * two_slots), None, "the parity comes round again");
        }
    }

    #[test]
    fn every_mss_is_kept_or_rounded_down() {
        let mut cookies = Cookies::new(&[7; 16]);
        for offered in (crate::limits::MSS_MIN..9_200).step_by(31) {
            let iss = cookies.give(&tuple(9), 77, offered, seconds(9));
            let said = cookies.read(&tuple(9), 77, iss, None, seconds(9)).expect("it is ours");
            let best = COOKIE_MSS.into_iter().filter(|&known| known <= offered).max();
            assert_eq!(Some(said.mss), best, "offered {offered}");
        }
    }

    #[test]
    fn nobody_elses_number_nor_ports_nor_guesses_are_believed() {
        let mut cookies = Cookies::new(&[7; 16]);
        let now = seconds(9);
        let iss = cookies.give(&tuple(9), 77, 1_460, now);
        assert!(cookies.read(&tuple(9), 77, iss, None, now).is_some());
        assert!(cookies.read(&tuple(8), 77, iss, None, now).is_none());
        assert!(cookies.read(&tuple(9), 78, iss, None, now).is_none());
        assert!(Cookies::new(&[8; 16]).read(&tuple(9), 77, iss, None, now).is_none());
        let believed = (0..100_000).filter(|guess| {
            *guess != iss && cookies.read(&tuple(9), 77, *guess, None, now).is_some()
        });
        assert!(believed.count() < 3, "one in 2^28 for each of sixteen endings");
    }

    #[test]
    fn none_is_believed_before_one_was_given() {
        let mut other = Cookies::new(&[7; 16]);
        let iss = other.give(&tuple(9), 77, 1_460, seconds(9));
        assert!(Cookies::new(&[7; 16]).read(&tuple(9), 77, iss, None, seconds(9)).is_none());
    }

    #[test]
    fn scale_comes_back_in_a_timestamp_that_is_never_ahead() {
        let mut cookies = Cookies::new(&[7; 16]);
        let iss = cookies.give(&tuple(9), 77, 1_460, seconds(9));
        for value in [0, 5, 15, 16, 17, 1_000_003, u32::MAX] {
            for scale in (0..=14).map(Some).chain([None]) {
                let echo = timestamp_with(value, scale);
                assert!(!SeqNum(value).is_before(SeqNum(echo)), "{value} {scale:?}");
                assert!(value.wrapping_sub(echo) < 32);
                let said = cookies.read(&tuple(9), 77, iss, Some(echo), seconds(9)).expect("ours");
                assert_eq!(said.send_scale, scale);
            }
        }
    }
}
