//! Reads the fields of a frame one after another, and knows at which byte one is wrong.

use crate::fault::{FrameError, Malformation};
use crate::limits::{ADDRESS_LEN_MAX, NAME_LEN_MAX, NODE_LEN_MAX};

/// A place in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The error that something is wrong here.
    pub(crate) fn malformed(&self, what: Malformation) -> FrameError {
        FrameError::Malformed { at: u32::try_from(self.at).unwrap_or(u32::MAX), what }
    }

    #[inline]
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// What is left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// What was read since `start`, a place where this cursor was.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], FrameError> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.malformed(Malformation::Truncated))?;
        self.at += len;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let chunk = self.rest().first_chunk::<N>();
        let chunk = chunk.ok_or_else(|| self.malformed(Malformation::Truncated))?;
        self.at += N;
        Ok(*chunk)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A `u8` that has a meaning.
    pub(crate) fn code<T: TryFrom<u8, Error = u8>>(&mut self) -> Result<T, FrameError> {
        let before = *self;
        T::try_from(self.u8()?).map_err(|_code| before.malformed(Malformation::Value))
    }

    /// The count of a list that has at least one item.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<u32, FrameError> {
        let before = *self;
        match self.u32()? {
            0 => Err(before.malformed(Malformation::NoItems)),
            count => Ok(count),
        }
    }

    /// The length of a `name` or a `text`.
    #[inline]
    fn short_len(&mut self) -> Result<usize, FrameError> {
        let before = *self;
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        let len = usize::from(first & 0x7f) << 8 | usize::from(self.u8()?);
        if len < 0x80 {
            return Err(before.malformed(Malformation::LengthForm));
        }
        Ok(len)
    }

    /// The bytes of a name of a list; whether they are UTF-8 is not looked at.
    #[inline]
    pub(crate) fn name(&mut self, item: u32) -> Result<&'a [u8], FrameError> {
        let len = self.short_len()?;
        if len == 0 || len > NAME_LEN_MAX {
            return Err(FrameError::BadName { item });
        }
        self.take(len)
    }

    /// A text of `len_min` to `len_max` bytes.
    pub(crate) fn text(&mut self, len_min: usize, len_max: usize) -> Result<&'a str, FrameError> {
        let before = *self;
        let len = self.short_len()?;
        if len < len_min || len > len_max {
            return Err(before.malformed(Malformation::TextLen));
        }
        let bytes = self.take(len)?;
        str::from_utf8(bytes).map_err(|_error| before.malformed(Malformation::NotUtf8))
    }

    /// The id of a node.
    pub(crate) fn node(&mut self) -> Result<&'a str, FrameError> {
        self.text(1, NODE_LEN_MAX)
    }

    /// The address of a node.
    pub(crate) fn address(&mut self) -> Result<&'a str, FrameError> {
        self.text(0, ADDRESS_LEN_MAX)
    }

    #[inline]
    pub(crate) fn blob(&mut self) -> Result<&'a [u8], FrameError> {
        let before = *self;
        let first = self.u8()?;
        if first < 0x80 {
            return self.take(usize::from(first));
        }
        let mut len = usize::from(first & 0x7f);
        for shift in [7, 14, 21] {
            let byte = self.u8()?;
            len |= usize::from(byte & 0x7f) << shift;
            if byte == 0 {
                return Err(before.malformed(Malformation::LengthForm));
            }
            if byte < 0x80 {
                return self.take(len);
            }
        }
        Err(before.malformed(Malformation::LengthForm))
    }

    /// A name and a blob behind it, both below 128 bytes; `None`, and nothing is read, if they are
    /// not, or not there. It is the common case of a message, which then stays in registers.
    #[inline(always)]
    pub(crate) fn short_name_and_blob(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (&name_len, rest) = self.rest().split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(name_len))?;
        let (&blob_len, rest) = rest.split_first()?;
        let (blob, _rest) = rest.split_at_checked(usize::from(blob_len))?;
        if name_len == 0 || (name_len | blob_len) & 0x80 != 0 {
            return None;
        }
        self.at += 2 + name.len() + blob.len();
        Some((name, blob))
    }

    /// Nothing may follow.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), FrameError> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.malformed(Malformation::Trailing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(at: u32, what: Malformation) -> FrameError {
        FrameError::Malformed { at, what }
    }

    fn blob(bytes: &[u8]) -> Result<usize, FrameError> {
        Cursor::new(bytes, 0).blob().map(<[u8]>::len)
    }

    #[test]
    fn a_blobs_length_has_its_shortest_form_and_four_bytes_at_most() {
        assert_eq!(blob(&[0]), Ok(0));
        let mut bytes = vec![0x80, 0x01];
        bytes.resize(130, 0);
        assert_eq!(blob(&bytes), Ok(128));
        let mut bytes = vec![0xff, 0xff, 0x01];
        bytes.resize(3 + 0x7fff, 0);
        assert_eq!(blob(&bytes), Ok(0x7fff));
        let form = Err(malformed(0, Malformation::LengthForm));
        assert_eq!(blob(&[0x80, 0]), form);
        assert_eq!(blob(&[0xff, 0x80, 0]), form);
        assert_eq!(blob(&[0xff, 0xff, 0xff, 0]), form);
        assert_eq!(blob(&[0xff, 0xff, 0xff, 0xff, 1]), form);
        assert_eq!(blob(&[0xff, 0xff, 0xff, 0x7f]), Err(malformed(4, Malformation::Truncated)));
        assert_eq!(blob(&[0xff, 0xff]), Err(malformed(2, Malformation::Truncated)));
    }

    #[test]
    fn a_names_length_has_its_shortest_form_and_is_bounded() {
        let name = |bytes: &[u8]| Cursor::new(bytes, 0).name(3).map(<[u8]>::len);
        assert_eq!(name(&[1, b'a']), Ok(1));
        assert_eq!(name(&[0]), Err(FrameError::BadName { item: 3 }));
        assert_eq!(name(&[0x80, 0x7f]), Err(malformed(0, Malformation::LengthForm)));
        assert_eq!(name(&[0x80]), Err(malformed(1, Malformation::Truncated)));
        let mut bytes = vec![0x84, 0x00];
        bytes.resize(2 + 1_024, b'a');
        assert_eq!(name(&bytes), Ok(1_024));
        bytes[1] = 1;
        bytes.push(b'a');
        assert_eq!(name(&bytes), Err(FrameError::BadName { item: 3 }));
    }

    #[test]
    fn a_text_may_be_empty_and_a_node_may_not() {
        assert_eq!(Cursor::new(&[0], 0).address(), Ok(""));
        let error = Err(malformed(0, Malformation::TextLen));
        assert_eq!(Cursor::new(&[0], 0).node(), error);
        let mut bytes = vec![65];
        bytes.resize(66, b'a');
        assert_eq!(Cursor::new(&bytes, 0).node(), error);
        let error = Err(malformed(0, Malformation::NotUtf8));
        assert_eq!(Cursor::new(&[1, 0xff], 0).node(), error);
    }
}
