//! Redis's own client, `redis-benchmark`, for `SET NX`: whether it gets more of Redis than ours.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::Resp;
use crate::error::Error;
use crate::lab;
use crate::ports::dialect::{Ports, nonsense};
use crate::process::Running;
use crate::stop::Stop;

const PATIENCE: Duration = Duration::from_secs(120);
/// What it replaces by twelve random digits.
const RANDOM: &str = "__rand_int__";
const RANDOM_LEN: usize = 12;
/// Of how many numbers it takes one. It reads this into 32 bits: of a larger number it makes none,
/// and all keys are one.
const KEYSPACE: &str = "2000000000";

/// The program.
#[derive(Clone, Debug)]
pub(in crate::ports) struct Benchmark(PathBuf);

impl Benchmark {
    /// Looks for it.
    pub(in crate::ports) fn find() -> Result<Self, Error> {
        lab::find_program("redis-benchmark", "redis-tools").map(Self)
    }

    /// Registrations per second that it says it had, on this thread's core: of names as long as ours,
    /// or at least as it can make them, that are as good as all different.
    pub(super) fn registrations_per_s(
        &self,
        server: SocketAddr,
        ports: Ports,
        (depth, connections): (u32, u32),
        stop: &Stop,
    ) -> Result<f64, Error> {
        let name = format!("{}{RANDOM}", "k".repeat(ports.names.len().saturating_sub(RANDOM_LEN)));
        let mut command = Command::new(&self.0);
        command.args(["-h", &server.ip().to_string(), "-p", &server.port().to_string()]);
        command.args(["-P", &depth.to_string(), "-c", &connections.to_string()]);
        command.args(["-n", &ports.count.to_string(), "-r", KEYSPACE, "--csv"]);
        command.args(["SET", &name, "1", "NX"]);
        let running = Running::start("redis-benchmark", &mut command)?;
        let text = running.finish(PATIENCE, stop)?;
        rate_in(&text).ok_or_else(|| nonsense::<Resp>(format!("redis-benchmark said {text:?}")))
    }
}

/// The second column of the last line: requests per second.
fn rate_in(text: &str) -> Option<f64> {
    let columns = text.lines().last()?.split("\",\"");
    columns.skip(1).find_map(|column| column.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_the_second_column_of_the_last_line() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET k__rand_int__ 1 NX\",\
                    \"715307.56\",\"0.2\",\"0.1\"\n";
        assert_eq!(rate_in(text), Some(715_307.56));
        assert_eq!(rate_in("\"test\",\"rps\"\n"), None);
        assert_eq!(rate_in(""), None);
    }
}
