//! Appends a frame to a buffer that its caller keeps and uses again.

use crate::header::{ANSWER, PushKind, RequestKind};
use crate::limits::{BLOB_LEN_MAX, HEADER_LEN};
use crate::list::Item;
use crate::names;

/// A frame under way at the end of a buffer. Its length is written by [`FrameWriter::finish`];
/// without that the buffer ends in something that is no frame.
#[derive(Debug)]
#[must_use = "a frame is one only when it is finished"]
pub struct FrameWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> FrameWriter<'o> {
    /// Appends a header whose length is still to be written.
    #[inline]
    pub fn begin(out: &'o mut Vec<u8>, kind: u8, flags: u8, id: u32) -> Self {
        let start = out.len();
        let [a, b, c, d] = id.to_le_bytes();
        out.extend_from_slice(&[0, 0, 0, 0, kind, flags, 0, 0, a, b, c, d]);
        Self { out, start }
    }

    #[inline]
    pub(crate) fn request(out: &'o mut Vec<u8>, kind: RequestKind, flags: u8, id: u32) -> Self {
        Self::begin(out, u8::from(kind), flags, id)
    }

    #[inline]
    pub(crate) fn answer(out: &'o mut Vec<u8>, kind: RequestKind, id: u32) -> Self {
        Self::begin(out, u8::from(kind) + ANSWER, 0, id)
    }

    #[inline]
    pub(crate) fn push(out: &'o mut Vec<u8>, kind: PushKind, id: u32) -> Self {
        Self::begin(out, u8::from(kind), 0, id)
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Appends a `u8`.
    #[inline]
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.out.push(value);
        self
    }

    /// Appends a `u16`.
    #[inline]
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends a `u32`.
    #[inline]
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends a `u64`.
    #[inline]
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends a `text`.
    ///
    /// # Panics
    ///
    /// If it is longer than [`crate::limits::TEXT_LEN_MAX`].
    #[inline]
    pub fn text(&mut self, text: &str) -> &mut Self {
        names::write_len(self.out, text.len());
        self.bytes(text.as_bytes())
    }

    /// Appends a `name`.
    ///
    /// # Panics
    ///
    /// If it is empty or longer than [`crate::limits::NAME_LEN_MAX`].
    #[inline]
    pub fn name(&mut self, name: &[u8]) -> &mut Self {
        names::write_name(self.out, name);
        self
    }

    /// Appends a `blob`.
    ///
    /// # Panics
    ///
    /// If it is longer than [`BLOB_LEN_MAX`].
    #[inline]
    pub fn blob(&mut self, blob: &[u8]) -> &mut Self {
        write_blob(self.out, blob);
        self
    }

    /// Appends a count and so many items.
    pub fn list<'a, T: Item<'a>>(&mut self, items: impl IntoIterator<Item = T>) -> &mut Self {
        let count_at = self.len();
        self.u32(0);
        let mut count = 0;
        for item in items {
            item.write(self.out);
            count += 1;
        }
        self.patch(count_at, &u32::to_le_bytes(count));
        self
    }

    /// The buffer, to append to.
    #[inline]
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// Bytes of the frame so far.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len() - self.start
    }

    /// A frame has a header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Takes back what was appended since the frame had `len` bytes.
    #[inline]
    pub(crate) fn cut(&mut self, len: usize) {
        self.out.truncate(self.start + len);
    }

    /// Writes over bytes that are there.
    #[inline]
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) {
        let at = self.start + at;
        self.out[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes the length; the buffer ends in a whole frame.
    ///
    /// # Panics
    ///
    /// If the frame is longer than 4 GiB.
    #[inline]
    pub fn finish(mut self) {
        let len = u32::try_from(self.len()).expect("a frame is shorter than 4 GiB");
        self.patch(0, &len.to_le_bytes());
    }

    /// Takes the whole frame back.
    pub fn discard(self) {
        self.out.truncate(self.start);
    }
}

/// Appends a blob with its length.
#[inline]
pub(crate) fn write_blob(out: &mut Vec<u8>, blob: &[u8]) {
    let mut len = u32::try_from(blob.len()).unwrap_or(u32::MAX);
    assert!(blob.len() <= BLOB_LEN_MAX, "a blob of {len} bytes is longer than {BLOB_LEN_MAX}");
    while len >= 0x80 {
        out.push(0x80 | (len.to_le_bytes()[0] & 0x7f));
        len >>= 7;
    }
    out.push(len.to_le_bytes()[0]);
    out.extend_from_slice(blob);
}

const _: () = assert!(HEADER_LEN == 12);

/// Appends a request without a body: `WAIT_MSG`, `YIELD`, `PING` or `STATUS`.
pub fn write_bare(out: &mut Vec<u8>, kind: RequestKind, id: u32) {
    let is_bare = matches!(
        kind,
        RequestKind::WaitMsg | RequestKind::Yield | RequestKind::Ping | RequestKind::Status
    );
    assert!(is_bare, "{kind:?} has a body");
    FrameWriter::request(out, kind, 0, id).finish();
}

/// Appends an answer without a body: to `YIELD`, `BYE`, `PING` or `WATCH`.
pub fn write_bare_answer(out: &mut Vec<u8>, kind: RequestKind, id: u32) {
    let is_bare = matches!(
        kind,
        RequestKind::Yield | RequestKind::Bye | RequestKind::Ping | RequestKind::Watch
    );
    assert!(is_bare, "the answer to {kind:?} has a body");
    FrameWriter::answer(out, kind, id).finish();
}
