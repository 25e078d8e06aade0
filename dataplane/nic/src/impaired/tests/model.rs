//! Random impairments against what must hold under any of them.

use base::{Duration, Instant, Rng};

use super::{Link, checksums_hold, echo};
use crate::counters::FaultCounters;
use crate::impaired::Impairments;
use crate::{Burst, QueuePair, flags};

const PACKETS: u32 = 6_000;

/// What one run did: which packet came when (as number and copy), and the counters.
#[derive(Debug, PartialEq)]
struct Run {
    /// Arrivals: time, number of the packet, whether it was whole.
    arrivals: Vec<(Instant, u32, bool)>,
    /// When each packet was sent.
    sent_at: Vec<Instant>,
    faults: FaultCounters,
}

fn chosen(rng: &mut Rng) -> Impairments {
    let ppm = |rng: &mut Rng| u32::try_from(rng.below(2) * rng.below(200_000)).unwrap();
    let micros = |rng: &mut Rng, most| Duration::from_micros(rng.below(2) * rng.below(most));
    Impairments {
        seed: rng.next_u64(),
        loss_ppm: ppm(rng),
        duplicate_ppm: ppm(rng),
        corrupt_ppm: ppm(rng),
        reorder_ppm: ppm(rng),
        reorder_packets: u16::try_from(1 + rng.below(8)).unwrap(),
        reorder_hold_max: Duration::from_micros(1 + rng.below(2_000)),
        delay: micros(rng, 3_000),
        jitter: micros(rng, 1_000),
        rate_bits_per_s: rng.below(2) * (50_000_000 + rng.below(1_000_000_000)),
        queue_bytes_max: 1_514 + rng.below(100_000),
        held_packets_max: u32::try_from(2 + rng.below(1_000)).unwrap(),
    }
}

/// Appends packet `number` to the burst as one frame or several.
fn push_packet(link: &mut Link, burst: &mut Burst, rng: &mut Rng, number: u32) {
    let bytes = echo(number, 60 + number as usize % 700);
    let pieces = usize::try_from(1 + rng.below(4)).unwrap();
    let piece_len = bytes.len().div_ceil(pieces);
    let count = bytes.chunks(piece_len).count();
    for (place, piece) in bytes.chunks(piece_len).enumerate() {
        let mut frame = link.frame(piece);
        frame.set_flags(if place + 1 < count { flags::CONTINUES } else { 0 });
        burst.push(frame).unwrap();
    }
}

fn note_arrivals(link: &mut Link, now: Instant, run: &mut Run) {
    for packet in link.arrived() {
        let is_whole = checksums_hold(&packet);
        let number = u32::from_be_bytes(packet[38..42].try_into().unwrap());
        let original = echo(number, 60 + number as usize % 700);
        assert_eq!(packet == original, is_whole, "checksums tell damage from the whole");
        // A damaged packet may carry another number; it is not looked up.
        run.arrivals.push((now, number, is_whole));
    }
}

fn play(config: Impairments, seed: u64) -> Run {
    let mut rng = Rng::seeded(seed);
    let mut link = Link::with_depth(config, 64);
    let mut run =
        Run { arrivals: Vec::new(), sent_at: Vec::new(), faults: FaultCounters::default() };
    let mut burst = Burst::with_capacity(64);
    let mut now = Instant::from_nanos(1_000_000);
    let mut number = 0;
    while number < PACKETS || !burst.is_empty() || link.near.next_deadline().is_some() {
        link.near.set_now(now);
        // A packet that waits with the caller is sent when it is taken: only then a new one comes.
        let is_new = burst.is_empty() && number < PACKETS;
        for _packet in 0..if is_new { 1 + rng.below(8) } else { 0 } {
            if number < PACKETS {
                push_packet(&mut link, &mut burst, &mut rng, number);
                run.sent_at.push(now);
                number += 1;
            }
        }
        link.near.tx_burst(&mut link.core, &mut burst);
        note_arrivals(&mut link, now, &mut run);
        now += Duration::from_micros(1 + rng.below(60));
    }
    run.faults = link.near.faults().clone();
    link.finish();
    run
}

fn check(config: Impairments, run: &Run) {
    let faults = &run.faults;
    if config.is_none() {
        let numbers = run.arrivals.iter().map(|arrival| arrival.1);
        assert!(numbers.eq(0..PACKETS), "without impairments everything passes");
        return;
    }
    let dropped = faults.lost + faults.link_dropped + faults.held_dropped;
    assert_eq!(faults.offered, u64::from(PACKETS));
    assert_eq!(faults.offered + faults.duplicated, faults.passed + dropped);
    assert_eq!(faults.passed, run.arrivals.len() as u64, "what passed arrived");
    let damaged = run.arrivals.iter().filter(|arrival| !arrival.2).count() as u64;
    // A damaged packet and its duplicate are damaged alike; either may have been dropped.
    assert!(damaged <= 2 * faults.corrupted, "{damaged}");
    assert_eq!(faults.corruption_spared, 0);

    let survivors = faults.offered - faults.lost;
    within("loss", faults.lost, faults.offered, config.loss_ppm);
    within("corruption", faults.corrupted, survivors, config.corrupt_ppm);
    within("duplication", faults.duplicated, survivors, config.duplicate_ppm);

    let mut copies = vec![0; PACKETS as usize];
    for &(at, number, is_whole) in &run.arrivals {
        if !is_whole {
            continue;
        }
        copies[number as usize] += 1;
        let took = at - run.sent_at[number as usize];
        assert!(took >= config.delay, "packet {number} took {took}");
    }
    assert!(copies.iter().all(|&count| count <= 2), "no packet comes three times");
    let is_ordered = config.reorder_ppm == 0;
    let whole = run.arrivals.iter().filter(|arrival| arrival.2);
    let sorted = whole.map(|arrival| arrival.1).is_sorted();
    assert!(sorted || !is_ordered, "only reordering reorders");
    assert!(faults.reordered == 0 || !is_ordered);
}

/// Five standard deviations: one false alarm in two million.
fn within(what: &str, hits: u64, of: u64, ppm: u32) {
    let chance = f64::from(ppm) / 1e6;
    let of = f64::from(u32::try_from(of).unwrap());
    let hits = f64::from(u32::try_from(hits).unwrap());
    let deviation = (of * chance * (1.0 - chance)).sqrt();
    let off = (hits - of * chance).abs();
    assert!(off <= 5.0 * deviation, "{what}: {hits} of {of} at {ppm} ppm");
}

#[test]
fn under_any_impairments_packets_are_accounted_for() {
    for seed in 0..24 {
        let config = chosen(&mut Rng::seeded(seed));
        println!("seed {seed}: {config:?}");
        check(config, &play(config, seed));
    }
}

#[test]
fn one_seed_is_one_run() {
    let config = Impairments {
        seed: 77,
        loss_ppm: 50_000,
        duplicate_ppm: 50_000,
        corrupt_ppm: 50_000,
        reorder_ppm: 50_000,
        jitter: Duration::from_micros(300),
        ..Impairments::default()
    };
    let first = play(config, 1);
    assert_eq!(first, play(config, 1));
    let other = Impairments { seed: 78, ..config };
    assert_ne!(first.arrivals, play(other, 1).arrivals);
}
