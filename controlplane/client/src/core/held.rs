//! What a session holds, by grant.

use std::sync::Arc;

use protocol::Sequence;

use crate::lot::{Lot, PortName};
use crate::numbers::NumberMap;

/// Ports by the number of their grant; each lot is there once for all of its ports.
#[derive(Debug, Default)]
pub(super) struct Held {
    ports: NumberMap<Sequence, Place>,
    lots: Vec<Option<Kept>>,
    free: Vec<u32>,
}

/// Where a port is.
#[derive(Clone, Copy, Debug)]
struct Place {
    lot: u32,
    place: u32,
}

/// A lot of which something is held.
#[derive(Debug)]
struct Kept {
    lot: Arc<Lot>,
    count: usize,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.ports.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    pub(super) fn contains(&self, sequence: Sequence) -> bool {
        self.ports.contains_key(&sequence)
    }

    /// Which port a grant is of.
    pub(super) fn name(&self, sequence: Sequence) -> Option<PortName> {
        let Place { lot, place } = *self.ports.get(&sequence)?;
        let kept = self.lots[index(lot)].as_ref()?;
        Some(PortName::new(Arc::clone(&kept.lot), place))
    }

    /// The ports of a lot are held, by these grants in its order.
    pub(super) fn insert(
        &mut self,
        lot: &Arc<Lot>,
        sequences: impl ExactSizeIterator<Item = Sequence>,
    ) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.lots.push(None);
            u32::try_from(self.lots.len() - 1).expect("there are fewer lots than ports")
        });
        self.lots[index(number)] = Some(Kept { lot: Arc::clone(lot), count: sequences.len() });
        self.ports.reserve(sequences.len());
        for (place, sequence) in (0..).zip(sequences) {
            // A switch that gives a number twice means the later grant.
            if let Some(before) = self.ports.insert(sequence, Place { lot: number, place }) {
                self.leave(before.lot);
            }
        }
    }

    /// A port is held no more. `false`: it was not, by this grant.
    pub(super) fn remove(&mut self, name: &str, sequence: Sequence) -> bool {
        let Some(at) = self.ports.remove(&sequence) else {
            return false;
        };
        let is_it = |kept: &Kept| kept.lot.name(at.place) == name;
        if !self.lots[index(at.lot)].as_ref().is_some_and(is_it) {
            self.ports.insert(sequence, at);
            return false;
        }
        self.leave(at.lot);
        true
    }

    /// One port of a lot is held no more.
    fn leave(&mut self, number: u32) {
        let kept = &mut self.lots[index(number)];
        let left = kept.as_mut().map_or(0, |kept| {
            kept.count -= 1;
            kept.count
        });
        if left == 0 && kept.take().is_some() {
            self.free.push(number);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use base::Instant;

    use super::*;
    use crate::authority::Authority;
    use crate::lot::LotBuilder;

    fn lot(names: &[&str]) -> Arc<Lot> {
        let mut lot = LotBuilder::for_names(names.len(), 8);
        names.iter().for_each(|name| lot.push(name.as_bytes()));
        lot.finish(Authority::until(Instant::from_nanos(1)))
    }

    fn at(count: u64) -> Sequence {
        Sequence::new(0, count)
    }

    #[test]
    fn a_port_is_found_and_let_go_by_its_grant_and_its_lot_goes_with_the_last() {
        let mut held = Held::default();
        let ab = lot(&["a", "b"]);
        held.insert(&ab, [at(1), at(7)].into_iter());
        held.insert(&lot(&["c"]), [at(2)].into_iter());
        let name = |held: &Held, count| held.name(at(count)).map(|name| name.to_string());
        assert_eq!(name(&held, 7).as_deref(), Some("b"));
        assert_eq!(name(&held, 2).as_deref(), Some("c"));
        assert!(!held.remove("a", at(7)), "that grant is of another port");
        assert!(held.remove("b", at(7)) && !held.remove("b", at(7)));
        assert_eq!((held.len(), Arc::strong_count(&ab)), (2, 2));
        assert!(held.remove("a", at(1)));
        assert_eq!((held.len(), Arc::strong_count(&ab)), (1, 1));
        held.insert(&lot(&["d"]), [at(9)].into_iter());
        assert_eq!((held.lots.len(), name(&held, 9).as_deref()), (2, Some("d")));
    }

    #[test]
    fn a_grant_that_comes_twice_is_held_once() {
        let mut held = Held::default();
        let (one, two) = (lot(&["a"]), lot(&["b"]));
        held.insert(&one, [at(1)].into_iter());
        held.insert(&two, [at(1)].into_iter());
        assert_eq!((held.len(), Arc::strong_count(&one)), (1, 1));
        assert!(!held.remove("a", at(1)) && held.remove("b", at(1)) && held.is_empty());
    }
}
