//! All cores at one moment, and what is wrong with them.

use std::thread;

use counters::{Counter, Kind, Snapshot, View};
use memory::SharedView;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::error::Error;
use crate::limits::{WHOLE_PAUSE, WHOLE_TRIES};
use crate::table::{duration, nanos};

/// What every core published last, and how it is with them.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) cores: Vec<Snapshot>,
    /// Nanoseconds of the monotonic clock when it was taken.
    pub(crate) taken_at: u64,
    /// Whether the gateway lives.
    pub(crate) is_alive: bool,
}

impl Sample {
    /// Reads all cores.
    pub(crate) fn take(view: &View<SharedView>) -> Result<Self, Error> {
        // Before the values, so that those of a gateway that is said to live are of its life.
        let is_alive = view.is_alive().unwrap_or(true);
        let cores = (0..view.about().cores).map(|core| read(view, core, is_alive)).collect();
        Ok(Self { cores, taken_at: clock::monotonic()?.as_nanos(), is_alive })
    }

    /// The sum over all cores.
    pub(crate) fn total(&self, counter: usize) -> u64 {
        self.cores.iter().fold(0, |sum, core| sum.wrapping_add(core.values[counter]))
    }

    /// Whether a core should have published since.
    pub(crate) fn is_stuck(&self, view: &View<SharedView>, core: usize) -> bool {
        self.is_alive && self.cores[core].is_stuck(view.about(), self.taken_at)
    }

    /// An error that tells what is wrong with the gateway, once everything is printed.
    pub(crate) fn verdict(&self, view: &View<SharedView>) -> Result<(), Error> {
        if !self.is_alive {
            return Err(Error::Dead { pid: view.about().pid });
        }
        let mut wrong = Vec::new();
        for (index, core) in self.cores.iter().enumerate() {
            if self.is_stuck(view, index) {
                let age = self.age(view, index);
                wrong.push(format!("core {index} is stuck: its last sign of life is {age} old"));
            } else if !core.is_whole {
                wrong.push(format!(
                    "core {index} was always writing: its values are of several moments"
                ));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::NotWhole(wrong.join("; "))) }
    }

    /// How old a core's sign of life is, for people.
    pub(crate) fn age(&self, view: &View<SharedView>, core: usize) -> String {
        let age = self.cores[core].age(view.about(), self.taken_at);
        age.map_or_else(|| "-".to_owned(), |age| nanos(age.as_nanos()))
    }

    /// What a core says of itself, as JSON.
    pub(crate) fn core_json(&self, view: &View<SharedView>, core: usize) -> Map<String, Value> {
        let found = &self.cores[core];
        let age = found.age(view.about(), self.taken_at).map(|age| age.as_nanos() / 1_000_000);
        let facts = view.facts().iter().cloned().zip(found.facts.iter().map(|f| json!(f)));
        let Value::Object(object) = json!({
            "core": core,
            "state": found.state.name(),
            "age_ms": age,
            "turns": found.turns,
            "whole": found.is_whole,
            "stuck": self.is_stuck(view, core),
            "facts": Value::Object(facts.collect()),
        }) else {
            return Map::new();
        };
        object
    }
}

fn read(view: &View<SharedView>, core: usize, is_alive: bool) -> Snapshot {
    let mut found = view.core(core);
    for _ in 0..if is_alive { WHOLE_TRIES } else { 0 } {
        if found.is_whole {
            break;
        }
        thread::sleep(WHOLE_PAUSE);
        found = view.core(core);
    }
    found
}

/// One line on the gateway, for people.
pub(crate) fn headline(view: &View<SharedView>, is_alive: bool) -> String {
    let about = view.about();
    let life = if is_alive {
        format!("up {}", duration(clock::uptime_s(about)))
    } else {
        format!("DEAD, started {} ago", duration(clock::uptime_s(about)))
    };
    let cores =
        if about.cores == 1 { "1 core".to_owned() } else { format!("{} cores", about.cores) };
    format!(
        "gateway {}: pid {}, version {}, {life}, {cores}",
        about.instance, about.pid, about.version
    )
}

/// What every command's object begins with.
pub(crate) fn about_json(view: &View<SharedView>, is_alive: bool) -> Map<String, Value> {
    let about = view.about();
    let Value::Object(object) = json!({
        "instance": about.instance,
        "pid": about.pid,
        "alive": is_alive,
        "version": about.version,
        "layout": format!("{}.{}", about.layout[0], about.layout[1]),
        "generation": about.generation,
        "started_unix_ns": about.started_unix_ns,
        "uptime_s": clock::uptime_s(about),
    }) else {
        return Map::new();
    };
    object
}

/// Values by group and name.
pub(crate) fn values_json<'a>(counters: impl Iterator<Item = (&'a Counter, u64)>) -> Value {
    let mut groups = Map::new();
    for (counter, value) in counters {
        let group = groups.entry(counter.group.clone()).or_insert_with(|| json!({}));
        if let Value::Object(group) = group {
            group.insert(counter.name.clone(), json!(value));
        }
    }
    Value::Object(groups)
}

/// How much a counter has grown. One that has fallen is of a new gateway, and has grown from zero.
pub(crate) fn growth(counter: &Counter, before: u64, after: u64) -> u64 {
    match counter.kind {
        Kind::Counter | Kind::Cycles if after < before => after,
        Kind::Counter | Kind::Cycles => after - before,
        Kind::Gauge | Kind::Unknown => 0,
    }
}
