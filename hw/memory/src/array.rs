//! A fixed array of plain records in a mapping of its own.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    arena::{Arena, ArenaError, PageChoice, Pages},
    limits::BASE_PAGE_LEN,
    prefetch::prefetch_address,
};

/// A record of plain integers: any bytes are a valid value, and it has no padding.
pub trait Plain: FromBytes + IntoBytes + Immutable + Copy + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Copy + 'static> Plain for T {}

/// A fixed array of records, zeroed, page aligned, in a mapping of its own.
pub struct Array<T: Plain> {
    arena: Arena,
    /// Records that can be seen: all of them, or as far as `grow_to` has come.
    len: usize,
    len_max: usize,
    records: PhantomData<T>,
}

// SAFETY: the array owns its mapping and its records as a `Vec<T>` does.
unsafe impl<T: Plain + Send> Send for Array<T> {}
// SAFETY: `&Array<T>` gives `&[T]` and nothing else.
unsafe impl<T: Plain + Sync> Sync for Array<T> {}

impl<T: Plain> Array<T> {
    const FITS: () = assert!(
        size_of::<T>() > 0 && align_of::<T>() <= BASE_PAGE_LEN,
        "a record has at least one byte and no alignment above a page"
    );

    /// An array of `len` zeroed records, every page touched.
    ///
    /// # Errors
    ///
    /// The memory is not there: see [`ArenaError`].
    pub fn new(len: usize, choice: PageChoice) -> Result<Self, ArenaError> {
        let mut array = Self::reserve(len, choice)?;
        array.grow_to(len)?;
        Ok(array)
    }

    /// An array that can grow to `len_max` records and shows none of them yet. Only address space
    /// is taken, and huge pages of the pool if it got them.
    ///
    /// # Errors
    ///
    /// The memory is not there: see [`ArenaError`].
    pub fn reserve(len_max: usize, choice: PageChoice) -> Result<Self, ArenaError> {
        let () = Self::FITS;
        let len = len_max.max(1);
        let bytes = len.checked_mul(size_of::<T>()).ok_or(ArenaError::ConfigLen { len })?;
        let arena = Arena::anonymous(bytes, choice)?;
        Ok(Self { arena, len: 0, len_max, records: PhantomData })
    }

    /// An array that shows `len` zeroed records, every page of them touched, and can grow to
    /// `len_max`. `choice` is for the pages of the first `len`. What comes later is made present by
    /// a thread, if it is asked to: see [`Array::ask_ahead`]. What is shown before is on base pages,
    /// so that growing by a few of them costs the caller microseconds: a huge page is zeroed as a
    /// whole, which takes some hundred.
    ///
    /// # Errors
    ///
    /// The memory is not there: see [`ArenaError`].
    ///
    /// # Panics
    ///
    /// If `len` is above `len_max`.
    pub fn growable(len: usize, len_max: usize, choice: PageChoice) -> Result<Self, ArenaError> {
        assert!(len <= len_max, "an array of {len} records that can grow to {len_max}");
        if len == len_max {
            return Self::new(len, choice);
        }
        let () = Self::FITS;
        let bytes =
            len_max.checked_mul(size_of::<T>()).ok_or(ArenaError::ConfigLen { len: len_max })?;
        let arena = Arena::growable(len * size_of::<T>(), bytes, choice)?;
        let mut array = Self { arena, len: 0, len_max, records: PhantomData };
        array.grow_to(len)?;
        Ok(array)
    }

    /// Touches what is missing and shows the first `len` records. New records are zero, old ones
    /// stay where they are. The cost is that of the new pages: grow in steps as large as the
    /// caller may wait.
    ///
    /// # Errors
    ///
    /// The kernel cannot supply a page; the array is then as it was.
    ///
    /// # Panics
    ///
    /// If `len` is above the reservation, or less than is shown already.
    pub fn grow_to(&mut self, len: usize) -> Result<(), ArenaError> {
        assert!(
            self.len <= len && len <= self.len_max,
            "grow_to {len}: {} of {} are shown",
            self.len,
            self.len_max
        );
        self.arena.touch_to(len * size_of::<T>())?;
        self.len = len;
        Ok(())
    }

    /// Asks for the memory of the first `len` records, or of as many as there can be, to be made
    /// present by another thread. Whether it is by now: [`Array::grow_to`] then costs nothing.
    /// `None`: nobody else does it, or not the next of it. Either there is no such thread, because
    /// the array was made full or on base pages, or they are few; or the owner was faster, and the
    /// next base pages are its own to touch, up to the end of a huge page.
    pub fn ask_ahead(&mut self, len: usize) -> Option<bool> {
        self.arena.ask_ahead(len.min(self.len_max) * size_of::<T>())
    }

    /// Records that the reservation holds.
    #[must_use]
    pub fn len_max(&self) -> usize {
        self.len_max
    }

    /// Asks for the first cache line of record `index`. Any index will do: one out of range is
    /// ignored by the processor.
    #[inline(always)]
    pub fn prefetch(&self, index: usize) {
        prefetch_address(self.first().wrapping_add(index).cast());
    }

    /// The pages that were got.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.arena.pages()
    }

    #[inline(always)]
    fn first(&self) -> *mut T {
        self.arena.as_ptr().cast()
    }
}

impl<T: Plain> Deref for Array<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping is aligned (FITS), holds `len` records (`len <= len_max`), is
        // initialised (zeroed, and any bytes are a `T`), lives as long as `self`, and is written
        // only through `&mut self`.
        unsafe { std::slice::from_raw_parts(self.first(), self.len) }
    }
}

impl<T: Plain> DerefMut for Array<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` is the only way to the mapping.
        unsafe { std::slice::from_raw_parts_mut(self.first(), self.len) }
    }
}

impl<T: Plain> fmt::Debug for Array<T> {
    /// Its size only: nobody wants ten million records in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array")
            .field("len", &self.len)
            .field("len_max", &self.len_max)
            .field("record_len", &size_of::<T>())
            .field("pages", &self.pages())
            .finish()
    }
}
