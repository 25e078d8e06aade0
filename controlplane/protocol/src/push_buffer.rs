//! An outgoing buffer whose last push takes more items, so that many small pushes are one frame.
//!
//! Its header is right after each item: whatever is taken out of the buffer is whole frames.

use crate::header::PushKind;
use crate::limits::{HEADER_LEN, Limits};
use crate::list::Item;
use crate::push::{Event, Flush, Gone, Granted, Leaving, Message};
use crate::writer::FrameWriter;

/// Frames of a connection that wait to be sent.
#[derive(Clone, Debug)]
pub struct PushBuffer {
    bytes: Vec<u8>,
    open: Option<Open>,
    limits: Limits,
}

/// The frame at the end of the buffer, which takes more items.
#[derive(Clone, Copy, Debug)]
struct Open {
    head: Head,
    start: usize,
    count_at: usize,
    count: u32,
}

/// What the items of one frame have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    kind: PushKind,
    /// That of the watch, else 0.
    id: u32,
    /// The number of the next item, if it has one.
    notice: Option<u64>,
}

impl Head {
    const fn of(kind: PushKind) -> Self {
        Self { kind, id: 0, notice: None }
    }
}

impl PushBuffer {
    /// An empty buffer for a connection of these bounds.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { bytes: Vec::new(), open: None, limits }
    }

    /// Bytes that wait.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends a message.
    ///
    /// # Panics
    ///
    /// If it is longer than the connection's `message_len_max`.
    #[inline]
    pub fn message(&mut self, message: Message<'_>) {
        let len = message.blob.len();
        let len_max = self.limits.message_len_max();
        let fits = u32::try_from(len).is_ok_and(|len| len <= len_max);
        assert!(fits, "a message of {len} bytes on a connection for {len_max}");
        self.append(Head::of(PushKind::Messages), message);
    }

    /// Appends a grant that was waited for; `notice` is its number.
    #[inline]
    pub fn grant(&mut self, notice: u64, granted: Granted<'_>) {
        self.append(Head { notice: Some(notice), ..Head::of(PushKind::Grant) }, granted);
    }

    /// Appends that a port went away; `notice` is its number.
    #[inline]
    pub fn port_gone(&mut self, notice: u64, gone: Gone<'_>) {
        self.append(Head { notice: Some(notice), ..Head::of(PushKind::PortGone) }, gone);
    }

    /// Appends an event for the `WATCH` of that number.
    ///
    /// # Panics
    ///
    /// If the node's id or the name is empty or too long.
    pub fn event(&mut self, watch_id: u32, event: Event<'_>) {
        self.append(Head { id: watch_id, ..Head::of(PushKind::Events) }, event);
    }

    /// Appends a `FLUSH`.
    pub fn flush(&mut self, flush: Flush) {
        flush.write(self.frames());
    }

    /// Appends a `LEAVING`.
    ///
    /// # Panics
    ///
    /// If its hint is too long for a text.
    pub fn leaving(&mut self, leaving: Leaving<'_>) {
        leaving.write(self.frames());
    }

    /// The buffer, to append whole frames to, such as answers. The last push takes no more items.
    pub fn frames(&mut self) -> &mut Vec<u8> {
        self.open = None;
        &mut self.bytes
    }

    /// What waits, to be sent. The last push takes no more items: its header may be on the way.
    pub fn sealed(&mut self) -> &[u8] {
        self.open = None;
        &self.bytes
    }

    /// Takes what waits, and leaves an empty buffer, which may have room, in its place.
    #[must_use = "what waits is lost otherwise"]
    pub fn take(&mut self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.clear();
        self.open = None;
        std::mem::replace(&mut self.bytes, spare)
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.open = None;
        self.bytes.clear();
    }

    #[inline]
    fn append<'a>(&mut self, head: Head, item: impl Item<'a>) {
        if !self.extend(head, item) {
            self.begin(head);
            let fits = self.extend(head, item);
            assert!(fits, "one item of a push fits a frame by the rules of `Limits`");
        }
    }

    /// Appends to the open frame; `false` if that is another one or the item does not fit.
    #[inline]
    fn extend<'a>(&mut self, head: Head, item: impl Item<'a>) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        if open.head != head || open.count == self.limits.items_max() {
            return false;
        }
        let before = self.bytes.len();
        item.write(&mut self.bytes);
        let len = u32::try_from(self.bytes.len() - open.start).unwrap_or(u32::MAX);
        if len > self.limits.frame_len_max() {
            self.bytes.truncate(before);
            return false;
        }
        open.count += 1;
        open.head.notice = head.notice.map(|notice| notice.wrapping_add(1));
        let Open { start, count_at, count, .. } = *open;
        self.bytes[start..start + 4].copy_from_slice(&len.to_le_bytes());
        self.bytes[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
        true
    }

    /// Begins a frame without items; the first is appended at once.
    fn begin(&mut self, head: Head) {
        let Head { kind, id, notice } = head;
        let start = self.bytes.len();
        let mut frame = FrameWriter::push(&mut self.bytes, kind, id);
        if let Some(notice) = notice {
            frame.u64(notice);
        }
        let count_at = start + frame.len();
        frame.u32(0);
        self.open = Some(Open { head, start, count_at, count: 0 });
    }
}

