//! The flow index: from a keyed hash of four addresses to the number of a record.
//!
//! A naive `HashMap` touches the key on every probe, moves everything at once when it grows, and
//! leaves tombstones under churn. Here a bucket is one cache line of nine 16-bit tags and 32-bit
//! values, so a look-up costs one line and (nearly always) one record; a whole burst is prefetched
//! at a time. An entry that finds its home bucket full lies at most [`DISPLACEMENT_MAX`] buckets
//! further on, with its distance beside it; the home counts its strays, so a miss stops at once
//! and removal leaves no tombstone.
//!
//! The home is the hash *scaled* to the number of buckets, not masked, so any number will do and
//! growth keeps the order: the table grows by moving its buckets, the last first, to where the
//! larger scale puts them, a few per insertion, and both parts stay evenly filled meanwhile.
//! (Splitting one bucket after another, as linear hashing does, leaves the part that is not split
//! yet at twice the load of the other, which displacement cannot absorb.)
//!
//! ```text
//! hash: [ scaled: home bucket ] ... [ 16 bits tag ]
//! bucket: tags 9 x 2 | distances 9 x 4 bits | strays 1 | spare 4 | values 9 x 4     = 64 bytes
//! growing:  0 ... cursor: homes of the old scale | gap | homes of the new scale ... end
//! ```

use memory::{ArenaError, Array, PageChoice};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::{INDEX_LOAD_MAX, INDEX_MOVES_PER_INSERT};

const ENTRIES: usize = 9;
/// How far from home an entry may lie: four bits hold it.
const DISPLACEMENT_MAX: usize = 15;
/// Tag of an empty entry.
const EMPTY: u16 = 0;
/// Entries that found no room within reach of their home: with a keyed hash none is ever here, but
/// a move must never fail half-way.
const SPILL_MAX: usize = 512;
/// In the place of a bucket's number: the entry lies in the spill.
const SPILL: usize = usize::MAX;
/// Entries that moving one bucket takes out at most: one window.
const MOVED_MAX: usize = ENTRIES * (DISPLACEMENT_MAX + 1);
/// The fewest buckets.
const BUCKETS_MIN: usize = 32;

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u16; ENTRIES],
    distances: [u8; 5],
    /// Entries whose home this is and that lie further on.
    strays: u8,
    spare: [u8; 4],
    values: [u32; ENTRIES],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    fn distance(&self, slot: usize) -> usize {
        usize::from((self.distances[slot / 2] >> (slot % 2 * 4)) & 0x0f)
    }

    fn set_distance(&mut self, slot: usize, distance: usize) {
        let nibble = u8::try_from(distance).expect("at most 15");
        let shift = slot % 2 * 4;
        let byte = &mut self.distances[slot / 2];
        *byte = (*byte & !(0x0f << shift)) | (nibble << shift);
    }

    /// Slots that hold `tag`, as bits.
    #[inline]
    fn matches(&self, tag: u16) -> u32 {
        let mut bits = 0;
        for (slot, &other) in self.tags.iter().enumerate() {
            bits |= u32::from(other == tag) << slot;
        }
        bits
    }
}

/// The index has no room: every bucket within reach of the home is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flow index has no room for another connection")]
pub(crate) struct Full;

/// Hash to value, many values to a tag; the caller tells them apart.
#[derive(Debug)]
pub(crate) struct FlowIndex {
    buckets: Array<Bucket>,
    /// Buckets of the present scale (without the room for strays of the last ones).
    count: usize,
    /// Buckets of the scale that is being grown to; the same while none is.
    count_next: usize,
    /// Homes of the present scale that have not moved yet: those below.
    cursor: usize,
    count_max: usize,
    len: usize,
    spill: Vec<(u64, u32)>,
}

