//! What one host knows of one connection.

use base::Instant;
use stack::{CloseReason, Conn};

use crate::plan::SidePlan;

/// How far a side has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing has happened.
    Waiting,
    /// `connect` was called.
    Asked,
    /// `on_open` was called.
    Open,
    /// `on_open` answered that it is not wanted.
    Refused,
    /// `on_close` was called.
    Ended(CloseReason),
    /// There was no room to open it.
    Skipped,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) plan: SidePlan,
    pub(crate) is_opener: bool,
    /// Of the stream that we send, and of the one that we receive.
    pub(crate) keys: [u64; 2],
    pub(crate) stage: Stage,
    pub(crate) conn: Option<Conn>,
    pub(crate) ended_at: Option<Instant>,
    /// It was open before it ended.
    pub(crate) was_opened: bool,
    /// Bytes that the stack has taken from us.
    pub(crate) sent: u64,
    /// Bytes that we have taken from the stack.
    pub(crate) received: u64,
    pub(crate) is_write_paused: bool,
    pub(crate) is_read_paused: bool,
    /// The stack took less than all, and owes us an `on_writable`.
    pub(crate) is_blocked: bool,
    /// We have ended our direction.
    pub(crate) has_finished: bool,
    /// We have closed: nothing more is to be received.
    pub(crate) has_closed: bool,
    pub(crate) has_aborted: bool,
    /// The peer's end was told to us.
    pub(crate) has_end: bool,
    /// The run ended it, because the peer was gone.
    pub(crate) is_reaped: bool,
    /// A forged RST with the exact number was sent to it.
    pub(crate) is_forged: bool,
}

impl Side {
    pub(crate) fn new(plan: SidePlan, is_opener: bool, keys: [u64; 2]) -> Self {
        Self {
            plan,
            is_opener,
            keys,
            stage: Stage::Waiting,
            conn: None,
            ended_at: None,
            was_opened: false,
            sent: 0,
            received: 0,
            is_write_paused: false,
            is_read_paused: false,
            is_blocked: false,
            has_finished: false,
            has_closed: false,
            has_aborted: false,
            has_end: false,
            is_reaped: false,
            is_forged: false,
        }
    }

    /// Whether a connection stands, or is asked for.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.stage, Stage::Asked | Stage::Open)
    }

    /// Why it ended, if it did.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        if let Stage::Ended(reason) = self.stage { Some(reason) } else { None }
    }

    /// Whether nothing is left of it that could answer the peer in an orderly way.
    pub(crate) fn is_gone(&self) -> bool {
        match self.stage {
            Stage::Ended(reason) => reason != CloseReason::Finished || self.has_closed,
            Stage::Refused | Stage::Waiting | Stage::Skipped => true,
            Stage::Asked | Stage::Open => false,
        }
    }
}
