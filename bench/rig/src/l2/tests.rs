//! The echo over the in-memory pair, and over wires that lie.

use memory::{FrameArena, FrameGeometry, PageChoice};
use nic::mem::{MemQueue, pair};
use nic::{Impaired, Impairments};

use super::*;

fn arena() -> FrameArena {
    let geometry = FrameGeometry {
        frames: 4_096,
        frame_len: 2_048,
        headroom: 128,
        cores: 2,
        reserve_per_core: 8,
    };
    FrameArena::new(geometry, PageChoice::Base).expect("some megabytes are there")
}

/// Turns both ends until the window has gone round `rounds` times, then lets all come home.
fn echo_through<Q: QueuePair>(mut asking: Q, mut echoing: MemQueue, rounds: u64) -> (Tally, u64) {
    let arena = arena();
    let (mut here, mut there) = (arena.core().expect("first"), arena.core().expect("second"));
    let (mut asker, mut echo) = (Asker::new(), Echo::new());
    for turn in 0..100 * rounds {
        let is_over = turn >= rounds;
        asker.turn(&mut asking, &mut here, is_over);
        echo.turn(&mut echoing, &mut there);
    }
    (asker.tally(), echo.returned())
}

#[test]
fn all_frames_come_home_in_order_and_the_window_is_kept_full() {
    let (here, there) = pair(1_024, 1_500).expect("a power of two");
    let (tally, echoed) = echo_through(here, there, 1_000);
    assert_eq!((tally.wrong, tally.returned), (0, tally.sent));
    assert_eq!(echoed, tally.sent);
    assert!(tally.sent >= 20 * L2_WINDOW as u64, "{tally:?}");
}

fn through(config: Impairments) -> Tally {
    let (here, there) = pair(1_024, 1_500).expect("a power of two");
    let here = Impaired::new(here, config).expect("it makes sense");
    echo_through(here, there, 1_000).0
}

#[test]
fn lost_doubled_damaged_and_overtaken_frames_are_wrong() {
    let lost = through(Impairments { loss_ppm: 1_000, ..Impairments::default() });
    assert!(lost.returned + lost.wrong < lost.sent && lost.wrong > 0, "{lost:?}");
    let reordered = through(Impairments { reorder_ppm: 1_000, ..Impairments::default() });
    assert!(reordered.wrong > 0, "{reordered:?}");
    let corrupted = through(Impairments { corrupt_ppm: 1_000, ..Impairments::default() });
    assert!(corrupted.wrong > 0, "{corrupted:?}");
    let doubled = through(Impairments { duplicate_ppm: 1_000, ..Impairments::default() });
    assert!(doubled.wrong > 0, "{doubled:?}");
}

#[test]
fn the_template_has_a_right_header_checksum() {
    let mut sum: u32 = 0;
    for pair in TEMPLATE[14..34].chunks_exact(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
}