impl FlowIndex {
    /// An index that holds `entries_max` at a load of about 0.8. All of it is mapped and touched
    /// now; it begins small within, so that few flows share few cache lines.
    pub(crate) fn new(entries_max: usize, pages: PageChoice) -> Result<Self, ArenaError> {
        let count_max = (entries_max * 5 / 4).div_ceil(ENTRIES).max(BUCKETS_MIN);
        let count = (count_max / 64).max(BUCKETS_MIN);
        Ok(Self {
            buckets: Array::new(count_max + DISPLACEMENT_MAX, pages)?,
            count,
            count_next: count,
            cursor: count,
            count_max,
            len: 0,
            spill: Vec::with_capacity(SPILL_MAX),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Brings the home bucket of `hash` towards the cache.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.buckets.prefetch(self.home(hash));
    }

    /// The first value whose tag fits: what to prefetch next. It may belong to another flow.
    #[inline]
    pub(crate) fn candidate(&self, hash: u64) -> Option<u32> {
        let bucket = &self.buckets[self.home(hash)];
        let bits = bucket.matches(tag_of(hash));
        (bits != 0).then(|| bucket.values[bits.trailing_zeros() as usize])
    }

    /// The value under `hash` that `is_it` recognises.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (bucket, slot) = self.position(hash, is_it)?;
        if bucket == SPILL {
            return Some(self.spill[slot].1);
        }
        Some(self.buckets[bucket].values[slot])
    }

    /// Adds `value` under `hash`; `hash_of` names the hash of any value when buckets move.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        value: u32,
        hash_of: &impl Fn(u32) -> u64,
    ) -> Result<(), Full> {
        self.grow(hash_of);
        if !self.place(hash, value) {
            // The last part of the spill is kept for moves.
            if self.spill.len() + MOVED_MAX >= SPILL_MAX {
                return Err(Full);
            }
            self.spill.push((hash, value));
        }
        self.len += 1;
        Ok(())
    }

