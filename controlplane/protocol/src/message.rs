//! Messages to ports: `SEND`, `SEND_MANY`, `BROADCAST`.

use crate::batch::Name;
use crate::cursor::Cursor;
use crate::fault::FrameError;
use crate::header::RequestKind;
use crate::list::{Item, List, ListIter};
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
    let start = *cursor;
    let mut longest = 0;
    for number in 0..count {
        let (name, blob) = match cursor.short_name_and_blob() {
            Some(item) => item,
            None => long_item(cursor, number)?,
        };
        if !names::is_utf8(name) {
            return Err(FrameError::BadName { item: number });
        }
        longest = longest.max(blob.len());
    }
    Ok((List::of_checked(cursor.since(start.at()), count), longest))
}

/// An item that is not the common case, or wrong.
#[cold]
fn long_item<'a>(cursor: &mut Cursor<'a>, number: u32) -> Result<(&'a [u8], &'a [u8]), FrameError> {
    Ok((cursor.name(number)?, cursor.blob()?))
}

impl<'a> ListIter<'a, SendItem<'a>> {
    /// Puts the next items into `places`, as many as there are; how many those were. It writes each
    /// where it is to be: an item that is returned goes through memory and is waited for there.
    #[inline]
    pub fn fill(&mut self, places: &mut [SendItem<'a>]) -> usize {
        let mut filled = 0;
        for place in places {
            if let Some((name, blob)) = self.next_short() {
                *place = SendItem { name, blob };
            } else if let Some(item) = self.next() {
                *place = item;
            } else {
                break;
            }
            filled += 1;
        }
        filled
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::limits::{HEADER_LEN, Limits};

    /// The body of a `SEND` of these.
    fn body(items: &[SendItem<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut batch = Batch::send(&mut out, 1, &Limits::DEFAULT);
        assert!(items.iter().all(|item| batch.push(*item)));
        batch.finish();
        out.split_off(HEADER_LEN)
    }

    #[test]
    fn items_of_every_form_are_read_one_by_one_and_many_at_a_time() {
        let bytes = [b'x'; 300];
        let lens = [(1, 0), (127, 127), (128, 5), (5, 128), (300, 300), (1, 1), (16, 64)];
        let item = |(name, blob)| SendItem { name: &bytes[..name], blob: &bytes[..blob] };
        let items = lens.map(item);
        let body = body(&items);
        let (list, longest) = read_send(&mut Cursor::new(&body, 0)).expect("it is right");
        assert_eq!((list.len(), longest), (7, 300));
        assert_eq!(list.iter().collect::<Vec<_>>(), items);
        for room in 1..=8 {
            let mut places = vec![SendItem { name: &[], blob: &[] }; room];
            let (mut left, mut read) = (list.iter(), Vec::new());
            loop {
                let count = left.fill(&mut places);
                read.extend_from_slice(&places[..count]);
                if count < room {
                    break;
                }
            }
            assert_eq!(read, items, "{room} at a time");
        }
    }

    #[test]
    fn an_item_that_is_wrong_is_named_wherever_it_stands() {
        let right = SendItem { name: b"a", blob: b"b" };
        let wrong = |bytes: &[u8]| {
            let mut body = body(&[right, right, right]);
            body.truncate(4 + 2 * 4);
            body.extend_from_slice(bytes);
            read_send(&mut Cursor::new(&body, 0)).expect_err("it is wrong")
        };
        let bad_name = FrameError::BadName { item: 2 };
        assert_eq!(wrong(&[0, 1, b'b']), bad_name);
        assert_eq!(wrong(&[1, 0xff, 0]), bad_name);
        let what = crate::fault::Malformation::Truncated;
        assert_eq!(wrong(&[1, b'a']), FrameError::Malformed { at: 14, what });
        assert_eq!(wrong(&[1, b'a', 3, b'b']), FrameError::Malformed { at: 15, what });
        assert_eq!(wrong(&[9, b'a', 0]), FrameError::Malformed { at: 13, what });
    }
}
