//! Each impairment by itself, and what is refused; `model` mixes them.

mod model;

use base::{Duration, Instant};
use memory::{CoreArena, Frame, FrameArena, FrameGeometry, PageChoice};

use super::{ImpairError, Impaired, Impairments};
use crate::mem::{self, MemQueue};
use crate::{Burst, QueuePair, flags};

/// An impaired end, the far end, and one core for both.
struct Link {
    core: CoreArena,
    near: Impaired<MemQueue>,
    far: MemQueue,
    out: Burst,
    _arena: FrameArena,
}

impl Link {
    fn new(config: Impairments) -> Self {
        Self::with_depth(config, 1024)
    }

    fn with_depth(config: Impairments, depth: usize) -> Self {
        let geometry = FrameGeometry {
            frames: 8192,
            frame_len: 2048,
            headroom: 256,
            cores: 1,
            reserve_per_core: 8,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
        let (near, far) = mem::pair(depth, 1500).unwrap();
        let mut link = Self {
            core: arena.core().unwrap(),
            near: Impaired::new(near, config).unwrap(),
            far,
            out: Burst::with_capacity(64),
            _arena: arena,
        };
        assert!(link.arrived().is_empty());
        link
    }

    fn frame(&mut self, bytes: &[u8]) -> Frame {
        let mut frame = self.core.allocate().unwrap();
        self.core.set_len(&mut frame, bytes.len());
        self.core.bytes_mut(&mut frame).copy_from_slice(bytes);
        frame
    }

    /// Sends a packet; whether it was taken.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let frame = self.frame(bytes);
        self.send_frame(frame)
    }

    fn send_frame(&mut self, frame: Frame) -> bool {
        let mut burst = Burst::with_capacity(1);
        burst.push(frame).unwrap();
        let count = self.near.tx_burst(&mut self.core, &mut burst);
        burst.clear_into(&mut self.core);
        count == 1
    }

    fn at_micros(&mut self, micros: u64) {
        self.near.set_now(Instant::from_nanos(micros * 1_000));
    }

    /// What has arrived by now.
    fn arrived(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            // Held packets leave with a burst in either direction.
            self.near.rx_burst(&mut self.core, &mut Burst::with_capacity(0));
            if self.far.rx_burst(&mut self.core, &mut self.out) == 0 {
                return all;
            }
            while let Some(frame) = self.out.pop_front() {
                all.push(self.core.bytes(&frame).to_vec());
                self.core.free(frame);
            }
        }
    }

    /// The last byte of each packet that has arrived by now.
    fn arrived_numbers(&mut self) -> Vec<u8> {
        let all = self.arrived();
        all.iter().map(|bytes| *bytes.last().unwrap()).collect()
    }

    /// Takes the link down; every frame must be back.
    fn finish(self) {
        let Self { mut core, near, far, .. } = self;
        let total = core.frames_total();
        near.into_inner(&mut core).drain(&mut core);
        far.drain(&mut core);
        core.exchange();
        assert_eq!(core.frames_held(), 0, "every frame was given back");
        assert_eq!(core.frames_free() + self._arena.frames_home(), total);
    }
}

/// 100 bytes whose last says which it is; of a type that no checksum covers.
fn numbered(number: u8) -> Vec<u8> {
    let mut bytes = vec![0; 100];
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes[99] = number;
    bytes
}

/// A whole IPv4 packet with an ICMP echo in it, both checksums right.
fn echo(number: u32, payload: usize) -> Vec<u8> {
    let total = 20 + 8 + payload;
    let mut bytes = vec![0; 14 + total];
    bytes[12] = 0x08;
    bytes[14] = 0x45;
    bytes[16..18].copy_from_slice(&u16::try_from(total).unwrap().to_be_bytes());
    bytes[18..20].copy_from_slice(&number.to_be_bytes()[2..]);
    bytes[22..24].copy_from_slice(&[64, 1]);
    bytes[26..34].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
    bytes[34] = 8;
    bytes[38..42].copy_from_slice(&number.to_be_bytes());
    for (place, byte) in bytes[42..].iter_mut().enumerate() {
        *byte = u8::try_from((place + number as usize) % 251).unwrap();
    }
    let header = !sum(&bytes[14..34]);
    bytes[24..26].copy_from_slice(&header.to_be_bytes());
    let message = !sum(&bytes[34..]);
    bytes[36..38].copy_from_slice(&message.to_be_bytes());
    bytes
}

/// The one's-complement sum; all ones over what carries a right checksum.
fn sum(bytes: &[u8]) -> u16 {
    let mut total = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        total += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap()
}

fn checksums_hold(packet: &[u8]) -> bool {
    sum(&packet[14..34]) == 0xffff && sum(&packet[34..]) == 0xffff
}

#[test]
fn everything_is_lost_or_doubled_if_the_chance_says_so() {
    let mut link = Link::new(Impairments { loss_ppm: 1_000_000, ..Impairments::default() });
    assert!((0..50).all(|number| link.send(&numbered(number))));
    assert!(link.arrived().is_empty());
    assert_eq!(link.near.faults().lost, 50);
    link.finish();

    let mut link = Link::new(Impairments { duplicate_ppm: 1_000_000, ..Impairments::default() });
    assert!((0..3).all(|number| link.send(&numbered(number))));
    assert_eq!(link.arrived_numbers(), [0, 0, 1, 1, 2, 2]);
    assert_eq!(link.near.faults().duplicated, 3);
    link.finish();
}

