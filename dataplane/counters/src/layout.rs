//! Where everything stands in the file, written by the gateway and checked by every reader.
//!
//! ```text
//! word 0   header: magic, version, and the places and sizes of all that follows
//!          names of the counters, 16 words each
//!          names of the facts, 4 words each
//!          one section per core: head, values, facts        written by that core only
//!          request: claim, filter                           written by one tool
//!          one channel per core: head | tail | rows         core | tool | core
//! ```
//!
//! A later minor version may lengthen the header, a record, a section or a row: readers take
//! offsets and strides from the header. What cannot be told that way is a new major version.

use crate::{
    error::LayoutError,
    limits::{
        CORES_MAX, COUNTERS_MAX, FACTS_MAX, LINE, NAME_LEN_MAX, PAIR, ROWS, TEXT_LEN_MAX,
        WORD_LEN_MAX,
    },
    row::ROW_WORDS,
    source::Source,
    sync::{AtomicU64, Ordering},
    text,
};

/// `ABELECTL` as bytes in memory order: a machine of the other order reads another number.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"ABELECTL");

/// Changes when a reader of the old layout would read nonsense.
pub const VERSION_MAJOR: u32 = 1;

/// Changes when something is added that a reader may ignore.
pub const VERSION_MINOR: u32 = 0;

/// Places in the header. What a reader must know of another major version stands first: magic
/// and version never move.
pub(crate) mod at {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 1;
    pub(crate) const WORDS: usize = 2;
    pub(crate) const HEADER_WORDS: usize = 3;
    pub(crate) const GENERATION: usize = 4;
    pub(crate) const PID: usize = 5;
    pub(crate) const STARTED_UNIX_NS: usize = 6;
    pub(crate) const CLOCK_ZERO_NS: usize = 7;
    pub(crate) const CYCLES_PER_S: usize = 8;
    pub(crate) const ENDED: usize = 9;
    /// The numbers of `Layout`, in its order.
    pub(crate) const LAYOUT: usize = 16;
    pub(crate) const INSTANCE: usize = 48;
    pub(crate) const GATEWAY_VERSION: usize = 56;
}

/// Words of the header.
const HEADER_WORDS: usize = 64;

/// Places in the record of a counter's name.
pub(crate) mod counter_at {
    use super::{NAME_LEN_MAX, WORD_LEN_MAX, text};
    pub(crate) const NAME: usize = 0;
    pub(crate) const GROUP: usize = NAME + text::words(NAME_LEN_MAX);
    /// The kind in the lowest byte, and [`IS_DROP`].
    pub(crate) const FLAGS: usize = GROUP + text::words(WORD_LEN_MAX);
    pub(crate) const IS_DROP: u64 = 1 << 8;
    /// Units are shorter than groups: what is left of two lines.
    pub(crate) const UNIT: usize = FLAGS + 1;
    pub(crate) const UNIT_WORDS: usize = super::COUNTER_WORDS - UNIT;
}

/// Words of a counter's name.
const COUNTER_WORDS: usize = 2 * LINE;
const _: () = assert!(counter_at::UNIT_WORDS >= 3);

/// Words of a fact's name.
const FACT_WORDS: usize = text::words(WORD_LEN_MAX);

/// Places in a core's section: its head, which is two lines.
pub(crate) mod section_at {
    /// Behind the sequence, which `section` knows.
    pub(crate) const STATE: usize = 1;
    /// What the sequence guards begins here, and goes on to the end of the section.
    pub(crate) const HEARTBEAT: usize = 2;
    pub(crate) const TURNS: usize = 3;
}

/// Places in the area of the request: what tools write about the listing.
pub(crate) mod request_at {
    /// Pid and a number of the tool that lists.
    pub(crate) const CLAIM: usize = 0;
    /// When that tool showed itself last.
    pub(crate) const CLAIM_BEAT: usize = 1;
    /// The last id that was given to a listing.
    pub(crate) const LAST_ID: usize = 2;
    /// The listing that is wanted. A line that is quiet but at its beginning and end, because
    /// every core looks at it in every turn.
    pub(crate) const REQUEST: usize = 16;
    pub(crate) const FILTER: usize = 17;
    pub(crate) const FILTER_WORDS: usize = 5;
}

/// Words of the area of the request.
const REQUEST_WORDS: usize = 2 * PAIR;

/// Places in the channel of a core.
pub(crate) mod channel_at {
    /// Written by the core: id and rows written; id and how it ended.
    pub(crate) const HEAD: usize = 0;
    pub(crate) const DONE: usize = 1;
    /// Written by the tool: id and rows read.
    pub(crate) const TAIL: usize = 16;
    pub(crate) const ROWS: usize = 32;
}

