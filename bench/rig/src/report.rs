//! What a benchmark found, as one JSON object for programs and as a table for people.

mod figures;
mod table;

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

pub(crate) use self::figures::{Figures, Number};
use crate::error::Error;
use crate::machine::Machine;

/// The result of one run; its fields are the keys of the JSON object, in this order.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report<A> {
    pub(crate) bench: &'static str,
    pub(crate) args: A,
    pub(crate) figures: Figures,
    pub(crate) checks: Checks,
    /// What the machine allows at best, measured in the same run.
    pub(crate) limits: Figures,
    pub(crate) peers: Vec<Peer>,
    pub(crate) ratios: Ratios,
    pub(crate) rounds: u32,
    pub(crate) machine: Machine,
    pub(crate) commit: &'static str,
    /// Sentences for the reader of the table.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// Somebody else's figures under the same load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) flags: String,
    pub(crate) figures: Figures,
}

/// Whether the result was right, and the counts that say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    is_wrong: bool,
    counts: Vec<(&'static str, u64)>,
}

impl Checks {
    /// A count which makes the result wrong unless it is 0.
    pub(crate) fn must_be_zero(mut self, name: &'static str, count: u64) -> Self {
        self.is_wrong |= count != 0;
        self.note(name, count)
    }

    /// A count which says something without being right or wrong.
    pub(crate) fn note(mut self, name: &'static str, count: u64) -> Self {
        self.counts.push((name, count));
        self
    }

    /// Wrong if the other is wrong; its counts stay its own.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.is_wrong |= other.is_wrong;
        self
    }

    pub(crate) fn is_ok(&self) -> bool {
        !self.is_wrong
    }
}

impl Serialize for Checks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ok", &self.is_ok())?;
        for (name, count) in &self.counts {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}

/// Ours divided by the peer's: figure, then peer.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Ratios(BTreeMap<&'static str, BTreeMap<&'static str, Number>>);

impl Ratios {
    /// The ratio of medians of one figure to every peer that has it.
    pub(crate) fn of(figure: &'static str, ours: &Figures, peers: &[Peer]) -> Self {
        let mut by_peer = BTreeMap::new();
        for peer in peers {
            if let (Some(ours), Some(theirs)) = (ours.median(figure), peer.figures.median(figure)) {
                by_peer.insert(peer.name, Number(ours / theirs));
            }
        }
        if by_peer.is_empty() { Self::default() } else { Self(BTreeMap::from([(figure, by_peer)])) }
    }
}

impl Ratios {
    /// Takes over all ratios of another.
    pub(crate) fn join(&mut self, other: Self) {
        for (figure, by_peer) in other.0 {
            self.0.entry(figure).or_default().extend(by_peer);
        }
    }

    /// Adds a ratio to something that is no peer.
    pub(crate) fn add(&mut self, figure: &'static str, to: &'static str, ratio: f64) {
        self.0.entry(figure).or_default().insert(to, Number(ratio));
    }
}

impl<A: Serialize> Report<A> {
    /// Prints the table, or with `is_json` the table to standard error and the object, on one
    /// line, to standard output.
    pub(crate) fn print(&self, is_json: bool) -> Result<(), Error> {
        let table = self.table();
        let printed = if is_json {
            let object = serde_json::to_string(self).expect("every key is a string");
            io::stderr()
                .write_all(table.as_bytes())
                .and_then(|()| writeln!(io::stdout(), "{object}"))
        } else {
            io::stdout().write_all(table.as_bytes())
        };
        printed.map_err(Error::io("print the report"))
    }
}

#[cfg(test)]
mod tests;
