//! The process between `lock` and its command, which ends all of it when `lock` is killed.
//!
//! A command could not be tied to `lock` by itself: a signal at the parent's death is for one
//! process, and not inherited. So `lock` starts this program again as the supervisor, and that
//! once more to become the command. The supervisor is told of `lock`'s death by the kernel, and
//! becomes the parent of everything below it that loses its own, so that nothing gets away. It knows
//! until when the port is held, for `lock` may be stopped: a thread ends the command in time.
//!
//! ```text
//! lock (lease, terminal) --> supervisor (group of its own) --> command --> what it starts
//! ```

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid, getpid, getppid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
use signal_hook::iterator::Signals;

use super::deadline::{Due, Listener};
use super::processes::{Process, below, end_all, signal};
use super::terminal::Terminal;
use crate::limits::{LEFT_PATIENCE, LOCK_SLICE};

/// The first argument of the program as a supervisor.
const SUPERVISE: &str = "lock-supervise";
/// The first argument of what becomes the command.
const BECOME: &str = "lock-become";
/// The exit code that nobody waits for: the lock was killed, or stopped until the port was lost.
const ENDED: u8 = 137;
/// This program, whatever its file is called by now.
const SELF: &str = "/proc/self/exe";

/// How to start the supervisor: with a group of its own.
/// It inherits the pipe of this number, which tells it until when the port is held.
pub(super) fn start(pipe: RawFd, command: &[String]) -> Command {
    let mut start = again(SUPERVISE);
    start.arg(pipe.to_string()).args(command).process_group(0);
    start
}

fn again(role: &str) -> Command {
    let mut command = Command::new(SELF);
    command.arg0("abelectl").arg(role).arg(std::process::id().to_string());
    command
}

/// Does what the program was started again for; `None`: it was not. These words are no part of the
/// command line for people, and are taken before it is read, so that no option or variable of
/// `lock` plays in.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let role = args.next()?;
    if role != SUPERVISE && role != BECOME {
        return None;
    }
    let parent = Pid::from_raw(number(args.next())?);
    let pipe = if role == SUPERVISE { Some(number(args.next())?) } else { None };
    let command: Vec<OsString> = args.collect();
    let (program, args) = command.split_first()?;
    Some(ExitCode::from(match pipe {
        Some(pipe) => supervise(parent, pipe, &command),
        None => become_command(parent, program, args),
    }))
}

fn number(arg: Option<OsString>) -> Option<i32> {
    arg?.to_str()?.parse().ok()
}

/// Is killed with the supervisor, which is all that is left to do if that is killed by others.
fn become_command(parent: Pid, program: &OsString, args: &[OsString]) -> u8 {
    if let Err(error) = set_pdeathsig(Signal::SIGKILL) {
        return told("be ended with the lock", &error);
    }
    if getppid() != parent {
        // It was killed before the kernel was asked.
        return ENDED;
    }
    let error = Command::new(program).args(args).exec();
    told(&format!("run {}", program.display()), &error);
    if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}

fn supervise(parent: Pid, pipe: RawFd, command: &[OsString]) -> u8 {
    match Supervisor::start(parent, pipe, command) {
        Ok(Some(mut supervisor)) => supervisor.run(),
        Ok(None) => ENDED,
        Err(error) => {
            end_all();
            told("watch the command", &error)
        }
    }
}

struct Supervisor {
    /// The process with the lease.
    lock: Pid,
    command: Pid,
    signals: Signals,
    terminal: Terminal,
    /// The port may be lost, and all is being ended.
    is_ending: Arc<AtomicBool>,
}

