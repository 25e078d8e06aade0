//! Frames that are built item by item, and that know when the next does not fit.

use std::marker::PhantomData;

use crate::header::{PushKind, RequestKind};
use crate::ids::Sequence;
use crate::limits::Limits;
use crate::list::Item;
use crate::message::SendItem;
use crate::names::{self, Names};
use crate::port::RegisterFlags;
use crate::push::Event;
use crate::writer::FrameWriter;

/// A frame under way whose last field is a list of `T` with a count before it.
#[derive(Debug)]
#[must_use = "a batch is a frame only when it is finished"]
pub struct Batch<'o, T> {
    frame: FrameWriter<'o>,
    count_at: usize,
    count: u32,
    limits: Limits,
    item: PhantomData<fn(T)>,
}

/// A name as an item of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Name<'a>(pub &'a [u8]);

impl<'o, T> Batch<'o, T> {
    pub(crate) fn begin(mut frame: FrameWriter<'o>, limits: &Limits) -> Self {
        let count_at = frame.len();
        frame.u32(0);
        Self { frame, count_at, count: 0, limits: *limits, item: PhantomData }
    }

    /// Appends an item. `false`: it does not fit, and the frame is as it was.
    ///
    /// # Panics
    ///
    /// If a name in it is empty or too long.
    #[inline]
    #[must_use = "an item that does not fit goes into the next frame"]
    pub fn push<'a>(&mut self, item: T) -> bool
    where
        T: Item<'a>,
    {
        let before = self.frame.len();
        if self.count == self.limits.items_max() {
            return false;
        }
        item.write(self.frame.out());
        let fits = u32::try_from(self.frame.len()).is_ok_and(|l| l <= self.limits.frame_len_max());
        if fits {
            self.count += 1;
        } else {
            self.frame.cut(before);
        }
        fits
    }

    /// Items so far.
    #[inline]
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the frame so far.
    #[inline]
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.frame.len()
    }

    /// Ends the frame, and says how many items it has. One without an item is taken back: it would
    /// be no request.
    pub fn finish(self) -> u32 {
        let count = self.count;
        if count == 0 {
            self.frame.discard();
        } else {
            self.finish_with(|_frame| ());
        }
        count
    }

    /// Ends the frame, with or without items, after `last` has patched what else it must.
    pub(crate) fn finish_with(mut self, last: impl FnOnce(&mut FrameWriter<'o>)) {
        self.frame.patch(self.count_at, &self.count.to_le_bytes());
        last(&mut self.frame);
        self.frame.finish();
    }
}

impl<'o> Batch<'o, Name<'_>> {
    fn of(out: &'o mut Vec<u8>, kind: RequestKind, flags: u8, id: u32, limits: &Limits) -> Self {
        Self::begin(FrameWriter::request(out, kind, flags, id), limits)
    }

    /// A `REG_PORT`.
    pub fn register(out: &'o mut Vec<u8>, id: u32, flags: RegisterFlags, limits: &Limits) -> Self {
        Self::of(out, RequestKind::RegPort, flags.to_bits(), id, limits)
    }

    /// A `QUERY_PORT`.
    pub fn query(out: &'o mut Vec<u8>, id: u32, subscribe: bool, limits: &Limits) -> Self {
        Self::of(out, RequestKind::QueryPort, u8::from(subscribe), id, limits)
    }

    /// A `CANCEL_WAIT`.
    pub fn cancel_wait(out: &'o mut Vec<u8>, id: u32, limits: &Limits) -> Self {
        Self::of(out, RequestKind::CancelWait, 0, id, limits)
    }

    /// An `UNSUBSCRIBE`.
    pub fn unsubscribe(out: &'o mut Vec<u8>, id: u32, limits: &Limits) -> Self {
        Self::of(out, RequestKind::Unsubscribe, 0, id, limits)
    }

    /// A `QUERY_NODE`; the names are those of nodes.
    pub fn query_node(out: &'o mut Vec<u8>, id: u32, limits: &Limits) -> Self {
        Self::of(out, RequestKind::QueryNode, 0, id, &limits.of_nodes())
    }

    /// A `SEND_MANY` of one message to the names.
    ///
    /// # Panics
    ///
    /// If the message is longer than a blob can be.
    pub fn send_many(out: &'o mut Vec<u8>, id: u32, blob: &[u8], limits: &Limits) -> Self {
        let mut frame = FrameWriter::request(out, RequestKind::SendMany, 0, id);
        frame.blob(blob);
        Self::begin(frame, limits)
    }
}

