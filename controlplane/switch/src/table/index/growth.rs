//! How the index grows: memory is made present first, then homes are moved, the last first.

use arrayvec::ArrayVec;
use memory::prefetch;

use super::{
    DISTANCE_MAX, EMPTY, ENTRIES, Index, MOVED_MAX, PROBE_FAR, PROBES, REACH_SPILL, Strays,
    distance, larger, print_of, scaled,
};
use crate::limits::{
    FILL_PERCENT, FILL_WAITING_PERCENT, GROWTH_DIVISOR, MOVES_PER_NAME, SPILL_MAX, TOUCH_INDEX_LEN,
};

/// Homes whose records are asked for together before they move: some 36 records.
const MOVED_TOGETHER: usize = 4;

impl Index {
    /// Does what growing asks for when `names` more may come: makes a page present, or moves
    /// [`MOVES_PER_NAME`] homes for each name. `ask` brings a value's record towards the cache,
    /// `hash_of` names its hash.
    #[inline]
    pub(in crate::table) fn grow(
        &mut self,
        names: usize,
        ask: &impl Fn(u32),
        hash_of: &impl Fn(u32) -> u64,
    ) {
        if self.count_next == self.count {
            let is_filled = self.is_filled_to(FILL_PERCENT);
            if !is_filled || self.count == self.count_max || !self.make_present() {
                return;
            }
            self.count_next = self.count_larger();
        }
        self.move_homes(names * MOVES_PER_NAME, ask, hash_of);
    }

    #[inline]
    fn is_filled_to(&self, percent: usize) -> bool {
        self.len * 100 >= self.count * ENTRIES * percent
    }

    fn count_larger(&self) -> usize {
        larger(self.count, self.count_max)
    }

    /// Whether all buckets of the next scale are present; if not, another thread is at it, or a few
    /// more are now. The first to move goes to the far end, so all must be there before. Where the
    /// machine has no page left it is tried again with the next names, and until then the index fills
    /// up.
    #[cold]
    fn make_present(&mut self) -> bool {
        let (shown, wanted) = (self.buckets.len(), self.count_larger() + DISTANCE_MAX);
        if shown >= wanted {
            return true;
        }
        let more = match self.buckets.ask_ahead(wanted) {
            Some(true) => wanted - shown,
            Some(false) if !self.is_filled_to(FILL_WAITING_PERCENT) => return false,
            Some(false) | None => {
                (TOUCH_INDEX_LEN / size_of::<super::Bucket>()).min(wanted - shown)
            }
        };
        self.buckets.grow_to(shown + more).is_ok() && self.buckets.len() >= wanted
    }

    #[cold]
    fn move_homes(&mut self, budget: usize, ask: &impl Fn(u32), hash_of: &impl Fn(u32) -> u64) {
        let end = self.cursor.saturating_sub(budget);
        self.ask_ahead(self.cursor, end, ask);
        while self.cursor > end {
            let batch = (self.cursor - end).min(MOVED_TOGETHER);
            // The records of the next few come while these move.
            self.ask_ahead(self.cursor - batch, end, ask);
            for _ in 0..batch {
                // What finds no room goes to the spill, so there must be room for all of a home.
                if self.spill.len() + MOVED_MAX > SPILL_MAX {
                    return;
                }
                self.move_home(self.cursor - 1, hash_of);
            }
        }
        if self.cursor == 0 {
            self.count = self.count_next;
            self.cursor = self.count;
        }
    }

    /// Asks for the records of the few homes below `cursor`, for the buckets below those, and for
    /// where these go.
    fn ask_ahead(&self, cursor: usize, end: usize, ask: &impl Fn(u32)) {
        let first = cursor.saturating_sub(MOVED_TOGETHER).max(end);
        let goes_to = first * self.count_next / self.count;
        for to in goes_to..goes_to + MOVED_TOGETHER + MOVED_TOGETHER / GROWTH_DIVISOR {
            self.buckets.prefetch(to);
        }
        for home in first..cursor {
            let reach = self.buckets[home].strays.reach().min(PROBE_FAR - 1);
            // The buckets of strays were come by a while ago.
            for probe in 0..=reach {
                let bucket = &self.buckets[home + distance(probe)];
                let mut held = bucket.held() & bucket.of_probe(probe);
                while held != 0 {
                    ask(bucket.values[held.trailing_zeros() as usize]);
                    held &= held - 1;
                }
            }
            if let Some(later) = home.checked_sub(2 * MOVED_TOGETHER) {
                prefetch(&self.buckets[later]);
            }
        }
    }

    /// Moves the entries of the last old home `home` to where the new scale puts them.
    fn move_home(&mut self, home: usize, hash_of: &impl Fn(u32) -> u64) {
        let mut moved = ArrayVec::new();
        self.take_home(home, hash_of, &mut moved);
        let is_spilled = self.buckets[home].strays.reach() == REACH_SPILL;
        self.buckets[home].strays = Strays::NONE;
        self.cursor = home;
        self.moves += 1;
        self.place_together(&moved);
        if is_spilled {
            self.move_spilled(home);
        }
    }

    /// Gives entries of one old home their place under the new scale: nearly all go to two buckets,
    /// whose empty entries are looked for once.
    fn place_together(&mut self, moved: &[(u64, u32)]) {
        let (mut last, mut empty) = (usize::MAX, 0);
        let (mut before, mut before_empty) = (usize::MAX, 0);
        for &(hash, value) in moved {
            let home = self.home(hash);
            if home != last {
                (last, before) = (before, last);
                (empty, before_empty) = (before_empty, empty);
                if home != last {
                    (last, empty) = (home, self.buckets[home].matches(EMPTY));
                }
            }
            if empty == 0 {
                self.place_again(hash, value);
                // The stray may have gone to either.
                (last, before) = (usize::MAX, usize::MAX);
                continue;
            }
            let bucket = &mut self.buckets[home];
            let slot = empty.trailing_zeros() as usize;
            bucket.tags[slot] = print_of(hash);
            bucket.values[slot] = value;
            empty &= empty - 1;
        }
    }

    /// Takes out every entry whose home is `home`, but those in the spill.
    fn take_home(
        &mut self,
        home: usize,
        hash_of: &impl Fn(u32) -> u64,
        moved: &mut ArrayVec<(u64, u32), MOVED_MAX>,
    ) {
        let reach = self.buckets[home].strays.reach().min(PROBES - 1);
        for probe in 0..=reach {
            let at = home + distance(probe);
            let mut held = self.buckets[at].held() & self.buckets[at].of_probe(probe);
            while held != 0 {
                let slot = held.trailing_zeros() as usize;
                held &= held - 1;
                let value = self.buckets[at].values[slot];
                let hash = hash_of(value);
                if self.home(hash) != home {
                    assert!(probe >= PROBE_FAR, "probe {probe} of {home} holds {hash:#x}");
                    continue;
                }
                self.buckets[at].tags[slot] = EMPTY;
                moved.push((hash, value));
            }
        }
    }

    /// Gives the spilled entries of a home that has moved their place under the new scale.
    #[cold]
    fn move_spilled(&mut self, home: usize) {
        // From the end: what takes the removed one's place, or is spilled again, is behind.
        for at in (0..self.spill.len()).rev() {
            let (hash, value) = self.spill[at];
            if scaled(hash, self.count) == home {
                self.spill.swap_remove(at);
                self.place_again(hash, value);
            }
        }
    }

    fn place_again(&mut self, hash: u64, value: u32) {
        let home = self.home(hash);
        if !self.place_at(home, hash, value) {
            self.spill(home, hash, value);
        }
    }
}
