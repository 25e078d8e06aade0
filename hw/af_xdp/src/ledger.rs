//! What the kernel has of the arena's frames: lent to be filled, or on their way out.
//!
//! The kernel names frames by their address. What it names is looked up here before anything is
//! done with it, so that a wrong name can be counted and touches no frame that is not the queue's.
//! A frame that is sent to many receivers is in flight many times; completions come in any order.

/// The mark of a frame that the kernel may write into. Counts of frames in flight stay below it.
pub(crate) const LENT: u16 = u16::MAX;

/// One word for each frame of the arena.
#[derive(Debug)]
pub(crate) struct Ledger {
    words: Vec<u16>,
    lent: u32,
    in_flight: u32,
}

impl Ledger {
    pub(crate) fn new(frames: u32) -> Self {
        Self { words: vec![0; frames as usize], lent: 0, in_flight: 0 }
    }

    /// Frames that the kernel may write into.
    #[inline]
    pub(crate) fn lent(&self) -> u32 {
        self.lent
    }

    /// Descriptors on their way out.
    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Notes that the frame is lent.
    ///
    /// # Panics
    /// If the kernel has it already.
    #[inline]
    pub(crate) fn lend(&mut self, index: u32) {
        let word = &mut self.words[index as usize];
        assert!(*word == 0, "frame {index} is lent while the kernel has it: {word:#x}");
        *word = LENT;
        self.lent += 1;
    }

    /// Notes that the kernel gave a lent frame back; false if it had no such frame.
    #[inline]
    pub(crate) fn take_back(&mut self, index: u32) -> bool {
        match self.words.get_mut(index as usize) {
            Some(word) if *word == LENT => {
                *word = 0;
                self.lent -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Notes one descriptor more of the frame on its way out.
    ///
    /// # Panics
    /// If the frame is lent, or in flight more often than any ring allows.
    #[inline]
    pub(crate) fn send(&mut self, index: u32) {
        let word = &mut self.words[index as usize];
        assert!(*word < LENT - 1, "frame {index} is sent while the kernel has it: {word:#x}");
        *word += 1;
        self.in_flight += 1;
    }

    /// Notes that one descriptor of the frame went out; false if none was on its way.
    #[inline]
    pub(crate) fn complete(&mut self, index: u32) -> bool {
        match self.words.get_mut(index as usize) {
            Some(word) if *word != 0 && *word != LENT => {
                *word -= 1;
                self.in_flight -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Every frame that the kernel has.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held> + '_ {
        (0..).zip(&self.words).filter(|(_, word)| **word != 0).map(|(index, word)| match *word {
            LENT => Held::Lent { index },
            times => Held::InFlight { index, times },
        })
    }
}

/// A frame that the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Lent { index: u32 },
    InFlight { index: u32, times: u16 },
}

#[cfg(test)]
mod tests {
    use super::{Held, LENT, Ledger};

    #[test]
    fn a_frame_is_lent_once_and_comes_back_once() {
        let mut ledger = Ledger::new(4);
        ledger.lend(2);
        assert_eq!((ledger.lent(), ledger.in_flight()), (1, 0));
        assert!(!ledger.take_back(1), "it was never lent");
        assert!(!ledger.complete(2), "it is not on its way out");
        assert!(ledger.take_back(2));
        assert!(!ledger.take_back(2));
        assert_eq!(ledger.lent(), 0);
    }

    #[test]
    fn a_frame_is_in_flight_as_often_as_it_was_sent() {
        let mut ledger = Ledger::new(4);
        ledger.send(3);
        ledger.send(3);
        assert!(!ledger.take_back(3), "it was not lent");
        assert_eq!(ledger.in_flight(), 2);
        assert!(ledger.complete(3) && ledger.complete(3));
        assert!(!ledger.complete(3));
        assert_eq!(ledger.in_flight(), 0);
    }

    #[test]
    fn frames_that_the_arena_does_not_have_are_not_there() {
        let mut ledger = Ledger::new(4);
        for index in [4, u32::MAX] {
            assert!(!ledger.take_back(index) && !ledger.complete(index));
        }
    }

    #[test]
    fn everything_that_the_kernel_has_is_listed() {
        let mut ledger = Ledger::new(8);
        ledger.lend(7);
        ledger.send(1);
        ledger.send(1);
        let held: Vec<_> = ledger.held().collect();
        assert_eq!(held, [Held::InFlight { index: 1, times: 2 }, Held::Lent { index: 7 }]);
        assert!(u32::from(LENT) > crate::limits::RING_SIZE_MAX);
    }

    #[test]
    #[should_panic(expected = "is lent while the kernel has it")]
    fn a_frame_on_its_way_out_is_not_lent() {
        let mut ledger = Ledger::new(4);
        ledger.send(0);
        ledger.lend(0);
    }

    #[test]
    #[should_panic(expected = "is sent while the kernel has it")]
    fn a_lent_frame_is_not_sent() {
        let mut ledger = Ledger::new(4);
        ledger.lend(0);
        ledger.send(0);
    }
}
