//! Items of separate calls that leave in one frame.

use std::collections::VecDeque;

use base::{Duration, Instant};
use protocol::{Batch as Frame, Limits, Name, RegisterFlags, SendItem, Sequence, write_unregister};

use crate::limits::{BATCH_ITEMS_MAX, BATCH_LEN};

/// What an item is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tag {
    /// An item of a call.
    Call {
        request: u64,
        item: u32,
    },
    /// A port that a call waits for and that is asked for again.
    Wait {
        request: u64,
    },
    /// As `Call` and `Wait`: the port is this session's, and its sequence is asked for.
    Recover {
        request: u64,
        item: u32,
    },
    RecoverWait {
        request: u64,
    },
    /// Nobody asks what becomes of it.
    Nobody,
}

impl Tag {
    /// The call that the item is for, or 0.
    pub(super) const fn call(self) -> u64 {
        match self {
            Self::Call { request, .. }
            | Self::Wait { request }
            | Self::Recover { request, .. }
            | Self::RecoverWait { request } => request,
            Self::Nobody => 0,
        }
    }
}

/// What is asked for the items of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Unsubscribe,
    Unregister,
    CancelWait,
    Register(RegisterFlags),
    Query { subscribe: bool },
    Send,
}

impl Kind {
    /// Whether a registration asks to be told when a port goes away.
    pub(super) const fn subscribes(self) -> bool {
        matches!(self, Self::Register(RegisterFlags { subscribe: true, .. }))
    }
}

/// The kinds in the order in which they leave together: a port is released, and
/// waited for no more, before it is asked for, and asked for before somebody is asked whose it is.
pub(super) const KINDS: [Kind; 10] = [
    Kind::Unsubscribe,
    Kind::Unregister,
    Kind::CancelWait,
    Kind::Register(RegisterFlags { subscribe: false, wait: false }),
    Kind::Register(RegisterFlags { subscribe: true, wait: false }),
    Kind::Register(RegisterFlags { subscribe: false, wait: true }),
    Kind::Register(RegisterFlags { subscribe: true, wait: true }),
    Kind::Query { subscribe: false },
    Kind::Query { subscribe: true },
    Kind::Send,
];

/// Texts one behind the other.
#[derive(Clone, Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Block {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.ends.len()).map(|index| {
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[start..self.ends[index]]
        })
    }

    /// Takes off what is from `index` on, if there are as many.
    fn split_off(&mut self, index: usize) -> Self {
        let index = index.min(self.ends.len());
        let at = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let bytes = self.bytes.split_off(at);
        let ends = self.ends.split_off(index).into_iter().map(|end| end - at).collect();
        Self { bytes, ends }
    }
}

/// Items of one kind.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) kind: Kind,
    pub(super) tags: Vec<Tag>,
    names: Block,
    blobs: Block,
    sequences: Vec<Sequence>,
    /// Whether it was sent before, on a connection that was lost.
    pub(super) is_again: bool,
    /// How often the switch was too busy for it.
    pub(super) deferrals: u32,
}

