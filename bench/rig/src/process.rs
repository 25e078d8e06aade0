//! A program that the benchmark starts: awaited with an eye on Ctrl-C, and ended with it.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};

use crate::error::Error;
use crate::lab;
use crate::stop::Stop;

/// How often a wait looks at the process and at Ctrl-C.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The program as its parent holds it; killed if dropped before its end.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What errors call it.
    name: &'static str,
}

impl Running {
    /// Starts it; what it says on standard error stays the user's.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self, Error> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::io("start a program"))?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { child, output, name })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it writes, within `patience`.
    pub(crate) fn line(&mut self, patience: Duration, stop: &Stop) -> Result<String, Error> {
        let deadline = Instant::now() + patience;
        while !self.has_output()? {
            self.look(deadline, stop)?;
        }
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(Error::io("read from a program"))?;
        if line.is_empty() {
            return Err(self.failed("it ended; its own message stands above"));
        }
        Ok(line)
    }

    /// What it writes until its end, which comes within `patience` and is a good one.
    pub(crate) fn finish(mut self, patience: Duration, stop: &Stop) -> Result<String, Error> {
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.ended()? {
                break status;
            }
            self.look(deadline, stop)?;
        };
        // What it wrote is less than a pipe holds, or it would not have ended.
        let mut text = String::new();
        self.output.read_to_string(&mut text).map_err(Error::io("read from a program"))?;
        if !status.success() {
            return Err(self.failed(&format!("{status}; its own message stands above")));
        }
        Ok(text)
    }

    /// Asks it to end, and the same.
    pub(crate) fn end(
        self,
        signal: Signal,
        patience: Duration,
        stop: &Stop,
    ) -> Result<String, Error> {
        kill(lab::pid(self.id()), signal).map_err(Error::errno("end a program"))?;
        self.finish(patience, stop)
    }

    /// Its status if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(Error::io("wait for a program"))
    }

    /// One look of a wait that has lasted no longer than it may.
    pub(crate) fn look(&self, deadline: Instant, stop: &Stop) -> Result<(), Error> {
        stop.check()?;
        if Instant::now() > deadline {
            return Err(self.failed("it did not answer in time"));
        }
        thread::sleep(LOOK_EVERY);
        Ok(())
    }

    pub(crate) fn failed(&self, what: &str) -> Error {
        Error::Child { side: self.name, what: what.to_owned() }
    }

    fn has_output(&self) -> Result<bool, Error> {
        if !self.output.buffer().is_empty() {
            return Ok(true);
        }
        let mut fds = [PollFd::new(self.output.get_ref().as_fd(), PollFlags::POLLIN)];
        let ready =
            poll(&mut fds, PollTimeout::ZERO).map_err(Error::errno("wait for a program"))?;
        Ok(ready > 0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is just as well; waiting leaves no zombie.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Running {
        Running::start("shell", Command::new("sh").args(["-c", script])).expect("sh is there")
    }

    #[test]
    fn lines_and_the_rest_are_read_and_a_bad_end_is_an_error() {
        let stop = Stop::default();
        let mut good = shell("echo ready; echo more");
        assert_eq!(good.line(PATIENCE, &stop).expect("a line"), "ready\n");
        assert_eq!(good.finish(PATIENCE, &stop).expect("a good end"), "more\n");
        let error = shell("exit 3").finish(PATIENCE, &stop).expect_err("a bad end");
        assert!(error.to_string().contains("the shell process failed"), "{error}");
        let error = shell("exit 0").line(PATIENCE, &stop).expect_err("it says nothing");
        assert!(error.to_string().contains("it ended"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_end_is_given_up_and_killed() {
        let stop = Stop::default();
        let slow = shell("exec sleep 600");
        let id = slow.id();
        let error = slow.finish(Duration::ZERO, &stop).expect_err("it sleeps");
        assert!(error.to_string().contains("in time"), "{error}");
        assert!(kill(lab::pid(id), None).is_err(), "{id} still runs");
        stop.raise();
        let error = shell("exec sleep 600").finish(PATIENCE, &stop).expect_err("Ctrl-C");
        assert!(matches!(error, Error::Interrupted), "{error}");
    }

    #[test]
    fn a_signal_ends_it_with_its_last_words() {
        let stop = Stop::default();
        let mut shell =
            shell("trap 'echo bye; exit 0' TERM; echo on; while :; do sleep 0.01; done");
        shell.line(PATIENCE, &stop).expect("it traps from here");
        assert_eq!(shell.end(Signal::SIGTERM, PATIENCE, &stop).expect("a good end"), "bye\n");
    }
}
