//! A second network namespace, with a `/sys` that shows it; held by descriptors alone.

use std::fs::File;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::{mount_over, run};
use crate::error::Error;

/// It lives as long as this value or a process in it.
#[derive(Debug)]
pub(crate) struct Namespace {
    network: File,
    mounts: File,
}

impl Namespace {
    /// A new one, with nothing in it but loopback.
    pub(crate) fn new() -> Result<Self, Error> {
        on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
                .map_err(Error::errno("make a network namespace"))?;
            mount_over("sysfs", "/sys")?;
            run(&["ip", "link", "set", "lo", "up"])?;
            let open = |name| {
                let path = format!("/proc/thread-self/ns/{name}");
                File::open(path).map_err(Error::io("open a namespace"))
            };
            Ok(Self { network: open("net")?, mounts: open("mnt")? })
        })
    }

    /// Runs `work` in it, on a thread of its own. What it starts stays in it, and on the cores
    /// that it pins itself to; its folder is `/`.
    pub(crate) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        on_thread(|| {
            // A thread that shares its folder with others may not change its mounts.
            unshare(CloneFlags::CLONE_FS)
                .and_then(|()| setns(&self.mounts, CloneFlags::CLONE_NEWNS))
                .and_then(|()| setns(&self.network, CloneFlags::CLONE_NEWNET))
                .map_err(Error::errno("enter a namespace"))?;
            work()
        })
    }
}

/// Namespaces are a thread's, and a thread that has left its own is of no further use.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = scope.spawn(work);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
