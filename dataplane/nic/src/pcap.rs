//! The pcap file format: written with nanoseconds and little-endian, read in all four variants.
//!
//! Format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>.

use base::Instant;

/// Bytes before the first record.
pub const FILE_HEADER_LEN: usize = 24;
/// Bytes before each packet.
pub const RECORD_HEADER_LEN: usize = 16;

const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const VERSION_MAJOR: u16 = 2;
const VERSION_MINOR: u16 = 4;
const LINKTYPE_ETHERNET: u32 = 1;
/// The longest packet that is written or read: what a 16-bit length can say, and a VLAN tag is
/// within it.
const SNAP_LEN: u32 = 65_535;
const NANOS_PER_S: u64 = 1_000_000_000;

/// Why a capture cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PcapError {
    /// Not a pcap file: pcapng, perhaps.
    #[error("magic number {magic:#010x}; a pcap file begins with 0xa1b2c3d4 or 0xa1b23c4d")]
    InputMagic {
        /// The first four bytes, little-endian.
        magic: u32,
    },
    /// Not Ethernet.
    #[error("link type {linktype}; only Ethernet ({LINKTYPE_ETHERNET}) can be played")]
    InputLinkType {
        /// The type in the file's header.
        linktype: u32,
    },
    /// The file ends inside a header or a packet.
    #[error("the capture ends inside what begins at byte {offset}")]
    InputCutOff {
        /// Where it begins.
        offset: usize,
    },
    /// A record that is longer than any packet.
    #[error("a packet of {len} bytes at byte {offset}; at most {SNAP_LEN}")]
    InputTooLong {
        /// Where the record begins.
        offset: usize,
        /// What it says.
        len: u32,
    },
}

/// One packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was seen, since the capture's zero of time.
    pub at: Instant,
    /// Bytes it had on the wire; more than `bytes` has if it was cut.
    pub wire_len: u32,
    /// What was kept of it, from the Ethernet header on.
    pub bytes: &'a [u8],
}

/// The packets of a capture in memory, in order. After an error it ends.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    is_big_endian: bool,
    nanos_per_tick: u64,
}

/// The 24 bytes that begin a file with whole packets.
#[must_use]
pub fn file_header() -> [u8; FILE_HEADER_LEN] {
    file_header_cut(SNAP_LEN)
}

/// The 24 bytes that begin a file of whose packets at most `snap_len` bytes are kept.
#[must_use]
pub fn file_header_cut(snap_len: u32) -> [u8; FILE_HEADER_LEN] {
    let mut header = [0; FILE_HEADER_LEN];
    header[0..4].copy_from_slice(&MAGIC_NANOS.to_le_bytes());
    header[4..6].copy_from_slice(&VERSION_MAJOR.to_le_bytes());
    header[6..8].copy_from_slice(&VERSION_MINOR.to_le_bytes());
    header[16..20].copy_from_slice(&snap_len.to_le_bytes());
    header[20..24].copy_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
    header
}

/// The 16 bytes before a packet of `wire_len` bytes of which `kept` follow.
///
/// Seconds wrap after 136 years, as the format has it; lengths are cut at its longest packet.
#[must_use]
pub fn record_header(at: Instant, kept: usize, wire_len: usize) -> [u8; RECORD_HEADER_LEN] {
    let nanos = u32::try_from(at.as_nanos() % NANOS_PER_S).expect("a second has 10^9 of them");
    let narrow = |len: usize| u32::try_from(len).unwrap_or(SNAP_LEN);
    let mut header = [0; RECORD_HEADER_LEN];
    header[0..4].copy_from_slice(&at.as_secs_wrapped().to_le_bytes());
    header[4..8].copy_from_slice(&nanos.to_le_bytes());
    header[8..12].copy_from_slice(&narrow(kept).to_le_bytes());
    header[12..16].copy_from_slice(&narrow(wire_len).to_le_bytes());
    header
}

