//! What a switch says unasked: messages, notices, events.

use crate::codes::open_codes;
use crate::cursor::Cursor;
use crate::fault::FrameError;
use crate::header::PushKind;
use crate::ids::Sequence;
use crate::limits::{HEADER_LEN, TEXT_LEN_MAX};
use crate::list::{Item, List};
use crate::names;
use crate::writer::{FrameWriter, write_blob};

open_codes! {
    /// Why a port went away from its owner.
    GoneReason: u8 {
        /// The owner released it.
        Released = 1,
        /// The node was lost.
        NodeLost = 2,
        /// The owner was replaced.
        Replaced = 3,
        /// The port is another switch's now.
        Moved = 4,
    }
}

open_codes! {
    /// Why all that is known of owners is to be forgotten.
    FlushReason: u8 {
        /// Notices did not fit the queue.
        Overflow = 1,
        /// The session's connection was away, and notices were lost.
        Resumed = 2,
    }
}

open_codes! {
    /// Why the switch ends the connection soon.
    LeavingReason: u8 {
        /// The switch stops.
        Stopping = 1,
        /// The switch is master no more.
        NotMaster = 2,
    }
}

open_codes! {
    /// What happened to a port.
    EventKind: u8 {
        /// Some events did not fit and are missing here.
        Missing = 0,
        /// A session holds it.
        Registered = 1,
        /// Its session released it.
        Released = 2,
        /// Its session was lost.
        Lost = 3,
    }
}

/// A message for a port of this session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// The grant that it was for; `NONE`: a broadcast.
    pub sequence: Sequence,
    /// The message.
    pub blob: &'a [u8],
}

impl<'a> Item<'a> for Message<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, _item: u32) -> Result<Self, FrameError> {
        Ok(Self { sequence: Sequence::from_bits(cursor.u64()?), blob: cursor.blob()? })
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence.to_bits().to_le_bytes());
        write_blob(out, self.blob);
    }
}

/// The messages of a `MESSAGES`.
pub type Messages<'a> = List<'a, Message<'a>>;

/// The messages of a `MESSAGES`, and the bytes of the longest.
pub(crate) fn read_messages<'a>(
    cursor: &mut Cursor<'a>,
) -> Result<(Messages<'a>, usize), FrameError> {
    let count = cursor.u32()?;
    let mut longest = 0;
    let messages = List::read_each(cursor, count, |_at, message: &Message<'_>| {
        longest = longest.max(message.blob.len());
        Ok(())
    })?;
    Ok((messages, longest))
}

/// How many messages there are in whole frames of which only `sent` bytes have left, that are not
/// whole among those.
#[must_use]
pub fn messages_unsent(frames: &[u8], sent: usize) -> u64 {
    let (mut at, mut unsent) = (0, 0);
    while let Some(header) = frames.get(at..at + HEADER_LEN) {
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let end = at + usize::try_from(len).unwrap_or(usize::MAX).max(HEADER_LEN);
        let is_messages = header[4] == u8::from(PushKind::Messages);
        if let Some(frame) = frames.get(at..end)
            && is_messages
            && end > sent
        {
            unsent += unsent_of(frame, sent.saturating_sub(at));
        }
        at = end;
    }
    unsent
}

/// The same in one frame of them.
fn unsent_of(frame: &[u8], sent: usize) -> u64 {
    let mut cursor = Cursor::new(frame, HEADER_LEN);
    let count = cursor.u32().unwrap_or(0);
    let mut unsent = 0;
    for item in 0..count {
        if Message::read(&mut cursor, item).is_err() {
            break;
        }
        unsent += u64::from(cursor.at() > sent);
    }
    unsent
}

/// A port that this session waited for and holds now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Granted<'a> {
    /// The grant.
    pub sequence: Sequence,
    /// The port.
    pub name: &'a [u8],
}

