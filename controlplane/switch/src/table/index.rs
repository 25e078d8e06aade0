//! The index: from the keyed hash of a name to the number of its cell.
//!
//! A bucket is one cache line of ten 16-bit tags and ten cell numbers. An entry that finds its home
//! bucket full is a stray: it lies at one of a few growing distances further on. The home counts its
//! strays by eight classes of their tags, so that a look for what is not there stops at the home
//! but for one in five or ten, and removal leaves no tombstone. Probing the very next buckets
//! instead, as the flow index of the data plane does, costs twice as many lines at this fill.
//!
//! A tag says at which probe of its home it lies, so the home of a near stray is known without its
//! name: room that comes free in a home goes to one of its strays at once, and names that come and
//! go leave the index nearly as it was when it was filled once.
//!
//! The home is the hash *scaled* to the number of buckets, and the index grows from its end, as the
//! flow index does (see `docs/adr/0006-flow-index-grows-by-scaling.md`), but by a quarter at a time:
//! here memory counts more than moves.
//!
//! ```text
//! hash:   [ scaled: home bucket ] ................ [ 12 bits, of them class 3 ]
//! tag:    [ 4 bits probe, 15 stands for all from 15 on ][ those 12 bits, never 0 ]
//! bucket: tags 10 x 2 | strays: 8 classes x 3 bits, reach 8 bits | values 10 x 4      = 64 bytes
//! probes: home + 0, 1, 3, 6, 10, ... 496
//! ```

mod growth;
#[cfg(test)]
mod tests;

use memory::{ArenaError, Array, PageChoice, equal_lanes};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::{FILL_PERCENT, GROWTH_DIVISOR, SPILL_MAX};

pub(super) const ENTRIES: usize = 10;
/// Buckets in which an entry may lie, its home among them.
const PROBES: usize = 32;
/// How far from its home the last of them is.
const DISTANCE_MAX: usize = distance(PROBES - 1);
/// Tag of an empty entry.
const EMPTY: u16 = 0;
/// The bits of a tag that are of the hash.
const PRINT_MASK: u16 = 0x0fff;
/// Where in a tag the probe is.
const PROBE_SHIFT: u32 = 12;
/// In the place of a probe in a tag: this one or one further on.
const PROBE_FAR: usize = 15;
/// In the place of a bucket's number: the entry lies in the spill.
const SPILL: usize = usize::MAX;
/// Entries that moving one home takes out at most, those in the spill apart.
const MOVED_MAX: usize = ENTRIES * PROBES;
/// Buckets of strays that are asked for ahead of a look.
const PROBES_AHEAD: usize = 3;
/// The fewest buckets.
const BUCKETS_MIN: usize = 32;

/// How many buckets from the home probe number `probe` is.
const fn distance(probe: usize) -> usize {
    probe * (probe + 1) / 2
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u16; ENTRIES],
    strays: Strays,
    values: [u32; ENTRIES],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    /// Entries of the home from which this is probe number `probe`, which is below [`PROBE_FAR`], as
    /// bits; of probe 0, empty ones too.
    #[inline(always)]
    fn of_probe(&self, probe: usize) -> u32 {
        let all = self.tags.map(|tag| tag & !PRINT_MASK);
        Self { tags: all, ..*self }.matches(probe_bits(probe))
    }

    /// Entries that hold `tag`, as bits.
    #[inline(always)]
    fn matches(&self, tag: u16) -> u32 {
        let [a, b, c, d, e, f, g, h, i, k] = self.tags;
        let first = equal_lanes(&[a, b, c, d, e, f, g, h], tag);
        u32::from(first) | u32::from(i == tag) << 8 | u32::from(k == tag) << 9
    }

    /// Entries that are not empty, as bits.
    #[inline(always)]
    fn held(&self) -> u32 {
        !self.matches(EMPTY) & ((1 << ENTRIES) - 1)
    }
}

/// What a home knows of its entries that lie elsewhere: a count for each class, three bits wide,
/// and above them the last probe that one lies at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(transparent)]
struct Strays(u32);

