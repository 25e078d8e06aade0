//! Where it happens: the two cores, a folder for the servers' files, free TCP ports.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use core_affinity::CoreId;

use crate::args::Cores;
use crate::cores::{self, Placement};
use crate::error::Error;
use crate::lab;
use crate::process::Running;

/// Cores and folder of a run; the folder is gone with it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) server: CoreId,
    pub(crate) client: CoreId,
    /// Servers may use the client's core too.
    pub(crate) is_shared: bool,
    folder: Folder,
    setpriv: PathBuf,
    taskset: PathBuf,
}

impl Place {
    /// The first two allowed cores: the server's, and the client's, on which this thread stays.
    pub(crate) fn take() -> Result<Self, Error> {
        let Placement { server, client } = cores::placement(Cores::Two)?;
        cores::pin(client)?;
        Ok(Self {
            server,
            client,
            is_shared: false,
            folder: Folder::make()?,
            setpriv: lab::find_program("setpriv", "util-linux")?,
            taskset: lab::find_program("taskset", "util-linux")?,
        })
    }

    /// Writes a file of a server's; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.folder().join(name);
        fs::write(&path, text).map_err(Error::io("write a configuration"))?;
        Ok(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The same, where servers may use as many cores.
    pub(crate) fn take_for(server_cores: Cores) -> Result<Self, Error> {
        Ok(Self { is_shared: server_cores == Cores::Two, ..Self::take()? })
    }

    /// Starts a server on its core, or on both. It dies with this thread, however that ends: the kernel sends it
    /// SIGKILL.
    pub(crate) fn start(&self, name: &'static str, server: &Command) -> Result<Running, Error> {
        let mut command = Command::new(&self.setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.taskset);
        let cores = if self.is_shared {
            format!("{},{}", self.server.id, self.client.id)
        } else {
            self.server.id.to_string()
        };
        command.args(["--cpu-list", &cores]);
        command.arg(server.get_program()).args(server.get_args()).current_dir(self.folder());
        Running::start(name, &mut command)
    }
}

/// A folder under the temporary one.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, Error> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (id, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("abele-bench-ports-{id}-{number}"));
        // One that is there is of a run that was killed, for no process has our number.
        fs::remove_dir_all(&path).ok();
        fs::create_dir(&path).map_err(Error::io("make a folder for the servers"))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in a folder that the system empties.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// An address of this machine that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("find a free port"))?;
    listener.local_addr().map_err(Error::io("find a free port"))
}
