//! TCP segments (RFC 9293): the header and its options.

mod options;

use bitflags::bitflags;

pub use crate::ParseError;
use crate::{Address, SeqNum, checksum, protocol};
pub use options::{OPTIONS_LEN_MAX, Options, SackBlock, SackBlocks, Timestamps};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Bytes of the longest header: the data offset counts 15 words.
pub const HEADER_LEN_MAX: usize = HEADER_LEN + OPTIONS_LEN_MAX;
/// Where the checksum lies in a segment.
pub const CHECKSUM_OFFSET: usize = 16;

bitflags! {
    /// The control bits of a segment.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Flags: u8 {
        /// The sender has no more data.
        const FIN = 0x01;
        /// Synchronises sequence numbers.
        const SYN = 0x02;
        /// Resets the connection.
        const RST = 0x04;
        /// Asks for delivery to the user.
        const PSH = 0x08;
        /// The acknowledgement field is meaningful.
        const ACK = 0x10;
        /// The urgent pointer is meaningful.
        const URG = 0x20;
        /// ECN echo (RFC 3168).
        const ECE = 0x40;
        /// Congestion window reduced (RFC 3168).
        const CWR = 0x80;
    }
}

/// What a segment's header says, without its checksum.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Repr {
    /// The sender's TCP port.
    pub src_port: u16,
    /// The receiver's TCP port.
    pub dst_port: u16,
    /// The number of the first byte of data, or of the SYN.
    pub seq: SeqNum,
    /// The number that the sender expects next; meaningful with [`Flags::ACK`].
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// The window as it is on the wire, not scaled.
    pub window: u16,
    /// The urgent pointer; meaningful with [`Flags::URG`].
    pub urgent: u16,
    /// The options.
    pub options: Options,
}

impl Repr {
    /// Reads the header at the start of `bytes`, a whole segment, and its length in bytes. Data is
    /// what follows. The checksum is not looked at: [`crate::checksum::verify`] does that, where
    /// the device has not.
    ///
    /// Unknown options, and known ones whose length is not theirs, are skipped. Reserved bits are
    /// ignored.
    ///
    /// # Errors
    ///
    /// `Truncated` below 20 bytes; `BadLength` if the data offset is below 5 words or past the end;
    /// `BadOption` if an option's length is 0 or 1 or leads past the header.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        let header_len = usize::from(header[12] >> 4) * 4;
        if header_len < HEADER_LEN {
            return Err(ParseError::BadLength);
        }
        let options = bytes.get(HEADER_LEN..header_len).ok_or(ParseError::BadLength)?;
        let repr = Self {
            src_port: u16::from_be_bytes([header[0], header[1]]),
            dst_port: u16::from_be_bytes([header[2], header[3]]),
            seq: SeqNum(u32::from_be_bytes([header[4], header[5], header[6], header[7]])),
            ack: SeqNum(u32::from_be_bytes([header[8], header[9], header[10], header[11]])),
            flags: Flags::from_bits_retain(header[13]),
            window: u16::from_be_bytes([header[14], header[15]]),
            urgent: u16::from_be_bytes([header[18], header[19]]),
            options: Options::parse(options)?,
        };
        Ok((repr, header_len))
    }

    /// The length in bytes of the header that [`Repr::emit`] writes; a multiple of four.
    #[inline]
    #[must_use]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// Writes the header into the first [`Repr::header_len`] bytes of `bytes`, with a checksum of
    /// zero; [`set_checksum`] fills it in once the data is there.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than the header.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) {
        let Self { src_port, dst_port, seq, ack, flags, window, urgent, options } = self;
        let header_len = self.header_len();
        let (header, rest) = bytes
            .split_first_chunk_mut::<HEADER_LEN>()
            .expect("the caller gives room for the header");
        // Whole words: reading back smaller pieces, as the checksum soon does, would stall.
        let words = [
            u32::from(*src_port) << 16 | u32::from(*dst_port),
            seq.0,
            ack.0,
            u32::from_be_bytes([data_offset(header_len), flags.bits(), 0, 0]) | u32::from(*window),
            u32::from(*urgent),
        ];
        let (header, _) = header.as_chunks_mut::<4>();
        for (at, word) in header.iter_mut().zip(words) {
            *at = word.to_be_bytes();
        }
        options.emit(&mut rest[..header_len - HEADER_LEN]);
    }

    /// How many sequence numbers a segment with this header and `data_len` bytes of data takes.
    #[inline]
    #[must_use]
    pub const fn sequence_len(&self, data_len: u32) -> u32 {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4
        //# SYN and FIN are the only controls requiring this protection
        data_len + self.flags.contains(Flags::SYN) as u32 + self.flags.contains(Flags::FIN) as u32
    }
}

/// Writes `sum`, as [`checksum::fold`] gives it, into the checksum field of `segment`.
///
/// # Panics
///
/// If `segment` is shorter than a header.
#[inline]
pub fn set_checksum(segment: &mut [u8], sum: u16) {
    segment[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Computes and writes the checksum of `segment`, a whole segment from `src` to `dst`, whose
/// checksum field is zero.
///
/// # Panics
///
/// If `segment` is shorter than a header or longer than 4 GiB.
#[inline]
pub fn fill_checksum(segment: &mut [u8], src: Address, dst: Address) {
    let len = u32::try_from(segment.len()).expect("a segment is shorter than 64 KiB");
    let pseudo = checksum::pseudo(src, dst, protocol::TCP, len);
    set_checksum(segment, checksum::fold(pseudo.combine(checksum::sum(segment))));
}

/// The header's byte 12: its length in words, and reserved bits of zero.
#[expect(clippy::cast_possible_truncation, reason = "a header is at most 60 bytes: 15 words")]
const fn data_offset(header_len: usize) -> u8 {
    ((header_len / 4) << 4) as u8
}

#[cfg(test)]
mod tests;
