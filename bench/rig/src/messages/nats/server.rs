//! The peer: nats-server as its own people would run it for this: alone on its core, messages in
//! memory only, nothing logged and nothing measured beside.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::error::Error;
use crate::lab;
use crate::ports::place::{Place, free_address};
use crate::process::Running;
use crate::stop::Stop;

const PATIENCE: Duration = Duration::from_secs(60);

/// The program.
#[derive(Clone, Debug)]
pub(in crate::messages) struct Program {
    path: PathBuf,
    pub(in crate::messages) version: String,
}

/// What the report says about how it runs.
pub(in crate::messages) const FLAGS: &str = "pinned to the server's core (one processor for its \
     scheduler), no JetStream, no monitoring, no trace, log to a file, max_pending 64 MB, clients \
     with verbose, pedantic and echo off";

impl Program {
    /// Looks for it.
    pub(in crate::messages) fn find() -> Result<Self, Error> {
        let path = lab::find_program("nats-server", "nats-server")?;
        let output = Command::new(&path).arg("--version").output();
        let output = output.map_err(Error::io("start nats-server"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find_map(|word| word.strip_prefix('v'));
        Ok(Self { path, version: version.unwrap_or("unknown").to_owned() })
    }
}

/// The running nats-server.
#[derive(Debug)]
pub(in crate::messages) struct Server {
    running: Running,
    address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it serves.
    pub(in crate::messages) fn start(
        program: &Program,
        place: &Place,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let address = free_address()?;
        let log = place.folder().join("nats.log");
        // Its own defaults in so many words: what waits for a client before that is cut off, and how
        // long it may take nothing.
        let text = format!(
            "listen: \"{address}\"\nlog_file: \"{}\"\ndebug: false\ntrace: false\n\
             max_pending: 67108864\nwrite_deadline: \"10s\"\n",
            log.display()
        );
        let file = place.write("nats.conf", &text)?;
        let mut command = Command::new(&program.path);
        command.arg("--config").arg(file);
        let mut running = place.start("nats-server", &command)?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.ended()? {
                return Err(running.failed(&format!("{status}; see {}", log.display())));
            }
            running.look(deadline, stop)?;
        }
        Ok(Self { running, address })
    }

    pub(in crate::messages) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in crate::messages) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends it.
    pub(in crate::messages) fn end(self, stop: &Stop) -> Result<(), Error> {
        // Before it ends by SIGTERM it lets clients go one by one; by SIGINT it ends at once.
        self.running.end(Signal::SIGINT, PATIENCE, stop).map(|_output| ())
    }
}
