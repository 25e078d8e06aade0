//! The clock of authority, which goes on while the machine is suspended.

use base::Instant;
use nix::time::{ClockId, clock_gettime};

/// The instant by `CLOCK_BOOTTIME`, which every Linux since 2.6.39 has.
pub(crate) fn now() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has CLOCK_BOOTTIME");
    let [seconds, nanos] = [time.tv_sec(), time.tv_nsec()].map(|n| u64::try_from(n).unwrap_or(0));
    Instant::from_nanos(seconds * 1_000_000_000 + nanos)
}
