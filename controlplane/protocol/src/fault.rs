//! Why bytes are not a frame, and what of it the sender is told.

use crate::error::{ErrorCode, ErrorFrame};

/// Why a frame was not accepted. The peer is always at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// The frame is not what its kind says.
    #[error("the frame is wrong at byte {at}: {what}")]
    Malformed {
        /// The byte of the frame.
        at: u32,
        /// What is wrong there.
        what: Malformation,
    },
    /// The frame is longer than a frame may be.
    #[error("the frame is longer than {limit} bytes")]
    FrameTooLarge {
        /// `frame_len_max`.
        limit: u32,
    },
    /// The frame is right, and has more items than one may have.
    #[error("the frame has more than {limit} items")]
    TooManyItems {
        /// `items_max`.
        limit: u32,
    },
    /// The frame is right, and asks about more nodes than a request may.
    #[error("more than {limit} nodes")]
    TooManyNodes {
        /// `nodes_max`: [`crate::limits::QUERY_NODES_MAX`], or `items_max` if that is less.
        limit: u32,
    },
    /// The frame is right, and a message in it is longer than one may be.
    #[error("a message is longer than {limit} bytes")]
    MessageTooLong {
        /// `message_len_max`.
        limit: u32,
    },
    /// A name of a list is empty, too long or not UTF-8.
    #[error("the name of item {item} is not 1 to 1024 bytes of UTF-8")]
    BadName {
        /// Its place in the list.
        item: u32,
    },
    /// The kind is none that this side receives.
    #[error("kind {kind:#04x} is not known")]
    UnknownKind {
        /// The kind.
        kind: u8,
    },
    /// A flag of bits 4 to 7 is set that this side does not know.
    #[error("flags {flags:#04x} are not known, and must be understood")]
    UnknownFlags {
        /// The flags that are not known.
        flags: u8,
    },
}

/// What is wrong in a malformed frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformation {
    /// The frame ends before its fields do.
    #[error("the frame ends before its fields do")]
    Truncated,
    /// There are bytes behind the last field.
    #[error("there are bytes behind the last field")]
    Trailing,
    /// The frame's length is not the length of the frame.
    #[error("the length is not that of the frame")]
    FrameLen,
    /// A field that must be zero is not.
    #[error("a field is not 0 that must be")]
    NotZero,
    /// A length is not in its shortest form, or has more bytes than one may have.
    #[error("a length is not in its shortest form")]
    LengthForm,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A text or a node's id is longer than it may be, or empty where it must not be.
    #[error("a text is too long, or empty")]
    TextLen,
    /// A field has a value that this version gives no meaning.
    #[error("a field has a value without a meaning")]
    Value,
    /// A list is empty that must not be.
    #[error("a list has no item")]
    NoItems,
    /// A list is not in the order that it must have.
    #[error("a list is not in its order")]
    Order,
}

impl Malformation {
    /// For people; the same as its `Display`, without formatting.
    const fn message(self) -> &'static str {
        match self {
            Self::Truncated => "the frame ends before its fields do",
            Self::Trailing => "there are bytes behind the last field",
            Self::FrameLen => "the length is not that of the frame",
            Self::NotZero => "a field is not 0 that must be",
            Self::LengthForm => "a length is not in its shortest form",
            Self::NotUtf8 => "a text is not UTF-8",
            Self::TextLen => "a text is too long, or empty",
            Self::Value => "a field has a value without a meaning",
            Self::NoItems => "a list has no item",
            Self::Order => "a list is not in its order",
        }
    }
}

impl FrameError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed { .. } => ErrorCode::Malformed,
            Self::FrameTooLarge { .. }
            | Self::TooManyItems { .. }
            | Self::TooManyNodes { .. }
            | Self::MessageTooLong { .. } => ErrorCode::TooLarge,
            Self::BadName { .. } => ErrorCode::BadName,
            Self::UnknownKind { .. } | Self::UnknownFlags { .. } => ErrorCode::Unsupported,
        }
    }

    /// Whether the connection ends with it. Before `WELCOME` every error ends it.
    #[must_use]
    pub const fn closes(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::FrameTooLarge { .. })
    }

    /// The `ERROR` that tells the sender.
    #[must_use]
    pub fn to_frame(&self) -> ErrorFrame<'static> {
        let (number, hint, message) = match *self {
            Self::Malformed { at, what } => (u64::from(at), "", what.message()),
            Self::FrameTooLarge { limit } => {
                (u64::from(limit), "frame_len_max", "the frame is too long")
            }
            Self::TooManyItems { limit } => {
                (u64::from(limit), "items_max", "the frame has too many items")
            }
            Self::TooManyNodes { limit } => {
                (u64::from(limit), "nodes_max", "the frame asks about too many nodes")
            }
            Self::MessageTooLong { limit } => {
                (u64::from(limit), "message_len_max", "a message is too long")
            }
            Self::BadName { item } => {
                (u64::from(item), "", "a name is not 1 to 1024 bytes of UTF-8")
            }
            Self::UnknownKind { kind } => (u64::from(kind), "", "the kind is not known"),
            Self::UnknownFlags { flags } => {
                (u64::from(flags), "", "flags that must be understood are not known")
            }
        };
        ErrorFrame { code: self.code(), closes: self.closes(), number, hint, message }
    }
}
