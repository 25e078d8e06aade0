//! When a round's measured time begins and ends, and what is recorded in it; one for every side,
//! so that no side is timed better than another.
//!
//! The loop is closed: a connection asks again only when its answer is here. Latency under a
//! closed loop shows how long the queue is that the connections themselves make; it is no promise
//! for arrivals that do not wait, and the report says so.

use std::fs;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::limits::{LATENCY_NS_MAX, LATENCY_SAMPLE_EVERY, WARM_UP_DIVISOR};

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WarmUp,
    Measuring,
    /// No new request is sent; what is outstanding comes home.
    Over,
}

/// When a timed request left, in nanoseconds of the recorder; 0 for a request that is not timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

/// What one round recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Requests answered in `elapsed`.
    pub(crate) transactions: u64,
    pub(crate) elapsed: Duration,
    /// Of `elapsed`, how long the recording thread was ready to run and did not, because something
    /// else had its core: where nothing shares the core on purpose, the figures are that much off.
    pub(crate) displaced: Duration,
    /// Of the timed transactions, nanoseconds from just before the send to the checked answer.
    pub(crate) latency_ns: Histogram<u64>,
}

/// The clock and the figures of one round; stays on the thread that made it.
#[derive(Debug)]
pub(crate) struct Recorder {
    base: Instant,
    length: Duration,
    phase: Phase,
    measured_from: Duration,
    recorded: Recorded,
}

impl Recorder {
    /// A round that measures for `length` after its warm-up, from now on.
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            base: Instant::now(),
            length,
            phase: Phase::WarmUp,
            measured_from: Duration::ZERO,
            recorded: Recorded {
                transactions: 0,
                elapsed: Duration::ZERO,
                displaced: Duration::ZERO,
                latency_ns: Histogram::new_with_max(LATENCY_NS_MAX, 3)
                    .expect("three digits up to a minute are in its range"),
            },
        }
    }

    /// Reads the clock once, to be called once per turn of the loop: the phases change only here,
    /// so that what is counted and the time it is divided by have the same two ends.
    pub(crate) fn on_turn(&mut self) -> Phase {
        let now = self.base.elapsed();
        match self.phase {
            Phase::WarmUp if now >= self.length / WARM_UP_DIVISOR => {
                self.recorded.displaced = displaced();
                self.measured_from = self.base.elapsed();
                self.phase = Phase::Measuring;
            }
            Phase::Measuring if now - self.measured_from >= self.length => {
                self.recorded.elapsed = now - self.measured_from;
                self.recorded.displaced = displaced().saturating_sub(self.recorded.displaced);
                self.phase = Phase::Over;
            }
            Phase::WarmUp | Phase::Measuring | Phase::Over => {}
        }
        self.phase
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// To be called just before a request leaves; keeps one in `LATENCY_SAMPLE_EVERY`, shifted by
    /// the connection so that the timed ones do not leave in one burst.
    pub(crate) fn stamp(&self, connection: u32, sequence: u32) -> Stamp {
        if connection.wrapping_add(sequence) & (LATENCY_SAMPLE_EVERY - 1) != 0 {
            return Stamp(0);
        }
        Stamp(self.now_ns())
    }

    /// To be called when the whole answer is here and right.
    pub(crate) fn on_completed(&mut self, stamp: Stamp) {
        if self.phase != Phase::Measuring {
            return;
        }
        self.recorded.transactions += 1;
        if stamp != Stamp(0) {
            self.recorded.latency_ns.saturating_record(self.now_ns() - stamp.0);
        }
    }

    pub(crate) fn into_recorded(self) -> Recorded {
        self.recorded
    }

    /// Never 0, for 0 says "not timed".
    fn now_ns(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).expect("584 years do not pass").max(1)
    }
}

/// How long this thread has waited for a core since it began; 0 if the kernel does not count.
fn displaced() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited_ns = text.split_whitespace().nth(1).map(str::parse);
    Duration::from_nanos(waited_ns.and_then(Result::ok).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_phase_counts() {
        let mut recorder = Recorder::new(Duration::from_millis(2));
        let stamp = recorder.stamp(0, 0);
        recorder.on_completed(stamp);
        assert_eq!(recorder.phase(), Phase::WarmUp);
        let mut counted = 0;
        while recorder.on_turn() != Phase::Over {
            if recorder.phase() == Phase::Measuring {
                counted += 1;
            }
            let stamp = recorder.stamp(0, 0);
            recorder.on_completed(stamp);
        }
        recorder.on_completed(stamp);
        let recorded = recorder.into_recorded();
        assert_eq!(recorded.transactions, counted);
        assert_eq!(recorded.latency_ns.len(), counted);
        assert!(recorded.elapsed >= Duration::from_millis(2));
    }

    #[test]
    fn one_transaction_in_sixteen_is_timed_on_every_connection() {
        let recorder = Recorder::new(Duration::from_secs(1));
        for connection in [0, 1, 17, u32::MAX] {
            let timed = (0..160).filter(|&sequence| recorder.stamp(connection, sequence).0 > 0);
            assert_eq!(timed.count(), 10, "connection {connection}");
        }
    }
}
