//! Namespaces for one run that leave nothing behind: they have no name, no file and no mount that
//! anybody else sees.
//!
//! The naive lab calls `ip netns add` and deletes at the end; after `kill -9` there is no end, and
//! the servers that were started go on. So the benchmark runs a second time, as process 1 of a
//! process namespace of its own: when it goes, in whatever way, the kernel kills every process
//! that it started, and with the last of them go the network, the mounts and the files in `/run`.
//! It goes at the latest when the process that the user started does.
//!
//! ```text
//! abele-bench http ...                    waits, hands signals on, has the exit code
//!  `-- abele-bench http ... (process 1)   the asking side's namespace: `settle`
//!       |-- wrk                           the same
//!       `-- server                        its own: `Namespace::within`, joined by `Veth`
//! ```

mod namespace;
mod veth;

use std::env;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

pub(crate) use self::namespace::Namespace;
pub(crate) use self::veth::{CLIENT_END, SERVER_END, Veth, steer_receiving};
use crate::error::Error;
use crate::stop::Stop;

/// In the environment of the process that [`enter`] starts.
const MARK: &str = "ABELE_BENCH_LAB";
/// How often the waiting process looks for the end of the other, and for Ctrl-C.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Where the run's files are: a file system of its own, over the machine's.
const FOLDER: &str = "/run/abele-bench";

/// Whether this process is the one that [`enter`] started. It is process 1 of its namespace, so
/// that the variable alone, set by hand, does not let loose on the machine's own network what is
/// meant for the lab's.
pub(crate) fn is_entered() -> bool {
    process::id() == 1 && env::var_os(MARK).is_some()
}

/// Runs this very command line in new namespaces, to its end; its exit code is the result.
pub(crate) fn enter(stop: &Stop) -> Result<ExitCode, Error> {
    if !geteuid().is_root() {
        return Err(Error::Lacks {
            what: "root's rights, which network namespaces take".to_owned(),
            mend: "run it with sudo".to_owned(),
        });
    }
    for (program, package) in [("ip", "iproute2"), ("ethtool", "ethtool")] {
        find_program(program, package)?;
    }
    let namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    unshare(namespaces).map_err(refused)?;
    let program = env::current_exe().map_err(Error::io("find this program"))?;
    let mut child = Command::new(program)
        .args(env::args_os().skip(1))
        .env(MARK, "1")
        // It learns from this pipe that we are gone.
        .stdin(Stdio::piped())
        .spawn()
        .map_err(Error::io("start this program in a namespace"))?;
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait().map_err(Error::io("wait for the lab"))? {
            return code_of(status);
        }
        if !is_told && stop.check().is_err() {
            is_told = true;
            // From the terminal Ctrl-C has reached it already; a second signal to it would end it
            // at once, which is as good as its own end.
            kill(pid(child.id()), Signal::SIGTERM).ok();
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn code_of(status: ExitStatus) -> Result<ExitCode, Error> {
    match status.code().map(u8::try_from) {
        Some(Ok(code)) => Ok(ExitCode::from(code)),
        Some(Err(_)) | None => Err(Error::Child { side: "lab", what: status.to_string() }),
    }
}

/// The first thing that the process in the namespaces does: it ties its life to its parent's, and
/// makes `/proc`, `/sys` and `/run` those of the lab.
pub(crate) fn settle() -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Error::errno("ask to be ended"))?;
    // The parent may have gone before it was asked; then nobody will send the signal.
    let stdin = io::stdin();
    let mut ends = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    poll(&mut ends, PollTimeout::ZERO).map_err(Error::errno("look for the parent"))?;
    if ends[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)) {
        return Err(Error::Interrupted);
    }
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(Error::errno("make the mounts our own"))?;
    mount_over("proc", "/proc")?;
    mount_over("sysfs", "/sys")?;
    mount_over("tmpfs", "/run")?;
    fs::create_dir(FOLDER).map_err(Error::io("make a folder in /run"))?;
    run(&["ip", "link", "set", "lo", "up"])?;
    // All ports but those of root, for as many connections as there are ports.
    set("net.ipv4.ip_local_port_range", "1024 65535")
}

/// A folder for the run's files, which vanishes with the lab.
pub(crate) fn folder() -> &'static Path {
    Path::new(FOLDER)
}

/// Where the program `name` is: in `PATH` or where Debian has servers.
pub(crate) fn find_program(name: &str, package: &str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let mut programs = folders.map(|folder| folder.join(name));
    programs.find(|program| program.is_file()).ok_or_else(|| Error::Lacks {
        what: format!("the program {name}"),
        mend: format!("as root `apt-get install {package}`"),
    })
}

/// Runs a command of the lab's making, which must succeed.
pub(crate) fn run(command: &[&str]) -> Result<(), Error> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(Error::io("start a command of the lab"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Child { side: "lab", what: format!("`{}`: {said}", command.join(" ")) })
}

/// Sets a variable of the calling thread's network namespace.
pub(crate) fn set(variable: &str, value: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/{}", variable.replace('.', "/"));
    fs::write(path, value).map_err(Error::io("set a variable of the lab's network"))
}

fn mount_over(kind: &str, place: &str) -> Result<(), Error> {
    let none: Option<&str> = None;
    mount(Some(kind), place, Some(kind), MsFlags::empty(), none).map_err(refused)
}

/// What the kernel means by saying no to root.
fn refused(errno: Errno) -> Error {
    Error::Lacks {
        what: format!("the right to make namespaces ({errno})"),
        mend: "in a container, start it with --privileged".to_owned(),
    }
}

/// The number of a process as the signalling calls take it.
pub(crate) fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("process numbers are below 2^22"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_nowhere_is_lacking_with_its_package() {
        assert!(find_program("sh", "dash").is_ok());
        let error = find_program("no-such-program", "its-package").expect_err("it is nowhere");
        assert!(error.to_string().contains("apt-get install its-package"), "{error}");
    }

    #[test]
    fn a_process_that_was_not_started_by_the_lab_is_not_in_it() {
        assert!(!is_entered());
    }
}
