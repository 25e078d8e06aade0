//! Streams over flows whose packets come in anywhere.

use base::{CoreId, CoreSet, Duration};
use memory::counting::{self, CountingAllocator};
use stack::{DropReason, HAND_OVER_LEN};

use crate::bed::{Bed, Sizes};
use crate::services::{Askers, Echo};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const LIMIT: Duration = Duration::from_secs(1_000);

fn sprayed(cores: u16, seed: u64) {
    const CONNECTIONS: u32 = 400;
    println!("{cores} cores, seed {seed}");
    let sizes = Sizes { cores, frames_per_core: 2_048, seed };
    let mut bed = Bed::new(sizes, Echo::new, Askers::new(CONNECTIONS, 40, 30_000));
    bed.run_until(LIMIT, |bed| bed.far.service().is_done());
    assert_eq!(bed.far.service().whole, CONNECTIONS);
    bed.pass(Duration::from_secs(70));

    // Each flow was one core's alone, and each core had its share of them.
    let mut peers = Vec::new();
    for core in &bed.cores {
        let service = core.service();
        let (accepted, count) =
            (core.stack().core().tcp().counters().accepted, service.peers.len());
        assert_eq!(accepted, count as u64);
        assert!(
            count * usize::from(cores) > CONNECTIONS as usize / 2,
            "{:?}: {count}",
            service.core
        );
        assert_eq!(service.open, 0);
        peers.extend_from_slice(&service.peers);
    }
    peers.sort_unstable();
    peers.dedup();
    assert_eq!(peers.len(), CONNECTIONS as usize);

    bed.check_counters();
    let (handed_over, packets) =
        (bed.sum(|counters| counters.rx_handed_over), bed.sum(|counters| counters.packets_in));
    println!("{handed_over} of {packets} packets were handed over");
    // Of n queues chosen at random n - 1 are wrong.
    let wrong = packets * u64::from(cores - 1) / u64::from(cores);
    assert!(handed_over.abs_diff(wrong) < packets / 20);
    assert_eq!(bed.sum(|counters| counters.dropped(DropReason::TcpChecksum)), 0);
    for core in &bed.cores {
        assert_eq!(core.stack().core().tcp().usage(), tcp::Usage::default());
        assert_eq!(core.stack().core().arena().frames_held(), 0);
    }
    bed.check_frames();
}

#[test]
fn streams_are_whole_and_each_flow_is_one_cores_where_packets_come_in_at_two() {
    for seed in 0..4 {
        sprayed(2, seed);
    }
}

#[test]
fn streams_are_whole_and_each_flow_is_one_cores_where_packets_come_in_at_four() {
    for seed in 4..7 {
        sprayed(4, seed);
    }
}

#[test]
fn handing_over_allocates_nothing() {
    let sizes = Sizes { cores: 3, frames_per_core: 2_048, seed: 9 };
    let mut bed = Bed::new(sizes, Echo::new, Askers::new(20_000, 30, 3_000));
    bed.pass(Duration::from_millis(5));
    let before = counting::allocations();
    bed.run_until(LIMIT, |bed| bed.far.service().is_done());
    assert_eq!(counting::allocations(), before, "the packet path has allocated");
    let taken_over = bed.sum(|counters| counters.rx_taken_over);
    println!("{taken_over} packets were taken over");
    assert!(taken_over > 50_000);
    assert_eq!(bed.far.service().whole, 20_000);
}

