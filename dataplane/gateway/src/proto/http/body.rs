//! The content of a request: read to its end and thrown away, so that the next request is found.
//!
//! Nothing here is lenient. Where a body ends is the one question on which two servers of a chain
//! must never differ, so a chunk has the form that RFC 9112 gives it or the connection ends: no
//! sign, no `0x`, no lone line feed, no line end in an extension, no space after a size.
//!
//! ```text
//!  Size --";"--> Extension --CR--> SizeEnd --LF--> Data --> DataEnd --CR--> DataEndLf --LF--> Size
//!    `--CR----------------------->    |                            trailers
//!                                     `--size 0--> Line --CR--> LastLf --LF--> the end
//!                                                   ^ `--> Name --":"--> Value --CR--> ValueLf --LF--.
//!                                                   `-------------------------------------------------'
//! ```

use crate::counters::Refusal;
use crate::limits::{CHUNK_LINE_LEN_MAX, TRAILERS_LEN_MAX};

/// What is known of a body that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// Bytes of it that have come, framing and all.
    pub(crate) received: u32,
    /// Bytes until the end of the body, or of the chunk.
    rest: u32,
    /// Bytes of the line with the chunk's size, or of all trailers.
    line_len: u16,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A body of a length that was announced.
    Plain,
    /// Before a chunk's size, which has at least one digit.
    SizeStart,
    Size,
    /// White space after a size: an extension must follow.
    Gap,
    Extension,
    SizeLf,
    Data,
    DataEnd,
    DataLf,
    /// The beginning of a line after the last chunk.
    Line,
    Name,
    Value,
    ValueLf,
    LastLf,
}

/// What a stretch of bytes has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The body goes on.
    More,
    /// It is over.
    End,
    /// It is no body, or too long a one.
    Wrong(Refusal),
}

impl Body {
    /// A body of `len` bytes.
    pub(crate) const fn of(len: u32) -> Self {
        Self { received: 0, rest: len, line_len: 0, state: State::Plain }
    }

    /// A body in chunks.
    pub(crate) const fn chunked() -> Self {
        Self { received: 0, rest: 0, line_len: 0, state: State::SizeStart }
    }

    /// Takes what belongs to the body: how many bytes, and what came of it. `len_max` bounds all
    /// that is taken, framing too: a chunk of one byte may else have an extension of a hundred.
    pub(crate) fn take(&mut self, bytes: &[u8], len_max: u32) -> (usize, Progress) {
        let mut at = 0;
        while at < bytes.len() {
            if matches!(self.state, State::Plain | State::Data) {
                at += self.skip(&bytes[at..]);
                if self.rest > 0 {
                    return (at, Progress::More);
                }
                if self.state == State::Plain {
                    return (at, Progress::End);
                }
                self.state = State::DataEnd;
                continue;
            }
            if self.received >= len_max {
                return (at, Progress::Wrong(Refusal::BodyTooLong));
            }
            self.received += 1;
            let is_last = self.state == State::LastLf;
            at += 1;
            match self.next(bytes[at - 1], len_max) {
                Ok(_) if is_last => return (at, Progress::End),
                Ok(state) => self.state = state,
                Err(refusal) => return (at, Progress::Wrong(refusal)),
            }
        }
        (at, Progress::More)
    }

    /// Skips content; how much.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.rest);
        self.rest -= len;
        self.received += len;
        len as usize
    }

    /// The state after a byte of framing.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    //# chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF; chunk-size = 1*HEXDIG
    fn next(&mut self, byte: u8, len_max: u32) -> Result<State, Refusal> {
        let malformed = Err(Refusal::ChunkMalformed);
        match (self.state, byte) {
            (State::SizeStart | State::Size, _) if byte.is_ascii_hexdigit() => {
                self.grow_line(CHUNK_LINE_LEN_MAX, Refusal::ChunkMalformed)?;
                self.grow_size(byte, len_max)
            }
            (State::Size, b' ' | b'\t') => Ok(State::Gap),
            (State::Gap, b' ' | b'\t') | (State::Size | State::Gap, b';') => {
                self.grow_line(CHUNK_LINE_LEN_MAX, Refusal::ChunkMalformed)?;
                Ok(if byte == b';' { State::Extension } else { State::Gap })
            }
            (State::Size | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, _) if is_text(byte) => {
                self.grow_line(CHUNK_LINE_LEN_MAX, Refusal::ChunkMalformed)?;
                Ok(State::Extension)
            }
            (State::SizeLf, b'\n') => {
                self.line_len = 0;
                Ok(if self.rest == 0 { State::Line } else { State::Data })
            }
            (State::DataEnd, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::SizeStart),
            //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1.2
            //# A recipient that removes the chunked coding from a message MAY selectively retain or
            //# discard the received trailer fields
            (State::Line, b'\r') => Ok(State::LastLf),
            (State::Line | State::Name, _) if is_token(byte) => self.grow_trailers(State::Name),
            (State::Name, b':') => self.grow_trailers(State::Value),
            (State::Value, b'\r') => Ok(State::ValueLf),
            (State::Value, _) if is_text(byte) => self.grow_trailers(State::Value),
            (State::ValueLf, b'\n') => Ok(State::Line),
            (State::LastLf, b'\n') => Ok(State::LastLf),
            _ => malformed,
        }
    }

    /// Adds a digit to a chunk's size, which must fit into what is left of the body.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    //# recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors
    //# due to integer conversion overflows
    fn grow_size(&mut self, digit: u8, len_max: u32) -> Result<State, Refusal> {
        let value = char::from(digit).to_digit(16).ok_or(Refusal::ChunkMalformed)?;
        let size = self.rest.checked_mul(16).and_then(|size| size.checked_add(value));
        let left = len_max.saturating_sub(self.received);
        self.rest = size.filter(|&size| size <= left).ok_or(Refusal::BodyTooLong)?;
        Ok(State::Size)
    }

    fn grow_trailers(&mut self, state: State) -> Result<State, Refusal> {
        self.grow_line(TRAILERS_LEN_MAX, Refusal::TrailersTooLong)?;
        Ok(state)
    }

    fn grow_line(&mut self, len_max: u16, refusal: Refusal) -> Result<(), Refusal> {
        self.line_len += 1;
        if self.line_len > len_max { Err(refusal) } else { Ok(()) }
    }
}

/// What may stand in the value of a field or an extension.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
//# token = 1*tchar
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