impl Supervisor {
    /// `None`: the lock has ended already.
    fn start(lock: Pid, pipe: RawFd, command: &[OsString]) -> io::Result<Option<Self>> {
        set_child_subreaper(true)?;
        // It is woken by it, and looks then who its parent is.
        set_pdeathsig(Signal::SIGTERM)?;
        let all = [SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU];
        let signals = Signals::new(all)?;
        if getppid() != lock {
            return Ok(None);
        }
        // The command inherits no end of it.
        let listener = Listener::open(pipe)?;
        let terminal = Terminal::open();
        // Before the command begins, which would be stopped if it read in the background.
        terminal.hand(getpgid(Some(lock))?, getpid());
        let child = again(BECOME).args(command).spawn()?;
        // Later than the command, for which it stays ignored if it was (`nohup`).
        signals.add_signal(SIGHUP)?;
        let command = i32::try_from(child.id()).map_err(io::Error::other)?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&is_ending);
        thread::Builder::new().spawn(move || keep(listener, &of_thread))?;
        Ok(Some(Self { lock, command: Pid::from_raw(command), signals, terminal, is_ending }))
    }

    /// Until the command has ended, with its exit code.
    fn run(&mut self) -> u8 {
        loop {
            if self.is_alone() {
                return end_surely();
            }
            if let Some(code) = self.reap() {
                return if self.is_ending() { end_surely() } else { self.end_left(code) };
            }
            let is_told = self.signals.wait().any(|signal| signal == SIGTERM);
            if is_told && !self.is_alone() {
                tell(&below(getpid()));
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    fn is_alone(&self) -> bool {
        getppid() != self.lock
    }

    /// The exit code of the command, if it has ended; what it left is waited for too.
    fn reap(&self) -> Option<u8> {
        let mut code = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(pid, status)) if pid == self.command => {
                    code = Some(u8::try_from(status & 0xff).unwrap_or(1));
                }
                Ok(WaitStatus::Signaled(pid, signal, _core)) if pid == self.command => {
                    code = Some(u8::try_from(128 + signal as i32).unwrap_or(1));
                }
                Ok(WaitStatus::Stopped(pid, _signal)) if pid == self.command => {
                    // The lock sees it so, and stops as well, where somebody can continue it.
                    if self.terminal.is_there() {
                        raise(Signal::SIGSTOP).ok();
                    }
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return code,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Ends what the command left in its process group: the port is released after it only.
    fn end_left(&self, code: u8) -> u8 {
        let begun = std::time::Instant::now();
        let mut left = self.left();
        tell(&left);
        while !left.is_empty() && !self.is_alone() && !self.is_ending() {
            if begun.elapsed() > LEFT_PATIENCE {
                signal(&left, Signal::SIGKILL);
            }
            thread::sleep(LOCK_SLICE);
            self.reap();
            left = self.left();
        }
        if self.is_alone() || self.is_ending() {
            return end_surely();
        }
        code
    }

    fn left(&self) -> Vec<Process> {
        let mut left = below(getpid());
        left.retain(|process| process.group == getpid() && !process.is_over);
        left
    }
}

/// Ends all when the port may be lost without news: in time for who has it next.
fn keep(mut listener: Listener, is_ending: &AtomicBool) {
    loop {
        match listener.wait() {
            // News that the port is held on may come after the signal.
            Due::Nothing => is_ending.store(false, Ordering::Release),
            Due::Tell => {
                if !is_ending.swap(true, Ordering::AcqRel) {
                    tell(&below(getpid()));
                }
            }
            Due::Kill => {
                is_ending.store(true, Ordering::Release);
                std::process::exit(end_surely().into());
            }
            // The kernel tells the other thread of it, too.
            Due::Gone => return,
        }
    }
}

/// SIGTERM to each. What is stopped does not hear it until it goes on.
fn tell(processes: &[Process]) {
    signal(processes, Signal::SIGTERM);
    signal(processes, Signal::SIGCONT);
}

fn end_surely() -> u8 {
    end_all();
    ENDED
}

fn told(what: &str, error: &dyn std::fmt::Display) -> u8 {
    // With standard error gone there is nobody left to tell; the exit code stays.
    writeln!(io::stderr(), "abelectl: cannot {what}: {error}").ok();
    126
}
