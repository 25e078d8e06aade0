//! The suite over the queue pairs of this crate.

use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::conformance::{FRAMES_MIN, Rig, run};
use nic::{
    Burst, CaptureTerms, Captured, Impaired, Impairments, MemQueue, QueuePair, RecordLimits,
    Recorded, mem, pcap,
};

const MTU: u16 = 1500;

/// How the queue pair under test becomes the bare end again.
type Unwrap<Q> = fn(Q, &mut CoreArena) -> MemQueue;

/// Some queue pair over one end of an in-memory pair; the other end is the far side.
struct MemRig<Q> {
    arena: FrameArena,
    near: Q,
    near_arena: CoreArena,
    far: MemQueue,
    far_arena: CoreArena,
    unwrap: Unwrap<Q>,
}

impl<Q: QueuePair> MemRig<Q> {
    fn new(depth: usize, wrap: impl FnOnce(MemQueue) -> Q, unwrap: Unwrap<Q>) -> Self {
        let geometry = FrameGeometry {
            frames: 2 * (FRAMES_MIN + 3 * u32::try_from(depth).expect("a small depth")),
            frame_len: 2048,
            headroom: 256,
            cores: 2,
            reserve_per_core: 8,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).expect("a small arena");
        let (near, mut far) = mem::pair(depth, MTU).expect("a good depth");
        let core = || arena.core().expect("two cores");
        let (near_arena, mut far_arena) = (core(), core());
        far.rx_burst(&mut far_arena, &mut Burst::with_capacity(0));
        let near = wrap(near);
        Self { arena, near, near_arena, far, far_arena, unwrap }
    }
}

impl<Q: QueuePair> Rig for MemRig<Q> {
    type Queue = Q;

    fn near(&mut self) -> (&mut Q, &mut CoreArena) {
        (&mut self.near, &mut self.near_arena)
    }

    fn far_send(&mut self, packet: &[u8]) -> bool {
        let arena = &mut self.far_arena;
        let Some(mut frame) = arena.allocate() else {
            return false;
        };
        arena.set_len(&mut frame, packet.len());
        arena.bytes_mut(&mut frame).copy_from_slice(packet);
        let mut burst = Burst::with_capacity(1);
        burst.push(frame).expect("room for one");
        let count = self.far.tx_burst(arena, &mut burst);
        burst.clear_into(arena);
        count == 1
    }

    fn far_receive(&mut self) -> Option<Vec<u8>> {
        let mut burst = Burst::with_capacity(1);
        self.far.rx_burst(&mut self.far_arena, &mut burst);
        let bytes = self.far_arena.bytes(burst.front()?).to_vec();
        burst.clear_into(&mut self.far_arena);
        Some(bytes)
    }

    fn dismantle(mut self) -> u32 {
        let near = (self.unwrap)(self.near, &mut self.near_arena);
        near.drain(&mut self.near_arena);
        self.far.drain(&mut self.far_arena);
        let pools = self.near_arena.frames_free() + self.far_arena.frames_free();
        self.arena.geometry().frames - pools - self.arena.frames_home()
    }
}

#[test]
fn mem_passes_with_rings_of_every_size() {
    for depth in [1, 2, 8, 64, 256] {
        run(|| MemRig::new(depth, |near| near, |near, _arena| near));
    }
}

#[test]
fn impaired_without_impairments_passes() {
    let none = Impairments::default();
    let wrap = |near| Impaired::new(near, none).unwrap();
    run(|| MemRig::new(8, wrap, Impaired::into_inner));
}

#[test]
fn recorded_passes_while_it_writes_and_after_it_stopped() {
    for packets_max in [u64::MAX, 3, 0] {
        let limits = RecordLimits { packets_max, bytes_max: 1 << 24 };
        run(|| {
            MemRig::new(
                8,
                |near| Recorded::new(near, Vec::new(), limits),
                |recorded, _arena| {
                    let counters = *recorded.recorded();
                    let queue = recorded.counters();
                    let passed = queue.rx_packets + queue.tx_packets + queue.tx_dropped();
                    assert_eq!(counters.packets + counters.packets_unrecorded, passed);
                    let (near, file) = recorded.into_parts();
                    let packets = pcap::Reader::new(&file).unwrap().map(Result::unwrap).count();
                    assert_eq!(packets as u64, counters.packets);
                    near
                },
            )
        });
    }
}

#[test]
fn captured_passes_with_a_reader_without_one_and_with_one_that_takes_nothing() {
    let unwrap = |captured: Captured<MemQueue>, _arena: &mut CoreArena| captured.into_inner();
    run(|| MemRig::new(8, Captured::new, unwrap));
    let mut readers = Vec::new();
    run(|| {
        let wrap = |near| {
            let mut near = Captured::new(near);
            let terms = CaptureTerms { snap_len: 96, ..CaptureTerms::default() };
            let (tap, reader) = nic::tap(terms);
            near.exchange_tap(Some(tap));
            readers.push(reader);
            near
        };
        MemRig::new(8, wrap, unwrap)
    });
    assert!(readers.iter().any(|reader| reader.captured() > 0));
}

/// What a broken queue pair does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    LosesASentPacket,
    SwapsReceivedPackets,
    LosesAFrame,
    DamagesAReceivedPacket,
    SaysThatMoreLeft,
    WritesIntoASentFrame,
}

/// A queue pair that is right but for one fault.
struct Broken {
    inner: MemQueue,
    fault: Fault,
    has_lost: bool,
}

impl QueuePair for Broken {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let count = self.inner.rx_burst(arena, out);
        let mut frames: Vec<_> = out.drain().collect();
        if self.fault == Fault::SwapsReceivedPackets && count > 1 {
            frames.swap(0, 1);
        }
        if self.fault == Fault::DamagesAReceivedPacket && count > 0 {
            let last = frames[0].len() - 1;
            arena.bytes_mut(&mut frames[0])[last] ^= 1;
        }
        if self.fault == Fault::LosesAFrame && !self.has_lost {
            self.has_lost = true;
            let _lost = arena.allocate();
        }
        for frame in frames {
            out.push(frame).expect("it came from here");
        }
        count
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        let mut extra = 0;
        if self.fault == Fault::LosesASentPacket && frames.len() > 2 {
            arena.free(frames.pop_front().expect("there are three"));
            extra = 1;
        }
        if self.fault == Fault::SaysThatMoreLeft && !frames.is_empty() {
            extra = 1;
        }
        if self.fault == Fault::WritesIntoASentFrame {
            for frame in frames.iter_mut() {
                if arena.is_unshared(frame) {
                    arena.bytes_mut(frame)[0] ^= 1;
                }
            }
        }
        self.inner.tx_burst(arena, frames) + extra
    }

    fn capabilities(&self) -> &nic::Capabilities {
        self.inner.capabilities()
    }

    fn wait_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inner.wait_fd()
    }

    fn counters(&self) -> &nic::QueueCounters {
        self.inner.counters()
    }
}

#[test]
fn the_suite_fails_a_queue_pair_with_any_one_fault() {
    for fault in [
        Fault::LosesASentPacket,
        Fault::SwapsReceivedPackets,
        Fault::LosesAFrame,
        Fault::DamagesAReceivedPacket,
        Fault::SaysThatMoreLeft,
        Fault::WritesIntoASentFrame,
    ] {
        let wrap = |inner| Broken { inner, fault, has_lost: false };
        let outcome = std::panic::catch_unwind(|| {
            run(|| MemRig::new(8, wrap, |broken, _arena| broken.inner));
        });
        assert!(outcome.is_err(), "{fault:?} passed the suite");
    }
}
