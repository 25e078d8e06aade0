//! NewReno: slow start, congestion avoidance, halving at a loss (RFC 5681, 6582, 7661).

use zerocopy::byteorder::{LE, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use base::Instant;

use super::{Acked, Congestion};

/// Windows in bytes, as unaligned little-endian words.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct NewReno {
    cwnd: U32<LE>,
    ssthresh: U32<LE>,
    /// Bytes acknowledged since the window last grew in congestion avoidance (RFC 3465).
    acked: U32<LE>,
    spare: [u8; 20],
}

const _: () = assert!(size_of::<NewReno>() == super::STATE_LEN);

impl NewReno {
    pub(super) fn new(cwnd: u32, ssthresh: u32) -> Self {
        Self { cwnd: cwnd.into(), ssthresh: ssthresh.into(), acked: 0.into(), spare: [0; 20] }
    }

    fn halve(&mut self, in_flight: u32, mss: u32) {
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //# ssthresh = max (FlightSize / 2, 2*SMSS)
        self.ssthresh.set((in_flight / 2).max(2 * mss));
        self.acked.set(0);
    }
}

impl Congestion for NewReno {
    fn on_acked(&mut self, acked: &Acked) {
        let &Acked { now: _, bytes, in_flight: _, rtt: _, is_cwnd_limited, mss } = acked;
        //= https://www.rfc-editor.org/rfc/rfc7661#section-4.1
        //# the cwnd is not increased when the sender is not cwnd-limited
        if !is_cwnd_limited {
            return;
        }
        let cwnd = self.cwnd.get();
        if cwnd < self.ssthresh.get() {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
            //# cwnd += min (N, SMSS)
            self.cwnd.set(cwnd.saturating_add(bytes.min(mss)));
            return;
        }
        // One segment per window of acknowledged bytes, exactly (RFC 3465 section 2.1).
        let acked_bytes = self.acked.get().saturating_add(bytes);
        if acked_bytes >= cwnd {
            self.acked.set(acked_bytes - cwnd);
            self.cwnd.set(cwnd.saturating_add(mss));
        } else {
            self.acked.set(acked_bytes);
        }
    }

    fn on_loss(&mut self, in_flight: u32, mss: u32, _now: Instant) {
        self.halve(in_flight, mss);
        self.cwnd.set(self.ssthresh.get());
    }

    fn on_recovered(&mut self, in_flight: u32, mss: u32, _now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc6582#section-3.2
        //# (1) min (ssthresh, max(FlightSize, SMSS) + SMSS)
        self.cwnd.set(self.ssthresh.get().min(in_flight.max(mss) + mss));
    }

    fn on_timeout(&mut self, in_flight: u32, mss: u32, is_first: bool) {
        if is_first {
            self.halve(in_flight, mss);
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //# cwnd MUST be set to no more than the loss window, LW, which equals 1 full-sized segment
        self.cwnd.set(mss);
    }

    fn on_idle_restart(&mut self, initial_window: u32) {
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
        //# RW = min(IW,cwnd)
        self.cwnd.set(self.cwnd.get().min(initial_window));
    }

    fn window(&self) -> u32 {
        self.cwnd.get()
    }

    fn threshold(&self) -> u32 {
        self.ssthresh.get()
    }

    fn pacing_rate(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Acked, Congestion, NewReno};
    use crate::congestion::initial_window;
    use base::Instant;

    const MSS: u32 = 1_000;

    fn acked(bytes: u32, is_cwnd_limited: bool) -> Acked {
        Acked { now: Instant::ZERO, bytes, in_flight: 0, rtt: None, is_cwnd_limited, mss: MSS }
    }

    #[test]
    fn slow_start_doubles_and_avoidance_adds_one_segment_a_window() {
        let mut control = NewReno::new(10 * MSS, u32::MAX);
        for _ in 0..10 {
            control.on_acked(&acked(MSS, true));
        }
        assert_eq!(control.window(), 20 * MSS);
        control.on_loss(20 * MSS, MSS, Instant::ZERO);
        assert_eq!((control.window(), control.threshold()), (10 * MSS, 10 * MSS));
        for _ in 0..10 {
            control.on_acked(&acked(MSS, true));
        }
        assert_eq!(control.window(), 11 * MSS);
    }

    #[test]
    fn window_does_not_grow_while_it_is_not_the_limit() {
        let mut control = NewReno::new(10 * MSS, u32::MAX);
        for _ in 0..1_000 {
            control.on_acked(&acked(MSS, false));
        }
        assert_eq!(control.window(), 10 * MSS);
    }

    #[test]
    fn timeout_falls_to_one_segment_and_halves_only_once() {
        let mut control = NewReno::new(40 * MSS, u32::MAX);
        control.on_timeout(40 * MSS, MSS, true);
        control.on_timeout(MSS, MSS, false);
        assert_eq!((control.window(), control.threshold()), (MSS, 20 * MSS));
    }

    #[test]
    fn initial_window_is_ten_segments_within_bounds() {
        assert_eq!(initial_window(1_460), 14_600);
        assert_eq!(initial_window(536), 5_360);
        assert_eq!(initial_window(8_960), 17_920);
    }
}