#[test]
fn a_delayed_packet_comes_when_it_is_due_and_not_before() {
    let mut link =
        Link::new(Impairments { delay: Duration::from_micros(500), ..Impairments::default() });
    link.at_micros(1_000);
    assert!(link.send(&numbered(1)));
    link.at_micros(1_100);
    assert!(link.send(&numbered(2)));
    assert_eq!(link.near.next_deadline(), Some(Instant::from_nanos(1_500_000)));
    link.at_micros(1_499);
    assert_eq!(link.arrived_numbers(), []);
    link.at_micros(1_500);
    assert_eq!(link.arrived_numbers(), [1]);
    assert_eq!(link.near.next_deadline(), Some(Instant::from_nanos(1_600_000)));
    link.at_micros(1_600);
    assert_eq!(link.arrived_numbers(), [2]);
    assert_eq!(link.near.next_deadline(), None);
    link.finish();
}

#[test]
fn jitter_spreads_packets_but_never_lets_them_overtake() {
    let mut link = Link::new(Impairments {
        seed: 11,
        delay: Duration::from_micros(100),
        jitter: Duration::from_micros(1_000),
        ..Impairments::default()
    });
    let mut numbers = Vec::new();
    let mut due = Vec::new();
    for number in 0..100 {
        link.at_micros(u64::from(number) * 50);
        assert!(link.send(&numbered(number)));
        numbers.extend(link.arrived_numbers());
    }
    while let Some(next) = link.near.next_deadline() {
        due.push(next);
        link.near.set_now(next);
        numbers.extend(link.arrived_numbers());
    }
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert!(due.is_sorted());
    let last = due.last().unwrap().as_nanos();
    assert!((99 * 50_000 + 100_000..=99 * 50_000 + 1_100_000).contains(&last), "{last}");
    link.finish();
}

#[test]
fn the_rate_limit_spaces_packets_and_its_queue_overflows() {
    // 100 bytes at 800 kbit/s are one millisecond.
    let mut link = Link::new(Impairments {
        rate_bits_per_s: 800_000,
        queue_bytes_max: 1_514,
        ..Impairments::default()
    });
    link.at_micros(10_000);
    assert!((0..20).all(|number| link.send(&numbered(number))));
    // 15 of them wait in 1,514 bytes, the first of which is being sent.
    assert_eq!((link.near.faults().link_dropped, link.near.packets_held()), (5, 15));
    for number in 0..15 {
        link.at_micros(10_999 + u64::from(number) * 1_000);
        assert_eq!(link.arrived_numbers(), []);
        link.at_micros(11_000 + u64::from(number) * 1_000);
        assert_eq!(link.arrived_numbers(), [number]);
    }
    assert!(link.send(&numbered(99)), "the queue is empty again");
    assert_eq!(link.near.packets_held(), 1);
    link.finish();
}

#[test]
fn a_packet_held_back_is_overtaken_by_as_many_as_were_asked_for() {
    let mut link = Link::new(Impairments {
        seed: 5,
        reorder_ppm: 100_000,
        reorder_packets: 3,
        ..Impairments::default()
    });
    assert!((0..200).all(|number| link.send(&numbered(number))));
    let numbers = link.arrived_numbers();
    let held_back = u64::try_from(link.near.packets_held()).unwrap();
    let mut late = 0;
    for (place, number) in numbers.iter().enumerate() {
        let overtaken_by = numbers[..place].iter().filter(|other| *other > number).count();
        assert!([0, 3].contains(&overtaken_by), "{number} was overtaken by {overtaken_by}");
        late += u64::from(overtaken_by > 0);
    }
    assert!(late > 5, "seed 5 reorders some of 200: {late}");
    assert_eq!(late + held_back, link.near.faults().reordered);
    link.finish();
}

#[test]
fn a_packet_that_nothing_overtakes_leaves_when_its_hold_ends() {
    let mut link = Link::new(Impairments {
        reorder_ppm: 1_000_000,
        reorder_packets: u16::MAX,
        reorder_hold_max: Duration::from_micros(200),
        delay: Duration::from_micros(100),
        ..Impairments::default()
    });
    assert!(link.send(&numbered(1)));
    assert_eq!(link.near.next_deadline(), Some(Instant::from_nanos(300_000)));
    link.at_micros(299);
    assert_eq!(link.arrived_numbers(), []);
    link.at_micros(300);
    assert_eq!(link.arrived_numbers(), [1]);
    link.finish();
}

