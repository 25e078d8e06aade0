//! The clocks that a tool compares a gateway's figures with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base::Instant;
use counters::About;
use nix::time::{ClockId, clock_gettime};

use crate::error::Error;

/// Nanoseconds of the machine's monotonic clock, which the gateway's heartbeats are in.
pub(crate) fn monotonic() -> Result<Instant, Error> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    let time =
        time.map_err(|errno| Error::System { what: "read the clock", source: errno.into() })?;
    let [seconds, nanos] = [time.tv_sec(), time.tv_nsec()].map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Instant::from_nanos(seconds * 1_000_000_000 + nanos))
}

/// What the processors have spent on this process, all threads together.
pub(crate) fn process_cpu() -> Result<Duration, Error> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    let time =
        time.map_err(|errno| Error::System { what: "read the clock", source: errno.into() })?;
    Ok(time.into())
}

/// Seconds since the gateway started, by the clocks on the wall.
pub(crate) fn uptime_s(about: &About) -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
    wall.saturating_sub(about.started_unix_ns) / 1_000_000_000
}
