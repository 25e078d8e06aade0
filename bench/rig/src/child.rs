//! The other end in a process of its own, started from this very program.
//!
//! A process and not a thread: threads share one descriptor table, and the kernel then counts a
//! reference for every call on any of its descriptors; and two ends of 10,000 connections exceed
//! the 20,000 descriptors that many machines allow a process. The protocol is of lines: the child
//! writes one when it is ready, works until its standard input closes, and writes its tally. So
//! it also ends when its parent dies of anything.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The child as its parent holds it; killed if dropped before its end.
#[derive(Debug)]
pub(crate) struct Child {
    child: std::process::Child,
    output: BufReader<ChildStdout>,
    side: &'static str,
}

impl Child {
    /// Starts this program with `arguments`; `side` names the child in errors.
    pub(crate) fn spawn(side: &'static str, arguments: &[String]) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("find this program"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own, so that Ctrl-C reaches the parent alone, which ends both.
            .process_group(0);
        let mut child = command.spawn().map_err(Error::io("start the other end's process"))?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { child, output, side })
    }

    /// The next line that it writes, as a value.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(Error::io("read from the other end's process"))?;
        let line = line.trim_end();
        serde_json::from_str(line).map_err(|_not_what_was_expected| self.unexpected(line))
    }

    /// Writes a line to it.
    pub(crate) fn write<T: Serialize>(&mut self, value: &T) -> Result<(), Error> {
        let line = serde_json::to_string(value).expect("plain fields are JSON");
        let input = self.child.stdin.as_mut().expect("it is piped, and closed by `finish` alone");
        writeln!(input, "{line}").map_err(Error::io("write to the other end's process"))
    }

    /// Ends it and takes its count.
    pub(crate) fn finish<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        drop(self.child.stdin.take());
        self.read()
    }

    fn unexpected(&self, line: &str) -> Error {
        let what = match line {
            "" => "it ended; its own message stands above".to_owned(),
            line => format!("it said {line:?}"),
        };
        Error::Child { side: self.side, what }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself, which is just as well; waiting leaves no zombie.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// From the child to its parent: a value on a line.
pub(crate) fn say<T: Serialize>(value: &T) -> Result<(), Error> {
    let line = serde_json::to_string(value).expect("plain fields are JSON");
    writeln!(io::stdout(), "{line}").map_err(Error::io("write to the measuring process"))
}