const _: () = assert!(HEADER_LEN + 8 + 4 + 1 + 8 + 2 + 1_024 <= 4_096);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Framing;
    use crate::ids::Sequence;
    use crate::incoming::{Incoming, IncomingBody, Push};
    use crate::push::{FlushReason, GoneReason};

    /// One word a frame: what it is, its first notice, its items.
    fn shown(mut bytes: &[u8], limits: &Limits) -> String {
        let mut words = Vec::new();
        while !bytes.is_empty() {
            let Ok(Framing::Whole { header, frame, rest }) =
                Framing::find(bytes, limits.frame_len_max())
            else {
                panic!("whole frames");
            };
            bytes = rest;
            let IncomingBody::Push(push) = Incoming::parse(frame, limits).expect("our own").body
            else {
                panic!("a push");
            };
            words.push(match push {
                Push::Messages(messages) => format!("messages*{}", messages.len()),
                Push::Grant(grant) => format!("grant@{}*{}", grant.notice, grant.items.len()),
                Push::PortGone(gone) => format!("gone@{}*{}", gone.notice, gone.items.len()),
                Push::Flush(flush) => format!("flush@{}", flush.notice),
                Push::Events(events) => format!("events@{}*{}", header.id, events.len()),
                Push::Greeting(_) | Push::Leaving(_) | Push::Unknown => {
                    panic!("not written here")
                }
            });
        }
        words.join(" ")
    }

    fn message(blob: &[u8]) -> Message<'_> {
        Message { sequence: Sequence::new(1, 2), blob }
    }

    fn gone(name: &[u8]) -> Gone<'_> {
        Gone { reason: GoneReason::Released, sequence: Sequence::new(0, 1), name }
    }

    fn granted(name: &[u8]) -> Granted<'_> {
        Granted { sequence: Sequence::new(0, 1), name }
    }

    /// What is appended, and what the buffer has then.
    type Step = (fn(&mut PushBuffer), &'static str);

    #[test]
    fn items_of_one_kind_share_a_frame_and_the_bytes_are_always_whole_frames() {
        let limits = Limits::DEFAULT;
        let mut buffer = PushBuffer::new(limits);
        let steps: [Step; 7] = [
            (|b| b.message(message(b"a")), "messages*1"),
            (|b| b.message(message(b"")), "messages*2"),
            (|b| b.port_gone(5, gone(b"x")), "messages*2 gone@5*1"),
            (|b| b.port_gone(6, gone(b"y")), "messages*2 gone@5*2"),
            (|b| b.grant(7, granted(b"z")), "messages*2 gone@5*2 grant@7*1"),
            (|b| b.grant(9, granted(b"z")), "messages*2 gone@5*2 grant@7*1 grant@9*1"),
            (
                |b| b.flush(Flush { notice: 10, reason: FlushReason::Overflow }),
                "messages*2 gone@5*2 grant@7*1 grant@9*1 flush@10",
            ),
        ];
        for (step, expected) in steps {
            step(&mut buffer);
            assert_eq!(shown(&buffer.bytes, &limits), expected);
        }
    }

    #[test]
    fn the_events_of_each_watch_have_frames_of_their_own() {
        let mut buffer = PushBuffer::new(Limits::DEFAULT);
        for watch_id in [3, 3, 4, 4, 3] {
            buffer.event(watch_id, Event::MISSING);
        }
        let expected = "events@3*2 events@4*2 events@3*1";
        assert_eq!(shown(&buffer.bytes, &Limits::DEFAULT), expected);
    }

    #[test]
    fn a_frame_that_is_full_is_followed_by_another() {
        let limits = Limits::new(4_096, 3, 3_000).expect("bounds");
        let mut buffer = PushBuffer::new(limits);
        for _ in 0..4 {
            buffer.message(message(b"a"));
        }
        assert_eq!(shown(&buffer.bytes, &limits), "messages*3 messages*1");
        buffer.message(message(&[7; 3_000]));
        assert_eq!(shown(&buffer.bytes, &limits), "messages*3 messages*2");
        buffer.message(message(&[7; 3_000]));
        assert_eq!(shown(&buffer.bytes, &limits), "messages*3 messages*2 messages*1");
    }

    #[test]
    fn what_may_be_on_the_way_takes_no_more_items() {
        let limits = Limits::DEFAULT;
        let mut buffer = PushBuffer::new(limits);
        buffer.message(message(b"a"));
        let sent = buffer.sealed().to_vec();
        buffer.message(message(b"b"));
        assert_eq!(buffer.bytes[..sent.len()], sent);
        assert_eq!(shown(&buffer.bytes, &limits), "messages*1 messages*1");
        let taken = buffer.take(vec![1, 2, 3]);
        assert_eq!(shown(&taken, &limits), "messages*1 messages*1");
        assert!(buffer.is_empty());
        buffer.message(message(b"c"));
        assert_eq!(shown(&buffer.bytes, &limits), "messages*1");
        buffer.clear();
        buffer.message(message(b"c"));
        assert_eq!(shown(&buffer.bytes, &limits), "messages*1");
    }
}