impl<'a> Reader<'a> {
    /// Reads the header of a capture.
    ///
    /// # Errors
    /// It is no pcap file, or not of Ethernet: see [`PcapError`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, PcapError> {
        let header = bytes.first_chunk::<FILE_HEADER_LEN>();
        let header = header.ok_or(PcapError::InputCutOff { offset: 0 })?;
        let magic = u32_at(header, 0, false);
        let (is_big_endian, nanos_per_tick) = match (magic, magic.swap_bytes()) {
            (MAGIC_NANOS, _) => (false, 1),
            (MAGIC_MICROS, _) => (false, 1_000),
            (_, MAGIC_NANOS) => (true, 1),
            (_, MAGIC_MICROS) => (true, 1_000),
            _ => return Err(PcapError::InputMagic { magic }),
        };
        // The upper bits say how long a frame check sequence is, which no packet here has.
        let linktype = u32_at(header, 20, is_big_endian) & 0x0fff_ffff;
        if linktype != LINKTYPE_ETHERNET {
            return Err(PcapError::InputLinkType { linktype });
        }
        Ok(Self { bytes, offset: FILE_HEADER_LEN, is_big_endian, nanos_per_tick })
    }

    /// Bytes read so far; the next record begins here.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    fn read(&mut self) -> Result<Record<'a>, PcapError> {
        let offset = self.offset;
        let cut_off = PcapError::InputCutOff { offset };
        let (header, rest) =
            self.bytes[offset..].split_first_chunk::<RECORD_HEADER_LEN>().ok_or(cut_off)?;
        let field = |at| u32_at(header, at, self.is_big_endian);
        let kept = field(8);
        if kept > SNAP_LEN {
            return Err(PcapError::InputTooLong { offset, len: kept });
        }
        let bytes = rest.get(..kept as usize).ok_or(cut_off)?;
        self.offset += RECORD_HEADER_LEN + bytes.len();
        let fraction = u64::from(field(4)) * self.nanos_per_tick;
        Ok(Record {
            at: Instant::from_nanos(u64::from(field(0)) * NANOS_PER_S + fraction),
            wire_len: field(12),
            bytes,
        })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Record<'a>, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.bytes.len() {
            return None;
        }
        let record = self.read();
        if record.is_err() {
            self.offset = self.bytes.len();
        }
        Some(record)
    }
}

fn u32_at(header: &[u8], at: usize, is_big_endian: bool) -> u32 {
    let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
    if is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

#[cfg(test)]
mod tests {
    use base::Instant;

    use super::{PcapError, Reader, file_header, record_header};

    fn capture(packets: &[(u64, &[u8])]) -> Vec<u8> {
        let mut file = file_header().to_vec();
        for (nanos, bytes) in packets {
            let at = Instant::from_nanos(*nanos);
            file.extend(record_header(at, bytes.len(), bytes.len()));
            file.extend(*bytes);
        }
        file
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = capture(&[(1_500_000_001, b"first packet"), (4_000_000_000, b"second")]);
        let read: Result<Vec<_>, _> = Reader::new(&file).unwrap().collect();
        let read = read.unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].at, Instant::from_nanos(1_500_000_001));
        assert_eq!((read[0].bytes, read[0].wire_len), (&b"first packet"[..], 12));
        assert_eq!((read[1].at.as_nanos(), read[1].bytes), (4_000_000_000, &b"second"[..]));
    }

    #[test]
    fn microseconds_and_big_endian_files_are_read() {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1, 7, 9, 3, 60] {
            file.extend(word.to_be_bytes());
        }
        file.extend(b"abc");
        let mut reader = Reader::new(&file).unwrap();
        let record = reader.next().unwrap().unwrap();
        assert_eq!(record.at, Instant::from_nanos(7_000_009_000));
        assert_eq!((record.bytes, record.wire_len), (&b"abc"[..], 60));
        assert_eq!(reader.next(), None);
    }

    #[test]
    fn every_cut_of_a_file_is_an_error_or_a_whole_prefix() {
        let file = capture(&[(1, b"abcdef"), (2, b"ghi")]);
        let whole_ends = [24, 24 + 16 + 6, file.len()];
        for end in 0..=file.len() {
            let outcome = Reader::new(&file[..end]).and_then(|reader| {
                let read: Result<Vec<_>, _> = reader.collect();
                read
            });
            let is_whole = whole_ends.contains(&end);
            assert_eq!(outcome.is_ok(), is_whole, "cut at {end}: {outcome:?}");
        }
    }

    #[test]
    fn what_is_no_ethernet_capture_is_refused_by_name() {
        let mut file = capture(&[]);
        file[20] = 113;
        let refused = Reader::new(&file).unwrap_err();
        assert_eq!(refused, PcapError::InputLinkType { linktype: 113 });
        file[0] = 0x0a;
        let refused = Reader::new(&file).unwrap_err();
        assert!(matches!(refused, PcapError::InputMagic { .. }), "{refused}");
    }

    #[test]
    fn a_record_longer_than_any_packet_ends_the_reading() {
        let mut file = capture(&[(1, b"abc")]);
        file[24 + 8 + 3] = 0x7f;
        let mut reader = Reader::new(&file).unwrap();
        let refused = reader.next().unwrap().unwrap_err();
        assert!(matches!(refused, PcapError::InputTooLong { offset: 24, .. }), "{refused}");
        assert_eq!(reader.next(), None);
    }
}
