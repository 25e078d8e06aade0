//! The forwarder between pairs in memory: everything that comes in goes out or is in a count.

use base::{Duration, Instant};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::mem::{MemQueue, pair};
use nic::{Burst, Impairments, QueuePair};

use super::core::{Direction, Forwarder};

/// Two ends and the wire between them, all on one core, which is what one arena view is for.
struct Bed {
    near: MemQueue,
    far: MemQueue,
    ends: CoreArena,
    forwarder: Forwarder<MemQueue, MemQueue>,
    now: Instant,
}

/// What an end sent or received, by number.
type Numbers = Vec<u32>;

impl Bed {
    fn new(faults: Impairments) -> Self {
        let geometry = FrameGeometry {
            frames: 8_192,
            frame_len: 2_048,
            headroom: 128,
            cores: 2,
            reserve_per_core: 8,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).expect("16 MiB are there");
        let (near, a) = pair(256, 1_500).expect("a power of two");
        let (b, far) = pair(256, 1_500).expect("a power of two");
        let ends = arena.core().expect("first");
        let wire = arena.core().expect("second");
        let forwarder = Forwarder::new(a, b, wire, faults).expect("the faults make sense");
        Self { near, far, ends, forwarder, now: Instant::ZERO }
    }

    /// Lets all four ends post frames to receive into.
    fn begin(&mut self) {
        self.forwarder.turn(self.now);
        receive(&mut self.far, &mut self.ends, &mut Vec::new());
        receive(&mut self.near, &mut self.ends, &mut Vec::new());
    }

    /// Sends `count` packets from each end, a few a turn, and takes what comes at the other;
    /// then time passes until nothing is on its way.
    fn run(&mut self, count: u32) -> (Numbers, Numbers) {
        let (mut at_far, mut at_near) = (Vec::new(), Vec::new());
        self.begin();
        let mut next = 0;
        let mut idle = 0;
        while next < count || idle < 1_000 {
            let until = (next + 8).min(count);
            for number in next..until {
                send(&mut self.near, &mut self.ends, number);
                send(&mut self.far, &mut self.ends, number | 1 << 31);
            }
            next = until;
            self.now += Duration::from_micros(100);
            self.forwarder.turn(self.now);
            let before = at_far.len() + at_near.len();
            receive(&mut self.far, &mut self.ends, &mut at_far);
            receive(&mut self.near, &mut self.ends, &mut at_near);
            idle = if at_far.len() + at_near.len() > before { 0 } else { idle + 1 };
        }
        assert!(!self.forwarder.is_holding());
        (at_far, at_near)
    }

    fn directions(&self) -> [Direction; 2] {
        self.forwarder.directions()
    }
}