/// This many or more of a class: it is not counted down any more, until the home is moved.
const STRAYS_SATURATED: u32 = 7;
const COUNTS_MASK: u32 = 0x00ff_ffff;
/// The reach of a home of which an entry lies in the spill.
const REACH_SPILL: usize = 0xff;

impl Strays {
    const NONE: Self = Self(0);

    #[inline]
    fn of_class(self, tag: u16) -> u32 {
        (self.0 >> class_shift(tag)) & STRAYS_SATURATED
    }

    fn reach(self) -> usize {
        (self.0 >> 24) as usize
    }

    fn add(&mut self, tag: u16, probe: usize) {
        if self.of_class(tag) < STRAYS_SATURATED {
            self.0 += 1 << class_shift(tag);
        }
        let reach = u32::try_from(self.reach().max(probe)).expect("one byte");
        self.0 = self.0 & COUNTS_MASK | reach << 24;
    }

    fn remove(&mut self, tag: u16) {
        if self.of_class(tag) < STRAYS_SATURATED {
            self.0 -= 1 << class_shift(tag);
        }
        if self.0 & COUNTS_MASK == 0 {
            *self = Self::NONE;
        }
    }
}

/// There is no room within reach of the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// What is worth asking the memory for before a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// The record of this value; it may belong to another name.
    Value(u32),
    /// Buckets of strays were asked for: see [`Index::stray_ahead`].
    Strays,
    /// There is no entry.
    Nothing,
}

/// Where an entry lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    bucket: usize,
    slot: usize,
    pub(super) value: u32,
}

/// Hash to value, many values to a tag; the caller tells them apart.
#[derive(Debug)]
pub(super) struct Index {
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
    /// Homes that were moved, ever.
    moves: u64,
}

impl Index {
    /// An index that is [`FILL_PERCENT`] full with `planned` entries, and can grow for `max`.
    pub(super) fn new(planned: u32, max: u32, pages: PageChoice) -> Result<Self, ArenaError> {
        let (count, count_max) = Self::counts(planned, max);
        let buckets = Array::growable(count + DISTANCE_MAX, count_max + DISTANCE_MAX, pages)?;
        Ok(Self {
            buckets,
            count,
            count_next: count,
            cursor: count,
            count_max,
            len: 0,
            spill: Vec::with_capacity(SPILL_MAX),
            moves: 0,
        })
    }

    /// Buckets at the start, and at most.
    fn counts(planned: u32, max: u32) -> (usize, usize) {
        (buckets_for(planned), buckets_for(max))
    }

    /// Bytes of a new index.
    pub(super) fn len_at_start(planned: u32, max: u32) -> u64 {
        let (count, _) = Self::counts(planned, max);
        ((count + DISTANCE_MAX) * size_of::<Bucket>()) as u64
    }

    /// Bytes of an index that was made for `planned` entries, may grow to `max`, and has come to
    /// `held`: at most, for it is largest when a step of growth begins.
    pub(super) fn len_at(planned: u32, max: u32, held: u32) -> u64 {
        let (at_start, count_max) = Self::counts(planned, max);
        if held <= planned {
            return Self::len_at_start(planned, max);
        }
        let count = larger(buckets_for(held), count_max).max(at_start);
        ((count + DISTANCE_MAX) * size_of::<Bucket>()) as u64
    }

