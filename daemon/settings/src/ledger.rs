//! What is noted while a file is read.

use crate::finding::{Fault, Finding, Place};
use crate::keys::Keys;

/// What has been found so far, which keys there may be, and where the lines of the text begin.
#[derive(Debug)]
pub struct Ledger<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    pub(crate) keys: Keys,
    /// Everything that is wrong, in the order in which it was noted.
    pub found: Vec<Finding>,
}

impl<'t> Ledger<'t> {
    /// Nothing found in `text`, which may have these `keys`.
    pub(crate) fn new(text: &'t str, keys: Keys) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(ends).collect();
        Self { text, line_starts, keys, found: Vec::new() }
    }

    /// Where byte `offset` stands.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        // The first line begins at zero, so there is one.
        let before = &self.text[self.line_starts[line - 1]..offset];
        Place { line, column: before.chars().count() + 1 }
    }

    /// Notes that `key` at `place` is wrong.
    pub fn refuse(
        &mut self,
        place: Place,
        key: &str,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) {
        let (wrong, right, fault) = (wrong.into(), right.into(), Fault::Configuration);
        self.found.push(Finding { place, key: key.to_owned(), wrong, right, fault });
    }

    /// Notes that this machine lacks what `key` at `place` asks for.
    pub fn lacks(
        &mut self,
        place: Place,
        key: &str,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) {
        let (wrong, right, fault) = (wrong.into(), right.into(), Fault::Machine);
        self.found.push(Finding { place, key: key.to_owned(), wrong, right, fault });
    }
}

/// A value, and where it was given; the section's place for a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// What was given, or the default.
    pub value: T,
    /// Where.
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_letters_from_one() {
        let text = "a = 1\n\né = 2";
        let ledger = Ledger::new(text, Keys(&[]));
        for (offset, line, column) in [(0, 1, 1), (4, 1, 5), (5, 1, 6), (6, 2, 1), (7, 3, 1)] {
            assert_eq!(ledger.place(offset), Place { line, column }, "{offset}");
        }
        assert_eq!(ledger.place(text.len()), Place { line: 3, column: 6 }, "letters, not bytes");
    }
}