#[test]
fn a_core_that_receives_everything_never_starves_while_the_owners_are_given_all() {
    // Few frames, so that a pool that hoarded would be seen at once.
    let sizes = Sizes { cores: 4, frames_per_core: 700, seed: 10 };
    let mut bed = Bed::new(sizes, Echo::new, Askers::new(6_000, 20, 20_000));
    bed.far.stack_mut().queue_mut().send_to(Some(0));
    bed.run_until(LIMIT, |bed| bed.far.service().is_done());
    let packets = bed.counters().map(|counters| counters.packets_in);
    let packets: Vec<u64> = packets.collect();
    println!("received by core {packets:?}");
    assert!(packets[0] > 100_000 && packets[1..] == [0; 3]);
    let receiver = bed.cores[0].stack();
    let starved = nic::QueuePair::counters(receiver.queue()).rx_starved;
    assert_eq!((starved, receiver.core().counters().dropped(DropReason::NoFrame)), (0, 0));
    // Nothing was sent again but the first SYNs, of which few may wait for a neighbour.
    let far = bed.far.stack().core();
    let unparked = far.counters().dropped(DropReason::ParkedFull);
    assert_eq!(
        (far.tcp().counters().timeouts, far.tcp().counters().fast_retransmits),
        (unparked, 0)
    );
    bed.pass(Duration::from_secs(70));
    bed.check_counters();
    bed.check_frames();
}

/// Hosts that know each other, over whose wire everything comes to the first core; the connections
/// are about to be opened, all at once.
fn acquainted(sizes: Sizes, connections: u32) -> Bed<Echo, Askers> {
    let mut bed = Bed::new(sizes, Echo::new, Askers::new(connections, 1, 100));
    bed.run_until(LIMIT, |bed| bed.far.service().whole == 2);
    bed.far.stack_mut().queue_mut().send_to(Some(0));
    bed.far.service_mut().at_once = connections;
    bed
}

#[test]
fn a_core_that_lags_costs_what_its_ring_cannot_hold_and_that_is_counted() {
    const CONNECTIONS: u32 = 4_000;
    let sizes = Sizes { cores: 2, frames_per_core: 4_096, seed: 11 };
    let mut bed = acquainted(sizes, CONNECTIONS);
    // The second core has no turn at all while the first is sent every SYN.
    for _ in 0..500 {
        bed.far.turn(bed.now);
        bed.cores[0].turn(bed.now);
        bed.now += Duration::from_micros(20);
    }
    let counters = bed.cores[0].stack().core().counters();
    let dropped = counters.dropped(DropReason::HandOverFull);
    let taken = bed.cores[1].stack().core().counters().rx_taken_over;
    let waiting = counters.rx_handed_over - dropped - taken;
    assert!(dropped > 0 && waiting == HAND_OVER_LEN as u64, "{dropped} dropped, {waiting} wait");
    // Nothing is lost for good: TCP sends it again.
    bed.run_until(LIMIT, |bed| bed.far.service().is_done());
    assert_eq!(bed.far.service().whole, CONNECTIONS);
    bed.pass(Duration::from_secs(70));
    bed.check_counters();
    bed.check_frames();
}

#[test]
fn whoever_was_given_something_is_named_once_and_sees_that_it_waits() {
    let sizes = Sizes { cores: 2, frames_per_core: 2_048, seed: 12 };
    let mut bed = acquainted(sizes, 200);
    for core in &mut bed.cores {
        core.take_reached();
    }
    let mut second = CoreSet::default();
    second.insert(CoreId(1));
    let mut times = 0;
    for _ in 0..1_000 {
        bed.far.turn(bed.now);
        bed.cores[0].turn(bed.now);
        let reached = bed.cores[0].take_reached();
        assert!(reached.is_empty() || reached == second, "{reached:?}");
        assert_eq!(bed.cores[0].take_reached(), CoreSet::default());
        assert_eq!(bed.cores[1].has_waiting(), !reached.is_empty());
        let turn = bed.cores[1].turn(bed.now);
        assert_eq!(turn.received > 0, !reached.is_empty());
        assert!(!bed.cores[1].has_waiting());
        times += u32::from(!reached.is_empty());
        bed.now += Duration::from_micros(20);
    }
    assert!(times > 5);
    assert!(bed.cores[1].take_reached().is_empty(), "it has received nothing for others");
}
