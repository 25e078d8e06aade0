//! What the checks are written with: numbered packets, sending, receiving, being at rest.

use memory::{CoreArena, Frame};

use super::{ETHERTYPE, Rig};
use crate::burst::Burst;
use crate::flags;
use crate::limits::ETHERNET_HEADER_LEN;
use crate::queue::QueuePair;

/// Calls without progress after which a check gives up.
const PATIENCE: u32 = 50;

/// The packet with this number: `len` bytes, each of which depends on number and place.
pub(super) fn packet(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0x02, 0, 0, 0, 0, 0x99, 0x02, 0xab];
    bytes.extend(number.to_be_bytes());
    bytes.extend(ETHERTYPE);
    let mut value = number.wrapping_mul(0x9e37_79b1) | 1;
    while bytes.len() < len {
        value = value.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        bytes.push(value.to_be_bytes()[0]);
    }
    bytes.truncate(len);
    bytes
}

/// Lengths from the shortest packet to the longest, and around the borders between.
pub(super) fn lengths<R: Rig>(rig: &mut R) -> Vec<usize> {
    let longest = rig.near().0.capabilities().packet_len_max();
    let border = [14, 15, 59, 60, 61, 64, 127, 128, 590, 1024, 1280, 1500];
    let mut lengths: Vec<_> = border.into_iter().filter(|&len| len < longest).collect();
    lengths.extend([longest - 1, longest]);
    lengths
}

/// A frame of the near arena with these bytes.
pub(super) fn frame(arena: &mut CoreArena, bytes: &[u8]) -> Frame {
    let mut frame = arena.allocate().expect("the rig has FRAMES_MIN frames to spare");
    arena.set_len(&mut frame, bytes.len());
    arena.bytes_mut(&mut frame).copy_from_slice(bytes);
    frame
}

/// Tops the device up, so that it can receive. Nothing is waiting for it yet.
pub(super) fn ready<R: Rig>(rig: &mut R) {
    let noise = receive(rig, &mut Burst::with_capacity(16));
    assert!(noise.is_empty(), "a packet of the suite came before one was sent: {noise:?}");
}

/// One `rx_burst` into `out`, which is emptied: the suite's packets among what came.
pub(super) fn receive<R: Rig>(rig: &mut R, out: &mut Burst) -> Vec<Vec<u8>> {
    let (queue, arena) = rig.near();
    let (before, free) = (queue.counters().clone(), out.free());
    let count = queue.rx_burst(arena, out);
    assert!(count <= free, "{count} frames received into room for {free}");
    let mut packets = Vec::new();
    let (mut all, mut bytes) = (0, 0);
    while let Some((segments, len)) = out.front_packet() {
        let mut packet = Vec::with_capacity(len);
        for frame in out.iter().take(segments) {
            packet.extend_from_slice(arena.bytes(frame));
        }
        out.free_front(segments, arena);
        (all, bytes) = (all + 1, bytes + len as u64);
        if packet.get(12..14) == Some(&ETHERTYPE) {
            packets.push(packet);
        }
    }
    let after = queue.counters();
    assert_eq!(after.rx_packets - before.rx_packets, all, "rx_packets counts what was received");
    assert_eq!(after.rx_bytes - before.rx_bytes, bytes, "rx_bytes counts what was received");
    packets
}

/// Receives until `count` packets of the suite have come, or none comes any more.
pub(super) fn receive_count<R: Rig>(rig: &mut R, count: usize) -> Vec<Vec<u8>> {
    let mut out = Burst::with_capacity(32);
    let mut packets = Vec::new();
    let mut idle = 0;
    while packets.len() < count && idle < PATIENCE {
        let came = receive(rig, &mut out);
        idle = if came.is_empty() { idle + 1 } else { 0 };
        if came.is_empty() {
            rig.settle();
        }
        packets.extend(came);
    }
    packets
}

/// Receives until a call brings nothing.
pub(super) fn receive_while_any<R: Rig>(rig: &mut R) -> Vec<Vec<u8>> {
    let mut out = Burst::with_capacity(32);
    let mut packets = Vec::new();
    loop {
        let came = receive(rig, &mut out);
        if came.is_empty() {
            return packets;
        }
        packets.extend(came);
    }
}

/// One `tx_burst`, whose answer must agree with what it did and counted.
pub(super) fn send<R: Rig>(rig: &mut R, frames: &mut Burst) -> usize {
    let (queue, arena) = rig.near();
    let counters_before = queue.counters().clone();
    let (frames_before, packets_before) = (frames.len(), packets(frames));
    let count = queue.tx_burst(arena, frames);
    assert_eq!(frames.len(), frames_before - count, "tx_burst says how many frames left");
    let after = queue.counters();
    let counted = after.tx_packets - counters_before.tx_packets + after.tx_dropped()
        - counters_before.tx_dropped();
    assert_eq!(counted, packets_before - packets(frames), "each packet is sent or dropped");
    count
}

/// Sends all of `frames`; the far side receives whenever the device is full. What it got.
pub(super) fn send_all<R: Rig>(rig: &mut R, frames: &mut Burst) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    let mut idle = 0;
    while !frames.is_empty() {
        if send(rig, frames) > 0 {
            idle = 0;
            continue;
        }
        idle += 1;
        assert!(idle < PATIENCE, "{} frames cannot be sent", frames.len());
        got.extend(rig.far_receive());
    }
    got
}

/// Everything that the far side has yet to get, up to `count` packets in all in `got`.
pub(super) fn far_receive_count<R: Rig>(rig: &mut R, got: &mut Vec<Vec<u8>>, count: usize) {
    while got.len() < count
        && let Some(packet) = rig.far_receive()
    {
        got.push(packet);
    }
}

/// Compares packet by packet, so that a failure names the first that differs and not all bytes.
pub(super) fn assert_same(got: &[Vec<u8>], expected: &[Vec<u8>]) {
    for (place, (got, expected)) in got.iter().zip(expected).enumerate() {
        let same_number = got[8..12] == expected[8..12];
        assert!(same_number, "packet {place} is another: {:?}", &got[..ETHERNET_HEADER_LEN]);
        assert_eq!(got.len(), expected.len(), "packet {place} has another length");
        let differs = got.iter().zip(expected).position(|(a, b)| a != b);
        assert_eq!(differs, None, "packet {place} of {} bytes differs there", got.len());
    }
    assert_eq!(got.len(), expected.len(), "as many packets as were sent");
}

/// After a check: the core counts no frame any more, once the completions are collected.
pub(super) fn assert_at_rest<R: Rig>(rig: &mut R, name: &str) {
    for _try in 0..PATIENCE {
        let (queue, arena) = rig.near();
        queue.tx_burst(arena, &mut Burst::with_capacity(1));
        if arena.frames_held() == 0 {
            return;
        }
        rig.settle();
    }
    let held = rig.near().1.frames_held();
    panic!("{name}: {held} frames are still held after it");
}

fn packets(frames: &Burst) -> u64 {
    frames.iter().filter(|frame| !flags::continues(frame)).count() as u64
}
