//! IPv4 packets (RFC 791).

use core::net::Ipv4Addr;

use crate::{ParseError, checksum};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Bytes of the longest header.
pub const HEADER_LEN_MAX: usize = 60;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_LOOSE_SOURCE_ROUTE: u8 = 131;
const OPTION_STRICT_SOURCE_ROUTE: u8 = 137;

/// A packet whose header has been checked: version, lengths, checksum and the shape of its options.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_LEN],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks the packet at the start of `bytes`, behind which Ethernet padding may follow.
    ///
    /// # Errors
    ///
    /// `Truncated` below 20 bytes; `BadVersion`; `BadLength` if the header length is below 5 words
    /// or above the total length, or that above what is there; `BadChecksum`; `BadOption`.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.1
        //# a datagram whose version number is not 4 MUST be silently discarded
        if header[0] >> 4 != 4 {
            return Err(ParseError::BadVersion);
        }
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_len < HEADER_LEN {
            return Err(ParseError::BadLength);
        }
        // What lies behind the total length is padding of the link.
        let packet = bytes.get(..total_len).ok_or(ParseError::BadLength)?;
        let (whole_header, payload) =
            packet.split_at_checked(header_len).ok_or(ParseError::BadLength)?;
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.2
        //# A host MUST verify the IP header checksum on every received datagram
        let sum = if header_len == HEADER_LEN {
            checksum::sum_array(header)
        } else {
            checksum::sum(whole_header)
        };
        if !sum.is_valid() {
            return Err(ParseError::BadChecksum);
        }
        let options = whole_header.get(HEADER_LEN..).unwrap_or_default();
        let packet = Self { header, options, payload };
        if !options.is_empty() {
            packet.walk_options(|_| ())?;
        }
        Ok(packet)
    }

    /// What the header says.
    #[inline]
    #[must_use]
    pub fn repr(&self) -> Repr {
        Repr {
            source: self.source(),
            destination: self.destination(),
            protocol: self.protocol(),
            payload_len: self.payload_len(),
            hop_limit: self.hop_limit(),
            traffic_class: self.header[1],
            identification: u16::from_be_bytes([self.header[4], self.header[5]]),
            dont_fragment: self.fragment_field() & DONT_FRAGMENT != 0,
            fragment: Fragment {
                offset: (self.fragment_field() & FRAGMENT_OFFSET) * 8,
                more: self.fragment_field() & MORE_FRAGMENTS != 0,
            },
        }
    }

    /// Who sent it.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[12], h[13], h[14], h[15])
    }

    /// Who shall receive it.
    #[inline]
    #[must_use]
    pub const fn destination(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[16], h[17], h[18], h[19])
    }

    /// What it carries; see [`crate::protocol`].
    #[inline]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.header[9]
    }

    /// How many hops it had left.
    #[inline]
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.header[8]
    }

    /// The two ECN bits (RFC 3168).
    #[inline]
    #[must_use]
    pub const fn ecn(&self) -> u8 {
        self.header[1] & 3
    }

    /// Whether this is a piece of a packet and not the whole.
    #[inline]
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.fragment_field() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Whether this is a piece, and not the first, so that no transport header is in it.
    #[inline]
    #[must_use]
    pub const fn is_later_fragment(&self) -> bool {
        self.fragment_field() & FRAGMENT_OFFSET != 0
    }

    /// The length in bytes of the header with its options.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// What follows the header, without padding.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether the packet names the hops that it wants to take.
    #[must_use]
    pub fn has_source_route(&self) -> bool {
        let mut found = false;
        let walked = self.walk_options(|kind| {
            found |= matches!(kind, OPTION_LOOSE_SOURCE_ROUTE | OPTION_STRICT_SOURCE_ROUTE);
        });
        walked.is_ok() && found
    }

    /// Calls `visit` with the kind of every option but the padding.
    fn walk_options(&self, mut visit: impl FnMut(u8)) -> Result<(), ParseError> {
        let mut bytes = self.options;
        // Every turn takes at least one of at most 40 bytes.
        while let [kind, rest @ ..] = bytes {
            bytes = match *kind {
                OPTION_END => return Ok(()),
                OPTION_NOP => rest,
                kind => {
                    visit(kind);
                    let len = usize::from(*rest.first().ok_or(ParseError::BadOption)?);
                    if len < 2 {
                        return Err(ParseError::BadOption);
                    }
                    bytes.get(len..).ok_or(ParseError::BadOption)?
                }
            };
        }
        Ok(())
    }

    const fn fragment_field(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "cut to the 16-bit total length by `parse`"
    )]
    const fn payload_len(&self) -> u16 {
        self.payload.len() as u16
    }
}

/// Which piece of a packet this is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fragment {
    /// Where the piece begins in the payload: a multiple of 8 bytes.
    pub offset: u16,
    /// Whether pieces follow.
    pub more: bool,
}

impl Fragment {
    /// The one piece of a packet that was never cut.
    pub const WHOLE: Self = Self { offset: 0, more: false };
}

/// What a packet's header says, without its options.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repr {
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Who shall receive it.
    pub destination: Ipv4Addr,
    /// What it carries; see [`crate::protocol`].
    pub protocol: u8,
    /// Bytes behind the header.
    pub payload_len: u16,
    /// How many hops it may take, or had left.
    pub hop_limit: u8,
    /// Differentiated services and, in the lowest two bits, ECN.
    pub traffic_class: u8,
    /// Which packet the pieces belong to; without meaning in a whole packet that must not be cut.
    pub identification: u16,
    /// Whether no router may cut it.
    pub dont_fragment: bool,
    /// Which piece it is.
    pub fragment: Fragment,
}

impl Repr {
    /// Reads the header at the start of `bytes`, and its length in bytes with options.
    ///
    /// # Errors
    ///
    /// As [`Packet::parse`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        let packet = Packet::parse(bytes)?;
        Ok((packet.repr(), packet.header_len()))
    }

    /// The length in bytes of the header that [`Repr::emit`] writes, which has no options.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the header with its checksum into the first 20 bytes of `bytes`.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than the header, or `payload_len` above 65,515.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) {
        let more = if self.fragment.more { MORE_FRAGMENTS } else { 0 };
        let dont = if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        let fragment = (self.fragment.offset / 8) | more | dont;
        let total_len = self.payload_len + 20;
        let (source, destination) = (self.source.to_bits(), self.destination.to_bits());
        // Whole words, summed before they are stored: reading back what was just written in
        // smaller pieces would stall.
        let words = [
            0x4500_0000 | u32::from(self.traffic_class) << 16 | u32::from(total_len),
            u32::from(self.identification) << 16 | u32::from(fragment),
            u32::from(self.hop_limit) << 24 | u32::from(self.protocol) << 16,
            source,
            destination,
        ];
        let sum = u32::from(checksum::fold(checksum::sum_words(words)));
        let header = bytes.first_chunk_mut::<HEADER_LEN>();
        let (header, _) =
            header.expect("the caller gives room for the header").as_chunks_mut::<4>();
        for (at, word) in header.iter_mut().zip(words) {
            *at = word.to_be_bytes();
        }
        header[2] = (words[2] | sum).to_be_bytes();
    }
}

#[cfg(test)]
mod tests;
