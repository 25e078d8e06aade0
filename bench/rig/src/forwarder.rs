//! `wire`: what becomes of two ends when the wire between them loses, delays, doubles and damages?
//!
//! It measures nothing: it is the wire that any two ends can cross, the kernel's and ours alike, so
//! that both meet the same faults from the same seed. It takes every packet of two interfaces and
//! forwards it from the one to the other.
//!
//! One thread does both directions. A direction receives at one queue pair and sends at the other,
//! and a queue pair belongs to one core; two threads would have to cut both in halves, and the order
//! of faults would no longer follow from the seed. Where nothing happens for a while the thread
//! sleeps until a packet comes or falls due, because the ends are mostly on the same machine.
//!
//! ```text
//!   end A -- interface a --rx--> [loss, damage, doubles, rate, delay, order] --tx--> interface b -- end B
//!                        <--tx--                  the same                   <--rx--
//! ```

pub(crate) mod args;
mod core;
mod ports;
mod summary;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use self::args::WireArgs;
use self::core::Forwarder;
use self::ports::{Ports, sleep};
use self::summary::Summary;
use crate::ends::Clock;
use crate::error::Error;
use crate::limits::{WIRE_DRAIN, WIRE_SLEEP_MAX, WIRE_SPIN};
use crate::stop::Stop;

/// Forwards until a signal or the end of `--for`, and prints the summary.
pub(crate) fn run(args: &WireArgs, stop: &Stop) -> Result<ExitCode, Error> {
    let Ports { a, b, arena, steering, attached } = Ports::take(args)?;
    let mut forwarder = Forwarder::new(a, b, arena, args.impairments()).map_err(|error| {
        Error::BadArguments { wrong: error.to_string(), right: "change that argument".to_owned() }
    })?;
    let ready = format!(
        "wire: {} <-> {} ready, {attached}, seed {}; the ends must leave nothing to their devices: \
         ethtool -K END tx off tso off gso off gro off\n",
        args.a,
        args.b,
        args.seed()
    );
    // With standard error gone there is nobody left to tell.
    io::stderr().write_all(ready.as_bytes()).ok();
    let begin = Instant::now();
    forward(&mut forwarder, args, stop)?;
    let seconds = begin.elapsed().as_secs_f64();
    // What is on its way was sent before the end, and arrives.
    let clock = Clock(begin);
    let deadline = clock.now() + WIRE_DRAIN + args.longest();
    while forwarder.is_holding() && clock.now() < deadline {
        forwarder.drain(clock.now());
    }
    drop(steering);
    let summary = Summary::of(args, &forwarder, seconds);
    summary.print()?;
    Ok(if summary.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn forward(forwarder: &mut ports::Both, args: &WireArgs, stop: &Stop) -> Result<(), Error> {
    let clock = Clock(Instant::now());
    let until = args.until(clock.now());
    let mut busy_at = clock.now();
    loop {
        let now = clock.now();
        if stop.check().is_err() || until.is_some_and(|until| now >= until) {
            return Ok(());
        }
        if forwarder.turn(now) > 0 {
            busy_at = now;
        }
        if now.saturating_since(busy_at) < WIRE_SPIN {
            continue;
        }
        ports::check(forwarder)?;
        let latest = [Some(now + WIRE_SLEEP_MAX), forwarder.next_deadline(), until];
        let latest = latest.into_iter().flatten().min().unwrap_or(now);
        if latest > now {
            sleep(forwarder, latest.saturating_since(now))?;
        }
    }
}

#[cfg(test)]
mod tests;
