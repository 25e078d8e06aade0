//! Our server: the shipped daemon with a configuration for this benchmark.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::Error;
use crate::limits::PORTS_BATCH_MAX;
use crate::ports::dialect::Ports;
use crate::ports::place::{Place, free_address};
use crate::process::Running;
use crate::stop::Stop;

/// All the memory of the planned ports is touched before it is ready.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the daemon's core does when nothing is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    Spin,
    /// It sleeps at once, as a server on an event loop does.
    Wait,
}

impl Idle {
    /// As the configuration has it.
    fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Wait => "wait",
        }
    }
}

/// The threads that serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threads {
    pub(crate) idle: Idle,
    /// Those that move bytes: a single one holds the switch too.
    pub(crate) workers: u8,
}

impl Threads {
    /// A single one.
    pub(crate) fn one(idle: Idle) -> Self {
        Self { idle, workers: 1 }
    }
}

/// The running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    running: Running,
    address: SocketAddr,
}

impl Daemon {
    /// Starts it for those ports and waits until it serves.
    pub(crate) fn start(
        place: &Place,
        ports: Ports,
        threads: Threads,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let address = free_address()?;
        // Several threads are where the kernel puts them, among the cores that the place allows.
        let core = (threads.workers == 1 && !place.is_shared).then_some(place.server.id);
        let text = configuration(address, planned(ports), core, threads);
        let file = place.write("bypssd.toml", &text)?;
        let mut command = Command::new(program()?);
        command.arg("run").arg(file);
        let mut running = place.start("bypssd", &command)?;
        let line = running.line(PATIENCE, stop)?;
        if !line.starts_with("ready:") {
            return Err(running.failed(&format!("it said {line:?}")));
        }
        Ok(Self { running, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends it.
    pub(crate) fn end(self, stop: &Stop) -> Result<(), Error> {
        self.running.end(Signal::SIGTERM, PATIENCE, stop).map(|_summary| ())
    }
}

/// The daemon that was built together with this program, and lies beside it.
pub(crate) fn program() -> Result<PathBuf, Error> {
    let this = std::env::current_exe().map_err(Error::io("find this program"))?;
    let daemon = this.with_file_name("bypssd");
    if daemon.is_file() {
        return Ok(daemon);
    }
    Err(Error::Lacks {
        what: format!("the daemon ({})", daemon.display()),
        mend: "build it: `cargo build --release --locked`".to_owned(),
    })
}

fn configuration(
    address: SocketAddr,
    planned: u64,
    core: Option<usize>,
    threads: Threads,
) -> String {
    let Threads { idle, workers } = threads;
    let core = core.map_or(String::new(), |core| format!("core = {core}\n"));
    // No earlier switch gave anything away, so there is nothing to wait for, and nothing to warn of.
    // Its counters over HTTP are no part of the question. A batch may be as large as is asked for.
    format!(
        "[[listener]]\naddress = \"{address}\"\n[ports]\nplanned = {planned}\nmax = {planned}\n\
         [lease]\ngrace = \"none\"\n[limits]\nitems = {PORTS_BATCH_MAX}\n\
         [worker]\n{core}count = {workers}\nidle = \"{}\"\n\
         [metrics]\nenabled = false\n[log]\nlevel = \"error\"\n",
        idle.name()
    )
}

/// The daemon takes no smaller plan.
const PLANNED_MIN: u64 = 1_024;
/// A port is planned with a name of so many bytes.
const NAME_LEN_PLANNED: u64 = 16;
/// Of a longer name so many are where the port is, and every so many of the others count as one port
/// more.
const NAME_LEN_KEPT: u64 = 12;
const NAME_LEN_MORE: u64 = 24;

/// The ports that the daemon must plan for those.
fn planned(ports: Ports) -> u64 {
    let len = ports.names.len() as u64;
    let more =
        if len > NAME_LEN_PLANNED { (len - NAME_LEN_KEPT).div_ceil(NAME_LEN_MORE) } else { 0 };
    (ports.count * (1 + more)).max(PLANNED_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_planned_as_more_ports() {
        let planned = |len| planned(Ports::new(10_000, len));
        assert_eq!((planned(4), planned(16)), (10_000, 10_000));
        assert_eq!((planned(17), planned(36), planned(37)), (20_000, 20_000, 30_000));
        assert_eq!(super::planned(Ports::new(3, 16)), 1_024);
    }

    #[test]
    fn configuration_names_the_core_the_plan_and_the_policy() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7_400));
        let text = configuration(address, 5_000, Some(3), Threads::one(Idle::Wait));
        let has = |text: &str, line: &str| text.lines().any(|other| other == line);
        for line in [
            "address = \"127.0.0.1:7400\"",
            "planned = 5000",
            "max = 5000",
            "items = 1000000",
            "core = 3",
            "count = 1",
            "idle = \"wait\"",
        ] {
            assert!(has(&text, line), "{line}: {text}");
        }
        let threads = Threads { idle: Idle::Spin, workers: 2 };
        let text = configuration(address, 5_000, None, threads);
        assert!(has(&text, "count = 2") && !text.contains("core"), "{text}");
    }
}
