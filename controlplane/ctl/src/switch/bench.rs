//! `bench`: how fast this switch answers from here.

use std::io::Write;
use std::time::{Duration, Instant};

use client::{PortGuard, Registered};
use protocol::{RegisterFlags, Role};
use serde_json::json;

use super::args::Target;
use super::connect::{connect, failed, print};
use crate::error::Error;
use crate::interrupt::Interrupt;

pub(super) fn run(
    to: &Target,
    ports: u32,
    batch: u32,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let client = connect(to, Role::Node)?;
    let names: Vec<String> =
        (0..ports).map(|port| format!("bench:{}:{port:08x}", std::process::id())).collect();
    let batch = usize::try_from(batch).unwrap_or(usize::MAX);
    let mut times = [Duration::ZERO; 3];
    for names in names.chunks(batch) {
        interrupt.check()?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let begun = Instant::now();
        let held = client.register(&names, RegisterFlags::default(), to.timeout);
        let held = held.map_err(|error| failed(to, error))?;
        times[0] += begun.elapsed();
        let guards: Vec<PortGuard> = held.into_iter().filter_map(granted).collect();
        if guards.len() != names.len() {
            let text = format!("only {} of {} ports were granted", guards.len(), names.len());
            return Err(Error::NotWhole(text));
        }
        let begun = Instant::now();
        client.query(&names, to.timeout).map_err(|error| failed(to, error))?;
        times[1] += begun.elapsed();
        let begun = Instant::now();
        client.unregister(guards, to.timeout).map_err(|error| failed(to, error))?;
        times[2] += begun.elapsed();
    }
    let calls = ports.div_ceil(u32::try_from(batch).unwrap_or(u32::MAX));
    let rows = ["register", "query", "unregister"].iter().zip(times).map(|(what, time)| {
        let per_s = f64::from(ports) / time.as_secs_f64();
        let call_us = time.as_secs_f64() * 1e6 / f64::from(calls);
        vec![json!(what), json!(ports), json!(per_s.round()), json!(call_us.round())]
    });
    print(to.output, &["request", ">ports", ">per_s", ">call_us"], rows.collect(), out)
}

fn granted(port: Registered<PortGuard>) -> Option<PortGuard> {
    match port {
        Registered::Granted(guard) => Some(guard),
        Registered::Failed { .. } => None,
    }
}
