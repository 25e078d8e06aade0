//! TCP options: those that this stack speaks, and how they are laid out.

use core::ops::Deref;

use crate::{ParseError, SeqNum};

/// Bytes of options in the longest header.
pub const OPTIONS_LEN_MAX: usize = 40;

/// The largest shift of a window; a larger one is used as this.
//= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
//# MUST use 14 instead of the specified value
const WINDOW_SCALE_MAX: u8 = 14;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

const MSS_LEN: usize = 4;
const WINDOW_SCALE_LEN: usize = 3;
const SACK_PERMITTED_LEN: usize = 2;
const SACK_HEAD_LEN: usize = 2;
const SACK_BLOCK_LEN: usize = 8;
const TIMESTAMPS_LEN: usize = 10;
/// Timestamps behind two NOPs: how they are on nearly every segment there is.
const ALIGNED_TIMESTAMPS_LEN: usize = 2 + TIMESTAMPS_LEN;
const ALIGNED_TIMESTAMPS_HEAD: [u8; 4] = [NOP, NOP, TIMESTAMPS, 10];

/// The timestamps option (RFC 7323).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timestamps {
    /// The sender's clock (TSval).
    pub value: u32,
    /// The receiver's clock, echoed (TSecr); meaningful with ACK.
    pub echo: u32,
}

/// One block of received data: from `start` up to, and without, `end` (RFC 2018).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SackBlock {
    /// The first sequence number of the block.
    pub start: SeqNum,
    /// The first sequence number after the block.
    pub end: SeqNum,
}

/// At most four blocks, as many as an option has room for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SackBlocks {
    // Blocks at and above `count` are zero, so that the derived equality is right.
    blocks: [SackBlock; SackBlocks::CAPACITY],
    count: u8,
}

impl SackBlocks {
    /// How many blocks there can be.
    pub const CAPACITY: usize = 4;
    /// No block.
    pub const EMPTY: Self =
        Self { blocks: [SackBlock { start: SeqNum(0), end: SeqNum(0) }; 4], count: 0 };

    /// Adds a block behind the others; false if there are four already.
    #[inline]
    pub fn push(&mut self, block: SackBlock) -> bool {
        let Some(slot) = self.blocks.get_mut(usize::from(self.count)) else {
            return false;
        };
        *slot = block;
        self.count += 1;
        true
    }

    /// The blocks, in the order of the option.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..usize::from(self.count)).unwrap_or(&self.blocks)
    }
}

impl Deref for SackBlocks {
    type Target = [SackBlock];

    #[inline]
    fn deref(&self) -> &[SackBlock] {
        self.as_slice()
    }
}

/// The options of a segment; [`Options::NONE`] for a segment without any.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// The largest segment that the sender can receive; on SYN segments.
    pub mss: Option<u16>,
    /// The shift of the sender's windows, at most 14; on SYN segments.
    pub window_scale: Option<u8>,
    /// The timestamps.
    pub timestamps: Option<Timestamps>,
    /// Whether the sender understands SACK; on SYN segments.
    pub sack_permitted: bool,
    /// What the sender has received out of order.
    pub sack: SackBlocks,
}

