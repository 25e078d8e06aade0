//! The kernel's own share: an empty call, and waking a thread on another core.

use std::thread;
use std::time::Duration;

use core_affinity::CoreId;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::getppid;

use super::{Measured, float, repeat};
use crate::cores;
use crate::error::Error;
use crate::stop::Stop;

const CALLS: u64 = 10_000;
/// The value that ends the echoing thread; no trip counts so far.
const OVER: u64 = 1 << 62;

/// Nanoseconds of a system call that does nothing: `getppid`, which no library caches.
pub(super) fn system_call(length: Duration, stop: &Stop) -> Result<Measured, Error> {
    let parent = getppid();
    let mut wrong = 0;
    let (calls, seconds) = repeat(length, stop, || {
        for _call in 0..CALLS {
            wrong += u64::from(getppid() != parent);
        }
        Ok(CALLS)
    })?;
    Ok(Measured { value: seconds * 1e9 / float(calls), wrong })
}

/// Nanoseconds from a write of an eventfd to the return of the read that slept for it on another
/// core: half of a round trip in which both sides sleep.
pub(super) fn eventfd_wake(
    other: CoreId,
    length: Duration,
    stop: &Stop,
) -> Result<Measured, Error> {
    let (there, back) = (eventfd()?, eventfd()?);
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            let pinned = cores::pin(other);
            let echoed = echo_events(&there, &back);
            pinned.and(echoed)
        });
        let (mut trip, mut wrong) = (0, 0);
        let measured = repeat(length, stop, || {
            trip += 1;
            write(&there, trip)?;
            wrong += u64::from(read(&back)? != trip);
            Ok(1)
        });
        write(&there, OVER)?;
        let echoed = echo.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let (trips, seconds) = measured?;
        let value = seconds * 1e9 / (2.0 * float(trips));
        Ok(Measured { value, wrong: wrong + trips.abs_diff(echoed) })
    })
}

fn echo_events(there: &EventFd, back: &EventFd) -> Result<u64, Error> {
    let mut echoed = 0;
    loop {
        let value = read(there)?;
        if value >= OVER {
            return Ok(echoed);
        }
        write(back, value)?;
        echoed += 1;
    }
}

fn eventfd() -> Result<EventFd, Error> {
    EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(Error::errno("make an eventfd"))
}

fn write(eventfd: &EventFd, value: u64) -> Result<(), Error> {
    eventfd.write(value).map(|_eight_bytes| ()).map_err(Error::errno("write an eventfd"))
}

fn read(eventfd: &EventFd) -> Result<u64, Error> {
    eventfd.read().map_err(Error::errno("read an eventfd"))
}