impl<'a> Item<'a> for Granted<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, item: u32) -> Result<Self, FrameError> {
        Ok(Self { sequence: Sequence::from_bits(cursor.u64()?), name: cursor.name(item)? })
    }

    #[inline]
    fn check(&self, item: u32) -> Result<(), FrameError> {
        if names::is_utf8(self.name) { Ok(()) } else { Err(FrameError::BadName { item }) }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence.to_bits().to_le_bytes());
        names::write_name(out, self.name);
    }
}

/// A port that went away from its owner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone<'a> {
    /// Why.
    pub reason: GoneReason,
    /// The grant that is over.
    pub sequence: Sequence,
    /// The port.
    pub name: &'a [u8],
}

impl<'a> Item<'a> for Gone<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, item: u32) -> Result<Self, FrameError> {
        let reason = cursor.u8()?.into();
        let sequence = Sequence::from_bits(cursor.u64()?);
        Ok(Self { reason, sequence, name: cursor.name(item)? })
    }

    #[inline]
    fn check(&self, item: u32) -> Result<(), FrameError> {
        if names::is_utf8(self.name) { Ok(()) } else { Err(FrameError::BadName { item }) }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.reason));
        out.extend_from_slice(&self.sequence.to_bits().to_le_bytes());
        names::write_name(out, self.name);
    }
}

/// What a watch saw.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event<'a> {
    /// What happened.
    pub event: EventKind,
    /// The grant that began or is over.
    pub sequence: Sequence,
    /// The node of the session.
    pub node: &'a str,
    /// The port.
    pub name: &'a [u8],
}

impl Event<'_> {
    /// The event that says that some are missing.
    pub const MISSING: Event<'static> =
        Event { event: EventKind::Missing, sequence: Sequence::NONE, node: "?", name: b"?" };
}

impl<'a> Item<'a> for Event<'a> {
    fn read(cursor: &mut Cursor<'a>, item: u32) -> Result<Self, FrameError> {
        Ok(Self {
            event: cursor.u8()?.into(),
            sequence: Sequence::from_bits(cursor.u64()?),
            node: cursor.node()?,
            name: cursor.name(item)?,
        })
    }

    fn check(&self, item: u32) -> Result<(), FrameError> {
        if names::is_utf8(self.name) { Ok(()) } else { Err(FrameError::BadName { item }) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { event, sequence, node, name } = self;
        out.push(u8::from(*event));
        out.extend_from_slice(&sequence.to_bits().to_le_bytes());
        names::write_name(out, node.as_bytes());
        names::write_name(out, name);
    }
}

/// A notice with items.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a, T> {
    /// The number of the first item.
    pub notice: u64,
    /// The items.
    pub items: List<'a, T>,
}

impl<'a, T: Item<'a>> Notice<'a, T> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(Self { notice: cursor.u64()?, items: List::read_counted(cursor)? })
    }

    /// The number that the next notice has.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.notice.wrapping_add(u64::from(self.items.len()))
    }
}

/// A `FLUSH`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flush {
    /// Its number.
    pub notice: u64,
    /// Why.
    pub reason: FlushReason,
}

impl Flush {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        Ok(Self { notice: cursor.u64()?, reason: cursor.u8()?.into() })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { notice, reason } = self;
        let mut frame = FrameWriter::push(out, PushKind::Flush, 0);
        frame.u64(*notice).u8(u8::from(*reason));
        frame.finish();
    }
}

/// A `LEAVING`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leaving<'a> {
    /// Why.
    pub reason: LeavingReason,
    /// Where another switch may be; empty if that is not known.
    pub hint: &'a str,
}

impl<'a> Leaving<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(Self { reason: cursor.u8()?.into(), hint: cursor.text(0, TEXT_LEN_MAX)? })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { reason, hint } = self;
        let mut frame = FrameWriter::push(out, PushKind::Leaving, 0);
        frame.u8(u8::from(*reason)).text(hint);
        frame.finish();
    }
}
