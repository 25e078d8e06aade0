//! Items of separate calls that leave in one frame.

use std::collections::VecDeque;

use base::{Duration, Instant};
use protocol::{
    Batch as Frame, Limits, Name, NameBuffer, Names, NamesIter, RegisterFlags, SendItem,
};
use protocol::{Sequence, write_unregister_names};

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

/// Items of a batch in a row, of one call in its order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// That of the first.
    tag: Tag,
    pub(super) count: usize,
    /// Bytes of their names.
    len: usize,
}

impl Run {
    /// The call whose items these are, and which of its items come first; `None`: they are something
    /// else.
    pub(super) fn of_call(&self) -> Option<(u64, usize)> {
        match self.tag {
            Tag::Call { request, item } => Some((request, index(item))),
            Tag::Wait { .. } | Tag::Recover { .. } | Tag::RecoverWait { .. } | Tag::Nobody => None,
        }
    }

    /// The tags of its items.
    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> + Clone + use<> {
        let first = self.tag;
        (0..self.count).map(move |item| first.after(item))
    }

    /// Whether both are items of one call.
    fn is_of_call_of(&self, other: &Self) -> bool {
        let calls = self.of_call().zip(other.of_call());
        calls.is_some_and(|((one, _), (other, _))| one == other)
    }

    /// Whether an item can be the next of it.
    fn goes_on_with(&self, tag: Tag) -> bool {
        match (self.tag, tag) {
            (Tag::Call { .. }, Tag::Call { .. })
            | (Tag::Recover { .. }, Tag::Recover { .. })
            | (Tag::Nobody, Tag::Nobody) => self.tag.after(self.count) == tag,
            (
                Tag::Call { .. }
                | Tag::Wait { .. }
                | Tag::Recover { .. }
                | Tag::RecoverWait { .. }
                | Tag::Nobody,
                _,
            ) => false,
        }
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Tag {
    /// Which item of its call it is for, or 0.
    pub(super) fn item(self) -> usize {
        match self {
            Self::Call { item, .. } | Self::Recover { item, .. } => index(item),
            Self::Wait { .. } | Self::RecoverWait { .. } | Self::Nobody => 0,
        }
    }

    /// That of the item of the same call that is `count` items later.
    fn after(self, count: usize) -> Self {
        let later = |item: u32| item.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        match self {
            Self::Call { request, item } => Self::Call { request, item: later(item) },
            Self::Recover { request, item } => Self::Recover { request, item: later(item) },
            Self::Wait { .. } | Self::RecoverWait { .. } | Self::Nobody => self,
        }
    }

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
    /// Its place among all of them.
    const fn index(self) -> usize {
        match self {
            Self::Unsubscribe => 0,
            Self::Unregister => 1,
            Self::CancelWait => 2,
            Self::Register(RegisterFlags { subscribe, wait }) => {
                3 + subscribe as usize + 2 * (wait as usize)
            }
            Self::Query { subscribe } => 7 + subscribe as usize,
            Self::Send => 9,
        }
    }

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

/// Items of a batch that are of one call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    runs: &'a [Run],
    count: usize,
    len: usize,
}

impl Call<'_> {
    /// Items.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Bytes of their names.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> {
        self.runs.iter().flat_map(Run::tags)
    }
}

/// The text of a name of a batch.
pub(super) fn text_of(name: &[u8]) -> &str {
    str::from_utf8(name).expect("it was made from a text")
}

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
    runs: Vec<Run>,
    count: usize,
    names: NameBuffer,
    /// Bytes of names and messages.
    len: usize,
    blobs: Block,
    sequences: Vec<Sequence>,
    /// Whether it was sent before, on a connection that was lost.
    pub(super) is_again: bool,
    /// How often the switch was too busy for it.
    pub(super) deferrals: u32,
    /// Of a query for the cache: what it was told of when it left.
    pub(super) asked: u64,
}