impl Options {
    /// No option.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        timestamps: None,
        sack_permitted: false,
        sack: SackBlocks::EMPTY,
    };

    /// Only timestamps.
    #[inline]
    #[must_use]
    pub const fn timestamps(timestamps: Timestamps) -> Self {
        Self { timestamps: Some(timestamps), ..Self::NONE }
    }

    /// Reads the options of a header: all bytes between byte 20 and the data.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.is_empty() {
            return Ok(Self::NONE);
        }
        if let Ok(aligned) = <&[u8; ALIGNED_TIMESTAMPS_LEN]>::try_from(bytes)
            && aligned.starts_with(&ALIGNED_TIMESTAMPS_HEAD)
        {
            let [_, _, _, _, a, b, c, d, e, f, g, h] = *aligned;
            let value = u32::from_be_bytes([a, b, c, d]);
            let echo = u32::from_be_bytes([e, f, g, h]);
            return Ok(Self::timestamps(Timestamps { value, echo }));
        }
        Self::parse_list(bytes)
    }

    /// Walks the list option by option.
    fn parse_list(mut bytes: &[u8]) -> Result<Self, ParseError> {
        let mut options = Self::NONE;
        // Every turn takes at least one of at most 40 bytes.
        while let [kind, rest @ ..] = bytes {
            match *kind {
                END => break,
                NOP => bytes = rest,
                _ => {
                    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
                    //# MUST be prepared to handle an illegal option length
                    let len = usize::from(*rest.first().ok_or(ParseError::BadOption)?);
                    let (option, after) =
                        bytes.split_at_checked(len).ok_or(ParseError::BadOption)?;
                    let body = option.get(2..).ok_or(ParseError::BadOption)?;
                    options.take(*kind, body);
                    bytes = after;
                }
            }
        }
        Ok(options)
    }

    /// Takes one option over; the last of a kind counts.
    fn take(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (MSS, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift.min(WINDOW_SCALE_MAX)),
            (SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (SACK, blocks) => self.take_sack(blocks),
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
                let value = u32::from_be_bytes([a, b, c, d]);
                let echo = u32::from_be_bytes([e, f, g, h]);
                self.timestamps = Some(Timestamps { value, echo });
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
            //# MUST ignore without error any TCP option it does not implement
            _ => {}
        }
    }

    fn take_sack(&mut self, body: &[u8]) {
        let (blocks, rest) = body.as_chunks::<SACK_BLOCK_LEN>();
        if !rest.is_empty() {
            return;
        }
        self.sack = SackBlocks::EMPTY;
        for &[a, b, c, d, e, f, g, h] in blocks {
            let start = SeqNum(u32::from_be_bytes([a, b, c, d]));
            let end = SeqNum(u32::from_be_bytes([e, f, g, h]));
            // A fifth block has no room in 40 bytes.
            if !self.sack.push(SackBlock { start, end }) {
                return;
            }
        }
    }

    /// The length in bytes as they are laid out in a header; a multiple of four.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        let sack_len = match self.sack_fitting() {
            0 => 0,
            count => SACK_HEAD_LEN + count * SACK_BLOCK_LEN,
        };
        (self.len_before_sack() + sack_len).next_multiple_of(4)
    }

    /// Whether there is no option at all.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the SACK blocks there is room for beside the other options.
    #[inline]
    #[must_use]
    pub fn sack_fitting(&self) -> usize {
        if self.sack.is_empty() {
            return 0;
        }
        let room = OPTIONS_LEN_MAX - self.len_before_sack() - SACK_HEAD_LEN;
        self.sack.len().min(room / SACK_BLOCK_LEN)
    }

    /// Whether the layout is that of segments other than SYN, where each option stands behind NOPs
    /// so that its numbers lie at multiples of four. Where a SYN's options stand, all are packed.
    const fn is_aligned(&self) -> bool {
        self.mss.is_none() && self.window_scale.is_none() && !self.sack_permitted
    }

    fn len_before_sack(&self) -> usize {
        if self.is_aligned() {
            let sack_nops = if self.sack.is_empty() { 0 } else { 2 };
            return sack_nops + if self.timestamps.is_some() { ALIGNED_TIMESTAMPS_LEN } else { 0 };
        }
        let mss = if self.mss.is_some() { MSS_LEN } else { 0 };
        let sack_permitted = if self.sack_permitted { SACK_PERMITTED_LEN } else { 0 };
        let timestamps = if self.timestamps.is_some() { TIMESTAMPS_LEN } else { 0 };
        let window_scale = if self.window_scale.is_some() { WINDOW_SCALE_LEN } else { 0 };
        mss + sack_permitted + timestamps + window_scale
    }

    /// Writes the options over all of `bytes`, which has [`Options::len`] bytes. SACK blocks for
    /// which there is no room are left out, the last ones first.
    //= https://www.rfc-editor.org/rfc/rfc7323#appendix-A
    //# NOP NOP TSopt
    #[inline]
    pub(super) fn emit(&self, bytes: &mut [u8]) {
        let fitting = self.sack_fitting();
        let Self { mss, window_scale, timestamps, sack_permitted, sack } = self;
        let aligned = self.is_aligned();
        let mut out = Writer { bytes, at: 0 };
        if let Some(mss) = mss {
            out.put(&[MSS, 4]);
            out.put(&mss.to_be_bytes());
        }
        if *sack_permitted {
            out.put(&[SACK_PERMITTED, 2]);
        }
        if let Some(Timestamps { value, echo }) = timestamps {
            out.put(if aligned { &ALIGNED_TIMESTAMPS_HEAD } else { &ALIGNED_TIMESTAMPS_HEAD[2..] });
            out.put(&value.to_be_bytes());
            out.put(&echo.to_be_bytes());
        }
        if let Some(shift) = window_scale {
            out.put(&[WINDOW_SCALE, 3, *shift]);
        }
        if fitting > 0 {
            out.put(if aligned { &[NOP, NOP, SACK] } else { &[SACK] });
            out.put(&[sack_option_len(fitting)]);
            for SackBlock { start, end } in sack.iter().take(fitting) {
                out.put(&start.0.to_be_bytes());
                out.put(&end.0.to_be_bytes());
            }
        }
        out.fill(END);
    }
}

/// The length byte of a SACK option with `count` blocks.
#[expect(clippy::cast_possible_truncation, reason = "at most four blocks: 34 bytes")]
const fn sack_option_len(count: usize) -> u8 {
    (SACK_HEAD_LEN + count * SACK_BLOCK_LEN) as u8
}

/// Bytes that are written from front to back.
struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    #[inline]
    fn put(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }

    #[inline]
    fn fill(&mut self, value: u8) {
        self.bytes[self.at..].fill(value);
    }
}
