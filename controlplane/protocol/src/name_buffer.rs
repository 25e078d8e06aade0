//! Names that are gathered in the form that they have on the wire, so that a frame copies them once.

use crate::limits::NAME_LEN_MAX;
use crate::names::{self, Names};

/// Names one behind the other, each with its length before it.
#[derive(Clone, Debug, Default)]
pub struct NameBuffer {
    block: Vec<u8>,
    count: u32,
}

impl NameBuffer {
    /// Makes room for so many names more, of so many bytes together.
    pub fn reserve(&mut self, count: usize, len: usize) {
        // Most names have one byte of length.
        self.block.reserve(count + len);
    }

    /// Appends a name.
    ///
    /// # Panics
    ///
    /// If it is empty or longer than [`NAME_LEN_MAX`]: the caller checks what it was given.
    #[inline]
    pub fn push(&mut self, name: &str) {
        match u8::try_from(name.len()) {
            Ok(len @ 1..0x80) => {
                self.block.push(len);
                self.block.extend_from_slice(name.as_bytes());
            }
            Ok(_) | Err(_) => names::write_name(&mut self.block, name.as_bytes()),
        }
        self.count += 1;
    }

    /// Names.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The names.
    #[inline]
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names::of_checked(&self.block, self.count)
    }

    /// Takes off the names from `index` on.
    #[must_use]
    pub fn split_off(&mut self, index: u32) -> Self {
        let mut names = self.names().iter();
        let taken = names.by_ref().take(usize::try_from(index).unwrap_or(usize::MAX)).count();
        let taken = u32::try_from(taken).unwrap_or(u32::MAX);
        let block = self.block.split_off(self.block.len() - names.block().len());
        let count = self.count - taken;
        self.count = taken;
        Self { block, count }
    }
}

const _: () = assert!(NAME_LEN_MAX >= 0x80);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_was_put_in_wherever_they_are_cut() {
        let long = "x".repeat(NAME_LEN_MAX);
        let texts = ["a", long.as_str(), "ä", &long[..0x80], &long[..0x7f]];
        let mut all = NameBuffer::default();
        all.reserve(texts.len(), 2_000);
        texts.iter().for_each(|text| all.push(text));
        for at in 0..=5 {
            let mut first = all.clone();
            let rest = first.split_off(at);
            assert_eq!((first.len(), rest.len(), rest.is_empty()), (at, 5 - at, at == 5));
            let names: Vec<&str> = first.names().texts().chain(rest.names().texts()).collect();
            assert_eq!(names, texts, "cut at {at}");
        }
    }

    #[test]
    #[should_panic = "a name is empty"]
    fn an_empty_name_is_none() {
        NameBuffer::default().push("");
    }
}