    /// Puts `new` in the place of `old`.
    ///
    /// # Panics
    /// If `old` is not there: a record whose flow is not in the index is a broken invariant.
    pub(crate) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let found = self.position(hash, |value| value == old);
        let (bucket, slot) = found.unwrap_or_else(|| panic!("flow {old:#x} is not in the index"));
        if bucket == SPILL {
            self.spill[slot].1 = new;
            return;
        }
        self.buckets[bucket].values[slot] = new;
    }

    /// Takes `value` out.
    ///
    /// # Panics
    /// If it is not there.
    pub(crate) fn remove(&mut self, hash: u64, value: u32) {
        let found = self.position(hash, |other| other == value);
        let (bucket, slot) = found.unwrap_or_else(|| panic!("flow {value:#x} is not in the index"));
        self.len -= 1;
        if bucket == SPILL {
            self.spill.swap_remove(slot);
            return;
        }
        let distance = self.buckets[bucket].distance(slot);
        self.buckets[bucket].tags[slot] = EMPTY;
        if distance > 0 {
            let home = self.home(hash);
            self.buckets[home].strays -= 1;
        }
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        let home = scaled(hash, self.count);
        if home < self.cursor { home } else { scaled(hash, self.count_next) }
    }

    #[inline]
    fn position(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<(usize, usize)> {
        let (home, tag) = (self.home(hash), tag_of(hash));
        let bucket = &self.buckets[home];
        let mut bits = bucket.matches(tag);
        while bits != 0 {
            let slot = bits.trailing_zeros() as usize;
            if is_it(bucket.values[slot]) {
                return Some((home, slot));
            }
            bits &= bits - 1;
        }
        if bucket.strays == 0 && self.spill.is_empty() {
            return None;
        }
        self.position_of_stray(home, hash, is_it)
    }

    #[cold]
    fn position_of_stray(
        &self,
        home: usize,
        hash: u64,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<(usize, usize)> {
        let tag = tag_of(hash);
        let mut strays = self.buckets[home].strays;
        for distance in 1..=DISPLACEMENT_MAX {
            if strays == 0 {
                break;
            }
            let at = home + distance;
            let bucket = &self.buckets[at];
            for slot in 0..ENTRIES {
                if bucket.tags[slot] == EMPTY || bucket.distance(slot) != distance {
                    continue;
                }
                if bucket.tags[slot] == tag && is_it(bucket.values[slot]) {
                    return Some((at, slot));
                }
                strays -= 1;
            }
        }
        let spilled = self.spill.iter().position(|&(other, value)| other == hash && is_it(value));
        spilled.map(|slot| (SPILL, slot))
    }

    fn place(&mut self, hash: u64, value: u32) -> bool {
        let home = self.home(hash);
        for distance in 0..=DISPLACEMENT_MAX {
            let at = home + distance;
            let bucket = &mut self.buckets[at];
            let empty = bucket.matches(EMPTY);
            if empty == 0 {
                continue;
            }
            let slot = empty.trailing_zeros() as usize;
            bucket.tags[slot] = tag_of(hash);
            bucket.values[slot] = value;
            bucket.set_distance(slot, distance);
            if distance > 0 {
                self.buckets[home].strays += 1;
            }
            return true;
        }
        false
    }

    /// Begins to grow when the load asks for it, and moves a few buckets while growing.
    fn grow(&mut self, hash_of: &impl Fn(u32) -> u64) {
        let is_growing = self.count_next != self.count;
        if !is_growing {
            if self.len < self.count * INDEX_LOAD_MAX || self.count == self.count_max {
                return;
            }
            self.count_next = (self.count * 2).min(self.count_max);
        }
        for _ in 0..INDEX_MOVES_PER_INSERT {
            if self.spill.len() + MOVED_MAX > SPILL_MAX {
                return;
            }
            self.cursor -= 1;
            self.move_home(self.cursor, hash_of);
            if self.cursor == 0 {
                self.count = self.count_next;
                self.cursor = self.count;
                return;
            }
        }
    }

    /// Moves the entries of the old home `home` to where the new scale puts them.
    fn move_home(&mut self, home: usize, hash_of: &impl Fn(u32) -> u64) {
        let mut moved = [(0u64, 0u32); MOVED_MAX];
        let mut moved_len = 0;
        self.take_home(home, hash_of, &mut moved, &mut moved_len);
        for &(hash, value) in &moved[..moved_len] {
            if !self.place(hash, value) {
                self.spill.push((hash, value));
            }
        }
    }

    /// Takes out every entry whose home is `home`.
    fn take_home(
        &mut self,
        home: usize,
        hash_of: &impl Fn(u32) -> u64,
        moved: &mut [(u64, u32)],
        moved_len: &mut usize,
    ) {
        for distance in 0..=DISPLACEMENT_MAX {
            if distance > 0 && self.buckets[home].strays == 0 {
                break;
            }
            let at = home + distance;
            for slot in 0..ENTRIES {
                let bucket = &mut self.buckets[at];
                if bucket.tags[slot] == EMPTY || bucket.distance(slot) != distance {
                    continue;
                }
                let value = bucket.values[slot];
                bucket.tags[slot] = EMPTY;
                if distance > 0 {
                    self.buckets[home].strays -= 1;
                }
                moved[*moved_len] = (hash_of(value), value);
                *moved_len += 1;
            }
        }
    }
}

/// The bucket out of `count` that `hash` falls into; monotonous in both.
#[inline]
fn scaled(hash: u64, count: usize) -> usize {
    let wide = u128::from(hash) * count as u128;
    usize::try_from(wide >> 64).expect("below `count`")
}

/// The sixteen bits that the home depends on least, never [`EMPTY`].
#[inline]
fn tag_of(hash: u64) -> u16 {
    let tag = u16::try_from(hash & 0xffff).expect("16 bits are left");
    tag.max(1)
}

#[cfg(test)]
mod tests;
