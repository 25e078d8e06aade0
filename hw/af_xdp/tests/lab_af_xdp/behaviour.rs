//! What a queue does beyond the suite: several queues, chains, hunger, links that go down, sleep.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use af_xdp::{AfXdpQueue, BusyPoll, Config, TxBudget};
use base::QueueId;
use memory::counting::forbid;
use memory::{CoreArena, PageChoice, Pages};
use nic::conformance::Rig;
use nic::{Burst, Copies, DropReason, QueuePair, flags};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::bed::{Bed, Cable, FAR, NEAR, arena, config, in_namespace, index_of, ip, packet};
use crate::program::{Mode, Program};

const MODES: [Mode; 2] = [Mode::Native, Mode::Generic];

#[test]
fn what_was_got_is_read_back() {
    in_namespace("what_was_got_is_read_back", || {
        let mut bed = Bed::new(Mode::Native);
        let truth = bed.queue.truth();
        assert!(!truth.zero_copy && truth.need_wakeup);
        assert_eq!(truth.zero_copy_refused, Some(Errno::EOPNOTSUPP));
        assert_eq!((truth.driver.as_str(), truth.pages), ("veth", Pages::Base));
        assert_eq!((truth.tx_budget, truth.busy_poll), (TxBudget::Default, None));
        println!("{truth}");
        let capabilities = bed.queue.capabilities();
        assert_eq!((capabilities.mtu, capabilities.copies), (1500, Copies::Kernel));
        bed.prime();
        assert_eq!(bed.send(&packet(1, 100)), 1);
        assert!(bed.far_send(&packet(2, 200)));
        assert!(bed.receive(16).is_some());
        assert_eq!(bed.queue.counters().copied_bytes % 2, 0);
        assert!(bed.queue.counters().copied_bytes >= 300, "the kernel copied both");
        let rows = bed.queue.device_counters().rows();
        assert_eq!(rows.filter(|row| row.1 > 1 << 40).count(), 0);
        assert_eq!(bed.dismantle(), 0);
    });
}

#[test]
fn two_queues_of_one_arena_pass_a_frame_from_core_to_core() {
    in_namespace("two_queues_of_one_arena_pass_a_frame_from_core_to_core", || {
        let _cable = Cable::new(2, 1500);
        let (mut near, _near_program) = two_queues(NEAR);
        let (mut far, _far_program) = two_queues(FAR);
        for (queue, core) in near.iter_mut().chain(&mut far) {
            assert_eq!(queue.rx_burst(core, &mut Burst::with_capacity(4)), 0);
        }
        // In at the second queue: a veth keeps the queue that was sent on.
        let bytes = packet(9, 700);
        send(&mut far[1], &bytes);
        let frame = receive(&mut near[1], &bytes);
        let detached = near[1].1.detach(frame).expect("nobody shares it");
        // Out at the first one, by another core.
        let frame = near[0].1.attach(detached);
        let mut burst = Burst::with_capacity(1);
        burst.push(frame).expect("room for one");
        let (queue, core) = &mut near[0];
        assert_eq!(queue.tx_burst(core, &mut burst), 1);
        let frame = receive(&mut far[0], &bytes);
        far[0].1.free(frame);
        for (queue, mut core) in near.into_iter().chain(far) {
            assert_eq!(queue.close(&mut core), 0);
            assert_eq!((core.frames_held(), core.frames_lent()), (0, 0));
        }
    });
}

/// Both queues of an interface over one arena, and the program that feeds them.
fn two_queues(interface: &str) -> ([(AfXdpQueue, CoreArena); 2], Program) {
    let arena = arena(2, PageChoice::Base);
    let program = Program::attach(index_of(interface), Mode::Native).expect("as root here");
    let queues = [0, 1].map(|number| {
        let config = Config { interface: interface.into(), ..config(number) };
        let queue = af_xdp::open(&config, &arena).expect("the interface is ours alone");
        assert_eq!(queue.capabilities().queue, QueueId(number));
        program.set_socket(u32::from(number), queue.as_fd()).expect("the map has room");
        (queue, arena.core().expect("two cores"))
    });
    (queues, program)
}

fn send((queue, core): &mut (AfXdpQueue, CoreArena), bytes: &[u8]) {
    let mut frame = core.allocate().expect("frames are free");
    core.set_len(&mut frame, bytes.len());
    core.bytes_mut(&mut frame).copy_from_slice(bytes);
    let mut burst = Burst::with_capacity(1);
    burst.push(frame).expect("room for one");
    assert_eq!(queue.tx_burst(core, &mut burst), 1);
}