    /// Bytes that are present now.
    #[cfg(test)]
    pub(super) fn len_now(&self) -> u64 {
        (self.buckets.len() * size_of::<Bucket>()) as u64
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Buckets that are present, those of a scale that is grown to included.
    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    pub(super) fn spilled(&self) -> usize {
        self.spill.len()
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// Brings the home bucket of `hash` towards the cache.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.buckets.prefetch(self.home(hash));
    }

    /// Asks for where an entry goes whose home bucket, which is there by now, is full; the first of
    /// these may be full too.
    #[inline]
    pub(super) fn prefetch_room(&self, hash: u64) {
        let home = self.home(hash);
        if self.buckets[home].matches(EMPTY) == 0 {
            for probe in 1..=PROBES_AHEAD {
                self.buckets.prefetch(home + distance(probe));
            }
        }
    }

    /// Asks for what a removal under `hash` may bring back to its home bucket, which is there by now.
    #[inline]
    pub(super) fn prefetch_strays(&self, hash: u64) {
        let home = self.home(hash);
        for probe in 1..=self.buckets[home].strays.reach().min(PROBES_AHEAD) {
            self.buckets.prefetch(home + distance(probe));
        }
    }

    /// What a look for `hash` will need after its home bucket, which is there by now.
    #[inline]
    pub(super) fn ahead(&self, hash: u64) -> Ahead {
        let (home, print) = (self.home(hash), print_of(hash));
        let bucket = &self.buckets[home];
        let bits = bucket.matches(print);
        if bits != 0 {
            return Ahead::Value(bucket.values[bits.trailing_zeros() as usize]);
        }
        if bucket.strays.of_class(print) == 0 {
            return Ahead::Nothing;
        }
        for probe in 1..=bucket.strays.reach().min(PROBES_AHEAD) {
            self.buckets.prefetch(home + distance(probe));
        }
        Ahead::Strays
    }

    /// The first value whose tag fits in the buckets that [`Index::ahead`] has asked for.
    #[inline]
    pub(super) fn stray_ahead(&self, hash: u64) -> Option<u32> {
        let (home, print) = (self.home(hash), print_of(hash));
        let reach = self.buckets[home].strays.reach().min(PROBES_AHEAD);
        (1..=reach).find_map(|probe| {
            let bucket = &self.buckets[home + distance(probe)];
            let bits = bucket.matches(print | probe_bits(probe));
            (bits != 0).then(|| bucket.values[bits.trailing_zeros() as usize])
        })
    }

    /// Where the entry under `hash` lies whose value `is_it` recognises.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<Place> {
        let (home, print) = (self.home(hash), print_of(hash));
        let bucket = &self.buckets[home];
        let mut bits = bucket.matches(print);
        while bits != 0 {
            let slot = bits.trailing_zeros() as usize;
            let value = bucket.values[slot];
            if is_it(value) {
                return Some(Place { bucket: home, slot, value });
            }
            bits &= bits - 1;
        }
        if bucket.strays.of_class(print) == 0 {
            return None;
        }
        self.find_stray(home, hash, is_it)
    }

