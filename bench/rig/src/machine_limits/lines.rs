//! Random lines, sequential reads and copies of a table larger than the cache.

use std::time::Duration;

use memory::{ArenaError, Array, PageChoice, Pages};

use super::{Measured, float, repeat};
use crate::error::Error;
use crate::limits::PREFETCH_DISTANCE;
use crate::stop::Stop;

/// One cache line; the mapping is page-aligned, so no record crosses two lines.
type Line = [u64; 8];
const LINE_LEN: usize = size_of::<Line>();
/// Lines of one chunk of work, between two looks at the clock: about a millisecond.
const CHUNK: usize = 1 << 15;

/// Lines with known contents, and room to copy half of them.
#[derive(Debug)]
pub(super) struct Table {
    lines: Array<Line>,
    copies: Array<Line>,
}

/// An endless sequence of line indices that nothing can predict but a second one like it.
#[derive(Clone, Debug)]
struct Indices {
    state: u64,
    mask: usize,
}

impl Indices {
    fn next(&mut self) -> usize {
        // Knuth's MMIX constants; the low bits of such a generator are poor, so the high ones.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).expect("31 bits fit a usize") & self.mask
    }
}

impl Table {
    /// A table of `len` lines, a power of two, all touched and filled.
    pub(super) fn new(len: usize, stop: Option<&Stop>) -> Result<Self, Error> {
        assert!(len.is_power_of_two(), "{len} lines: the mask needs a power of two");
        let mut lines = Array::<Line>::new(len, PageChoice::Best).map_err(lacks(len))?;
        for (chunk, index) in lines.chunks_mut(CHUNK).zip((0..).step_by(CHUNK)) {
            for (line, index) in chunk.iter_mut().zip(index..) {
                *line = contents(index);
            }
            stop.map_or(Ok(()), Stop::check)?;
        }
        let copies = Array::<Line>::new(len / 2, PageChoice::Best).map_err(lacks(len))?;
        Ok(Self { lines, copies })
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.lines.len() * LINE_LEN
    }

    /// The pages that the table got.
    pub(super) fn pages(&self) -> Pages {
        self.lines.pages()
    }

    /// Lines per second, each asked for `PREFETCH_DISTANCE` lines before it is read: the limit of
    /// every look-up that touches one line.
    pub(super) fn random_lines(&self, length: Duration, stop: &Stop) -> Result<Measured, Error> {
        let first = Indices { state: 1, mask: self.lines.len() - 1 };
        let mut indices = first.clone();
        let mut window = [0; PREFETCH_DISTANCE];
        for slot in &mut window {
            *slot = indices.next();
            self.lines.prefetch(*slot);
        }
        let mut sum = 0_u64;
        let (lines, seconds) = repeat(length, stop, || {
            for turn in 0..CHUNK {
                let slot = &mut window[turn % PREFETCH_DISTANCE];
                sum = sum.wrapping_add(self.lines[*slot][0]);
                *slot = indices.next();
                self.lines.prefetch(*slot);
            }
            Ok(CHUNK as u64)
        })?;
        let mut again = first;
        let expected =
            (0..lines).fold(0_u64, |sum, _line| sum.wrapping_add(contents(again.next())[0]));
        Ok(Measured { value: float(lines) / seconds, wrong: u64::from(sum != expected) })
    }

    /// Bytes per second of reading the table from end to end.
    pub(super) fn sequential_read(&self, length: Duration, stop: &Stop) -> Result<Measured, Error> {
        let mut chunks = self.lines.chunks(CHUNK).zip(0_usize..).cycle();
        let mut wrong = 0;
        let mut last = (0, 0);
        let (bytes, seconds) = repeat(length, stop, || {
            let (chunk, number) = chunks.next().expect("it goes round");
            last = (number, sum(chunk));
            // Every sum is used, so that the compiler cannot leave out a read.
            wrong |= u64::from(std::hint::black_box(last.1) == 0);
            Ok(size_of_val(chunk) as u64)
        })?;
        let (number, read) = last;
        let len = CHUNK.min(self.lines.len());
        wrong |= u64::from(read != expected_sum(number * CHUNK, len));
        Ok(Measured { value: float(bytes) / seconds, wrong })
    }

    /// Bytes per second of copying one half of the table and then the other, counted once.
    pub(super) fn copy(&mut self, length: Duration, stop: &Stop) -> Result<Measured, Error> {
        let half = self.copies.len();
        let step = CHUNK.min(half);
        let mut at = 0;
        let (bytes, seconds) = repeat(length, stop, || {
            let from = &self.lines[at..at + step];
            self.copies[at % half..][..step].copy_from_slice(from);
            at = (at + step) % (2 * half);
            Ok(size_of_val(from) as u64)
        })?;
        // The chunk copied last, wherever it came from.
        let last = (at + 2 * half - step) % (2 * half);
        let copied = sum(&self.copies[last % half..][..step]);
        let wrong = u64::from(copied != expected_sum(last, step));
        Ok(Measured { value: float(bytes) / seconds, wrong })
    }
}

/// What line `index` holds: a hash of the index and its neighbours, never the same twice.
fn contents(index: usize) -> Line {
    let mut x = (index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 32;
    std::array::from_fn(|word| x.wrapping_add(word as u64))
}

fn sum(lines: &[Line]) -> u64 {
    let words = lines.as_flattened().iter();
    words.fold(0_u64, |sum, word| sum.wrapping_add(*word))
}

fn expected_sum(first: usize, len: usize) -> u64 {
    (first..first + len).fold(0_u64, |total, index| total.wrapping_add(sum(&[contents(index)])))
}

fn lacks(len: usize) -> impl FnOnce(ArenaError) -> Error {
    move |error| Error::Lacks {
        what: format!("memory for a table of {} MiB ({error})", ((len + len / 2) * LINE_LEN) >> 20),
        mend: "free some, or use --quick, which takes 96 MiB".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(2);

    fn table() -> Table {
        Table::new(2 * CHUNK, None).expect("4 MiB are there")
    }

    #[test]
    fn every_figure_of_a_true_table_is_right() {
        let (mut table, stop) = (table(), Stop::default());
        for measured in [
            table.random_lines(SHORT, &stop),
            table.sequential_read(SHORT, &stop),
            table.copy(SHORT, &stop),
        ] {
            let measured = measured.expect("nobody stops it");
            assert_eq!(measured.wrong, 0);
            assert!(measured.value > 0.0, "{measured:?}");
        }
    }

    #[test]
    fn table_with_false_lines_is_found_by_every_figure() {
        let (mut table, stop) = (table(), Stop::default());
        for line in table.lines.iter_mut() {
            line[0] = line[0].wrapping_add(1);
        }
        assert_eq!(table.sequential_read(SHORT, &stop).expect("runs").wrong, 1);
        assert_eq!(table.copy(SHORT, &stop).expect("runs").wrong, 1);
        assert_eq!(table.random_lines(SHORT, &stop).expect("runs").wrong, 1);
    }

    #[test]
    fn raised_stop_ends_a_measurement() {
        let stop = Stop::default();
        stop.raise();
        let ended = table().random_lines(Duration::from_secs(3_600), &stop);
        assert!(matches!(ended, Err(Error::Interrupted)));
    }
}
