//! TCP headers and options as they were captured, and damaged ones.

use super::*;
use crate::Address;

/// A SYN from 10.9.0.1 to 10.9.0.2 as Linux sent it: MSS 1460, SACK permitted, timestamps, NOP,
/// window scale 10.
const LINUX_SYN: [u8; 40] = [
    0xd5, 0xf0, 0x00, 0x07, 0x95, 0x19, 0x23, 0xd0, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02, 0xfa, 0xf0,
    0x8c, 0x50, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x9b, 0x78, 0x82, 0x4d,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x0a,
];

fn header_with(options: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0, "a header is made of words");
    let mut bytes = LINUX_SYN[..HEADER_LEN].to_vec();
    bytes.extend_from_slice(options);
    bytes[12] = data_offset(bytes.len());
    bytes
}

fn options_of(options: &[u8]) -> Options {
    Repr::parse(&header_with(options)).expect("well-formed").0.options
}

fn block(start: u32, end: u32) -> SackBlock {
    SackBlock { start: SeqNum(start), end: SeqNum(end) }
}

fn blocks(count: u32) -> SackBlocks {
    let mut blocks = SackBlocks::EMPTY;
    for index in 0..count {
        assert!(blocks.push(block(index * 100, index * 100 + 50)));
    }
    blocks
}

fn emitted(repr: &Repr) -> Vec<u8> {
    let mut bytes = vec![0xaa; repr.header_len()];
    repr.emit(&mut bytes);
    bytes
}

#[test]
fn a_captured_syn_is_read() {
    let (repr, header_len) = Repr::parse(&LINUX_SYN).expect("captured");
    assert_eq!(header_len, 40);
    let expected = Repr {
        src_port: 54_768,
        dst_port: 7,
        seq: SeqNum(0x9519_23d0),
        ack: SeqNum(0),
        flags: Flags::SYN,
        window: 64_240,
        urgent: 0,
        options: Options {
            mss: Some(1460),
            window_scale: Some(10),
            timestamps: Some(Timestamps { value: 0x9b78_824d, echo: 0 }),
            sack_permitted: true,
            sack: SackBlocks::EMPTY,
        },
    };
    assert_eq!(repr, expected);
    assert_eq!(repr.sequence_len(0), 1);
}

#[test]
fn what_is_emitted_is_read_back_for_every_mix_of_options() {
    for mix in 0_u32..16 * 5 {
        let (bits, count) = (mix % 16, mix / 16);
        let options = Options {
            mss: (bits & 1 != 0).then_some(1220),
            window_scale: (bits & 2 != 0).then_some(14),
            timestamps: (bits & 4 != 0).then_some(Timestamps { value: 1, echo: u32::MAX }),
            sack_permitted: bits & 8 != 0,
            sack: blocks(count),
        };
        let repr = Repr { flags: Flags::ACK | Flags::PSH, options, ..Repr::default() };
        assert!(repr.header_len() <= HEADER_LEN_MAX);
        let (back, header_len) = Repr::parse(&emitted(&repr)).expect("our own");
        assert_eq!(header_len, repr.header_len());
        let fitting = options.sack_fitting();
        let mut sack = SackBlocks::EMPTY;
        for block in &options.sack[..fitting] {
            assert!(sack.push(*block));
        }
        let expected = Repr { options: Options { sack, ..options }, ..repr };
        assert_eq!(back, expected, "mix {mix}");
        assert_eq!(fitting == 0, count == 0, "at least one block always fits");
    }
}

#[test]
fn timestamps_alone_stand_behind_two_nops() {
    let options = Options::timestamps(Timestamps { value: 0x0102_0304, echo: 0x0506_0708 });
    let bytes = emitted(&Repr { options, ..Repr::default() });
    assert_eq!(bytes[20..], [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn three_sack_blocks_fit_beside_timestamps() {
    let timestamps = Some(Timestamps::default());
    let options = Options { timestamps, sack: blocks(4), ..Options::NONE };
    assert_eq!(options.sack_fitting(), 3);
    assert_eq!(options.len(), OPTIONS_LEN_MAX);
    assert_eq!(Options { sack: blocks(4), ..Options::NONE }.sack_fitting(), 4);
}

#[test]
fn a_length_of_zero_or_one_or_past_the_end_is_an_error() {
    for options in [
        [2, 0, 5, 180],
        [2, 1, 5, 180],
        [2, 5, 5, 180],
        [1, 1, 1, 8],
        [254, 0, 0, 0],
        [254, 255, 0, 0],
    ] {
        assert_eq!(Repr::parse(&header_with(&options)), Err(ParseError::BadOption), "{options:?}");
    }
}

#[test]
fn unknown_options_and_known_ones_of_another_length_are_skipped() {
    let mss = Some(1460);
    assert_eq!(options_of(&[254, 4, 9, 9, 2, 4, 5, 180]), Options { mss, ..Options::NONE });
    assert_eq!(options_of(&[2, 3, 9, 1, 2, 4, 5, 180]), Options { mss, ..Options::NONE });
    assert_eq!(options_of(&[5, 6, 0, 0, 0, 1, 2, 4, 5, 180, 0, 0]).sack.len(), 0);
    assert_eq!(options_of(&[5, 2, 0, 0]), Options::NONE);
}

#[test]
fn nothing_behind_the_end_of_the_list_counts() {
    assert_eq!(options_of(&[1, 0, 2, 0]), Options::NONE);
    assert_eq!(options_of(&[0, 9, 9, 9]), Options::NONE);
}

#[test]
fn a_window_scale_above_14_is_14() {
    assert_eq!(options_of(&[3, 3, 255, 0]).window_scale, Some(14));
    assert_eq!(options_of(&[3, 3, 14, 0]).window_scale, Some(14));
    assert_eq!(options_of(&[3, 3, 0, 0]).window_scale, Some(0));
}

#[test]
fn a_data_offset_outside_the_segment_is_refused() {
    for len in 0..HEADER_LEN {
        assert_eq!(Repr::parse(&LINUX_SYN[..len]), Err(ParseError::Truncated));
    }
    for len in HEADER_LEN..LINUX_SYN.len() {
        assert_eq!(Repr::parse(&LINUX_SYN[..len]), Err(ParseError::BadLength));
    }
    let mut short = LINUX_SYN;
    short[12] = 0x40;
    assert_eq!(Repr::parse(&short), Err(ParseError::BadLength));
}

#[test]
fn the_checksum_is_that_of_the_capture() {
    let src = Address::from_v4_octets([10, 9, 0, 1]);
    let dst = Address::from_v4_octets([10, 9, 0, 2]);
    assert!(checksum::verify(src, dst, protocol::TCP, &LINUX_SYN));
    let mut segment = LINUX_SYN;
    set_checksum(&mut segment, 0);
    fill_checksum(&mut segment, src, dst);
    assert_eq!(segment, LINUX_SYN);
}
