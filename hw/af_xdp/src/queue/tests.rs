//! The queue against a kernel that the test plays: one that is slow, sleeps or lies.
#![cfg(all(not(loom), not(miri)))]

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::QueueId;
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice, Pages};
use nic::{Burst, DropReason, QueuePair, flags};

use super::AfXdpQueue;
use crate::config::RingSizes;
use crate::limits::{LENT_MIN, UNLENT_MIN};
use crate::open::Bound;
use crate::ring::heap::HeapRing;
use crate::ring::{Consumer, Producer};
use crate::rings::Rings;
use crate::socket::Socket;
use crate::truth::{Truth, TxBudget};
use crate::umem::Umem;

const SIZES: RingSizes = RingSizes { fill: 64, completion: 64, rx: 64, tx: 64 };

/// A queue, and the kernel's side of its rings.
struct Played {
    queue: AfXdpQueue,
    core: CoreArena,
    fill: Consumer<u64>,
    completion: Producer<u64>,
    rx: Producer<libc::xdp_desc>,
    tx: Consumer<libc::xdp_desc>,
    tx_ring: Arc<HeapRing<libc::xdp_desc>>,
    _other_end: UnixDatagram,
}

fn played(zero_copy: bool) -> Played {
    played_with(zero_copy, 64, 0)
}

/// One whose fill ring has `fill` entries, on an arena with a reserve.
fn played_with(zero_copy: bool, fill: u32, reserve_per_core: u32) -> Played {
    let frames = 256 + reserve_per_core;
    let geometry =
        FrameGeometry { frames, frame_len: 2048, headroom: 256, cores: 1, reserve_per_core };
    let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
    let (descriptor, other_end) = UnixDatagram::pair().unwrap();
    let truth = Truth {
        interface: "played".to_owned(),
        driver: "played".to_owned(),
        queue: QueueId(0),
        zero_copy,
        zero_copy_refused: None,
        need_wakeup: true,
        multi_buffer: true,
        busy_poll: None,
        tx_budget: TxBudget::Default,
        rings: RingSizes { fill, ..SIZES },
        frame_room: 1792,
        pages: Pages::Base,
    };
    let (fill, completion) = (HeapRing::new(fill, 0), HeapRing::new(64, u32::MAX - 3));
    let (rx, tx) = (HeapRing::new(64, u32::MAX - 3), HeapRing::new(64, 0));
    let rings = Rings {
        fill: fill.producer_side(),
        completion: completion.consumer_side(),
        rx: rx.consumer_side(),
        tx: tx.producer_side(),
    };
    let socket = Socket::stand_in(OwnedFd::from(descriptor));
    let umem = Umem::new(&arena);
    Played {
        queue: AfXdpQueue::new(Bound { socket, rings, umem, truth, mtu: 9000 }),
        core: arena.core().unwrap(),
        fill: fill.consumer_side(),
        completion: completion.producer_side(),
        rx: rx.producer_side(),
        tx: tx.consumer_side(),
        tx_ring: tx,
        _other_end: other_end,
    }
}

impl Played {
    /// The kernel takes the next lent frame.
    fn taken(&mut self) -> u64 {
        assert!(self.fill.ready(1) > 0, "frames are lent");
        let address = self.fill.take();
        self.fill.release();
        address
    }

    /// The kernel hands over pieces of packets: address, length, whether it goes on.
    fn deliver(&mut self, pieces: &[(u64, u32, bool)]) {
        for &(addr, len, goes_on) in pieces {
            assert!(self.rx.free(1) > 0);
            let options = if goes_on { libc::XDP_PKT_CONTD } else { 0 };
            self.rx.stage(libc::xdp_desc { addr, len, options });
        }
        self.rx.publish();
    }

    /// Lengths of the frames that one call receives, and whether each goes on.
    fn received(&mut self) -> Vec<(usize, bool)> {
        let mut out = Burst::with_capacity(32);
        self.queue.rx_burst(&mut self.core, &mut out);
        let seen = out.iter().map(|frame| (frame.len(), flags::continues(frame))).collect();
        out.clear_into(&mut self.core);
        seen
    }

    /// Sends one packet of 60 bytes; the address that the kernel sees, if it looks.
    fn send(&mut self) -> Option<u64> {
        let mut frame = self.core.allocate().unwrap();
        self.core.set_len(&mut frame, 60);
        let mut burst = Burst::with_capacity(1);
        burst.push(frame).unwrap();
        assert_eq!(self.queue.tx_burst(&mut self.core, &mut burst), 1);
        (self.tx.ready(1) > 0).then(|| self.tx.peek(0).addr)
    }
}

#[test]
fn a_chain_is_received_when_it_is_whole() {
    let mut played = played(false);
    assert!(played.received().is_empty());
    let pieces = [played.taken() + 256, played.taken() + 256];
    played.deliver(&[(pieces[0], 1792, true)]);
    assert!(played.received().is_empty(), "its end is missing");
    played.deliver(&[(pieces[1], 8, false)]);
    assert_eq!(played.received(), [(1792, true), (8, false)]);
    assert_eq!(played.queue.counters().rx_bytes, 1800);
}

#[test]
fn a_chain_of_too_many_pieces_is_dropped_whole() {
    let mut played = played(false);
    assert!(played.received().is_empty());
    let mut pieces: Vec<_> = (0..17).map(|_| (played.taken() + 256, 10, true)).collect();
    pieces[16].2 = false;
    pieces.push((played.taken() + 256, 77, false));
    played.deliver(&pieces);
    assert_eq!(played.received(), [(77, false)]);
    assert_eq!(played.queue.counters().dropped(DropReason::RxTooLong), 1);
    assert_eq!((played.core.frames_held(), played.queue.frames_lent()), (0, 46));
}

