//! What a listing must hold, and what it held: each connection once, and nothing else.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ends::PORT;

/// A connection as its client knows it: the server's address, and its own TCP port.
pub(super) type Place = (IpAddr, u16);

/// What one listing held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listing {
    /// From the tool's start to its end.
    pub(super) nanos: u64,
    /// Lines that it printed.
    pub(super) rows: u64,
    /// Connections that it did not list.
    pub(super) missing: u64,
    /// Lines of connections that it had listed before.
    pub(super) twice: u64,
    /// Lines that are no connection of ours, or say something wrong of one.
    pub(super) wrong: u64,
    /// Whether it ended with another exit code than 0.
    pub(super) failed: bool,
}

impl Listing {
    pub(super) fn is_right(&self) -> bool {
        let Self { nanos: _, rows: _, missing, twice, wrong, failed } = *self;
        missing == 0 && twice == 0 && wrong == 0 && !failed
    }
}

/// A line of `abelectl connections --json`: what is checked of it.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    core: u32,
    state: &'a str,
    remote: IpAddr,
    remote_port: u16,
    local: IpAddr,
    local_port: u16,
    active: bool,
}

/// All connections, and in which listing each was seen last.
#[derive(Debug)]
pub(super) struct Ledger {
    client: IpAddr,
    seen: HashMap<Place, u64>,
    /// The listing that runs, counted from 1.
    number: u64,
    listing: Listing,
}

impl Ledger {
    pub(super) fn new(client: IpAddr, expected: &[Place]) -> Self {
        let seen = expected.iter().map(|&place| (place, 0)).collect();
        Self { client, seen, number: 0, listing: Listing::default() }
    }

    /// A listing begins.
    pub(super) fn begin(&mut self) {
        self.number += 1;
        self.listing = Listing::default();
    }

    /// Takes down a line of it.
    pub(super) fn add(&mut self, line: &str) {
        self.listing.rows += 1;
        let Some(place) = self.place(line) else {
            self.listing.wrong += 1;
            return;
        };
        match self.seen.get_mut(&place) {
            Some(last) if *last == self.number => self.listing.twice += 1,
            Some(last) => *last = self.number,
            None => self.listing.wrong += 1,
        }
    }

    /// It has ended; what it held.
    pub(super) fn end(&self) -> Listing {
        let Listing { rows, twice, wrong, .. } = self.listing;
        let listed = rows - twice - wrong;
        Listing { missing: self.seen.len() as u64 - listed, ..self.listing }
    }

    /// Whose line it is; none if it says what is not so.
    fn place(&self, line: &str) -> Option<Place> {
        let Line { core, state, remote, remote_port, local, local_port, active } =
            serde_json::from_str(line).ok()?;
        let is_right = core == 0
            && state == "established"
            && remote == self.client
            && local_port == PORT
            && !active;
        is_right.then_some((local, remote_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "10.77.0.1";

    fn line(local: &str, remote_port: u16, state: &str) -> String {
        format!(
            r#"{{"core":0,"state":"{state}","remote":"{CLIENT}","remote_port":{remote_port},
            "local":"{local}","local_port":7,"listener":0,"active":false,"busy":true}}"#
        )
    }

    fn ledger() -> Ledger {
        let server = "10.77.0.2".parse().expect("an address");
        Ledger::new(CLIENT.parse().expect("an address"), &[(server, 40_000), (server, 40_001)])
    }

    #[test]
    fn listing_of_all_is_right_again_and_again() {
        let mut ledger = ledger();
        for _listing in 0..3 {
            ledger.begin();
            for port in [40_001, 40_000] {
                ledger.add(&line("10.77.0.2", port, "established"));
            }
            assert!(ledger.end().is_right(), "{:?}", ledger.end());
            assert_eq!(ledger.end().rows, 2);
        }
    }

    #[test]
    fn what_is_missing_twice_or_wrong_is_counted_as_such() {
        let mut ledger = ledger();
        ledger.begin();
        let once = line("10.77.0.2", 40_000, "established");
        ledger.add(&once);
        ledger.add(&once);
        let expected = Listing { rows: 2, missing: 1, twice: 1, ..Listing::default() };
        assert_eq!(ledger.end(), expected);
        ledger.begin();
        let wrong = [
            line("10.77.0.2", 40_001, "closing"),
            line("10.77.0.3", 40_001, "established"),
            line("10.77.0.2", 40_002, "established"),
            line("10.77.0.2", 40_001, "established").replace("\"core\":0", "\"core\":1"),
            line("10.77.0.2", 40_001, "established").replace(":7,", ":8,"),
            line("10.77.0.2", 40_001, "established").replace(CLIENT, "10.77.0.9"),
            "{}".to_owned(),
        ];
        wrong.iter().for_each(|line| ledger.add(line));
        let expected = Listing { rows: 7, missing: 2, wrong: 7, ..Listing::default() };
        assert_eq!(ledger.end(), expected);
        let failed = Listing { failed: true, ..Listing::default() };
        assert!(!failed.is_right() && !expected.is_right());
    }
}
