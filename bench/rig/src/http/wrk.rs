//! The client of both servers: `wrk`, and what it says.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use core_affinity::CoreId;

use crate::cores;
use crate::error::Error;
use crate::lab;
use crate::process::Running;
use crate::stop::Stop;

/// What wrk needs besides the seconds that it was given: to connect, to wait for the last answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program.
#[derive(Clone, Debug)]
pub(super) struct Wrk {
    program: PathBuf,
    pub(super) version: String,
}

/// What it is to ask for, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order<'a> {
    pub(super) url: &'a str,
    pub(super) connections: u32,
    pub(super) threads: u32,
}

/// What it said at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) requests_per_s: f64,
    pub(super) p50_ns: f64,
    pub(super) p99_ns: f64,
    /// Bytes of the answers, heads included: it rounds them to hundredths of their unit.
    pub(super) bytes: Rounded,
    /// Answers of another status than 2xx and 3xx.
    pub(super) non_2xx: u64,
    /// Connections that failed, reads, writes, and answers that came late.
    pub(super) errors: SocketErrors,
}

/// A number that was rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rounded {
    pub(super) value: f64,
    /// The most that was rounded away.
    pub(super) error: f64,
}

/// wrk's errors by what it was at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SocketErrors {
    pub(super) connect: u64,
    pub(super) read: u64,
    pub(super) write: u64,
    pub(super) timeout: u64,
}

impl Wrk {
    /// Looks for it.
    pub(super) fn find() -> Result<Self, Error> {
        let program = lab::find_program("wrk", "wrk")?;
        // It says its version and then exits with an error, as if that were not what was asked.
        let output = Command::new(&program).arg("-v").output().map_err(Error::io("start wrk"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
        Ok(Self { program, version })
    }

    /// Asks for so many seconds, on `core`.
    pub(super) fn run(
        &self,
        order: &Order<'_>,
        seconds: u32,
        core: CoreId,
        stop: &Stop,
    ) -> Result<Load, Error> {
        let Order { url, connections, threads } = order;
        let mut command = Command::new(&self.program);
        command.args([format!("-t{threads}"), format!("-c{connections}"), format!("-d{seconds}s")]);
        command.args(["--latency", url]);
        // What a thread starts stays on the thread's core.
        let started = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                cores::pin(core)?;
                Running::start("wrk", &mut command)
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let text = started?.finish(Duration::from_secs(seconds.into()) + PATIENCE, stop)?;
        Load::parse(&text).ok_or_else(|| Error::Child {
            side: "wrk",
            what: format!("it said what is not understood: {text:?}"),
        })
    }
}

impl Load {
    /// Reads what `wrk --latency` prints.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let after = |prefix: &str| text.lines().find_map(|line| line.trim().strip_prefix(prefix));
        let summary = text.lines().find(|line| line.contains(" requests in "))?;
        let (requests, rest) = summary.trim().split_once(" requests in ")?;
        let bytes = rest.split_once(", ")?.1.strip_suffix("B read")?;
        let latency = |percent: &str| nanoseconds(after(percent)?.trim());
        Some(Self {
            requests: requests.parse().ok()?,
            requests_per_s: after("Requests/sec:")?.trim().parse().ok()?,
            p50_ns: latency("50%")?,
            p99_ns: latency("99%")?,
            bytes: binary(bytes)?,
            non_2xx: match after("Non-2xx or 3xx responses:") {
                Some(count) => count.trim().parse().ok()?,
                None => 0,
            },
            errors: match after("Socket errors:") {
                Some(errors) => SocketErrors::parse(errors)?,
                None => SocketErrors::default(),
            },
        })
    }

    /// Bytes that are missing if every answer had a body of `len`.
    pub(super) fn bytes_short(&self, len: usize) -> u64 {
        #[allow(clippy::cast_precision_loss, reason = "2^53 bytes take a week at 100 Gbit/s")]
        let expected = self.requests as f64 * len as f64;
        let short = expected - (self.bytes.value + self.bytes.error);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is at least zero, and below 2^53 as above"
        )]
        let short = short.max(0.0) as u64;
        short
    }
}

impl SocketErrors {
    /// Reads ` connect 0, read 1, write 2, timeout 3`.
    fn parse(text: &str) -> Option<Self> {
        let mut counts = text.split(',').map(|part| part.trim().split_once(' '));
        let mut count = |name: &str| {
            let (found, count) = counts.next()??;
            (found == name).then(|| count.parse().ok())?
        };
        Some(Self {
            connect: count("connect")?,
            read: count("read")?,
            write: count("write")?,
            timeout: count("timeout")?,
        })
    }

    /// All of them.
    pub(super) fn count(self) -> u64 {
        let Self { connect, read, write, timeout } = self;
        connect + read + write + timeout
    }
}

/// A time such as `634.91us`, `1.06ms`, `2.00s`, `1.00m` or `1.00h`.
fn nanoseconds(text: &str) -> Option<f64> {
    let (value, unit) = split_unit(text)?;
    let scale = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3_600e9,
        _ => return None,
    };
    Some(value * scale)
}

/// A number of bytes such as `512.00`, `1.50K` or `110.86M`, where K is 1,024.
fn binary(text: &str) -> Option<Rounded> {
    let (value, unit) = split_unit(text)?;
    let powers = ["", "K", "M", "G", "T", "P"];
    let power = powers.iter().position(|known| *known == unit)?;
    let scale = 1_024_f64.powi(i32::try_from(power).ok()?);
    Some(Rounded { value: value * scale, error: 0.005 * scale })
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (value, unit) = text.split_at(end);
    Some((value.parse().ok()?, unit))
}

#[cfg(test)]
mod tests;
