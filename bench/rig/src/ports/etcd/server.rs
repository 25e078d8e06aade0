//! The peer: etcd with one node, which writes its log to memory and waits for no disk.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::lab;
use crate::ports::place::{Place, free_address};
use crate::process::Running;
use crate::stop::Stop;

const PATIENCE: Duration = Duration::from_secs(60);
/// A file system in memory on every Linux.
const MEMORY: &str = "/dev/shm";

/// The program.
#[derive(Clone, Debug)]
pub(in crate::ports) struct Program {
    path: PathBuf,
    pub(in crate::ports) version: String,
}

/// What the report says about how it runs.
pub(in crate::ports) const FLAGS: &str = "one node, pinned to the server's core, GOMAXPROCS 1, \
     data in /dev/shm, --log-level error; gRPC, a transaction a name (put if its version is 0)";

impl Program {
    /// Looks for it.
    pub(in crate::ports) fn find() -> Result<Self, Error> {
        let path = lab::find_program("etcd", "etcd-server")?;
        let output = Command::new(&path).arg("--version").output();
        let output = output.map_err(Error::io("start etcd"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
        Ok(Self { path, version: version.unwrap_or("unknown").trim().to_owned() })
    }
}

/// The running etcd.
#[derive(Debug)]
pub(in crate::ports) struct Server {
    running: Running,
    address: SocketAddr,
    _data: Data,
}

/// Where its data is; gone with it.
#[derive(Debug)]
struct Data(PathBuf);

impl Drop for Data {
    fn drop(&mut self) {
        // What cannot be removed is gone when the machine starts anew.
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Server {
    /// Starts it and waits until it serves.
    pub(in crate::ports) fn start(
        program: &Program,
        place: &Place,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let (address, peers) = (free_address()?, free_address()?);
        let name = place.folder().file_name().unwrap_or_default();
        let data = Data(Path::new(MEMORY).join(name));
        fs::remove_dir_all(&data.0).ok();
        let mut command = Command::new("env");
        command.arg("GOMAXPROCS=1").arg(&program.path).arg("--data-dir").arg(&data.0);
        for (option, address) in [
            ("--listen-client-urls", address),
            ("--advertise-client-urls", address),
            ("--listen-peer-urls", peers),
            ("--initial-advertise-peer-urls", peers),
        ] {
            command.args([option.to_owned(), format!("http://{address}")]);
        }
        command.args(["--initial-cluster".to_owned(), format!("default=http://{peers}")]);
        command.args(["--logger", "zap", "--log-level", "error"]);
        let mut running = place.start("etcd", &command)?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.ended()? {
                return Err(running.failed(&format!("{status}; its own message stands above")));
            }
            running.look(deadline, stop)?;
        }
        Ok(Self { running, address, _data: data })
    }

    pub(in crate::ports) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in crate::ports) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Ends it at once: it has nothing to save.
    pub(in crate::ports) fn end(self) {
        drop(self);
    }
}
