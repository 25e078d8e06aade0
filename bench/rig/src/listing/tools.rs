//! The tools' file of the answering end, and the program that reads it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use counters::{Description, Writer};
use nix::time::{ClockId, clock_gettime};

use crate::ends::Clock;
use crate::error::Error;

/// The instance of this process: two benchmarks at once have one each.
pub(super) fn instance() -> String {
    format!("abele-bench-{}", std::process::id())
}

/// Makes the file where a gateway has its own, with a part for one core.
pub(super) fn create(clock: Clock) -> Result<Writer, Error> {
    // The two clocks are read one right behind the other.
    let monotonic =
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(Error::errno("read the time"))?;
    let since_zero = clock.now();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let description = Description {
        instance: &instance(),
        version: env!("CARGO_PKG_VERSION"),
        started_unix_ns: nanos(wall),
        clock_zero_ns: nanos(Duration::from(monotonic)).saturating_sub(since_zero.as_nanos()),
        // Nobody reads cycles of this file.
        cycles_per_s: 0,
        cores: 1,
        schema: &publisher::schema(),
    };
    let folders = counters::folders(std::env::var_os("XDG_RUNTIME_DIR").as_deref());
    Writer::create(&folders, &description).map_err(|error| Error::Lacks {
        what: format!("a folder for the tools' file: {error}"),
        mend: "run it as root, or with XDG_RUNTIME_DIR".to_owned(),
    })
}

/// The `abelectl` that was built together with this program, and lies beside it.
pub(super) fn program() -> Result<PathBuf, Error> {
    let this = std::env::current_exe().map_err(Error::io("find this program"))?;
    let tool = this.with_file_name("abelectl");
    if tool.is_file() {
        return Ok(tool);
    }
    Err(Error::Lacks {
        what: format!("the tool ({})", tool.display()),
        mend: "build it: `cargo build --release --locked`".to_owned(),
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_that_is_not_beside_this_program_is_lacking_with_the_command_that_builds_it() {
        // A test runs in a folder of its own, `deps`, where no tool is.
        let error = program().expect_err("none is here").to_string();
        assert!(error.contains("cargo build --release --locked"), "{error}");
    }
}
