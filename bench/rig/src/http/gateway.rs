//! Our server: the shipped gateway with a configuration for this benchmark.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::args::Policy;
use super::site::Site;
use crate::error::Error;
use crate::process::Running;
use crate::stop::Stop;

/// All its memory is touched before it is ready, which takes a loaded machine some seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// Connections at once, beside the clients': those that are closing and those that ask apart.
const SPARE: u32 = 1_024;

/// The running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    running: Running,
    address: SocketAddr,
}

/// What it counted, from the summary at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    /// Answers with a document.
    pub(super) http_200: u64,
}

impl Gateway {
    /// Starts it and waits until it serves.
    pub(super) fn start(
        site: &Site,
        connections: u32,
        policy: Policy,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let file = site.write("abele.toml", &configuration(site, connections, policy))?;
        let mut command = Command::new(program()?);
        let mut running = site.start_gateway(command.arg("run").arg(file))?;
        let line = running.line(PATIENCE, stop)?;
        if !line.starts_with("ready:") {
            return Err(running.failed(&format!("it said {line:?}")));
        }
        site.steer_gateway()?;
        Ok(Self { running, address: site.gateway() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends it and takes its count.
    pub(super) fn end(self, stop: &Stop) -> Result<Tally, Error> {
        let summary = self.running.end(Signal::SIGTERM, PATIENCE, stop)?;
        Ok(Tally { http_200: counter(&summary, "http_200") })
    }
}

/// The gateway that was built together with this program, and lies beside it.
fn program() -> Result<PathBuf, Error> {
    let this = std::env::current_exe().map_err(Error::io("find this program"))?;
    let gateway = this.with_file_name("abele-gateway");
    if gateway.is_file() {
        return Ok(gateway);
    }
    Err(Error::Lacks {
        what: format!("the gateway ({})", gateway.display()),
        mend: "build it: `cargo build --release --locked`".to_owned(),
    })
}

fn configuration(site: &Site, connections: u32, policy: Policy) -> String {
    let mut text = format!("addresses = [\"{}/24\"]\n", site.gateway().ip());
    text.push_str(&site.interface());
    let connections = connections + SPARE;
    let (frames, segments) = (16_384.max(4 * connections), 8 * connections);
    let root = site.root.display();
    let cores: Vec<_> = site.place.servers.iter().map(|core| core.id).collect();
    write!(
        text,
        "[memory]\nframes = {frames}\n\
         [tcp]\nconnections = {connections}\nbusy = {connections}\nsegments = {segments}\n\
         half_open = {connections}\n\
         [gateway]\nsessions = {connections}\nheads = {connections}\n\
         [[listener]]\nprotocol = \"http\"\ntcp_port = {}\ndocument_root = \"{root}\"\n\
         [workers]\ncores = {cores:?}\nidle = \"{}\"\n\
         [log]\nlevel = \"warn\"\n",
        site.gateway().port(),
        policy.name(),
    )
    .expect("a string takes any text");
    text
}

/// A counter of the summary, which names only those that are not zero.
fn counter(summary: &str, name: &str) -> u64 {
    let lines = summary.lines().filter_map(|line| line.split_once(": "));
    let mut counters = lines.flat_map(|(_group, counters)| counters.split(", "));
    let value = counters.find_map(|counter| counter.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_whole_name_and_are_zero_if_they_are_not_there() {
        let summary = "summary:\n  tcp: accepted 64, http_2001 5\n  gateway: http_200 731, x 1\n";
        assert_eq!(counter(summary, "http_200"), 731);
        assert_eq!(counter(summary, "accepted"), 64);
        assert_eq!(counter(summary, "http_404"), 0);
    }

    #[test]
    fn gateway_that_is_not_beside_this_program_is_lacking_with_the_command_that_builds_it() {
        // A test runs in a folder of its own, `deps`, where no gateway is.
        let error = program().expect_err("none is here").to_string();
        assert!(error.contains("cargo build --release --locked"), "{error}");
    }
}