impl<'o> Batch<'o, SendItem<'_>> {
    /// A `SEND`; `id` 0 wants no answer.
    pub fn send(out: &'o mut Vec<u8>, id: u32, limits: &Limits) -> Self {
        Self::begin(FrameWriter::request(out, RequestKind::Send, 0, id), limits)
    }
}

impl<'o> Batch<'o, Event<'_>> {
    /// `EVENTS` for the `WATCH` of that number.
    pub fn events(out: &'o mut Vec<u8>, watch_id: u32, limits: &Limits) -> Self {
        Self::begin(FrameWriter::push(out, PushKind::Events, watch_id), limits)
    }
}

impl<'n> Batch<'_, Name<'n>> {
    /// Appends as many of the names as fit, from the first, and says how many that are.
    pub fn push_names(&mut self, names: &Names<'n>) -> u32 {
        let (limits, block) = (self.limits, names.block());
        let len = u32::try_from(self.frame.len() + block.len()).unwrap_or(u32::MAX);
        let count = self.count.saturating_add(names.len());
        if len <= limits.frame_len_max() && count <= limits.items_max() {
            self.frame.bytes(block);
            self.count = count;
            return names.len();
        }
        let before = self.count;
        let mut names = names.iter();
        while names.next().is_some_and(|name| self.push(Name(name))) {}
        self.count - before
    }
}

/// As [`write_unregister`], of names that are in the form of the wire already, and of as many grants.
pub fn write_unregister_names(
    out: &mut Vec<u8>,
    id: u32,
    (sequences, names): (&[Sequence], &Names<'_>),
    limits: &Limits,
) -> u32 {
    let mut frame = FrameWriter::request(out, RequestKind::UnregPort, 0, id);
    let count = names.len().min(u32::try_from(sequences.len()).unwrap_or(u32::MAX));
    let len = frame.len() + 4 + sequences.len() * 8 + names.block().len();
    let is_whole = u32::try_from(len).is_ok_and(|len| len <= limits.frame_len_max());
    if count == 0 || count < names.len() || count > limits.items_max() || !is_whole {
        frame.discard();
        return write_unregister(out, id, sequences.iter().copied().zip(names.iter()), limits);
    }
    frame.u32(count);
    for sequence in sequences {
        frame.u64(sequence.to_bits());
    }
    frame.bytes(names.block());
    frame.finish();
    count
}

/// Appends an `UNREG_PORT` of as many of the items as fit, and says how many that are. None: no
/// frame was appended.
///
/// The sequences stand before all names, so the items are gone through twice.
///
/// # Panics
///
/// If a name is empty or too long.
pub fn write_unregister<'a>(
    out: &mut Vec<u8>,
    id: u32,
    items: impl Iterator<Item = (Sequence, &'a [u8])> + Clone,
    limits: &Limits,
) -> u32 {
    let mut frame = FrameWriter::request(out, RequestKind::UnregPort, 0, id);
    let count_at = frame.len();
    frame.u32(0);
    let frame_len_max = usize::try_from(limits.frame_len_max()).unwrap_or(usize::MAX);
    let mut len = frame.len();
    let mut count = 0;
    for (sequence, name) in items.clone() {
        len += 8 + name.len() + if name.len() < 0x80 { 1 } else { 2 };
        if len > frame_len_max || count == limits.items_max() {
            break;
        }
        frame.u64(sequence.to_bits());
        count += 1;
    }
    if count == 0 {
        frame.discard();
        return 0;
    }
    let taken = usize::try_from(count).unwrap_or(usize::MAX);
    for (_sequence, name) in items.take(taken) {
        names::write_name(frame.out(), name);
    }
    frame.patch(count_at, &count.to_le_bytes());
    frame.finish();
    count
}