impl Batch {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            runs: Vec::new(),
            count: 0,
            names: NameBuffer::default(),
            len: 0,
            blobs: Block::default(),
            sequences: Vec::new(),
            is_again: false,
            deferrals: 0,
            asked: 0,
        }
    }

    pub(super) fn push(&mut self, name: &str, tag: Tag, sequence: Sequence, blob: &[u8]) {
        self.names.push(name);
        self.len += name.len();
        self.push_tag(tag, name.len());
        match self.kind {
            Kind::Unregister => self.sequences.push(sequence),
            Kind::Send => {
                self.len += blob.len();
                self.blobs.push(blob);
            }
            Kind::Unsubscribe | Kind::CancelWait | Kind::Register(_) | Kind::Query { .. } => {}
        }
    }

    fn push_tag(&mut self, tag: Tag, len: usize) {
        self.count += 1;
        match self.runs.last_mut() {
            Some(run) if run.goes_on_with(tag) => {
                run.count += 1;
                run.len += len;
            }
            Some(_) | None => self.runs.push(Run { tag, count: 1, len }),
        }
    }

    /// Appends items of a call from the one of this number on, without messages, until it is full;
    /// says how many.
    fn push_call<'a>(
        &mut self,
        request: u64,
        first: u32,
        items: &mut impl ExactSizeIterator<Item = (&'a str, Sequence)>,
    ) -> usize {
        let (len, count) = (self.len, self.count);
        // Names of a call are of about the same length, and a batch is full soon after its bound.
        let some = items.len().min(index(BATCH_ITEMS_MAX) - count);
        while !self.is_full()
            && let Some((name, sequence)) = items.next()
        {
            if self.count == count {
                self.names.reserve(some, (some * name.len()).min(BATCH_LEN));
                if self.kind == Kind::Unregister {
                    self.sequences.reserve(some);
                }
            }
            self.names.push(name);
            self.len += name.len();
            self.count += 1;
            if self.kind == Kind::Unregister {
                self.sequences.push(sequence);
            }
        }
        let (len, count) = (self.len - len, self.count - count);
        if count > 0 {
            self.runs.push(Run { tag: Tag::Call { request, item: first }, count, len });
        }
        count
    }

    /// Items.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Messages in it.
    pub(super) fn messages(&self) -> u64 {
        if self.kind == Kind::Send { u64::try_from(self.count).unwrap_or(u64::MAX) } else { 0 }
    }

    /// The items in their order, those in a row together.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> + Clone {
        self.runs.iter().flat_map(Run::tags)
    }

    /// The items by call: those of one that are in a row are together.
    pub(super) fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        self.runs.chunk_by(|one, next| one.is_of_call_of(next)).map(|runs| {
            let sum = |of: fn(&Run) -> usize| runs.iter().map(of).sum();
            Call { runs, count: sum(|run| run.count), len: sum(|run| run.len) }
        })
    }

    /// The items: what each is about, and what it is for.
    pub(super) fn items(&self) -> impl Iterator<Item = (&str, Tag)> + Clone {
        self.texts().zip(self.tags())
    }

    pub(super) fn names(&self) -> NamesIter<'_> {
        self.names.names().iter()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.names().map(text_of)
    }

    /// Bytes of names and messages.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn is_full(&self) -> bool {
        self.len >= BATCH_LEN
            || u32::try_from(self.count).map_or(true, |count| count >= BATCH_ITEMS_MAX)
    }

    /// Appends a frame of as many items as fit; the others are what is returned. `Err` if not one
    /// fits.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        id: u32,
        limits: &Limits,
    ) -> Result<Option<Self>, TooLong> {
        let names = self.names.names();
        let taken = match self.kind {
            Kind::Unregister => write_unregister_names(out, id, (&self.sequences, &names), limits),
            Kind::Send => {
                let mut frame = Frame::send(out, id, limits);
                let items = names.iter().zip(self.blobs.iter());
                items.map(|(name, blob)| SendItem { name, blob }).all(|item| frame.push(item));
                frame.finish()
            }
            Kind::CancelWait => fill(Frame::cancel_wait(out, id, limits), &names),
            Kind::Unsubscribe => fill(Frame::unsubscribe(out, id, limits), &names),
            Kind::Register(flags) => fill(Frame::register(out, id, flags, limits), &names),
            Kind::Query { subscribe } => fill(Frame::query(out, id, subscribe, limits), &names),
        };
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        if taken == 0 {
            return Err(TooLong);
        }
        Ok((taken < self.count).then(|| self.split_off(taken)))
    }

    /// Leaves out items of a kind that has names only.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&str, Tag) -> bool) {
        let mut kept =
            Self { is_again: self.is_again, deferrals: self.deferrals, ..Self::new(self.kind) };
        for (name, tag) in self.items() {
            if is_kept(name, tag) {
                kept.push(name, tag, Sequence::NONE, &[]);
            }
        }
        *self = kept;
    }

    /// Takes off the items from `index` on.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let index = index.min(self.count);
        let names = self.names.split_off(u32::try_from(index).unwrap_or(u32::MAX));
        let mut rest = Self {
            blobs: self.blobs.split_off(index),
            sequences: self.sequences.split_off(index.min(self.sequences.len())),
            is_again: self.is_again,
            deferrals: self.deferrals,
            asked: self.asked,
            ..Self::new(self.kind)
        };
        // It happens seldom enough to tell all runs anew.
        let tags: Vec<Tag> = self.tags().collect();
        let before = std::mem::take(&mut self.names);
        self.set_names(before, &tags[..index]);
        rest.set_names(names, &tags[index..]);
        rest
    }

    /// Has these names, for what the tags say, beside what it has.
    fn set_names(&mut self, names: NameBuffer, tags: &[Tag]) {
        self.runs.clear();
        (self.count, self.len) = (0, self.blobs.bytes.len());
        for (tag, name) in tags.iter().zip(names.names()) {
            self.push_tag(*tag, name.len());
            self.len += name.len();
        }
        self.names = names;
    }
}

