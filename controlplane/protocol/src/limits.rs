//! Every bound of the protocol, with its derivation.

use crate::fault::FrameError;

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 12;

/// Bytes of a port's name: what fits a page of names, and the longest key that users of other
/// coordination services had.
pub const NAME_LEN_MAX: usize = 1_024;

/// Bytes of a `text`: it has the form of a name.
pub const TEXT_LEN_MAX: usize = NAME_LEN_MAX;

/// Bytes of a node's id.
pub const NODE_LEN_MAX: usize = 64;

/// Bytes of a node's address: a DNS name is at most 253, and one with a port is shorter in practice.
pub const ADDRESS_LEN_MAX: usize = 255;

/// Bytes of a blob: four groups of seven bits.
pub const BLOB_LEN_MAX: usize = (1 << 28) - 1;

/// Connections of a session: one to receive on, and more than a thousand to send on, as a load has them.
/// The switch keeps a generation for each index that was used.
pub const CONNECTIONS_PER_SESSION_MAX: u16 = 4_096;

/// Bytes of a frame before `WELCOME`: a whole `HELLO` with room for later fields.
pub const FRAME_LEN_BEFORE_WELCOME: u32 = 4_096;

/// Bytes of the longest `HELLO` of this version.
const HELLO_LEN_MAX: usize = HEADER_LEN
    + 4
    + 2
    + 1
    + 1
    + 8
    + 16
    + 8
    + 16
    + 2
    + 8
    + 8
    + 2
    + 2
    + 65
    + 2
    + ADDRESS_LEN_MAX
    + 32;
const _: () = assert!(HELLO_LEN_MAX < 4_096);

/// What a switch may offer as `frame_len_max`: more than the longest blob needs is a slip.
pub const FRAME_LEN_MAX: u32 = (1 << 28) + 4_096;

/// What a switch may offer as `items_max`. At ten million items a second it is a tenth of one.
pub const ITEMS_MAX: u32 = 1_000_000;

/// What it offers unless told otherwise. A batch is done in one piece, and everybody else waits for it: at
/// twenty million items a second half a millisecond. Larger ones are no faster.
pub const ITEMS_DEFAULT: u32 = 10_000;

/// Nodes of a `QUERY_NODE`, where `items_max` is not less. A name of one byte, which takes two, is answered
/// with up to 270: of so many that is 1.1 MB.
pub const QUERY_NODES_MAX: u32 = 4_096;

/// Shards of a switch: the number of one is the top byte of a sequence, and a count of them a byte.
pub const SHARDS_MAX: u8 = 255;

/// Bytes that a frame with one message has besides the message: the header, the count, the longest
/// name with its length (longer than the sequence of a push), and the blob's length.
pub const MESSAGE_OVERHEAD: u32 = 12 + 4 + 1_026 + 4;

/// Bytes of an answer besides its items: the header, five counts, and a grant of every shard.
const ANSWER_LEN_BASE: u64 = 4_096;
const _: () = assert!(12 + 5 * 4 + 255 * 12 <= ANSWER_LEN_BASE);

/// Bytes of an answer for each item of its request: a failure of a registration. Of a query it has less.
const ANSWER_LEN_ITEM: u64 = 4 + 1 + 4 + 8;

/// Bytes of an answer for each owner that it names: the longest id and address.
const ANSWER_LEN_OWNER: u64 = 1 + 64 + 2 + 255;

/// Bytes of an answer for each node that is asked for, however often it is.
const ANSWER_LEN_NODE: u64 = 1 + 2 + 255 + 4 + 8;

/// The bytes that an answer to a request of `items` items can have. It may be more than
/// `frame_len_max`, which bounds requests, lists and pushes: what was done must be answered.
#[must_use]
pub fn answer_len_max(items: u32) -> u64 {
    answer_len_max_of(items, items)
}

/// The same where there are so many sessions, each of which an answer about ports names once.
#[must_use]
pub fn answer_len_max_of(items: u32, sessions: u32) -> u64 {
    let owners = u64::from(sessions.min(items));
    let ports = ANSWER_LEN_ITEM * u64::from(items) + ANSWER_LEN_OWNER * owners;
    ANSWER_LEN_BASE + ports.max(ANSWER_LEN_NODE * u64::from(items.min(QUERY_NODES_MAX)))
}

/// The bounds that a connection has, as `WELCOME` names them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    frame_len_max: u32,
    items_max: u32,
    message_len_max: u32,
}

/// Why three numbers are not the bounds of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LimitsError {
    /// The frame is too short for a `HELLO`, or longer than any needs to be.
    #[error(
        "frame_len_max is {0}; from {FRAME_LEN_BEFORE_WELCOME} to {FRAME_LEN_MAX} would be right"
    )]
    FrameLen(u32),
    /// No item, or too many.
    #[error("items_max is {0}; from 1 to {ITEMS_MAX} would be right")]
    Items(u32),
    /// The longest message does not fit the longest frame.
    #[error("message_len_max is {0}; with {MESSAGE_OVERHEAD} bytes more it must fit frame_len_max")]
    MessageLen(u32),
}

