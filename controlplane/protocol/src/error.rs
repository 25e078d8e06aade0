//! `ERROR`, and its codes.

use crate::codes::{closed_codes, open_codes};
use crate::cursor::Cursor;
use crate::fault::{FrameError, Malformation};
use crate::header::ERROR;
use crate::limits::TEXT_LEN_MAX;
use crate::writer::FrameWriter;

open_codes! {
    /// What an `ERROR` says.
    ErrorCode: u16 {
        /// Another switch is master; the hint is where it may be.
        NotMaster = 1,
        /// Only reclaims are granted yet; the number is the milliseconds until that may end.
        Grace = 2,
        /// The switch says nothing yet; the number is milliseconds.
        Quarantine = 3,
        /// The session or its connection was replaced; the number is an [`EvictedReason`].
        Evicted = 4,
        /// The session is over: choose a new one.
        Lapsed = 5,
        /// The cluster is another one.
        WrongCluster = 6,
        /// The group or the map is another one; the number is the map's version.
        WrongGroup = 7,
        /// The version is not spoken; the number is the highest that is.
        Version = 8,
        /// A kind, flag or feature, which is the number, is not known.
        Unsupported = 9,
        /// The credential is wrong.
        Unauthenticated = 10,
        /// The credential does not allow it.
        Forbidden = 11,
        /// A limit, which is the number, is exceeded; the hint says which.
        TooLarge = 12,
        /// The frame is wrong at the byte that is the number.
        Malformed = 13,
        /// The name of the item that is the number is not one.
        BadName = 14,
        /// The request needs a session.
        NoSession = 15,
        /// The node has as many as it may: the number, of what the hint says.
        Quota = 16,
        /// The request is not for this connection, or not now; the hint says why.
        State = 17,
        /// Too much is under way; nothing was done.
        Busy = 18,
        /// The switch stops; the hint is where another may be.
        Leaving = 19,
        /// The session has ended itself: choose a new one.
        Ended = 20,
    }
}

closed_codes! {
    /// The number of an `Evicted`.
    EvictedReason: u64 {
        /// By this session's newer connection.
        NewerConnection = 1,
        /// By a newer session of the node.
        NewerSession = 2,
        /// By an operator.
        Dropped = 3,
    }
}

/// Why a request was not done, or why the connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorFrame<'a> {
    /// What it is.
    pub code: ErrorCode,
    /// Whether the connection ends after it.
    pub closes: bool,
    /// By code, else 0.
    pub number: u64,
    /// By code, else empty.
    pub hint: &'a str,
    /// For people.
    pub message: &'a str,
}

impl<'a> ErrorFrame<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let code = cursor.u16()?.into();
        let before = *cursor;
        let closes = match cursor.u8()? {
            0 => false,
            1 => true,
            _ => return Err(before.malformed(Malformation::Value)),
        };
        let number = cursor.u64()?;
        let hint = cursor.text(0, TEXT_LEN_MAX)?;
        Ok(Self { code, closes, number, hint, message: cursor.text(0, TEXT_LEN_MAX)? })
    }

    /// Appends the frame; `id` is the request's, 0 if there is none.
    ///
    /// # Panics
    ///
    /// If a text is longer than [`TEXT_LEN_MAX`].
    pub fn write(&self, out: &mut Vec<u8>, id: u32) {
        let Self { code, closes, number, hint, message } = self;
        let mut frame = FrameWriter::begin(out, ERROR, 0, id);
        frame.u16(u16::from(*code)).u8(u8::from(*closes)).u64(*number).text(hint).text(message);
        frame.finish();
    }
}
