//! A command that runs, as `lock` sees it: through its supervisor.

use std::io;
use std::thread;
use std::time::Duration;

use client::PortGuard;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp};

use super::deadline::{self, Deadline, Teller};
use super::processes::end_all;
use super::supervisor;
use super::terminal::Terminal;
use crate::error::Error;
use crate::limits::LOCK_SLICE;
use crate::switch::connect::token_text;

/// The supervisor, which is the first of a process group, and ends when the command has.
pub(super) struct Running {
    supervisor: Pid,
    terminal: Terminal,
    teller: Teller,
    most: Duration,
}

/// Of the lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) left: Duration,
    /// The most that ever was: what a renewal gives.
    pub(super) most: Duration,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Runs,
    Stopped,
    /// With an exit code; 128 and its number after a signal.
    Ended(u8),
}

impl Running {
    pub(super) fn start(guard: &PortGuard, command: &[String]) -> Result<Self, Error> {
        let system = |source| Error::System { what: "start the command", source };
        // If the supervisor is killed, what was below it is found here.
        set_child_subreaper(true).map_err(|errno| system(errno.into()))?;
        let most = guard.remaining();
        let (teller, inherited) =
            Teller::open(Deadline::of(deadline::now(), most, most)).map_err(system)?;
        let child = supervisor::start(deadline::number(&inherited), command)
            .env("ABELE_LOCK_NAME", guard.name())
            .env("ABELE_LOCK_TOKEN", token_text(guard.token()))
            .spawn()
            .map_err(system)?;
        let pid = i32::try_from(child.id()).map_err(|error| system(io::Error::other(error)))?;
        let (supervisor, terminal) = (Pid::from_raw(pid), Terminal::open());
        Ok(Self { supervisor, terminal, teller, most })
    }

    /// What is left of the lease, of which the supervisor is told.
    pub(super) fn left(&mut self, guard: &PortGuard) -> Left {
        // What is left is asked for after the time, so that the end is not told too late.
        let (now, left) = (deadline::now(), guard.remaining());
        self.most = self.most.max(left);
        self.teller.extend(Deadline::of(now, left, self.most));
        Left { left, most: self.most }
    }

    /// Whether it runs. The end is told once.
    pub(super) fn look(&self) -> Result<State, Error> {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
        match waitpid(self.supervisor, Some(flags)) {
            Ok(WaitStatus::Exited(_, code)) => {
                let code = u8::try_from(code & 0xff).unwrap_or(1);
                self.give_back(code);
                Ok(State::Ended(code))
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                // By others: the command was killed with it, and the rest is killed here.
                end_all();
                let code = u8::try_from(128 + signal as i32).unwrap_or(1);
                self.give_back(code);
                Ok(State::Ended(code))
            }
            Ok(WaitStatus::Stopped(..)) => Ok(State::Stopped),
            Ok(_) | Err(Errno::EINTR) => Ok(State::Runs),
            Err(errno) => Err(Error::System { what: "wait for the command", source: errno.into() }),
        }
    }

    /// SIGTERM to all of it, which the supervisor passes on.
    pub(super) fn tell(&self) {
        // It may just have ended; and if it is stopped, it hears of it when it goes on.
        kill(self.supervisor, Signal::SIGTERM).ok();
        kill(self.supervisor, Signal::SIGCONT).ok();
    }

    /// Stops this process too, as a shell expects it of a job; returns when it is continued.
    /// `false`: with no terminal there is nobody who would do that, so that the port is held on.
    pub(super) fn stop(&self) -> bool {
        if !self.terminal.is_there() {
            return false;
        }
        self.terminal.hand(self.supervisor, getpgrp());
        // All of the job: a script that waits for this process is what the shell looks at.
        kill(Pid::from_raw(0), Signal::SIGTSTP).ok();
        // Should another thread be the one that takes the signal, it has taken it now.
        thread::sleep(LOCK_SLICE);
        true
    }

    /// Continues it, in the foreground if this process is.
    pub(super) fn resume(&self) {
        self.terminal.hand(getpgrp(), self.supervisor);
        killpg(self.supervisor, Signal::SIGCONT).ok();
    }

    /// SIGTERM, and SIGKILL when less than `least` is left of the lease.
    pub(super) fn end(&mut self, guard: &PortGuard, least: Duration) -> Result<(), Error> {
        if guard.remaining() > least {
            self.teller.has_told();
            self.tell();
        }
        while guard.remaining() > least {
            if matches!(self.look()?, State::Ended(_)) {
                break;
            }
            thread::sleep(LOCK_SLICE);
        }
        // The group at once, and then what has left it.
        killpg(self.supervisor, Signal::SIGKILL).ok();
        end_all();
        self.terminal.hand(self.supervisor, getpgrp());
        Ok(())
    }

    /// Takes the terminal back. Where the command was ended by Ctrl-C there, that is for the rest of
    /// the job as well, such as the script that this process is a line of.
    fn give_back(&self, code: u8) {
        let was_lent = self.terminal.hand(self.supervisor, getpgrp());
        if was_lent && code == INTERRUPTED {
            kill(Pid::from_raw(0), Signal::SIGINT).ok();
        }
    }
}

/// The exit code after SIGINT.
const INTERRUPTED: u8 = 130;