impl Limits {
    /// What holds before `WELCOME`.
    pub const BEFORE_WELCOME: Self =
        Self { frame_len_max: FRAME_LEN_BEFORE_WELCOME, items_max: 1, message_len_max: 0 };

    /// As many of the longest names with their sequences are 10 MB, and fit one frame.
    pub const DEFAULT: Self =
        Self { frame_len_max: 32 << 20, items_max: ITEMS_DEFAULT, message_len_max: 1 << 20 };

    /// Bounds of a connection, in bytes, items and bytes.
    ///
    /// # Errors
    ///
    /// Which of the numbers is wrong, and what would be right.
    pub const fn new(
        frame_len_max: u32,
        items_max: u32,
        message_len_max: u32,
    ) -> Result<Self, LimitsError> {
        if frame_len_max < FRAME_LEN_BEFORE_WELCOME || frame_len_max > FRAME_LEN_MAX {
            return Err(LimitsError::FrameLen(frame_len_max));
        }
        if items_max == 0 || items_max > ITEMS_MAX {
            return Err(LimitsError::Items(items_max));
        }
        if message_len_max > frame_len_max - MESSAGE_OVERHEAD {
            return Err(LimitsError::MessageLen(message_len_max));
        }
        Ok(Self { frame_len_max, items_max, message_len_max })
    }

    /// Bytes of a frame.
    #[inline]
    #[must_use]
    pub const fn frame_len_max(&self) -> u32 {
        self.frame_len_max
    }

    /// Items of a request.
    #[inline]
    #[must_use]
    pub const fn items_max(&self) -> u32 {
        self.items_max
    }

    /// Bytes of a message.
    #[inline]
    #[must_use]
    pub const fn message_len_max(&self) -> u32 {
        self.message_len_max
    }

    /// The error of a list with more items than a request may have.
    pub(crate) const fn check_items(&self, count: u32) -> Result<(), FrameError> {
        if count > self.items_max {
            return Err(FrameError::TooManyItems { limit: self.items_max });
        }
        Ok(())
    }

    /// The same for a request about nodes.
    pub(crate) fn of_nodes(&self) -> Self {
        Self { items_max: self.items_max.min(QUERY_NODES_MAX), ..*self }
    }

    /// The error of a list with more nodes than a request may have.
    pub(crate) fn check_nodes(&self, count: u32) -> Result<(), FrameError> {
        let limit = self.of_nodes().items_max;
        if count > limit {
            return Err(FrameError::TooManyNodes { limit });
        }
        Ok(())
    }

    /// The error of a message that is longer than one may be.
    pub(crate) fn check_message(&self, len: usize) -> Result<(), FrameError> {
        let limit = self.message_len_max;
        if u32::try_from(len).is_ok_and(|len| len <= limit) {
            return Ok(());
        }
        Err(FrameError::MessageTooLong { limit })
    }

    /// Bytes of the longest frame that a client receives: the answer to the largest batch.
    #[must_use]
    pub fn incoming_len_max(&self) -> u32 {
        let answer = u32::try_from(answer_len_max(self.items_max)).unwrap_or(u32::MAX);
        answer.max(self.frame_len_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_obey_the_rules_of_new() {
        let Limits { frame_len_max, items_max, message_len_max } = Limits::DEFAULT;
        assert_eq!(Limits::new(frame_len_max, items_max, message_len_max), Ok(Limits::DEFAULT));
        let Limits { frame_len_max, items_max, message_len_max } = Limits::BEFORE_WELCOME;
        let made = Limits::new(frame_len_max, items_max, message_len_max);
        assert_eq!(made, Ok(Limits::BEFORE_WELCOME));
        assert!(u32::try_from(answer_len_max(ITEMS_MAX)).is_ok());
    }

    #[test]
    fn an_answer_about_one_node_that_is_named_often_is_counted() {
        assert_eq!(answer_len_max_of(10, 1), 4_096 + 10 * 270);
        assert_eq!(answer_len_max_of(1_000_000, 1), 4_096 + 17 * 1_000_000 + 322);
        assert_eq!(answer_len_max_of(10_000, 1), 4_096 + 4_096 * 270);
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        assert_eq!(Limits::new(4_095, 1, 0), Err(LimitsError::FrameLen(4_095)));
        let above = FRAME_LEN_MAX + 1;
        assert_eq!(Limits::new(above, 1, 0), Err(LimitsError::FrameLen(above)));
        assert_eq!(Limits::new(4_096, 0, 0), Err(LimitsError::Items(0)));
        assert_eq!(Limits::new(4_096, 1_000_001, 0), Err(LimitsError::Items(1_000_001)));
        assert!(Limits::new(4_096, 1, 3_050).is_ok());
        assert_eq!(Limits::new(4_096, 1, 3_051), Err(LimitsError::MessageLen(3_051)));
    }
}