#[test]
fn damage_is_one_bit_that_a_checksum_sees_and_spares_other_holders() {
    let mut link =
        Link::new(Impairments { seed: 3, corrupt_ppm: 1_000_000, ..Impairments::default() });
    for number in 0..500 {
        let whole = echo(number, number as usize % 900);
        let kept = link.frame(&whole);
        let sent = link.core.share(&kept);
        assert!(link.send_frame(sent));
        let came = link.arrived().pop().unwrap();
        let bits: u32 = came.iter().zip(&whole).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(bits, 1, "packet {number}");
        assert!(!checksums_hold(&came), "packet {number} is damaged unseen");
        assert_eq!(link.core.bytes(&kept), whole, "the other holder keeps what it has");
        link.core.free(kept);
    }
    assert_eq!(link.near.faults().corrupted, 500);
    assert!(link.send(&numbered(1)));
    assert_eq!(link.arrived(), [numbered(1)], "nothing would see damage to such a packet");
    assert_eq!(link.near.faults().corruption_spared, 1);
    link.finish();
}

#[test]
fn an_ipv6_packet_is_damaged_from_its_source_address_on() {
    let mut link =
        Link::new(Impairments { seed: 4, corrupt_ppm: 1_000_000, ..Impairments::default() });
    let mut whole = vec![0x60; 14 + 40 + 30 + 16];
    whole[12..14].copy_from_slice(&[0x86, 0xdd]);
    whole[18..20].copy_from_slice(&[0, 30]);
    for _packet in 0..500 {
        assert!(link.send(&whole));
        let came = link.arrived().pop().unwrap();
        let place = came.iter().zip(&whole).position(|(a, b)| a != b).unwrap();
        // The last 16 bytes are padding of the link.
        assert!((22..14 + 40 + 30).contains(&place), "byte {place}");
    }
    link.finish();
}

#[test]
fn while_the_queue_pair_behind_is_full_the_caller_keeps_its_packets() {
    let config = Impairments { duplicate_ppm: 1, held_packets_max: 4, ..Impairments::default() };
    let mut link = Link::with_depth(config, 4);
    let mut burst = Burst::with_capacity(40);
    for number in 0..40 {
        let frame = link.frame(&numbered(number));
        burst.push(frame).unwrap();
    }
    let mut numbers = Vec::new();
    let mut rounds = 0;
    while numbers.len() < 40 {
        link.near.tx_burst(&mut link.core, &mut burst);
        assert!(link.near.packets_held() <= 4);
        numbers.extend(link.arrived_numbers());
        rounds += 1;
        assert!(rounds < 100, "{numbers:?}");
    }
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    assert!(rounds > 1, "a pair of depth 4 does not take 40 at once");
    assert_eq!(link.near.faults().held_dropped, 0);
    link.finish();
}

#[test]
fn more_than_may_be_held_is_dropped_and_counted() {
    let mut link = Link::new(Impairments {
        delay: Duration::from_millis(1),
        held_packets_max: 10,
        ..Impairments::default()
    });
    assert!((0..25).all(|number| link.send(&numbered(number))));
    assert_eq!((link.near.packets_held(), link.near.faults().held_dropped), (10, 15));
    link.at_micros(1_000);
    assert_eq!(link.arrived_numbers(), (0..10).collect::<Vec<_>>());
    link.finish();
}

#[test]
fn a_packet_of_too_many_frames_is_dropped_and_counted() {
    let mut link =
        Link::new(Impairments { delay: Duration::from_millis(1), ..Impairments::default() });
    let mut burst = Burst::with_capacity(17);
    for place in 0..17 {
        let mut piece = link.frame(&[0; 20]);
        piece.set_flags(if place < 16 { flags::CONTINUES } else { 0 });
        burst.push(piece).unwrap();
    }
    assert_eq!(link.near.tx_burst(&mut link.core, &mut burst), 17);
    assert_eq!(link.near.faults().too_many_segments, 1);
    link.finish();
}

#[test]
fn impairments_that_make_no_sense_are_refused_by_name() {
    let refused = |config: Impairments| {
        let (near, _far) = mem::pair(8, 1500).unwrap();
        Impaired::new(near, config).unwrap_err()
    };
    let none = Impairments::default();
    let field = "loss_ppm";
    let ppm = 1_000_001;
    assert_eq!(
        refused(Impairments { loss_ppm: ppm, ..none }),
        ImpairError::ConfigChance { field, ppm }
    );
    let (field, asked) = ("jitter", Duration::from_secs(241));
    assert_eq!(
        refused(Impairments { jitter: asked, ..none }),
        ImpairError::ConfigTime { field, asked }
    );
    assert_eq!(
        refused(Impairments { reorder_ppm: 1, reorder_packets: 0, ..none }),
        ImpairError::ConfigReorder
    );
    let rate = u64::MAX;
    assert_eq!(
        refused(Impairments { rate_bits_per_s: rate, ..none }),
        ImpairError::ConfigRate { rate }
    );
    let (queue, packet) = (1_513, 1_514);
    assert_eq!(
        refused(Impairments { rate_bits_per_s: 1, queue_bytes_max: queue, ..none }),
        ImpairError::ConfigQueue { queue, packet }
    );
    for packets in [0, 1, 65_537] {
        assert_eq!(
            refused(Impairments { held_packets_max: packets, ..none }),
            ImpairError::ConfigHeld { packets }
        );
    }
}
