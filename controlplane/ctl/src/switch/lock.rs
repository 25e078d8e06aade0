//! `lock`: a command that runs while a port is held.

mod deadline;
mod processes;
mod running;
mod supervisor;
mod terminal;

use std::thread;
use std::time::{Duration, Instant};

use client::blocking::Client;
use client::{PortGuard, Registered};
use protocol::{RegisterCode, RegisterFlags, Role};

use self::processes::end_all;
use self::running::{Left, Running, State};
use super::args::Target;
use super::connect::{code_text, connect, ended_text, failed};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::{LOCK_SLICE, SIGNAL_SLICE};

pub(crate) use supervisor::run_if_asked;

pub(super) fn run(
    to: &Target,
    name: &str,
    wait: Option<Duration>,
    command: &[String],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let client = connect(to, Role::Node, interrupt)?;
    let guard = acquire(to, &client, name, wait, interrupt)?;
    let code = hold(&guard, command, interrupt)?;
    drop(guard);
    client.close();
    exit(code)
}

/// Keeps one place in the queue for all of the time, and looks for signals meanwhile.
fn acquire(
    to: &Target,
    client: &Client,
    name: &str,
    wait: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<PortGuard, Error> {
    if wait == Some(Duration::ZERO) {
        return acquire_now(to, client, name, interrupt);
    }
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
            return Err(not_in_time(name));
        }
    }
}

/// Has it if it is free, without a place in the queue.
fn acquire_now(
    to: &Target,
    client: &Client,
    name: &str,
    interrupt: &Interrupt,
) -> Result<PortGuard, Error> {
    let ports = interrupt.at_once(|| {
        let ports = client.register(&[name], RegisterFlags::default(), to.timeout);
        ports.map_err(|error| failed(to, error))
    })?;
    match ports.into_iter().next() {
        Some(Registered::Granted(guard)) => Ok(guard),
        Some(Registered::Failed { code: RegisterCode::Held | RegisterCode::Draining, .. }) => {
            Err(not_in_time(name))
        }
        Some(Registered::Failed { code, .. }) => {
            Err(Error::NotWhole(format!("{name} is not granted: {}", code_text(code))))
        }
        None => Err(Error::NotWhole(format!("the switch has said nothing of {name}"))),
    }
}

fn not_in_time(name: &str) -> Error {
    let text = format!("{name} was not granted in time; see: abelectl switch port {name}");
    Error::Refused { code: 4, text }
}

fn hold(guard: &PortGuard, command: &[String], interrupt: &Interrupt) -> Result<u8, Error> {
    let mut running = Running::start(guard, command)?;
    let mut is_told = false;
    loop {
        let Left { left, most } = running.left(guard);
        match running.look()? {
            State::Ended(code) if left > most / 10 => return Ok(code),
            State::Ended(_code) => {
                // This process was stopped meanwhile, and the supervisor has ended the command.
                end_all();
                return Err(lost(guard));
            }
            State::Stopped => {
                if running.stop() && running.left(guard).left >= most / 3 {
                    running.resume();
                }
                continue;
            }
            State::Runs => {}
        }
        // A lease that is renewed never has less left than two thirds. The last third is for the
        // command to end in, so that nothing of it goes on when another may be the owner.
        if left < most / 3 {
            running.end(guard, most / 10)?;
            return Err(lost(guard));
        }
        if !is_told && interrupt.check().is_err() {
            // The port is held until the command has ended.
            running.tell();
            is_told = true;
        }
        thread::sleep(LOCK_SLICE);
    }
}

fn lost(guard: &PortGuard) -> Error {
    let why = ended_text(guard);
    let text = format!("{} was lost ({why}), and the command was ended", guard.name());
    Error::Refused { code: 5, text }
}

fn exit(code: u8) -> Result<(), Error> {
    if code == 0 { Ok(()) } else { Err(Error::CommandFailed { code }) }
}