    /// Adds `value` under `hash`, for which there is no entry that it is mistaken for.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, value: u32) -> Result<(), NoRoom> {
        let home = self.home(hash);
        if !self.place_at(home, hash, value) {
            // The last part of the spill is kept for moves.
            if self.spill.len() + MOVED_MAX >= SPILL_MAX {
                return Err(NoRoom);
            }
            self.spill(home, hash, value);
        }
        self.len += 1;
        Ok(())
    }

    /// Takes an entry out that was found at `place`, with nothing done to the index since. If that
    /// makes room in a home, one of its strays comes back: at most one entry moves.
    #[inline]
    pub(super) fn remove(&mut self, hash: u64, place: Place) {
        let Place { bucket, slot, value } = place;
        self.len -= 1;
        let (home, print) = (self.home(hash), print_of(hash));
        if bucket == SPILL {
            let removed = self.spill.swap_remove(slot);
            assert!(removed == (hash, value), "spilled entry {slot} is {removed:?}, not {value}");
            self.buckets[home].strays.remove(print);
            return;
        }
        let held = &mut self.buckets[bucket];
        assert!(held.values[slot] == value, "bucket {bucket} has {:?}, not {value}", held.values);
        held.tags[slot] = EMPTY;
        if bucket != home {
            self.buckets[home].strays.remove(print);
        } else if held.strays != Strays::NONE {
            self.bring_back(home, slot);
        }
    }

    /// Gives the empty entry `slot` of `home` to the nearest of its strays, if one is near.
    fn bring_back(&mut self, home: usize, slot: usize) {
        let reach = self.buckets[home].strays.reach().min(PROBE_FAR - 1);
        for probe in 1..=reach {
            let from = &mut self.buckets[home + distance(probe)];
            let bits = from.of_probe(probe);
            if bits == 0 {
                continue;
            }
            let stray = bits.trailing_zeros() as usize;
            let (print, value) = (from.tags[stray] & PRINT_MASK, from.values[stray]);
            from.tags[stray] = EMPTY;
            let bucket = &mut self.buckets[home];
            bucket.tags[slot] = print;
            bucket.values[slot] = value;
            bucket.strays.remove(print);
            return;
        }
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        let home = scaled(hash, self.count);
        if home < self.cursor { home } else { scaled(hash, self.count_next) }
    }

    #[cold]
    fn find_stray(
        &self,
        home: usize,
        hash: u64,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<Place> {
        let print = print_of(hash);
        let reach = self.buckets[home].strays.reach();
        for probe in 1..=reach.min(PROBES - 1) {
            let at = home + distance(probe);
            let bucket = &self.buckets[at];
            let mut bits = bucket.matches(print | probe_bits(probe));
            while bits != 0 {
                let slot = bits.trailing_zeros() as usize;
                let value = bucket.values[slot];
                if is_it(value) {
                    return Some(Place { bucket: at, slot, value });
                }
                bits &= bits - 1;
            }
        }
        if reach < REACH_SPILL {
            return None;
        }
        let spilled = self.spill.iter().position(|&(other, value)| other == hash && is_it(value));
        spilled.map(|slot| Place { bucket: SPILL, slot, value: self.spill[slot].1 })
    }

    #[inline]
    fn place_at(&mut self, home: usize, hash: u64, value: u32) -> bool {
        let bucket = &mut self.buckets[home];
        let empty = bucket.matches(EMPTY);
        if empty != 0 {
            let slot = empty.trailing_zeros() as usize;
            bucket.tags[slot] = print_of(hash);
            bucket.values[slot] = value;
            return true;
        }
        self.place_stray(home, hash, value)
    }

    #[cold]
    fn place_stray(&mut self, home: usize, hash: u64, value: u32) -> bool {
        for probe in 1..PROBES {
            let bucket = &mut self.buckets[home + distance(probe)];
            let empty = bucket.matches(EMPTY);
            if empty == 0 {
                continue;
            }
            let slot = empty.trailing_zeros() as usize;
            let print = print_of(hash);
            bucket.tags[slot] = print | probe_bits(probe);
            bucket.values[slot] = value;
            self.buckets[home].strays.add(print, probe);
            return true;
        }
        false
    }

    fn spill(&mut self, home: usize, hash: u64, value: u32) {
        assert!(self.spill.len() < SPILL_MAX, "{SPILL_MAX} entries are spilled already");
        self.spill.push((hash, value));
        self.buckets[home].strays.add(print_of(hash), REACH_SPILL);
    }
}

/// The buckets for so many entries.
fn buckets_for(entries: u32) -> usize {
    (entries as usize * 100).div_ceil(ENTRIES * FILL_PERCENT).max(BUCKETS_MIN)
}

/// The buckets of the next scale after `count`.
fn larger(count: usize, count_max: usize) -> usize {
    (count + count.div_ceil(GROWTH_DIVISOR)).min(count_max)
}

/// The bucket out of `count` that `hash` falls into; monotonous in both.
#[inline]
fn scaled(hash: u64, count: usize) -> usize {
    let wide = u128::from(hash) * count as u128;
    #[expect(clippy::cast_possible_truncation, reason = "it is below `count`")]
    let home = (wide >> 64) as usize;
    home
}

/// The twelve bits that the home depends on least, never [`EMPTY`]: the tag of an entry at home.
#[inline]
fn print_of(hash: u64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "twelve bits are wanted")]
    let print = hash as u16 & PRINT_MASK;
    print.max(1)
}

/// What probe number `probe` puts above a tag's bits of the hash.
#[inline]
fn probe_bits(probe: usize) -> u16 {
    let near = u16::try_from(probe.min(PROBE_FAR)).expect("four bits");
    near << PROBE_SHIFT
}

/// Where the count of strays of this tag's class is: the three bits that are lowest choose.
#[inline]
fn class_shift(tag: u16) -> u32 {
    3 * (u32::from(tag) & 7)
}