impl Batch {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            tags: Vec::new(),
            names: Block::default(),
            blobs: Block::default(),
            sequences: Vec::new(),
            is_again: false,
            deferrals: 0,
        }
    }

    pub(super) fn push(&mut self, name: &str, tag: Tag, sequence: Sequence, blob: &[u8]) {
        self.names.push(name.as_bytes());
        self.tags.push(tag);
        match self.kind {
            Kind::Unregister => self.sequences.push(sequence),
            Kind::Send => self.blobs.push(blob),
            Kind::Unsubscribe | Kind::CancelWait | Kind::Register(_) | Kind::Query { .. } => {}
        }
    }

    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.names.iter()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(|name| str::from_utf8(name).expect("it was made from a text"))
    }

    pub(super) fn len(&self) -> usize {
        self.names.bytes.len() + self.blobs.bytes.len()
    }

    fn is_full(&self) -> bool {
        self.len() >= BATCH_LEN
            || u32::try_from(self.tags.len()).map_or(true, |count| count >= BATCH_ITEMS_MAX)
    }

    /// Appends a frame of as many items as fit; the others are what is returned. `Err` if not one
    /// fits.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        id: u32,
        limits: &Limits,
    ) -> Result<Option<Self>, TooLong> {
        let names = || self.names.iter();
        let taken = match self.kind {
            Kind::Unregister => {
                let items = self.sequences.iter().copied().zip(self.names.iter());
                write_unregister(out, id, items, limits)
            }
            Kind::Send => {
                let mut frame = Frame::send(out, id, limits);
                let items = names().zip(self.blobs.iter());
                items.map(|(name, blob)| SendItem { name, blob }).all(|item| frame.push(item));
                frame.finish()
            }
            Kind::CancelWait => fill(Frame::cancel_wait(out, id, limits), names()),
            Kind::Unsubscribe => fill(Frame::unsubscribe(out, id, limits), names()),
            Kind::Register(flags) => fill(Frame::register(out, id, flags, limits), names()),
            Kind::Query { subscribe } => fill(Frame::query(out, id, subscribe, limits), names()),
        };
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        if taken == 0 {
            return Err(TooLong);
        }
        Ok((taken < self.tags.len()).then(|| self.split_off(taken)))
    }

    /// Leaves out items of a kind that has names only.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&str, Tag) -> bool) {
        let mut kept =
            Self { is_again: self.is_again, deferrals: self.deferrals, ..Self::new(self.kind) };
        for (name, tag) in self.texts().zip(&self.tags) {
            if is_kept(name, *tag) {
                kept.push(name, *tag, Sequence::NONE, &[]);
            }
        }
        *self = kept;
    }

    /// Takes off the items from `index` on.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        Self {
            kind: self.kind,
            tags: self.tags.split_off(index),
            names: self.names.split_off(index),
            blobs: self.blobs.split_off(index),
            sequences: self.sequences.split_off(index.min(self.sequences.len())),
            is_again: self.is_again,
            deferrals: self.deferrals,
        }
    }
}

/// The first item of a batch does not fit a frame of this switch.
#[derive(Debug)]
pub(super) struct TooLong;

fn fill<'a>(mut frame: Frame<'_, Name<'a>>, mut names: impl Iterator<Item = &'a [u8]>) -> u32 {
    names.all(|name| frame.push(Name(name)));
    frame.finish()
}

/// What waits to be sent on a connection.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: [VecDeque<Batch>; KINDS.len()],
    len: usize,
    since: Option<Instant>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self { lanes: std::array::from_fn(|_lane| VecDeque::new()), len: 0, since: None }
    }

    fn lane(&mut self, kind: Kind) -> &mut VecDeque<Batch> {
        let index = KINDS.iter().position(|each| *each == kind);
        &mut self.lanes[index.expect("every kind has its lane")]
    }

    /// Bytes of names and messages.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds an item to the batch that is open.
    pub(super) fn push(&mut self, kind: Kind, item: (&str, Tag, Sequence, &[u8]), now: Instant) {
        let (name, tag, sequence, blob) = item;
        let lane = self.lane(kind);
        if lane.back().is_none_or(|batch| batch.is_full() || batch.is_again) {
            lane.push_back(Batch::new(kind));
        }
        lane.back_mut().expect("it was just made sure").push(name, tag, sequence, blob);
        self.len += name.len() + blob.len();
        self.since.get_or_insert(now);
    }

    /// Puts a batch before all others of its kind.
    pub(super) fn push_front(&mut self, batch: Batch, now: Instant) {
        self.len += batch.len();
        self.since.get_or_insert(now);
        self.lane(batch.kind).push_front(batch);
    }

    /// The next batch that leaves.
    pub(super) fn pop(&mut self) -> Option<Batch> {
        let batch = self.lanes.iter_mut().find_map(VecDeque::pop_front);
        self.len -= batch.as_ref().map_or(0, Batch::len);
        if batch.is_none() {
            self.since = None;
        }
        batch
    }

    /// When what waits leaves at the latest; `None`: nothing waits.
    pub(super) fn due(&self, delay: Duration) -> Option<Instant> {
        self.since.map(|since| since + delay)
    }

    /// What waits of some kinds.
    pub(super) fn take(&mut self, is_taken: impl Fn(Kind) -> bool) -> Vec<Batch> {
        let lanes = self.lanes.iter_mut().zip(KINDS).filter(|(_lane, kind)| is_taken(*kind));
        let taken: Vec<Batch> = lanes.flat_map(|(lane, _kind)| std::mem::take(lane)).collect();
        self.len -= taken.iter().map(Batch::len).sum::<usize>();
        taken
    }
}
