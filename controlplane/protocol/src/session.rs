//! A session's life: what `WAIT_MSG` and `RELET` are answered, and what `BYE` ends. `YIELD` has no body.

use crate::codes::{closed_codes, open_codes};
use crate::cursor::Cursor;
use crate::fault::FrameError;
use crate::header::RequestKind;
use crate::writer::FrameWriter;

closed_codes! {
    /// What a `BYE` ends.
    Ends: u8 {
        /// The connection alone.
        Connection = 0,
        /// The session too.
        Session = 1,
    }
}

open_codes! {
    /// Whether the switch knew the session.
    SessionState: u8 {
        /// It did not: the session begins.
        New = 0,
        /// It did: the session goes on here.
        Resumed = 1,
    }
}

/// Appends a `RELET`.
pub fn write_relet(out: &mut Vec<u8>, id: u32, relet: u64) {
    let mut frame = FrameWriter::request(out, RequestKind::Relet, 0, id);
    frame.u64(relet);
    frame.finish();
}

/// Appends a `BYE`.
pub fn write_bye(out: &mut Vec<u8>, id: u32, ends: Ends) {
    let mut frame = FrameWriter::request(out, RequestKind::Bye, 0, id);
    frame.u8(u8::from(ends));
    frame.finish();
}

/// The answer to `WAIT_MSG`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WaitMsgAnswer {
    /// Whether the session is new.
    pub state: SessionState,
    /// The number that the next notice on this connection will have.
    pub notice: u64,
}

impl WaitMsgAnswer {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        Ok(Self { state: cursor.u8()?.into(), notice: cursor.u64()? })
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>, id: u32) {
        let Self { state, notice } = self;
        let mut frame = FrameWriter::answer(out, RequestKind::WaitMsg, id);
        frame.u8(u8::from(*state)).u64(*notice);
        frame.finish();
    }
}

/// The answer to `RELET`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReletAnswer {
    /// The number of the `RELET`, as it was sent.
    pub relet: u64,
    /// How long it gives authority, from the instant it was sent.
    pub lease_ms: u32,
}

impl ReletAnswer {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        Ok(Self { relet: cursor.u64()?, lease_ms: cursor.u32()? })
    }

    /// Appends the frame.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, id: u32) {
        let Self { relet, lease_ms } = self;
        let mut frame = FrameWriter::answer(out, RequestKind::Relet, id);
        frame.u64(*relet).u32(*lease_ms);
        frame.finish();
    }
}
