//! An answer in parts: `multipart/byteranges`, of stretches that lie in the document and are sent
//! from there.
//!
//! The naive server puts the whole answer together before it sends it; a few requests that ask for
//! thousands of stretches, each of them the whole document, then fill all memory (CVE-2011-3192).
//! Here stretches that touch become one, so that no byte is sent twice; there are at most
//! [`PARTS_MAX`]; and an answer in parts that would be longer than the document is the document.

use super::answer::Writer;
use super::stored::Stored;
use crate::limits::{ANSWER_HEAD_LEN_MAX, PARTS_LEN, PARTS_MAX};

/// The number of the stretches that were just read, before a session keeps them.
pub(crate) const JUST_READ: u32 = u32::MAX - 1;

/// The stretches of a document that are asked for, in the order in which they were named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    stretches: [(u64, u64); PARTS_MAX],
    len: usize,
}

const _: () = assert!(size_of::<Parts>() == PARTS_LEN);

/// There are more stretches than are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Parts {
    pub(crate) const NONE: Self = Self { stretches: [(0, 0); PARTS_MAX], len: 0 };

    /// Each one: from this byte to before that.
    pub(crate) fn stretches(&self) -> &[(u64, u64)] {
        &self.stretches[..self.len]
    }

    /// Adds a stretch that is not empty. It becomes one with all that it touches, at the place of
    /// the first of these.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
    //# a server MAY coalesce any of the ranges that overlap ... A server that generates a multipart
    //# response SHOULD send the parts in the same order that the corresponding range-spec appeared
    pub(crate) fn add(&mut self, start: u64, end: u64) -> Result<(), TooMany> {
        let (mut start, mut end) = (start, end);
        let mut place = None;
        let mut kept = 0;
        for at in 0..self.len {
            let (first, last) = self.stretches[at];
            if start <= last && first <= end {
                (start, end) = (start.min(first), end.max(last));
                if place.is_some() {
                    continue;
                }
                place = Some(kept);
            }
            self.stretches[kept] = (first, last);
            kept += 1;
        }
        self.len = kept;
        let is_new = place.is_none();
        let place = place.unwrap_or(kept);
        *self.stretches.get_mut(place).ok_or(TooMany)? = (start, end);
        self.len += usize::from(is_new);
        // It has grown, and may touch one that stands before it and did not touch it then.
        if !is_new && self.touches(place) { self.add_again(place) } else { Ok(()) }
    }

    fn touches(&self, place: usize) -> bool {
        let (start, end) = self.stretches[place];
        let others = self.stretches().iter().enumerate().filter(|(at, _)| *at != place);
        others.into_iter().any(|(_, &(first, last))| start <= last && first <= end)
    }

    /// Takes one out and adds it anew: there is one less each time.
    fn add_again(&mut self, place: usize) -> Result<(), TooMany> {
        let (start, end) = self.stretches[place];
        self.stretches.copy_within(place + 1..self.len, place);
        self.len -= 1;
        self.add(start, end)
    }

    /// Bytes of the whole content.
    pub(crate) fn content_len(
        &self,
        document: &Stored,
        out: &mut [u8; ANSWER_HEAD_LEN_MAX],
    ) -> u64 {
        let part = |&(start, end): &(u64, u64)| {
            write_part_head(document, (start, end), out) as u64 + (end - start)
        };
        let parts: u64 = self.stretches().iter().map(part).sum();
        parts + write_end(document, out) as u64
    }
}

/// Writes what stands before a part; its length.
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.6
//# each body part ... Content-Type ... Content-Range
pub(crate) fn write_part_head(
    document: &Stored,
    (start, end): (u64, u64),
    out: &mut [u8; ANSWER_HEAD_LEN_MAX],
) -> usize {
    let mut head = Writer { out, len: 0 };
    head.put(b"\r\n--");
    head.put(document.boundary());
    head.put(b"\r\n");
    head.put(document.type_line());
    head.put_content_range((start, end), document.body.len() as u64);
    head.put(b"\r\n");
    head.len
}

/// Writes what stands behind the last part; its length.
pub(crate) fn write_end(document: &Stored, out: &mut [u8; ANSWER_HEAD_LEN_MAX]) -> usize {
    let mut end = Writer { out, len: 0 };
    end.put(b"\r\n--");
    end.put(document.boundary());
    end.put(b"--\r\n");
    end.len
}

#[cfg(test)]
mod tests {
    use base::Rng;

    use super::{Parts, TooMany};
    use crate::limits::PARTS_MAX;

    fn parts(stretches: &[(u64, u64)]) -> Parts {
        let mut parts = Parts::NONE;
        stretches.iter().for_each(|&(start, end)| parts.add(start, end).unwrap());
        parts
    }

    #[test]
    fn stretches_that_touch_become_one_at_the_place_of_the_first() {
        for (given, expected) in [
            (vec![(0, 1), (4, 5)], vec![(0, 1), (4, 5)]),
            (vec![(4, 5), (0, 1)], vec![(4, 5), (0, 1)]),
            (vec![(4, 5), (0, 1), (1, 4)], vec![(0, 5)]),
            (vec![(0, 1), (8, 9), (4, 5), (3, 8)], vec![(0, 1), (3, 9)]),
            (vec![(8, 9), (0, 1), (20, 21), (1, 8)], vec![(0, 9), (20, 21)]),
            (vec![(20, 21), (9, 12), (0, 3), (2, 10)], vec![(20, 21), (0, 12)]),
            (vec![(5, 6); 40], vec![(5, 6)]),
        ] {
            assert_eq!(parts(&given).stretches(), expected, "{given:?}");
        }
    }

    #[test]
    fn more_than_there_is_room_for_are_too_many() {
        let mut full = Parts::NONE;
        (0..PARTS_MAX as u64).for_each(|at| full.add(3 * at, 3 * at + 1).unwrap());
        assert_eq!(full.add(1_000, 1_001), Err(TooMany));
        assert_eq!(full.add(0, 500), Ok(()));
        assert_eq!(full.stretches(), [(0, 500)]);
    }

    #[test]
    fn whatever_is_added_each_byte_is_there_once() {
        let seed = 0x9a_27;
        println!("seed {seed:#x}");
        let mut rng = Rng::seeded(seed);
        for _ in 0..2_000 {
            let mut parts = Parts::NONE;
            let mut wanted = [false; 64];
            for _ in 0..rng.below(12) {
                let start = rng.below(63);
                let end = start + 1 + rng.below(64 - start - 1).min(8);
                parts.add(start, end).unwrap();
                (start..end).for_each(|at| wanted[usize::try_from(at).unwrap()] = true);
            }
            let mut seen = [false; 64];
            for &(start, end) in parts.stretches() {
                for at in start..end {
                    let at = usize::try_from(at).unwrap();
                    assert!(!std::mem::replace(&mut seen[at], true), "{parts:?}");
                }
                let touching = parts.stretches().iter().filter(|other| other.0 == end);
                assert_eq!(touching.count(), 0, "{parts:?}");
            }
            assert_eq!(seen, wanted, "{parts:?}");
        }
    }
}