/// Offsets and sizes, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) words: usize,
    pub(crate) cores: usize,
    pub(crate) counters: Table,
    pub(crate) facts: Table,
    /// Words of one fact's text within a section.
    pub(crate) fact_text: usize,
    pub(crate) sections: Table,
    /// Where values and facts begin within a section.
    pub(crate) values_at: usize,
    pub(crate) facts_at: usize,
    pub(crate) request: Table,
    pub(crate) channels: Table,
    /// Rows of one channel, where they begin in it, and the words of each.
    pub(crate) rows: Table,
}

/// Records of one size one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) first: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

impl Table {
    /// The first word of record `index`.
    pub(crate) fn at(&self, index: usize) -> usize {
        debug_assert!(index < self.count, "record {index} of {}", self.count);
        self.first + index * self.stride
    }

    fn end(&self) -> Option<usize> {
        self.stride.checked_mul(self.count)?.checked_add(self.first)
    }
}

impl Layout {
    /// The layout of a new file.
    pub(crate) fn plan(cores: usize, counters: usize, facts: usize) -> Self {
        let counters = Table { first: HEADER_WORDS, stride: COUNTER_WORDS, count: counters };
        let facts = Table { first: after(&counters), stride: FACT_WORDS, count: facts };
        let fact_text = text::words(TEXT_LEN_MAX);
        let values_at = PAIR;
        let facts_at = values_at + counters.count;
        let section = (facts_at + facts.count * fact_text).next_multiple_of(PAIR);
        let sections = Table { first: after(&facts), stride: section, count: cores };
        let request = Table { first: after(&sections), stride: REQUEST_WORDS, count: 1 };
        let rows = Table { first: channel_at::ROWS, stride: ROW_WORDS, count: ROWS };
        let channels = Table { first: after(&request), stride: after(&rows), count: cores };
        let words = after(&channels);
        Self {
            words,
            cores,
            counters,
            facts,
            fact_text,
            sections,
            values_at,
            facts_at,
            request,
            channels,
            rows,
        }
    }

    /// The numbers as they stand in the header.
    fn to_words(self) -> [usize; 21] {
        let Self {
            words: _,
            cores,
            counters,
            facts,
            fact_text,
            sections,
            values_at,
            facts_at,
            request,
            channels,
            rows,
        } = self;
        let [a, b, c] = [counters, facts, sections].map(|t| [t.first, t.stride, t.count]);
        let [d, e, f] = [request, channels, rows].map(|t| [t.first, t.stride, t.count]);
        debug_assert_eq!((c[2], d[2], e[2]), (cores, 1, cores), "these counts are not written");
        [
            cores, a[0], a[1], a[2], b[0], b[1], b[2], fact_text, c[0], c[1], values_at, facts_at,
            d[0], d[1], e[0], e[1], f[0], f[1], f[2], 0, 0,
        ]
    }

    fn from_words(words: usize, n: [usize; 21]) -> Self {
        let [cores, a0, a1, a2, b0, b1, b2, fact_text, c0, c1, values_at, facts_at, rest @ ..] = n;
        let [d0, d1, e0, e1, f0, f1, f2, ..] = rest;
        Self {
            words,
            cores,
            counters: Table { first: a0, stride: a1, count: a2 },
            facts: Table { first: b0, stride: b1, count: b2 },
            fact_text,
            sections: Table { first: c0, stride: c1, count: cores },
            values_at,
            facts_at,
            request: Table { first: d0, stride: d1, count: 1 },
            channels: Table { first: e0, stride: e1, count: cores },
            rows: Table { first: f0, stride: f1, count: f2 },
        }
    }

    /// Writes magic, version and places into the header.
    pub(crate) fn store(&self, words: &[AtomicU64]) {
        let store = |index: usize, value: u64| words[index].store(value, Ordering::Relaxed);
        store(at::VERSION, u64::from(VERSION_MAJOR) << 32 | u64::from(VERSION_MINOR));
        store(at::WORDS, self.words as u64);
        store(at::HEADER_WORDS, HEADER_WORDS as u64);
        for (index, number) in self.to_words().into_iter().enumerate() {
            store(at::LAYOUT + index, number as u64);
        }
        store(at::MAGIC, MAGIC);
    }

    /// Reads the header and checks that everything it says lies in the file.
    pub(crate) fn parse<S: Source>(source: &S) -> Result<Self, LayoutError> {
        if source.count() < HEADER_WORDS || source.load(at::MAGIC) != MAGIC {
            return Err(LayoutError::Foreign);
        }
        let version = source.load(at::VERSION);
        let [found_major, found_minor] = halves(version);
        if found_major != VERSION_MAJOR {
            return Err(LayoutError::Version {
                found_major,
                found_minor,
                own_major: VERSION_MAJOR,
            });
        }
        let number = |index| usize::try_from(source.load(index)).unwrap_or(usize::MAX);
        let numbers = std::array::from_fn(|index| number(at::LAYOUT + index));
        let layout = Self::from_words(number(at::WORDS), numbers);
        layout.check(source.count(), number(at::HEADER_WORDS))?;
        Ok(layout)
    }

