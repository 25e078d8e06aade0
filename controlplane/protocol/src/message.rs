//! Messages to ports: `SEND`, `SEND_MANY`, `BROADCAST`.

use crate::batch::Name;
use crate::cursor::Cursor;
use crate::fault::FrameError;
use crate::header::RequestKind;
use crate::list::{Item, List};
use crate::names::{self, Names};
use crate::writer::{FrameWriter, write_blob};

/// One message to one port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SendItem<'a> {
    /// The port.
    pub name: &'a [u8],
    /// The message.
    pub blob: &'a [u8],
}

impl<'a> Item<'a> for SendItem<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, item: u32) -> Result<Self, FrameError> {
        Ok(Self { name: cursor.name(item)?, blob: cursor.blob()? })
    }

    #[inline]
    fn check(&self, item: u32) -> Result<(), FrameError> {
        if names::is_utf8(self.name) { Ok(()) } else { Err(FrameError::BadName { item }) }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        names::write_name(out, self.name);
        write_blob(out, self.blob);
    }
}

impl<'a> Item<'a> for Name<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, item: u32) -> Result<Self, FrameError> {
        cursor.name(item).map(Name)
    }

    #[inline]
    fn check(&self, item: u32) -> Result<(), FrameError> {
        if names::is_utf8(self.0) { Ok(()) } else { Err(FrameError::BadName { item }) }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        names::write_name(out, self.0);
    }
}

/// The items of a `SEND`.
pub type SendItems<'a> = List<'a, SendItem<'a>>;

/// The items of a `SEND`, and the bytes of its longest message.
pub(crate) fn read_send<'a>(cursor: &mut Cursor<'a>) -> Result<(SendItems<'a>, usize), FrameError> {
    let count = cursor.count()?;
    let mut longest = 0;
    let items = List::read_each(cursor, count, |_at, item: &SendItem<'_>| {
        longest = longest.max(item.blob.len());
        Ok(())
    })?;
    Ok((items, longest))
}

/// A `SEND_MANY`.
#[derive(Clone, Copy, Debug)]
pub struct SendMany<'a> {
    /// The message.
    pub blob: &'a [u8],
    /// The ports.
    pub names: Names<'a>,
}

/// Appends a `BROADCAST`; `id` 0 wants no answer.
///
/// # Panics
///
/// If the message is longer than a blob can be.
pub fn write_broadcast(out: &mut Vec<u8>, id: u32, blob: &[u8]) {
    let mut frame = FrameWriter::request(out, RequestKind::Broadcast, 0, id);
    frame.blob(blob);
    frame.finish();
}

/// The answer to the three.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SendAnswer {
    /// Placed in the queue of a receiver.
    pub delivered: u32,
    /// Nobody holds the port.
    pub nobody: u32,
    /// The receiver's queue is full, or it has no receive connection.
    pub dropped: u32,
}

impl SendAnswer {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        Ok(Self { delivered: cursor.u32()?, nobody: cursor.u32()?, dropped: cursor.u32()? })
    }

    /// Appends the frame; `kind` is that of the request.
    pub fn write(&self, out: &mut Vec<u8>, kind: RequestKind, id: u32) {
        let Self { delivered, nobody, dropped } = self;
        let is_sent =
            matches!(kind, RequestKind::Send | RequestKind::SendMany | RequestKind::Broadcast);
        assert!(is_sent, "{kind:?} is no sending");
        let mut frame = FrameWriter::answer(out, kind, id);
        frame.u32(*delivered).u32(*nobody).u32(*dropped);
        frame.finish();
    }
}