/// The first item of a batch does not fit a frame of this switch.
#[derive(Debug)]
pub(super) struct TooLong;

fn fill<'n>(mut frame: Frame<'_, Name<'n>>, names: &Names<'n>) -> u32 {
    frame.push_names(names);
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
        &mut self.lanes[kind.index()]
    }

    /// Bytes of names and messages.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds an item to the batch that is open.
    pub(super) fn push(&mut self, kind: Kind, item: (&str, Tag, Sequence, &[u8]), now: Instant) {
        let (name, tag, sequence, blob) = item;
        open(self.lane(kind), kind).push(name, tag, sequence, blob);
        self.len += name.len() + blob.len();
        self.since.get_or_insert(now);
    }

    /// Adds all items of a call, without messages.
    pub(super) fn push_call<'a>(
        &mut self,
        kind: Kind,
        request: u64,
        mut items: impl ExactSizeIterator<Item = (&'a str, Sequence)>,
        now: Instant,
    ) {
        let lane = &mut self.lanes[kind.index()];
        let mut first = 0;
        while items.len() > 0 {
            let batch = open(lane, kind);
            let before = batch.len();
            let item = u32::try_from(first).unwrap_or(u32::MAX);
            first += batch.push_call(request, item, &mut items);
            self.len += batch.len() - before;
        }
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

    /// Whether a registration is to be sent again: its first answer, which is lost, may have granted ports.
    pub(super) fn may_have_granted(&self) -> bool {
        let lanes = self.lanes.iter().zip(KINDS);
        let mut lanes = lanes.filter(|(_lane, kind)| matches!(kind, Kind::Register(_)));
        lanes.any(|(lane, _kind)| lane.iter().any(|batch| batch.is_again))
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

/// The batch of a lane that takes more.
fn open(lane: &mut VecDeque<Batch>, kind: Kind) -> &mut Batch {
    if lane.back().is_none_or(|batch| batch.is_full() || batch.is_again) {
        lane.push_back(Batch::new(kind));
    }
    lane.back_mut().expect("it was just made sure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_lane() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert_eq!(kind.index(), index, "{kind:?}");
        }
    }

    #[test]
    fn items_of_a_call_are_a_run_however_the_batch_is_cut() {
        let call = |request, item| Tag::Call { request, item };
        let wait = Tag::Wait { request: 3 };
        let tags =
            [call(1, 4), call(1, 5), call(1, 6), call(2, 7), wait, wait, call(2, 8), Tag::Nobody];
        let mut whole = Batch::new(Kind::Query { subscribe: false });
        for (name, tag) in ["a", "b", "c", "d", "e", "f", "g", "h"].iter().zip(tags) {
            whole.push(name, tag, Sequence::NONE, &[]);
        }
        assert_eq!((whole.runs().len(), whole.count()), (6, 8));
        for at in 0..=tags.len() {
            let mut first = whole.clone();
            let rest = first.split_off(at);
            assert_eq!((first.count(), rest.count()), (at, tags.len() - at));
            assert_eq!(first.tags().chain(rest.tags()).collect::<Vec<_>>(), tags, "cut at {at}");
            assert_eq!(first.items().count() + rest.items().count(), tags.len());
        }
    }
}
