//! Ports that one answer granted to one call, and what they have in common.
//!
//! The naive design gives each port a text of its own and a count of references to all that it
//! needs: allocations and atomic operations for each of a thousand names, on lines that all threads
//! share. Here the names of such a lot are one text, what is the same for all of them stands beside
//! it once, and a port is a place in its lot. The text goes with the last who has a place in it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::authority::Authority;
use crate::guard::Home;

/// Names in one text, and how long their ports are held.
#[derive(Debug)]
pub(crate) struct Lot {
    text: String,
    /// Where each name ends; none: there is one name.
    ends: Vec<u32>,
    authority: Authority,
    /// Whom guards of these ports tell that they were dropped; set with the first of them.
    home: OnceLock<Home>,
}

impl Lot {
    pub(crate) fn of_one(name: &str, authority: Authority) -> Arc<Self> {
        let (text, ends) = (name.to_owned(), Vec::new());
        Arc::new(Self { text, ends, authority, home: OnceLock::new() })
    }

    /// The name at a place of it.
    #[inline]
    pub(crate) fn name(&self, place: u32) -> &str {
        let place = index(place);
        let Some(&end) = self.ends.get(place) else {
            return &self.text;
        };
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[index(start)..index(end)]
    }

    pub(crate) const fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) const fn home(&self) -> &OnceLock<Home> {
        &self.home
    }

    /// Its ports in their order.
    pub(crate) fn names(lot: &Arc<Self>) -> impl Iterator<Item = PortName> {
        let count = u32::try_from(lot.ends.len().max(1)).unwrap_or(u32::MAX);
        (0..count).map(|place| PortName { lot: Arc::clone(lot), place })
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A lot under way.
#[derive(Debug, Default)]
pub(crate) struct LotBuilder {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl LotBuilder {
    /// For so many names of so many bytes together.
    pub(crate) fn for_names(count: usize, len: usize) -> Self {
        let ends = if count > 1 { Vec::with_capacity(count) } else { Vec::new() };
        Self { bytes: Vec::with_capacity(len), ends }
    }

    /// Appends a name, of a batch: it was made from a text, and a batch has less than 4 GiB.
    #[inline]
    pub(crate) fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a batch has less than 4 GiB"));
    }

    pub(crate) fn finish(self, authority: Authority) -> Arc<Lot> {
        let Self { bytes, mut ends } = self;
        let mut text = String::from_utf8(bytes).expect("each name was made from a text");
        if ends.len() == 1 {
            ends = Vec::new();
        }
        // Where others were refused, their room is given back.
        text.shrink_to_fit();
        ends.shrink_to_fit();
        Arc::new(Lot { text, ends, authority, home: OnceLock::new() })
    }
}

/// The name of a port that was granted. It is a text like any other, and a clone copies none of it.
///
/// Names that were granted to one call at once share their memory, which is free when the last of
/// them is gone.
#[derive(Clone)]
pub struct PortName {
    lot: Arc<Lot>,
    place: u32,
}

impl PortName {
    pub(crate) const fn new(lot: Arc<Lot>, place: u32) -> Self {
        Self { lot, place }
    }

    pub(crate) fn lot(&self) -> &Lot {
        &self.lot
    }

    /// The name as text.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.lot.name(self.place)
    }
}

impl Deref for PortName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for PortName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for PortName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq for PortName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for PortName {}

impl PartialEq<str> for PortName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for PortName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for PortName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PortName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for PortName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use base::Instant;

    use super::*;

    fn authority() -> Authority {
        Authority::until(Instant::from_nanos(1))
    }

    #[test]
    fn names_of_a_lot_are_what_was_put_in() {
        let names = ["a", "ä", "a longer name", "b"];
        let mut lot = LotBuilder::for_names(names.len() + 3, 100);
        names.iter().for_each(|name| lot.push(name.as_bytes()));
        let lot = lot.finish(authority());
        assert_eq!(Lot::names(&lot).collect::<Vec<_>>(), names);
    }

    #[test]
    fn a_lot_of_one_has_one_name() {
        let mut lot = LotBuilder::for_names(1, 3);
        lot.push("one".as_bytes());
        for lot in [lot.finish(authority()), Lot::of_one("one", authority())] {
            assert!(lot.ends.is_empty());
            let names: Vec<PortName> = Lot::names(&lot).collect();
            assert_eq!(
                (names.len(), format!("{names:?} {}", names[0])),
                (1, "[\"one\"] one".into())
            );
        }
    }
}
