//! Lists of names: the part of a frame that has to be fast.
//!
//! The naive list is a vector of strings: an allocation and a check of UTF-8 each. Here the lengths
//! are walked once and nothing is kept but the block. Nearly all names are ASCII, and so then are
//! their lengths: one look over the whole block, which the compiler makes wide, says that all names
//! are UTF-8. Only a block with another byte has its names looked at one by one.

use std::iter::FusedIterator;

use crate::cursor::Cursor;
use crate::fault::FrameError;
use crate::limits::NAME_LEN_MAX;

/// Names that were all checked: each is 1 to 1,024 bytes of UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    block: &'a [u8],
    count: u32,
}

/// Why a text is not the name of a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// It is empty, or too long.
    #[error("a name has {0} bytes; 1 to {NAME_LEN_MAX} would be right")]
    Len(usize),
    /// It is not text.
    #[error("a name is not UTF-8")]
    NotUtf8,
}

/// Whether these bytes are a name.
///
/// # Errors
///
/// What is wrong with them.
#[inline]
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(NameError::Len(name.len()));
    }
    if is_utf8(name) { Ok(()) } else { Err(NameError::NotUtf8) }
}

#[inline]
pub(crate) fn is_utf8(name: &[u8]) -> bool {
    name.is_ascii() || str::from_utf8(name).is_ok()
}

impl<'a> Names<'a> {
    /// Checks `count` names at the cursor and moves it behind them.
    pub(crate) fn read(cursor: &mut Cursor<'a>, count: u32) -> Result<Self, FrameError> {
        let len = walk(cursor, count)?;
        let names = Self { block: cursor.take(len)?, count };
        if !names.block.is_ascii()
            && let Some(item) = (0..).zip(names.iter()).find(|(_, name)| !is_utf8(name))
        {
            return Err(FrameError::BadName { item: item.0 });
        }
        Ok(names)
    }

    /// Names that are right.
    pub(crate) const fn of_checked(block: &'a [u8], count: u32) -> Self {
        Self { block, count }
    }

    /// A list that begins with its count and has at least one name.
    pub(crate) fn read_counted(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let count = cursor.count()?;
        Self::read(cursor, count)
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

    /// The bytes of the names with their lengths.
    #[inline]
    #[must_use]
    pub const fn block(&self) -> &'a [u8] {
        self.block
    }

    /// The names from the first, as bytes; a clone of it costs nothing.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> NamesIter<'a> {
        NamesIter { rest: self.block, count: self.count }
    }

    /// The names from the first, as text.
    pub fn texts(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.iter().map_while(|name| str::from_utf8(name).ok())
    }
}

impl<'a> IntoIterator for Names<'a> {
    type Item = &'a [u8];
    type IntoIter = NamesIter<'a>;

    fn into_iter(self) -> NamesIter<'a> {
        self.iter()
    }
}

/// The bytes that `count` names at the cursor have.
#[inline]
fn walk(cursor: &Cursor<'_>, count: u32) -> Result<usize, FrameError> {
    let block = cursor.rest();
    let mut at = 0;
    for item in 0..count {
        at += match block.get(at) {
            Some(&len @ 1..0x80) => 1 + usize::from(len),
            _ => long_name(cursor, at, item)?,
        };
    }
    Ok(at)
}

/// The bytes of a name with its length that is not the common case.
#[cold]
fn long_name(cursor: &Cursor<'_>, at: usize, item: u32) -> Result<usize, FrameError> {
    let mut there = *cursor;
    there.take(at)?;
    let start = there.at();
    there.name(item)?;
    Ok(there.at() - start)
}

/// The names of [`Names`].
#[derive(Clone, Debug, Default)]
pub struct NamesIter<'a> {
    rest: &'a [u8],
    count: u32,
}

impl<'a> NamesIter<'a> {
    /// The bytes of the names that are left, with their lengths.
    pub(crate) const fn block(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for NamesIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (&first, rest) = self.rest.split_first()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (&second, rest) = rest.split_first()?;
            (usize::from(first & 0x7f) << 8 | usize::from(second), rest)
        };
        let (name, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        self.count = self.count.wrapping_sub(1);
        Some(name)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        (count, Some(count))
    }
}

impl ExactSizeIterator for NamesIter<'_> {}
impl FusedIterator for NamesIter<'_> {}

/// Appends the length of a name or a text.
///
/// # Panics
///
/// If it is above [`NAME_LEN_MAX`]: the caller checks what it was given.
#[inline]
pub(crate) fn write_len(out: &mut Vec<u8>, len: usize) {
    assert!(len <= NAME_LEN_MAX, "a name or text of {len} bytes is longer than {NAME_LEN_MAX}");
    let [high, low] = u16::try_from(len).expect("at most 1,024").to_be_bytes();
    if len < 0x80 {
        out.push(low);
    } else {
        out.extend_from_slice(&[0x80 | high, low]);
    }
}

/// Appends a name.
///
/// # Panics
///
/// If it is empty or too long: the caller checks what it was given.
#[inline]
pub(crate) fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    assert!(!name.is_empty(), "a name is empty");
    debug_assert!(is_utf8(name), "a name is not UTF-8: {name:?}");
    write_len(out, name.len());
    out.extend_from_slice(name);
}
