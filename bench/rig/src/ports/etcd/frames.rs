//! Frames of HTTP/2, header blocks without compression, fields of protobuf: the little of each that
//! three messages need.

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Reset,
    Settings,
    Ping,
    GoAway,
    /// Written: more room in a window. Read: that, or anything that may be ignored.
    Other,
}

/// The flag of `SETTINGS` and `PING` that are answers.
pub(super) const ACK: u8 = 0x1;
/// The flag of a stream's last frame.
pub(super) const END_STREAM: u8 = 0x1;
/// The flag of a header block that is whole.
pub(super) const END_HEADERS: u8 = 0x4;
const HEADER_LEN: usize = 9;

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Data => 0x0,
            Self::Headers => 0x1,
            Self::Reset => 0x3,
            Self::Settings => 0x4,
            Self::Ping => 0x6,
            Self::GoAway => 0x7,
            Self::Other => 0x8,
        }
    }

    fn of(code: u8) -> Self {
        let all =
            [Self::Data, Self::Headers, Self::Reset, Self::Settings, Self::Ping, Self::GoAway];
        all.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Other)
    }
}

/// A frame as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) stream: u32,
    /// Whether it answers one of ours.
    pub(super) is_ack: bool,
    /// Whether its stream ends with it.
    pub(super) is_last: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the front, if it is whole, and its length.
    pub(super) fn first(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (&[a, b, c, code, flags, d, e, f, g], rest) = bytes.split_first_chunk()?;
        let len = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let payload = rest.get(..len)?;
        let kind = Kind::of(code);
        let is_of_stream = matches!(kind, Kind::Data | Kind::Headers);
        let frame = Self {
            kind,
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
            is_ack: matches!(kind, Kind::Settings | Kind::Ping) && flags & ACK != 0,
            is_last: is_of_stream && flags & END_STREAM != 0,
            payload,
        };
        Some((frame, HEADER_LEN + len))
    }
}

/// Appends a frame.
pub(super) fn write_frame(kind: Kind, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(payload.len()).expect("ours are short").to_be_bytes();
    out.extend_from_slice(&len[1..]);
    out.extend_from_slice(&[kind.code(), flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The header block of a call of `path`, RFC 7541: names by their numbers in the static table where
/// they are there, values as they are.
pub(super) fn head(path: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` are in the table whole.
    let mut head = vec![0x83, 0x86];
    let text = |text: &str, head: &mut Vec<u8>| {
        head.push(u8::try_from(text.len()).expect("shorter than 127"));
        head.extend_from_slice(text.as_bytes());
    };
    // `:path`, `:authority`, `content-type` and `te`, which is not there.
    head.push(0x04);
    text(path, &mut head);
    head.push(0x01);
    text("127.0.0.1", &mut head);
    head.extend_from_slice(&[0x0f, 0x10]);
    text("application/grpc", &mut head);
    head.push(0x00);
    text("te", &mut head);
    text("trailers", &mut head);
    head
}

/// Appends a field of bytes.
pub(super) fn bytes_field(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a field that is a number.
pub(super) fn number_field(field: u8, number: u64, out: &mut Vec<u8>) {
    out.push(field << 3);
    varint(number, out);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// The number that a message has in a field, if it has it and is no nonsense.
pub(super) fn number_in(mut message: &[u8], wanted: u64) -> Option<u64> {
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                let number = take_varint(&mut message)?;
                if key >> 3 == wanted {
                    return Some(number);
                }
            }
            2 => {
                let len = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(len..)?;
            }
            _ => return None,
        }
    }
    None
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