/// An IPv4 packet of 60 bytes with a number behind its headers.
fn send(queue: &mut MemQueue, arena: &mut CoreArena, number: u32) {
    let mut frame = arena.allocate().expect("frames are there");
    arena.set_len(&mut frame, 60);
    let bytes = arena.bytes_mut(&mut frame);
    bytes.fill(0);
    bytes[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
    bytes[16..18].copy_from_slice(&46_u16.to_be_bytes());
    bytes[34..38].copy_from_slice(&number.to_le_bytes());
    let mut burst = Burst::with_capacity(1);
    burst.push(frame).expect("it is empty");
    queue.tx_burst(arena, &mut burst);
    assert!(burst.is_empty(), "the pair has room for what is sent in a turn");
}

fn receive(queue: &mut MemQueue, arena: &mut CoreArena, numbers: &mut Numbers) {
    let mut burst = Burst::with_capacity(64);
    while queue.rx_burst(arena, &mut burst) > 0 {
        while let Some(frame) = burst.pop_front() {
            let number = arena.bytes(&frame)[34..].first_chunk().expect("60 bytes");
            numbers.push(u32::from_le_bytes(*number));
            arena.free(frame);
        }
    }
}

fn sent(count: u32, direction: u32) -> Numbers {
    (0..count).map(|number| number | direction << 31).collect()
}

const COUNT: u32 = 20_000;

#[test]
fn perfect_wire_changes_nothing_in_either_direction() {
    let mut bed = Bed::new(Impairments::default());
    let (at_far, at_near) = bed.run(COUNT);
    assert!(at_far == sent(COUNT, 0) && at_near == sent(COUNT, 1));
    for direction in bed.directions() {
        assert_eq!((direction.rx_packets, direction.tx_packets), (COUNT.into(), COUNT.into()));
        assert_eq!(direction.unaccounted(), 0);
    }
}

#[test]
fn every_fault_is_counted_and_no_packet_is_missing_from_the_books() {
    let faults = Impairments {
        seed: 1,
        loss_ppm: 10_000,
        duplicate_ppm: 20_000,
        reorder_ppm: 5_000,
        corrupt_ppm: 5_000,
        delay: Duration::from_millis(1),
        jitter: Duration::from_millis(1),
        ..Impairments::default()
    };
    let mut bed = Bed::new(faults);
    let (at_far, at_near) = bed.run(COUNT);
    for (direction, arrived) in bed.directions().into_iter().zip([at_far, at_near]) {
        let faults = &direction.faults;
        assert_eq!(direction.unaccounted(), 0, "{direction:?}");
        assert_eq!(arrived.len() as u64, u64::from(COUNT) - faults.lost + faults.duplicated);
        let expected = f64::from(COUNT) / 100.0;
        #[allow(clippy::cast_precision_loss, reason = "some hundreds")]
        let lost = faults.lost as f64;
        assert!((lost - expected).abs() < expected / 2.0, "{faults:?}");
        assert!(faults.corrupted > 0 && faults.reordered > 0, "{faults:?}");
    }
}

#[test]
fn directions_have_different_faults_and_one_seed_has_the_same_ones() {
    let lossy = |seed| Impairments { seed, loss_ppm: 100_000, ..Impairments::default() };
    let arrived = |seed| Bed::new(lossy(seed)).run(2_000);
    let (at_far, at_near) = arrived(1);
    let plain = |numbers: &Numbers| numbers.iter().map(|number| number << 1).collect::<Vec<_>>();
    assert_ne!(plain(&at_far), plain(&at_near));
    assert_eq!(arrived(1), (at_far.clone(), at_near));
    assert_ne!(arrived(2).0, at_far);
}

#[test]
fn rate_lets_through_what_it_says_and_drops_what_does_not_fit_its_queue() {
    // 8 packets of 60 bytes each 100 us are 38.4 Mbit/s; a tenth of that passes.
    let faults = Impairments {
        rate_bits_per_s: 3_840_000,
        queue_bytes_max: 60 * 26,
        held_packets_max: 64,
        ..Impairments::default()
    };
    let mut bed = Bed::new(faults);
    let (at_far, _at_near) = bed.run(COUNT);
    let [there, _back] = bed.directions();
    assert_eq!(there.unaccounted(), 0, "{there:?}");
    assert_eq!(there.faults.link_dropped, u64::from(COUNT) - at_far.len() as u64);
    let tenth = COUNT as usize / 10;
    assert!((tenth..tenth + 60).contains(&at_far.len()), "{}", at_far.len());
}

#[test]
fn what_is_on_its_way_at_the_end_still_arrives() {
    let faults = Impairments { delay: Duration::from_millis(5), ..Impairments::default() };
    let mut bed = Bed::new(faults);
    bed.begin();
    send(&mut bed.near, &mut bed.ends, 7);
    bed.forwarder.turn(bed.now);
    assert!(bed.forwarder.is_holding());
    assert_eq!(bed.forwarder.next_deadline(), Some(bed.now + Duration::from_millis(5)));
    bed.now += Duration::from_millis(5);
    bed.forwarder.drain(bed.now);
    let mut arrived = Vec::new();
    receive(&mut bed.far, &mut bed.ends, &mut arrived);
    assert_eq!(arrived, [7]);
    assert!(!bed.forwarder.is_holding());
}
