//! The tools' file of this gateway: where it lies, and what it says of the whole.
//!
//! What each core writes into it is `publisher`'s.

use std::env;
use std::time::{Duration as StdDuration, SystemTime, UNIX_EPOCH};

use counters::{Description, Writer, WriterError};
use memory::SharedError;
use nix::time::{ClockId, clock_gettime};
use publisher::schema;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::error::Error;
use crate::plan::Plan;

/// Makes the file of this gateway, with a part for each worker. Where no folder can be written the
/// gateway goes without, and says so; an instance that runs already is an error.
pub(crate) fn open(plan: &Plan, clock: &Clock) -> Result<Option<Writer>, Error> {
    // The two clocks are read one right behind the other.
    let monotonic =
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(Error::errno("read the time"))?;
    let since_zero = clock.now();
    let zero_ns = nanos(StdDuration::from(monotonic)).saturating_sub(since_zero.as_nanos());
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let folders = counters::folders(env::var_os("XDG_RUNTIME_DIR").as_deref());
    let description = Description {
        instance: &plan.instance,
        version: env!("CARGO_PKG_VERSION"),
        started_unix_ns: nanos(wall),
        clock_zero_ns: zero_ns,
        cycles_per_s: topology::cycles_per_s(StdDuration::from_millis(10)),
        cores: plan.workers.count.into(),
        schema: &schema(),
    };
    match Writer::create(&folders, &description) {
        Ok(writer) => {
            let (file, instance) = (writer.path().display(), plan.instance.as_str());
            info!(%file, instance, "tools' file");
            if writer.is_on_disk() {
                warn!(%file, "the tools' file lies on a disk: a core may wait for it; mend it: mount -t tmpfs tmpfs /run");
            }
            Ok(Some(writer))
        }
        Err(held @ WriterError::Shared(SharedError::Held { .. })) => Err(held.into()),
        Err(error @ WriterError::Shared(_)) => {
            warn!(
                "abelectl will see nothing of this gateway: {error}; mend it: run it as root, or with XDG_RUNTIME_DIR"
            );
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn nanos(time: StdDuration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