    /// Whether every region lies in `found` words and every record holds what is read of it.
    fn check(&self, found: usize, header: usize) -> Result<(), LayoutError> {
        let bounded = self.cores <= CORES_MAX
            && self.counters.count <= COUNTERS_MAX
            && self.facts.count <= FACTS_MAX
            && self.rows.count <= ROWS
            && self.rows.count > 0
            && self.fact_text <= PAIR;
        let holds = |table: &Table, least: usize| {
            let end = table.end().unwrap_or(usize::MAX);
            table.stride >= least && table.first >= HEADER_WORDS && end <= found
        };
        let facts_end = (self.facts.count.checked_mul(self.fact_text))
            .and_then(|words| words.checked_add(self.facts_at))
            .unwrap_or(usize::MAX);
        let values_end = self.values_at.saturating_add(self.counters.count);
        let is_section = self.values_at >= PAIR
            && values_end <= self.facts_at
            && facts_end <= self.sections.stride;
        let rows_end = self.rows.end().unwrap_or(usize::MAX);
        let is_channel = self.rows.first >= channel_at::ROWS
            && self.rows.stride >= ROW_WORDS
            && rows_end <= self.channels.stride;
        let checks = [
            ("the length", self.words <= found && header >= HEADER_WORDS && header <= found),
            ("a count", bounded),
            ("the table of names", holds(&self.counters, COUNTER_WORDS)),
            ("the table of facts", holds(&self.facts, FACT_WORDS)),
            ("a core's section", is_section && holds(&self.sections, PAIR)),
            ("the request", holds(&self.request, REQUEST_WORDS)),
            ("a core's channel", is_channel && holds(&self.channels, channel_at::ROWS)),
        ];
        match checks.iter().find(|(_, is_right)| !is_right) {
            Some(&(what, _)) => Err(LayoutError::Damaged { what }),
            None => Ok(()),
        }
    }
}

/// The high and the low half of a word.
#[expect(clippy::cast_possible_truncation, reason = "halves are what is wanted")]
pub(crate) const fn halves(word: u64) -> [u32; 2] {
    [(word >> 32) as u32, word as u32]
}

/// One word of two halves.
pub(crate) const fn joined(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// Where the next region begins.
fn after(table: &Table) -> usize {
    (table.first + table.stride * table.count).next_multiple_of(PAIR)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn words(layout: &Layout) -> Vec<u64> {
        let words: Vec<_> = (0..layout.words).map(|_word| AtomicU64::new(0)).collect();
        layout.store(&words);
        words.into_iter().map(AtomicU64::into_inner).collect()
    }

    #[test]
    fn layout_is_read_as_it_was_planned() {
        for (cores, counters, facts) in [(1, 0, 0), (2, 191, 9), (CORES_MAX, COUNTERS_MAX, 64)] {
            let layout = Layout::plan(cores, counters, facts);
            assert!(layout.words * 8 <= crate::limits::FILE_LEN_MAX, "{}", layout.words);
            assert_eq!(layout.sections.at(cores - 1) % PAIR, 0, "cores share no line");
            assert_eq!(layout.channels.at(cores - 1) % PAIR, 0);
            assert_eq!(Layout::parse(&words(&layout)), Ok(layout));
        }
    }

    #[test]
    fn other_minor_version_is_read_and_other_major_version_is_named() {
        let layout = Layout::plan(2, 10, 3);
        let mut words = words(&layout);
        words[at::VERSION] += 7;
        assert_eq!(Layout::parse(&words), Ok(layout));
        words[at::VERSION] += 3 << 32;
        let refused = Layout::parse(&words).unwrap_err().to_string();
        assert!(refused.contains("layout 4.7") && refused.contains("reads 1.x"), "{refused}");
    }

    #[test]
    fn longer_records_of_a_later_minor_version_are_read() {
        let planned = Layout::plan(2, 10, 3);
        let mut layout = planned;
        layout.rows.stride *= 2;
        layout.channels.stride *= 2;
        layout.sections.stride += PAIR;
        layout.request.first = after(&layout.sections);
        layout.channels.first = after(&layout.request);
        layout.words = after(&layout.channels);
        assert_eq!(Layout::parse(&words(&layout)), Ok(layout));
    }

    #[test]
    fn file_that_ends_too_soon_is_refused_at_every_length() {
        let words = words(&Layout::plan(2, 5, 2));
        for len in (0..words.len()).rev().step_by(97).chain(0..200) {
            assert!(Layout::parse(&words[..len].to_vec()).is_err(), "{len} words");
        }
    }
}
