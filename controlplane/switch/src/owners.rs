//! The owners of one answer: each once, by the place that it has in the answer's list.

use crate::table::Slot;

/// See the file's first words. It is kept from one answer to the next.
#[derive(Debug)]
pub(crate) struct Owners {
    /// By slot: in which answer it was named last, and where.
    marks: Vec<(u64, u32)>,
    answer: u64,
    slots: Vec<Slot>,
}

impl Owners {
    pub(crate) fn new(slots_max: u32) -> Self {
        Self { marks: vec![(0, 0); slots_max as usize], answer: 0, slots: Vec::new() }
    }

    /// Begins another answer.
    pub(crate) fn begin(&mut self) {
        self.answer += 1;
        self.slots.clear();
    }

    /// The place of an owner in the answer's list.
    #[inline]
    pub(crate) fn place(&mut self, slot: Slot) -> u32 {
        let mark = &mut self.marks[slot.0 as usize];
        if mark.0 != self.answer {
            let place = u32::try_from(self.slots.len()).expect("no more than slots");
            *mark = (self.answer, place);
            self.slots.push(slot);
        }
        mark.1
    }

    /// The answer's owners so far.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;
    use crate::table::Slot;

    #[test]
    fn each_owner_has_one_place_in_each_answer() {
        let mut owners = Owners::new(4);
        for _ in 0..2 {
            owners.begin();
            let places = [3, 1, 3, 2, 1].map(|slot| owners.place(Slot(slot)));
            assert_eq!(places, [0, 1, 0, 2, 1]);
            assert_eq!(owners.slots(), [Slot(3), Slot(1), Slot(2)]);
        }
    }
}
