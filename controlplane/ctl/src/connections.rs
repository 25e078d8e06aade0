//! `abelectl connections`: the cores walk over their records, and what they find is printed.

use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use counters::{CoreState, Filter, Listing, Part, Row, View};
use memory::SharedView;
use serde_json::json;

use crate::args::ConnectionsArgs;
use crate::clock;
use crate::error::Error;
use crate::instance;
use crate::interrupt::Interrupt;
use crate::limits::{ANSWER_PATIENCE, DRAIN_PAUSE, HEALTH_INTERVAL};
use crate::sample::Sample;
use crate::table::nanos;

/// Prints all connections that the filter takes.
pub(crate) fn run(
    args: &ConnectionsArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let (path, view) = instance::open(&args.target)?;
    let dead = || Error::Dead { pid: view.about().pid };
    if !view.is_alive().unwrap_or(true) {
        return Err(dead());
    }
    let filter =
        Filter { state: args.state.map(|name| name.0), remote: args.remote, local_port: args.port };
    let mut out = BufWriter::new(out);
    if !args.json {
        writeln!(out, "{HEAD}")?;
    }
    let printed = list(&path, &filter, args, interrupt, &view, &mut out);
    // What was printed so far is shown, whatever ended it.
    out.flush()?;
    let (count, missing) = printed?;
    if !args.json {
        writeln!(out, "{count} connections")?;
        out.flush()?;
    }
    match missing {
        Some(missing) if view.is_alive().unwrap_or(true) => Err(Error::NotWhole(missing)),
        Some(_) => Err(dead()),
        None => Ok(()),
    }
}

const HEAD: &str = concat!(
    "core  state         remote                        local                             idle",
    "      srtt     cwnd  in flight   queued   unread  busy"
);

/// Prints rows until all cores are done, or as many as are wanted. Returns how many, and which
/// cores are missing.
fn list(
    path: &Path,
    filter: &Filter,
    args: &ConnectionsArgs,
    interrupt: &Interrupt,
    view: &View<SharedView>,
    out: &mut dyn Write,
) -> Result<(u64, Option<String>), Error> {
    let limit = args.limit.unwrap_or(u64::MAX);
    let mut listing = Listing::begin(path, filter, clock::monotonic()?)?;
    let (mut count, mut failed) = (0, None);
    let began_at = Instant::now();
    let mut looked_at = began_at;
    while !listing.is_done() && count < limit {
        let rows = listing.drain(clock::monotonic()?, |core, row| {
            if failed.is_some() || count == limit {
                return;
            }
            count += 1;
            let line = if args.json { json_line(core, &row) } else { text_line(core, &row) };
            failed = writeln!(out, "{line}").err();
        })?;
        if let Some(error) = failed.take() {
            return Err(error.into());
        }
        if rows > 0 {
            interrupt.check()?;
            continue;
        }
        // A reader that follows the lines sees what there is.
        out.flush()?;
        interrupt.sleep(DRAIN_PAUSE)?;
        if looked_at.elapsed() >= HEALTH_INTERVAL {
            looked_at = Instant::now();
            let is_late = began_at.elapsed() > ANSWER_PATIENCE;
            if let Some(missing) = missing(view, &listing, is_late)? {
                return Ok((count, Some(missing)));
            }
        }
    }
    let given_up = listing.parts().any(|part| part == Part::GivenUp);
    let missing = given_up.then(|| {
        "a core gave up its walk, because nothing was read for too long: connections are missing"
            .to_owned()
    });
    Ok((count, missing))
}

/// The cores of which no row will come any more, though they are not done.
fn missing(
    view: &View<SharedView>,
    listing: &Listing,
    is_late: bool,
) -> Result<Option<String>, Error> {
    let sample = Sample::take(view)?;
    let mut lost = Vec::new();
    for (core, part) in listing.parts().enumerate() {
        let is_open = matches!(part, Part::Waiting | Part::Walking);
        let has_ended = sample.cores[core].state == CoreState::Ended;
        let is_deaf = part == Part::Waiting && is_late;
        if is_open && (!sample.is_alive || sample.is_stuck(view, core) || has_ended || is_deaf) {
            let age = sample.age(view, core);
            lost.push(format!("core {core} does not answer: its last sign of life is {age} old"));
        }
    }
    Ok((!lost.is_empty()).then(|| lost.join("; ")))
}

fn text_line(core: usize, row: &Row) -> String {
    let remote = SocketAddr::new(row.remote_ip(), row.remote_port).to_string();
    let local = SocketAddr::new(row.local_ip(), row.local_port).to_string();
    let srtt =
        if row.srtt_us == 0 { "-".to_owned() } else { nanos(u64::from(row.srtt_us) * 1_000) };
    let cwnd = if row.cwnd == 0 { "-".to_owned() } else { row.cwnd.to_string() };
    format!(
        "{core:<4}  {:<12}  {remote:<28}  {local:<28}  {:>6} s  {srtt:>8}  {cwnd:>7}  {:>9}  \
         {:>7}  {:>7}  {}",
        row.state.name(),
        row.idle_s,
        row.bytes_in_flight,
        row.bytes_queued,
        row.bytes_unread,
        if row.is_busy { "yes" } else { "no" },
    )
}

fn json_line(core: usize, row: &Row) -> String {
    let known = |number: u32| (number != 0).then_some(number);
    json!({
        "core": core,
        "state": row.state.name(),
        "remote": row.remote_ip().to_string(),
        "remote_port": row.remote_port,
        "local": row.local_ip().to_string(),
        "local_port": row.local_port,
        "listener": (row.listener != u16::MAX).then_some(row.listener),
        "active": row.is_active,
        "busy": row.is_busy,
        "record": row.index,
        "generation": row.generation,
        "idle_s": row.idle_s,
        "srtt_us": known(row.srtt_us),
        "rttvar_us": known(row.rttvar_us),
        "cwnd": known(row.cwnd),
        "ssthresh": (row.ssthresh != u32::MAX).then_some(row.ssthresh),
        "snd_wnd": row.snd_wnd,
        "bytes_in_flight": row.bytes_in_flight,
        "bytes_queued": row.bytes_queued,
        "bytes_unread": row.bytes_unread,
    })
    .to_string()
}
