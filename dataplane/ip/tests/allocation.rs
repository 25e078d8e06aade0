//! The packet path takes no memory: every buffer and table is there from the start.
#![forbid(unsafe_code)]

use base::{Duration, Instant};
use ip::{CONTROL_FRAME_LEN_MAX, Config, Envelope, HopIndex, Ingress, Ip, LocalIndex, Resolution};
use memory::Stowed;
use memory::counting::{CountingAllocator, forbid};
use wire::{Address, MacAddress, arp, ethernet, protocol};

// A fuzzing build instruments this test too, and what it then calls comes with bolero.
#[cfg(fuzzing)]
use bolero as _;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const STATION: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

fn host() -> Ip {
    let addresses = vec!["10.0.0.1/8".parse().expect("a literal")];
    let config = Config { mac: STATION, addresses, neighbours_max: 16, ..Config::default() };
    Ip::new(&config, [1; 32]).expect("a good configuration")
}

fn reply_from(neighbour: Address) -> [u8; 42] {
    let mut frame = [0; 42];
    let sender_mac = MacAddress([2, 0, 0, 0, 0, 2]);
    let ethertype = ethernet::EtherType::ARP;
    ethernet::Repr { destination: STATION, source: sender_mac, ethertype }.emit(&mut frame);
    let reply = arp::Repr {
        operation: arp::Operation::Reply,
        sender_mac,
        sender_ip: neighbour.v4_octets().into(),
        target_mac: STATION,
        target_ip: [10, 0, 0, 1].into(),
    };
    reply.emit(&mut frame[14..]);
    frame
}

#[test]
fn the_packet_path_takes_no_memory() {
    let mut ip = host();
    let mut control = [0; CONTROL_FRAME_LEN_MAX];
    let mut frame = [0; 74];
    let forbidden = forbid();
    let mut now = Instant::ZERO;
    let mut delivered = 0;
    for host in 0..200 {
        now += Duration::from_secs(3);
        let remote = Address::from_v4_octets([10, 0, 1, host]);
        if let Resolution::Wait(hop) = ip.resolve(remote, HopIndex::NONE, now) {
            for index in 0..5 {
                // What comes back would be released by the caller.
                ip.park(hop, Stowed { index, offset: 0, len: 74 });
            }
        }
        while ip.poll_transmit(&mut control, now).is_some() {}
        if host % 2 == 0 {
            ip.handle_frame(&mut reply_from(remote), now);
        }
        while ip.poll_released().is_some() {}
        if let Resolution::Known(hop) = ip.resolve(remote, HopIndex::NONE, now) {
            let (local, protocol) = (LocalIndex(0), protocol::TCP);
            let envelope = Envelope { local, remote, hop, protocol, transport_len: 40, ecn: 0 };
            ip.encapsulate(&mut frame, &envelope);
            ip.confirm(hop, now);
            turn(&mut frame);
            let ingress = ip.handle_frame(&mut frame, now);
            delivered += u32::from(matches!(ingress, Ingress::Transport(_)));
        }
    }
    drop(forbidden);
    assert_eq!(delivered, 100);
    assert!(ip.counters().neighbours_evicted > 0 && ip.counters().parked_dropped > 0);
}

/// Sends a frame back: both ends change places, which leaves the header's checksum right.
fn turn(frame: &mut [u8]) {
    let (to, from) = frame.split_at_mut(6);
    to.swap_with_slice(&mut from[..6]);
    let (source, destination) = frame[26..34].split_at_mut(4);
    source.swap_with_slice(destination);
}