/// The frame with these bytes, which comes within a second.
fn receive((queue, core): &mut (AfXdpQueue, CoreArena), bytes: &[u8]) -> memory::Frame {
    let mut out = Burst::with_capacity(16);
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        queue.rx_burst(core, &mut out);
        while let Some(frame) = out.pop_front() {
            if core.bytes(&frame) == bytes {
                out.clear_into(core);
                return frame;
            }
            core.free(frame);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the packet never came");
}

#[test]
fn a_packet_longer_than_a_frame_comes_as_a_chain() {
    in_namespace("a_packet_longer_than_a_frame_comes_as_a_chain", || {
        for mode in MODES {
            let mut bed = Bed::with(mode, 3500, &config(0), PageChoice::Base);
            assert!(bed.queue.truth().multi_buffer, "this kernel has it");
            bed.prime();
            let bytes = packet(3, 3400);
            assert!(bed.far_send(&bytes));
            let (lens, got) = bed.receive(16).expect("it comes");
            assert_eq!((lens, got == bytes), (vec![1792, 1608], true), "{mode:?}");
            // A burst for one frame never takes it: it is dropped and blocks nothing.
            assert!(bed.far_send(&bytes) && bed.far_send(&packet(4, 60)));
            let (lens, got) = bed.receive(1).expect("the next one comes");
            assert_eq!((lens, got), (vec![60], packet(4, 60)));
            assert!(bed.queue.counters().dropped(DropReason::RxTooLong) >= 1);
            assert_eq!(bed.dismantle(), 0);
        }
    });
}

#[test]
fn a_packet_longer_than_the_mtu_is_dropped_by_name() {
    in_namespace("a_packet_longer_than_the_mtu_is_dropped_by_name", || {
        let mut bed = Bed::new(Mode::Generic);
        bed.prime();
        // The kernel lets a VLAN's tag pass beyond the MTU.
        let mut tagged = packet(5, 1518);
        tagged[12..14].copy_from_slice(&[0x81, 0]);
        ip("link set dev far mtu 1504");
        assert!(bed.far_send(&tagged) && bed.far_send(&packet(6, 60)));
        assert_eq!(bed.receive(16).expect("the next one comes").1, packet(6, 60));
        assert_eq!(bed.queue.counters().dropped(DropReason::RxTooLong), 1);
        assert_eq!(bed.dismantle(), 0);
    });
}

#[test]
fn hunger_is_counted_and_ends_when_frames_are_free_again() {
    in_namespace("hunger_is_counted_and_ends_when_frames_are_free_again", || {
        for mode in MODES {
            let mut bed = Bed::new(mode);
            bed.prime();
            let mut hoard = Vec::new();
            while let Some(frame) = bed.core.allocate_reserved() {
                hoard.push(frame);
            }
            let mut kept = Burst::with_capacity(256);
            for number in 0..200 {
                // A full backlog may refuse; what matters is that more comes than is lent.
                bed.far_send(&packet(number, 60));
                bed.queue.rx_burst(&mut bed.core, &mut kept);
            }
            bed.settle();
            bed.queue.rx_burst(&mut bed.core, &mut kept);
            let statistics = bed.queue.device_counters();
            assert!(statistics.rx_fill_ring_empty > 0, "{statistics:?}");
            assert!(bed.queue.counters().rx_starved > 0);
            assert_eq!(bed.queue.frames_lent(), 0);
            assert!(bed.queue.next_deadline().is_some(), "nothing would wake a sleeper");
            kept.clear_into(&mut bed.core);
            for frame in hoard {
                bed.core.free(frame);
            }
            bed.prime();
            assert!(bed.queue.next_deadline().is_none());
            assert!(bed.far_send(&packet(250, 60)));
            assert_eq!(bed.receive(16).expect("it recovers").1, packet(250, 60));
            assert_eq!(bed.dismantle(), 0);
        }
    });
}

#[test]
fn a_link_that_goes_down_drops_by_name_and_comes_back() {
    in_namespace("a_link_that_goes_down_drops_by_name_and_comes_back", || {
        let mut bed = Bed::new(Mode::Native);
        bed.prime();
        ip("link set dev near down");
        // The first finds out and stays in the ring, the second is dropped.
        assert_eq!((bed.send(&packet(1, 60)), bed.send(&packet(2, 60))), (1, 1));
        assert_eq!(bed.queue.counters().dropped(DropReason::TxLinkDown), 1);
        assert!(bed.queue.next_deadline().is_none(), "nothing to do before it is up");
        assert!(!bed.queue.is_gone());
        ip("link set dev near up");
        assert_eq!(bed.send(&packet(3, 60)), 1);
        assert_eq!(bed.far_receive(), Some(packet(1, 60)), "what waited is sent first");
        assert_eq!(bed.far_receive(), Some(packet(3, 60)));
        assert_eq!(bed.dismantle(), 0);
    });
}

#[test]
fn packets_that_the_kernel_drops_behind_us_are_counted_as_dropped_and_not_as_sent() {
    in_namespace(
        "packets_that_the_kernel_drops_behind_us_are_counted_as_dropped_and_not_as_sent",
        || {
            for mode in MODES {
                let mut bed = Bed::new(mode);
                bed.prime();
                let before = bed.queue.counters().clone();
                // Nobody is at the other end of the cable, and nothing tells us so.
                ip("link set dev far down");
                for number in 0..100 {
                    assert_eq!(bed.send(&packet(number, 60)), 1);
                }
                let after = bed.queue.counters();
                assert_eq!(after.dropped(DropReason::TxKernel), 100, "{after:?}");
                assert_eq!(after.tx_packets, before.tx_packets);
                ip("link set dev far up");
                assert_eq!(bed.send(&packet(1, 60)), 1);
                assert_eq!(bed.queue.counters().tx_packets, before.tx_packets + 1);
                assert_eq!(bed.dismantle(), 0);
            }
        },
    );
}

#[test]
fn a_deleted_interface_is_noticed_and_loses_no_frame() {
    in_namespace("a_deleted_interface_is_noticed_and_loses_no_frame", || {
        let mut bed = Bed::new(Mode::Native);
        bed.prime();
        ip("link delete near");
        assert_eq!((bed.send(&packet(1, 60)), bed.send(&packet(2, 60))), (1, 1));
        assert!(bed.queue.is_gone());
        assert_eq!(bed.queue.counters().dropped(DropReason::TxDevice), 1);
        assert_eq!(bed.queue.rx_burst(&mut bed.core, &mut Burst::with_capacity(4)), 0);
        assert_eq!(bed.dismantle(), 0);
    });
}

#[test]
fn a_sleeper_on_the_descriptor_wakes_for_a_packet() {
    in_namespace("a_sleeper_on_the_descriptor_wakes_for_a_packet", || {
        for mode in MODES {
            let mut bed = Bed::new(mode);
            ip("link set dev far arp off");
            let mut out = Burst::with_capacity(16);
            while bed.queue.rx_burst(&mut bed.core, &mut out) > 0 {
                out.clear_into(&mut bed.core);
            }
            assert!(bed.queue.next_deadline().is_none(), "it may sleep");
            let far = bed.far.try_clone().expect("descriptors are free");
            let sender = std::thread::spawn(move || send_later(&far));
            let (mut came, mut naps) = (None, 0);
            while came.is_none() && naps < 20 {
                let descriptor = bed.queue.wait_fd().expect("a device has one");
                let mut wanted = [PollFd::new(descriptor, PollFlags::POLLIN)];
                poll(&mut wanted, PollTimeout::from(1_000_u16)).expect("it can be polled");
                bed.queue.rx_burst(&mut bed.core, &mut out);
                let bytes = |frame| bed.core.bytes(frame).to_vec();
                came = out.iter().map(bytes).find(|bytes| *bytes == packet(8, 90));
                out.clear_into(&mut bed.core);
                naps += 1;
            }
            sender.join().expect("it sent");
            assert!(came.is_some(), "it slept through the packet");
            assert_eq!(bed.dismantle(), 0);
        }
    });
}

fn send_later(far: &OwnedFd) {
    std::thread::sleep(Duration::from_millis(30));
    nix::unistd::write(far, &packet(8, 90)).expect("an idle cable takes a packet");
}

#[test]
fn a_larger_transmit_budget_takes_fewer_calls() {
    in_namespace("a_larger_transmit_budget_takes_fewer_calls", || {
        let calls = [None, Some(64)].map(|tx_budget| {
            let config = Config { tx_budget, ..config(0) };
            let mut bed = Bed::with(Mode::Native, 1500, &config, PageChoice::Base);
            let mut burst = Burst::with_capacity(64);
            for number in 0..64 {
                let frame = bed.frame(&packet(number, 60));
                burst.push(frame).expect("room for all");
            }
            assert_eq!(bed.queue.tx_burst(&mut bed.core, &mut burst), 64);
            let got = (bed.queue.truth().tx_budget, bed.queue.device_counters().tx_kicks);
            assert_eq!(bed.dismantle(), 0);
            got
        });
        assert_eq!(calls[0], (TxBudget::Default, 2), "32 in each call");
        if calls[1].0 != TxBudget::Unsupported {
            assert_eq!(calls[1], (TxBudget::Set(64), 1));
        }
    });
}

#[test]
fn a_busy_polling_queue_sends_and_receives() {
    in_namespace("a_busy_polling_queue_sends_and_receives", || {
        let wanted = BusyPoll { us: 20, budget: 64 };
        let config = Config { busy_poll: Some(wanted), ..config(0) };
        let mut bed = Bed::with(Mode::Native, 1500, &config, PageChoice::Base);
        assert_eq!(bed.queue.truth().busy_poll, Some(wanted));
        bed.prime();
        assert!(bed.far_send(&packet(1, 60)));
        assert_eq!(bed.receive(16).expect("it comes").1, packet(1, 60));
        assert_eq!(bed.send(&packet(2, 60)), 1);
        assert_eq!(bed.far_receive(), Some(packet(2, 60)));
        assert!(bed.queue.device_counters().rx_wakeups > 0);
        assert_eq!(bed.dismantle(), 0);
    });
}

#[test]
fn frames_in_large_pages_pass_the_suite() {
    in_namespace("frames_in_large_pages_pass_the_suite", || {
        nic::conformance::run(|| {
            let bed = Bed::with(Mode::Native, 1500, &config(0), PageChoice::Best);
            println!("frames in {}", bed.queue.truth().pages);
            bed
        });
    });
}

#[test]
fn another_arena_is_refused_before_a_frame_is_touched() {
    in_namespace("another_arena_is_refused_before_a_frame_is_touched", || {
        let mut bed = Bed::new(Mode::Generic);
        let mut other = arena(1, PageChoice::Base).core().expect("one core");
        let mut out = Burst::with_capacity(4);
        let outcome = catch_unwind(AssertUnwindSafe(|| bed.queue.rx_burst(&mut other, &mut out)));
        assert!(outcome.is_err());
        assert_eq!(other.frames_lent(), 0);
        assert_eq!(bed.dismantle(), 0);
    });
}

#[test]
fn closing_returns_what_was_received_and_never_taken() {
    in_namespace("closing_returns_what_was_received_and_never_taken", || {
        for mode in MODES {
            let mut bed = Bed::new(mode);
            bed.prime();
            for number in 0..20 {
                assert!(bed.far_send(&packet(number, 60)));
            }
            bed.settle();
            assert_eq!(bed.send(&packet(1, 60)), 1);
            assert_eq!(bed.dismantle(), 0);
        }
    });
}

#[test]
fn one_payload_goes_to_many_behind_headers_of_their_own() {
    in_namespace("one_payload_goes_to_many_behind_headers_of_their_own", || {
        let mut bed = Bed::new(Mode::Native);
        let headers: Vec<_> = (0..150).map(|number| packet(number, 14)).collect();
        let payload = bed.frame(&[0x5a; 700]);
        let mut burst = Burst::with_capacity(3 * headers.len());
        for header in &headers {
            // A piece without bytes in between is no descriptor, and none at the end ends it.
            let pieces = [bed.frame(header), bed.frame(&[]), bed.core.share(&payload)];
            for (place, mut piece) in pieces.into_iter().enumerate() {
                piece.set_flags(if place < 2 { flags::CONTINUES } else { 0 });
                burst.push(piece).expect("room for all");
            }
        }
        while !burst.is_empty() {
            let count = bed.queue.tx_burst(&mut bed.core, &mut burst);
            assert!(count > 0, "a veth takes everything at once");
        }
        for header in headers {
            let got = bed.far_receive().expect("each one comes");
            assert_eq!(got, [header, vec![0x5a; 700]].concat());
        }
        bed.queue.tx_burst(&mut bed.core, &mut burst);
        assert_eq!((bed.queue.descriptors_in_flight(), bed.core.references(&payload)), (0, 1));
        bed.core.free(payload);
        assert_eq!(bed.dismantle(), 0);
    });
}

#[test]
fn no_burst_allocates() {
    in_namespace("no_burst_allocates", || {
        let mut bed = Bed::new(Mode::Native);
        let (mut frames, mut out) = (Burst::with_capacity(64), Burst::with_capacity(64));
        let bytes = packet(1, 200);
        let mut received = 0;
        let forbidden = forbid();
        for _round in 0..50 {
            while frames.free() > 0 {
                let mut frame = bed.core.allocate().expect("frames are free");
                bed.core.set_len(&mut frame, bytes.len());
                bed.core.bytes_mut(&mut frame).copy_from_slice(&bytes);
                frames.push(frame).expect("there is room");
            }
            bed.queue.tx_burst(&mut bed.core, &mut frames);
            bed.far_send(&bytes);
            received += bed.queue.rx_burst(&mut bed.core, &mut out);
            out.clear_into(&mut bed.core);
        }
        drop(forbidden);
        assert!(received > 0 && bed.queue.counters().tx_packets > 1000);
        frames.clear_into(&mut bed.core);
        assert_eq!(bed.dismantle(), 0);
    });
}
