//! The twelve bytes that every frame begins with, and where a frame ends in a stream.

use crate::codes::closed_codes;
use crate::fault::{FrameError, Malformation};
use crate::limits::HEADER_LEN;

/// What is added to the kind of a request to have that of its answer.
pub const ANSWER: u8 = 0x80;

/// The kind of `ERROR`.
pub const ERROR: u8 = 0xff;

/// The flags that a receiver refuses if it does not know them.
pub const FLAGS_MUST_UNDERSTAND: u8 = 0xf0;

closed_codes! {
    /// What a client asks.
    RequestKind: u8 {
        /// Who I am.
        Hello = 0x01,
        /// This connection is the session's receive connection.
        WaitMsg = 0x02,
        /// The session lives.
        Relet = 0x03,
        /// Ports are to be this session's.
        RegPort = 0x04,
        /// Ports are to be nobody's.
        UnregPort = 0x05,
        /// Who holds ports.
        QueryPort = 0x06,
        /// A message to each of some ports.
        Send = 0x07,
        /// One message to some ports.
        SendMany = 0x08,
        /// One message to every other session.
        Broadcast = 0x09,
        /// This session waits no more.
        CancelWait = 0x0b,
        /// This session need not be told.
        Unsubscribe = 0x0c,
        /// Every port of the session is to be nobody's.
        Yield = 0x0d,
        /// The connection ends.
        Bye = 0x0e,
        /// What is known of nodes.
        QueryNode = 0x0f,
        /// Are you there.
        Ping = 0x10,
        /// Figures of the switch.
        Status = 0x20,
        /// Every node.
        ListNodes = 0x21,
        /// Every port.
        ListPorts = 0x22,
        /// A node is to be no more.
        DropNode = 0x23,
        /// What happens to ports, as it happens.
        Watch = 0x24,
    }
}

closed_codes! {
    /// What a switch says unasked.
    PushKind: u8 {
        /// Who I am.
        Greeting = 0x40,
        /// Messages for the session's ports.
        Messages = 0x41,
        /// Ports that the session waited for.
        Grant = 0x42,
        /// Ports that the session subscribed to.
        PortGone = 0x43,
        /// Forget what you know of owners.
        Flush = 0x44,
        /// The switch ends, or is master no more.
        Leaving = 0x45,
        /// What a watch saw.
        Events = 0x46,
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Bytes of the whole frame; at least those of the header.
    pub len: u32,
    /// What the frame is; see [`RequestKind`], [`PushKind`], [`ANSWER`] and [`ERROR`].
    pub kind: u8,
    /// Flags as they are on the wire.
    pub flags: u8,
    /// The number of a request, in it and in its answer.
    pub id: u32,
}

impl Header {
    /// The header at the start of `bytes`; `None` if less than a header is there.
    ///
    /// # Errors
    ///
    /// `Malformed` for a length below a header's or a reserved field that is not 0,
    /// `FrameTooLarge` for a length above `frame_len_max`.
    #[inline]
    pub fn parse(bytes: &[u8], frame_len_max: u32) -> Result<Option<Self>, FrameError> {
        let Some(&[a, b, c, d, kind, flags, e, f, g, h, i, j]) = bytes.first_chunk::<HEADER_LEN>()
        else {
            return Ok(None);
        };
        let len = u32::from_le_bytes([a, b, c, d]);
        if len < 12 {
            return Err(FrameError::Malformed { at: 0, what: Malformation::FrameLen });
        }
        if len > frame_len_max {
            return Err(FrameError::FrameTooLarge { limit: frame_len_max });
        }
        if (e, f) != (0, 0) {
            return Err(FrameError::Malformed { at: 6, what: Malformation::NotZero });
        }
        Ok(Some(Self { len, kind, flags, id: u32::from_le_bytes([g, h, i, j]) }))
    }

    /// The header of `frame`, which is one whole frame.
    pub(crate) fn of(frame: &[u8]) -> Result<Self, FrameError> {
        let what = Malformation::FrameLen;
        let header = Self::parse(frame, u32::MAX)?;
        header
            .filter(|header| usize::try_from(header.len) == Ok(frame.len()))
            .ok_or(FrameError::Malformed { at: 0, what })
    }

    /// Refuses flags of the upper four bits; no kind of this version has one.
    pub(crate) fn check_flags(&self) -> Result<(), FrameError> {
        match self.flags & FLAGS_MUST_UNDERSTAND {
            0 => Ok(()),
            flags => Err(FrameError::UnknownFlags { flags }),
        }
    }
}

/// What is at the start of a receive buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing<'a> {
    /// A whole frame.
    Whole {
        /// Its header.
        header: Header,
        /// The frame with its header.
        frame: &'a [u8],
        /// What follows it.
        rest: &'a [u8],
    },
    /// The beginning of a frame.
    Part {
        /// Bytes of the frame, or of its header as long as that is not whole.
        frame_len: usize,
        /// How many of them are missing.
        missing: usize,
    },
}

impl<'a> Framing<'a> {
    /// Finds the first frame of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`Header::parse`].
    #[inline]
    pub fn find(bytes: &'a [u8], frame_len_max: u32) -> Result<Self, FrameError> {
        let Some(header) = Header::parse(bytes, frame_len_max)? else {
            let missing = HEADER_LEN - bytes.len();
            return Ok(Self::Part { frame_len: HEADER_LEN, missing });
        };
        let frame_len = usize::try_from(header.len).unwrap_or(usize::MAX);
        Ok(match bytes.split_at_checked(frame_len) {
            Some((frame, rest)) => Self::Whole { header, frame, rest },
            None => Self::Part { frame_len, missing: frame_len - bytes.len() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: [u8; 12] = [12, 0, 0, 0, 0x10, 0, 0, 0, 7, 0, 0, 0];

    #[test]
    fn a_stream_is_cut_into_frames_and_says_what_is_missing() {
        let mut stream = PING.to_vec();
        stream.extend([14, 0, 0, 0, 0x10, 0, 0, 0, 8, 0, 0, 0, 1]);
        let Ok(Framing::Whole { header, frame, rest }) = Framing::find(&stream, 64) else {
            panic!("a whole frame");
        };
        assert_eq!((header.id, header.kind, frame), (7, 0x10, &PING[..]));
        assert_eq!(Framing::find(rest, 64), Ok(Framing::Part { frame_len: 14, missing: 1 }));
        for len in 0..12 {
            let part = Framing::Part { frame_len: 12, missing: 12 - len };
            assert_eq!(Framing::find(&PING[..len], 64), Ok(part));
        }
    }

    #[test]
    fn a_length_below_a_header_or_above_the_limit_is_refused() {
        let mut bytes = PING;
        bytes[0] = 11;
        let malformed = FrameError::Malformed { at: 0, what: Malformation::FrameLen };
        assert_eq!(Header::parse(&bytes, 64), Err(malformed));
        bytes[0] = 65;
        assert_eq!(Header::parse(&bytes, 64), Err(FrameError::FrameTooLarge { limit: 64 }));
        bytes[0] = 64;
        assert!(Header::parse(&bytes, 64).is_ok());
    }

    #[test]
    fn reserved_bytes_are_zero() {
        for at in [6, 7] {
            let mut bytes = PING;
            bytes[at] = 1;
            let malformed = FrameError::Malformed { at: 6, what: Malformation::NotZero };
            assert_eq!(Header::parse(&bytes, 64), Err(malformed));
        }
    }
}