#[test]
fn what_the_kernel_makes_up_is_counted_and_touches_nothing() {
    let mut played = played(false);
    assert!(played.received().is_empty());
    let mine = played.core.allocate().unwrap();
    let (one, two) = (played.taken(), played.taken());
    played.deliver(&[
        // A frame of the stack's, one beyond the arena, one that is in no world.
        (u64::from(mine.index()) * 2048 + 256, 60, false),
        (256 * 2048, 60, false),
        (u64::MAX, 60, false),
        // More bytes than a frame has, twice the same frame, and at last an honest one.
        (one + 256, 1793, false),
        (one + 256, 60, false),
        (two + 256, 61, false),
    ]);
    assert_eq!(played.received(), [(61, false)]);
    assert_eq!(played.queue.device_counters().rx_bad_descriptors, 5);
    assert!(played.core.is_unshared(&mine));
    played.core.free(mine);
    assert_eq!(played.queue.counters().rx_dropped(), 0, "there was no packet");
}

#[test]
fn a_completion_that_names_no_frame_on_its_way_is_counted() {
    let mut played = played(false);
    assert!(played.received().is_empty());
    let lent = played.taken();
    let sent = played.send().expect("the ring shows it");
    for address in [u64::MAX, lent, sent + 2048, sent, sent] {
        assert!(played.completion.free(1) > 0);
        played.completion.stage(address);
    }
    played.completion.publish();
    let nothing = &mut Burst::with_capacity(1);
    played.queue.tx_burst(&mut played.core, nothing);
    assert_eq!((played.queue.descriptors_in_flight(), played.core.frames_held()), (0, 0));
    // The second return of the same frame is one of them.
    assert_eq!(played.queue.device_counters().tx_bad_completions, 4);
}

#[test]
fn a_slow_kernel_keeps_packets_with_the_caller_and_frames_with_itself() {
    let mut played = played(false);
    for _packet in 0..64 {
        assert!(played.send().is_some());
    }
    assert_eq!(played.queue.counters().tx_backpressure, 0);
    let mut frame = played.core.allocate().unwrap();
    played.core.set_len(&mut frame, 60);
    let mut burst = Burst::with_capacity(1);
    burst.push(frame).unwrap();
    assert_eq!(played.queue.tx_burst(&mut played.core, &mut burst), 0);
    assert_eq!((burst.len(), played.queue.counters().tx_backpressure), (1, 1));
    assert!(played.queue.next_deadline().is_some(), "it must be called again by itself");
    burst.clear_into(&mut played.core);
    assert_eq!(played.core.frames_held(), 64);
}

#[test]
fn a_driver_that_polls_is_called_only_when_it_sleeps() {
    let mut played = played(true);
    assert!(played.send().is_some());
    assert_eq!(played.queue.device_counters().tx_kicks, 0, "its flag is down");
    played.tx_ring.flags.store(libc::XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
    let nothing = &mut Burst::with_capacity(1);
    played.queue.tx_burst(&mut played.core, nothing);
    assert_eq!(played.queue.device_counters().tx_kicks, 1, "it fell asleep over a packet");
    played.tx.take();
    played.tx.release();
    played.queue.tx_burst(&mut played.core, nothing);
    assert_eq!(played.queue.device_counters().tx_kicks, 1, "nothing waits any more");
    assert_eq!(played.queue.counters().copied_bytes, 0);
}

#[test]
fn closing_returns_everything_unless_a_device_may_still_write() {
    for (zero_copy, away, held) in [(false, 0, 0), (true, 65, 1)] {
        let mut played = played(zero_copy);
        assert!(played.received().is_empty());
        assert!(played.send().is_some());
        let Played { queue, mut core, .. } = played;
        assert_eq!(queue.close(&mut core), away);
        assert_eq!((core.frames_held(), core.frames_lent()), (held, away - held));
    }
}

#[test]
fn a_kernel_with_next_to_no_frames_is_lent_a_burst_of_the_reserve_and_no_more() {
    let lent_min = usize::try_from(LENT_MIN).unwrap();
    // A reserve that leaves a burst for sending beside a burst that is lent, and one that does not.
    for (reserve, lent) in [(2 * UNLENT_MIN + 8, lent_min), (UNLENT_MIN + 10, 10), (UNLENT_MIN, 0)]
    {
        let mut played = played_with(false, 128, reserve);
        let held: Vec<_> = std::iter::from_fn(|| played.core.allocate()).collect();
        assert_eq!(played.received(), []);
        assert_eq!(played.queue.ledger.lent() as usize, lent, "reserve {reserve}");
        assert_eq!(played.received(), [], "a second turn");
        assert_eq!(played.queue.ledger.lent() as usize, lent, "reserve {reserve}, second turn");
        assert!(played.queue.counters.rx_starved > 0);
        // What they were lent for: a packet comes in while every frame is held.
        if lent > 0 {
            let address = played.taken();
            played.deliver(&[(address, 60, false)]);
            assert_eq!(played.received(), [(60, false)]);
        }
        // Who gives frames back ends the shortage.
        let starved = played.queue.counters.rx_starved;
        held.into_iter().for_each(|frame| played.core.free(frame));
        assert_eq!(played.received(), []);
        assert_eq!(played.queue.ledger.lent(), 128);
        assert_eq!(played.queue.counters.rx_starved, starved);
    }
}
