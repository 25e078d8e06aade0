//! `bench`: how fast this switch answers from here, and what that costs here.

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use client::blocking::Begun;
use client::{CallError, PortGuard, Registered, RequestError};
use protocol::{RegisterCode, RegisterFlags, Role};
use serde_json::json;

use super::args::Target;
use super::connect::{code_text, connect, failed, print};
use crate::clock;
use crate::error::Error;
use crate::interrupt::Interrupt;

/// Requests of a round for each that is under way at once: a round begins and ends with fewer.
const REQUESTS_PER_ROUND: usize = 16;

/// Ports, those of a request, and requests under way at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) ports: u32,
    pub(super) batch: u32,
    pub(super) in_flight: u32,
}

/// What all requests of one kind took.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    /// From the first to the last answer, round by round.
    time: Duration,
    /// Of this process on its processors.
    cpu: Duration,
    /// From each call to its answer.
    calls: Duration,
    count: u32,
}

pub(super) fn run(
    to: &Target,
    load: Load,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let client = connect(to, Role::Node, interrupt)?;
    let bench = Bench { to, interrupt, in_flight: index(load.in_flight) };
    let names: Vec<String> =
        (0..load.ports).map(|port| format!("bench:{}:{port:08x}", std::process::id())).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let batch = index(load.batch);
    let round = batch * bench.in_flight * REQUESTS_PER_ROUND;
    let mut took = [Took::default(); 3];
    for names in names.chunks(round) {
        let batches = || names.chunks(batch);
        let flags = RegisterFlags::default();
        let held = bench
            .all(&mut took[0], batches().map(|names| || client.begin_register(names, flags)))?;
        let count = held.iter().flatten().filter(|port| refusal(port).is_none()).count();
        if let Some(code) = held.iter().flatten().find_map(refusal) {
            let code = code_text(code);
            let text = format!("only {count} of {} ports were granted: {code}", names.len());
            return Err(Error::NotWhole(text));
        }
        let held: Vec<Vec<PortGuard>> =
            held.into_iter().map(|ports| ports.into_iter().filter_map(granted).collect()).collect();
        bench.all(&mut took[1], batches().map(|names| || client.begin_query(names)))?;
        let held = held.into_iter();
        bench.all(&mut took[2], held.map(|guards| || client.begin_unregister(guards)))?;
    }
    let rows = ["register", "query", "unregister"].iter().zip(took).map(|(what, took)| {
        let number = |value| json!(u64::try_from(value).unwrap_or(u64::MAX));
        let per_s = |time: Duration| {
            number(u128::from(load.ports) * 1_000_000_000 / time.as_nanos().max(1))
        };
        let call_us = number(took.calls.as_micros() / u128::from(took.count.max(1)));
        vec![json!(what), json!(load.ports), per_s(took.time), call_us, per_s(took.cpu)]
    });
    let head = ["request", ">ports", ">per_s", ">call_us", ">per_cpu_s"];
    print(to.output, &head, rows.collect(), out)
}

/// How it asks.
struct Bench<'a> {
    to: &'a Target,
    interrupt: &'a Interrupt,
    in_flight: usize,
}

impl<'a> Bench<'a> {
    /// Makes all calls, so many at once, and says what they were answered.
    fn all<T>(
        &self,
        took: &mut Took,
        calls: impl Iterator<Item = impl FnOnce() -> Result<Begun<'a, T>, CallError>>,
    ) -> Result<Vec<T>, Error> {
        let (begun, cpu) = (Instant::now(), clock::process_cpu()?);
        let mut answers = Vec::new();
        let mut open = VecDeque::new();
        for call in calls {
            self.interrupt.check()?;
            if open.len() == self.in_flight {
                answers.extend(self.next(took, &mut open)?);
            }
            let begun = Instant::now();
            let call = call().map_err(|error| failed(self.to, RequestError::from(error)))?;
            open.push_back((begun, call));
        }
        while let Some(answer) = self.next(took, &mut open)? {
            answers.push(answer);
        }
        took.time += begun.elapsed();
        took.cpu += clock::process_cpu()?.saturating_sub(cpu);
        Ok(answers)
    }

    /// The answer that is waited for the longest.
    fn next<T>(
        &self,
        took: &mut Took,
        open: &mut VecDeque<(Instant, Begun<'a, T>)>,
    ) -> Result<Option<T>, Error> {
        let Some((begun, call)) = open.pop_front() else {
            return Ok(None);
        };
        let answer = call.wait(self.to.timeout).map_err(|error| failed(self.to, error))?;
        took.calls += begun.elapsed();
        took.count += 1;
        Ok(Some(answer))
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn refusal(port: &Registered<PortGuard>) -> Option<RegisterCode> {
    match port {
        Registered::Granted(_) => None,
        Registered::Failed { code, .. } => Some(*code),
    }
}

fn granted(port: Registered<PortGuard>) -> Option<PortGuard> {
    match port {
        Registered::Granted(guard) => Some(guard),
        Registered::Failed { .. } => None,
    }
}
