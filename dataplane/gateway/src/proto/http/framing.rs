//! Where a request ends and whether its connection goes on: what its fields say about it.

use httparse::Header;

use super::answer::Persistence;
use super::body::Body;
use super::host::is_host;
use crate::counters::Refusal;

/// What a client expects before it sends its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// Nothing.
    #[default]
    None,
    /// To be told to go on.
    Continue,
    /// Something that nobody knows.
    Unknown,
}

/// What the fields of a head say, with one look at each.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    host_count: u32,
    is_host_valid: bool,
    content_length: Option<u64>,
    codings: u32,
    is_chunked: bool,
    is_chunked_last: bool,
    has_close: bool,
    has_keep_alive: bool,
    pub(crate) expectation: Expectation,
    /// There are conditions or ranges to be looked at.
    pub(crate) is_conditional: bool,
}

impl Framing {
    /// Reads the fields. Their lengths tell them apart, so that most are compared with one name.
    pub(crate) fn read(fields: &[Header<'_>]) -> Result<Self, Refusal> {
        let mut framing = Self::default();
        for &Header { name, value } in fields {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            match name.len() {
                4 if is("host") => {
                    framing.host_count += 1;
                    framing.is_host_valid = is_host(value.trim_ascii());
                }
                5 if is("range") => framing.is_conditional = true,
                6 if is("expect") => framing.add_expectation(value.trim_ascii()),
                8 if is("if-match") || is("if-range") => framing.is_conditional = true,
                10 if is("connection") => framing.add_options(value),
                13 if is("if-none-match") => framing.is_conditional = true,
                14 if is("content-length") => framing.add_length(value.trim_ascii())?,
                17 if is("transfer-encoding") => framing.add_coding(value.trim_ascii()),
                17 if is("if-modified-since") => framing.is_conditional = true,
                19 if is("if-unmodified-since") => framing.is_conditional = true,
                _ => {}
            }
        }
        Ok(framing)
    }

    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //# A server that receives an Expect field value containing a member other than 100-continue MAY
    //# respond with a 417
    fn add_expectation(&mut self, value: &[u8]) {
        for member in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if member.eq_ignore_ascii_case(b"100-continue") {
                if self.expectation == Expectation::None {
                    self.expectation = Expectation::Continue;
                }
            } else if !member.is_empty() {
                self.expectation = Expectation::Unknown;
            }
        }
    }

    fn add_options(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.has_close |= option.eq_ignore_ascii_case(b"close");
            self.has_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// A second length is refused even if it is the same: nobody sends it but by mistake.
    fn add_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.content_length.is_some() {
            return Err(Refusal::ContentLengthMalformed);
        }
        self.content_length = Some(parse_decimal(value)?);
        Ok(())
    }

    fn add_coding(&mut self, value: &[u8]) {
        self.codings += 1;
        let last = value.rsplit(|&byte| byte == b',').next().unwrap_or(value).trim_ascii();
        self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
        self.is_chunked_last = last.eq_ignore_ascii_case(b"chunked");
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    //# MUST respond with a 400 ... to any HTTP/1.1 request message that lacks a Host header field
    //# and to any request message that contains more than one Host header field line or ... an
    //# invalid field value
    pub(crate) fn check_host(&self, is_1_0: bool) -> Result<(), Refusal> {
        match self.host_count {
            0 if is_1_0 => Ok(()),
            0 => Err(Refusal::HostMissing),
            1 if self.is_host_valid => Ok(()),
            _ => Err(Refusal::HostMalformed),
        }
    }

    /// The content that follows, if there is any; `sends_content` for a method which has some by its
    /// nature.
    pub(crate) fn body(
        &self,
        is_1_0: bool,
        sends_content: bool,
        len_max: u32,
    ) -> Result<Option<Body>, Refusal> {
        if self.codings > 0 {
            return self.chunked(is_1_0).map(Some);
        }
        match self.content_length {
            //= https://www.rfc-editor.org/rfc/rfc1945#section-8.3
            //# A valid Content-Length is required on all HTTP/1.0 POST requests.
            None if is_1_0 && sends_content => Err(Refusal::LengthRequired),
            None | Some(0) => Ok(None),
            Some(len) => match u32::try_from(len) {
                Ok(len) if len <= len_max => Ok(Some(Body::of(len))),
                Ok(_) | Err(_) => Err(Refusal::BodyTooLong),
            },
        }
    }

    /// The one coding that is read is `chunked`, alone and in these letters.
    fn chunked(&self, is_1_0: bool) -> Result<Body, Refusal> {
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        //# ought to be handled as an error (Transfer-Encoding beside Content-Length)
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
        //# (HTTP/1.0 with Transfer-Encoding) MUST treat the message as if the framing is faulty
        if self.content_length.is_some() || is_1_0 || self.codings > 1 {
            return Err(Refusal::FramingAmbiguous);
        }
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        //# If a Transfer-Encoding header field is present in a request and the chunked transfer
        //# coding is not the final encoding ... MUST respond with the 400
        if !self.is_chunked_last {
            return Err(Refusal::CodingUnending);
        }
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
        //# SHOULD respond with 501 to a transfer coding that it does not understand
        if !self.is_chunked {
            return Err(Refusal::TransferCoding);
        }
        Ok(Body::chunked())
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
    //# If the "close" connection option is present, the connection will not persist ... If the
    //# received protocol is HTTP/1.1 (or later), the connection will persist ... HTTP/1.0, the
    //# "keep-alive" connection option is present ... the connection will persist
    pub(crate) fn persistence(&self, is_1_0: bool) -> Persistence {
        if self.has_close {
            Persistence::Close
        } else if !is_1_0 {
            Persistence::Keep
        } else if self.has_keep_alive {
            Persistence::KeepSaid
        } else {
            Persistence::Close
        }
    }
}

/// Digits alone; what is beyond 64 bits is too long in any case.
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//# Content-Length = 1*DIGIT
fn parse_decimal(digits: &[u8]) -> Result<u64, Refusal> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLengthMalformed);
    }
    Ok(digits
        .iter()
        .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}
