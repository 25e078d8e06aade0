//! Lists of a frame: checked once, then read in place.

use std::iter::FusedIterator;
use std::marker::PhantomData;

use crate::cursor::Cursor;
use crate::fault::FrameError;

/// An entry of a list on the wire.
pub trait Item<'a>: Copy {
    /// Reads the entry at a place; `item` is its place in the list.
    #[doc(hidden)]
    fn read(cursor: &mut Cursor<'a>, item: u32) -> Result<Self, FrameError>;

    /// What is checked once and not when it is read again.
    #[doc(hidden)]
    #[inline]
    fn check(&self, item: u32) -> Result<(), FrameError> {
        let _ = item;
        Ok(())
    }

    /// Appends the entry as it is on the wire.
    #[doc(hidden)]
    fn write(&self, out: &mut Vec<u8>);
}

/// Entries that were all checked: reading one cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct List<'a, T> {
    bytes: &'a [u8],
    count: u32,
    item: PhantomData<T>,
}

impl<'a, T: Item<'a>> List<'a, T> {
    /// Checks `count` entries at the cursor and moves it behind them.
    pub(crate) fn read(cursor: &mut Cursor<'a>, count: u32) -> Result<Self, FrameError> {
        Self::read_each(cursor, count, |_place, _item| Ok(()))
    }

    /// As `read`; each entry is shown to `check` with the place where it begins.
    pub(crate) fn read_each(
        cursor: &mut Cursor<'a>,
        count: u32,
        mut check: impl FnMut(&Cursor<'a>, &T) -> Result<(), FrameError>,
    ) -> Result<Self, FrameError> {
        let start = cursor.at();
        for number in 0..count {
            let before = *cursor;
            let item = T::read(cursor, number)?;
            item.check(number)?;
            check(&before, &item)?;
        }
        Ok(Self { bytes: cursor.since(start), count, item: PhantomData })
    }

    /// A list whose entries were all read and checked, and are these bytes.
    pub(crate) const fn of_checked(bytes: &'a [u8], count: u32) -> Self {
        Self { bytes, count, item: PhantomData }
    }

    /// A list that begins with its count.
    pub(crate) fn read_counted(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let count = cursor.u32()?;
        Self::read(cursor, count)
    }

    /// Entries.
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

    /// The entries from the first; a clone of it costs nothing.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> ListIter<'a, T> {
        ListIter { cursor: Cursor::new(self.bytes, 0), count: self.count, item: PhantomData }
    }
}

impl<'a, T: Item<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// The entries of a [`List`].
#[derive(Clone, Debug)]
pub struct ListIter<'a, T> {
    cursor: Cursor<'a>,
    count: u32,
    item: PhantomData<T>,
}

impl<'a, T> ListIter<'a, T> {
    /// The next entry, if it is a name and a blob in their short form; else nothing is taken.
    #[inline(always)]
    pub(crate) fn next_short(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let count = self.count.checked_sub(1)?;
        let item = self.cursor.short_name_and_blob()?;
        self.count = count;
        Some(item)
    }
}

impl<'a, T: Item<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.count = self.count.checked_sub(1)?;
        T::read(&mut self.cursor, 0).ok()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        (count, Some(count))
    }
}

impl<'a, T: Item<'a>> ExactSizeIterator for ListIter<'a, T> {}
impl<'a, T: Item<'a>> FusedIterator for ListIter<'a, T> {}

/// Sequences, eight bytes each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequences<'a> {
    chunks: &'a [[u8; 8]],
}

impl<'a> Sequences<'a> {
    /// Takes `count` sequences at the cursor.
    pub(crate) fn read(cursor: &mut Cursor<'a>, count: u32) -> Result<Self, FrameError> {
        let len = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(8);
        let (chunks, _rest) = cursor.take(len)?.as_chunks();
        Ok(Self { chunks })
    }

    /// Sequences.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The sequence at a place.
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize) -> Option<crate::Sequence> {
        self.chunks.get(index).map(|chunk| crate::Sequence::from_bits(u64::from_le_bytes(*chunk)))
    }

    /// The sequences from the first.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = crate::Sequence> + Clone + use<'a> {
        self.chunks.iter().map(|chunk| crate::Sequence::from_bits(u64::from_le_bytes(*chunk)))
    }
}
