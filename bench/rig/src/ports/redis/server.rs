//! The peer: redis-server as its own people would run it for this: alone on its core, with nothing
//! kept on a disk and nothing measured beside.

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
pub(in crate::ports) struct Program {
    path: PathBuf,
    pub(in crate::ports) version: String,
}

/// What the report says about how it runs.
pub(in crate::ports) const FLAGS: &str = "pinned to the server's core, save \"\", appendonly no, \
     io-threads 1 (more have no second core), latency-tracking no, slow log off, value 1 (shared)";

impl Program {
    /// Looks for it.
    pub(in crate::ports) fn find() -> Result<Self, Error> {
        let path = lab::find_program("redis-server", "redis-server")?;
        let output = Command::new(&path).arg("--version").output();
        let output = output.map_err(Error::io("start redis-server"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
        Ok(Self { path, version: version.unwrap_or("unknown").to_owned() })
    }
}

/// The running Redis.
#[derive(Debug)]
pub(in crate::ports) struct Server {
    running: Running,
    address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it serves.
    pub(in crate::ports) fn start(
        program: &Program,
        place: &Place,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let address = free_address()?;
        let folder = place.folder().display();
        let text = format!(
            "bind {}\nport {}\ndir {folder}\nlogfile {folder}/redis.log\nloglevel warning\n\
             daemonize no\nsave \"\"\nappendonly no\nio-threads 1\ntcp-backlog 511\n\
             latency-tracking no\nslowlog-log-slower-than -1\n",
            address.ip(),
            address.port()
        );
        let file = place.write("redis.conf", &text)?;
        let mut command = Command::new(&program.path);
        command.arg(file);
        let mut running = place.start("redis", &command)?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.ended()? {
                return Err(running.failed(&format!("{status}; see {folder}/redis.log")));
            }
            running.look(deadline, stop)?;
        }
        Ok(Self { running, address })
    }

    pub(in crate::ports) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in crate::ports) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends it.
    pub(in crate::ports) fn end(self, stop: &Stop) -> Result<(), Error> {
        self.running.end(Signal::SIGTERM, PATIENCE, stop).map(|_output| ())
    }
}
