//! `lock`: a command that runs while a port is held.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use client::PortGuard;
use client::blocking::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::Role;

use super::args::Target;
use super::connect::{connect, failed};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::{LOCK_SLICE, SIGNAL_SLICE};

pub(super) fn run(
    to: &Target,
    name: &str,
    wait: Option<Duration>,
    command: &[String],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let client = connect(to, Role::Node)?;
    let guard = acquire(to, &client, name, wait, interrupt)?;
    let status = hold(&guard, command, interrupt)?;
    drop(guard);
    client.close();
    exit(status)
}

/// Keeps one place in the queue for all of the time, and looks for signals meanwhile.
fn acquire(
    to: &Target,
    client: &Client,
    name: &str,
    wait: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<PortGuard, Error> {
    let begun = Instant::now();
    let mut place = client.queue(name).map_err(|error| failed(to, error.into()))?;
    loop {
        interrupt.check()?;
        let left = wait.map_or(SIGNAL_SLICE, |wait| wait.saturating_sub(begun.elapsed()));
        let granted = place.wait(left.min(SIGNAL_SLICE)).map_err(|error| failed(to, error))?;
        if let Some(guard) = granted {
            return Ok(guard);
        }
        if left.is_zero() {
            let text = format!("{name} was not granted in time; see: abelectl switch port {name}");
            return Err(Error::Refused { code: 4, text });
        }
    }
}

fn hold(guard: &PortGuard, command: &[String], interrupt: &Interrupt) -> Result<ExitStatus, Error> {
    let token = guard.token();
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env("ABELE_LOCK_NAME", guard.name())
        .env("ABELE_LOCK_TOKEN", format!("{}:{}", token.epoch.0, token.sequence.to_bits()))
        .spawn()
        .map_err(|error| not_run(&command[0], &error))?;
    let mut is_told = false;
    let mut most = Duration::ZERO;
    loop {
        let left = guard.remaining();
        most = most.max(left);
        if let Some(status) = wait(&mut child)? {
            return Ok(status);
        }
        // A lease that is renewed never has less left than two thirds. The last third is for the
        // command to end in, so that nothing of it goes on when another may be the owner.
        if left < most / 3 {
            end(&mut child, guard, most / 10)?;
            let why = guard
                .ended()
                .map_or("no answer from the switch".to_owned(), |why| format!("{why:?}"));
            let text = format!("{} was lost ({why}), and the command was ended", guard.name());
            return Err(Error::Refused { code: 5, text });
        }
        if !is_told && interrupt.check().is_err() {
            // The port is held until the command has ended.
            signal(&child, Signal::SIGTERM);
            is_told = true;
        }
        thread::sleep(LOCK_SLICE);
    }
}

fn not_run(program: &str, error: &io::Error) -> Error {
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    Error::Refused { code, text: format!("cannot run {program}: {error}") }
}

fn wait(child: &mut Child) -> Result<Option<ExitStatus>, Error> {
    child.try_wait().map_err(|source| Error::System { what: "wait for the command", source })
}

fn signal(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It may just have ended.
        kill(Pid::from_raw(pid), signal).ok();
    }
}

/// SIGTERM, and SIGKILL when less than `least` is left of the lease.
fn end(child: &mut Child, guard: &PortGuard, least: Duration) -> Result<(), Error> {
    signal(child, Signal::SIGTERM);
    while guard.remaining() > least {
        if wait(child)?.is_some() {
            return Ok(());
        }
        thread::sleep(LOCK_SLICE);
    }
    if wait(child)?.is_none() {
        signal(child, Signal::SIGKILL);
        child.wait().map_err(|source| Error::System { what: "wait for the command", source })?;
    }
    Ok(())
}

fn exit(status: ExitStatus) -> Result<(), Error> {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    match u8::try_from(code).unwrap_or(1) {
        0 => Ok(()),
        code => Err(Error::CommandFailed { code }),
    }
}
