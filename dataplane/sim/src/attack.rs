//! Forged packets: from somebody who knows who speaks to whom, and not quite where they are.
//!
//! What is forged is wrong in one place at least, so that no connection may be disturbed by it.
//! The exception is the RST with the exact number: it must be believed, and is noted.

use base::Rng;
use stack::Conn;
use tcp::{State, Tuple};
use wire::ethernet::{self, EtherType};
use wire::tcp::{Flags, Options, Repr, Timestamps};
use wire::{Address, SeqNum, ipv4, ipv6, protocol};

use crate::network::{Network, PORT};
use crate::player::{Side, Stage};
use crate::scenario::below_u32;
use crate::settings;

/// What is known of the victim.
struct Target {
    id: u32,
    tuple: Tuple,
    state: State,
    rcv_nxt: SeqNum,
    snd_nxt: SeqNum,
}

/// Forges some packets for one of the hosts.
pub(crate) fn strike(network: &mut Network, rng: &mut Rng) {
    let host = usize::from(rng.below(2) == 1);
    let target = choose(network, host, rng);
    let Some(target) = target.filter(|_| rng.below(8) > 0) else {
        return forge_stray(network, host, rng);
    };
    for _ in 0..=rng.below(3) {
        let (repr, data_len) = if target.state.is_synchronized() {
            near_miss(&target, rng)
        } else {
            miss_opening(&target, rng)
        };
        forge(network, host, &target.tuple, repr, data_len);
    }
    if target.state.is_synchronized() && rng.below(200) == 0 {
        let repr = Repr { seq: target.rcv_nxt, flags: Flags::RST, ..ports(&target.tuple) };
        network.hosts[host].cores_mut()[0].service_mut().note_forged(target.id);
        forge(network, host, &target.tuple, repr, 0);
    }
}

fn choose(network: &Network, host: usize, rng: &mut Rng) -> Option<Target> {
    // Forgery has its scenario, in which a host has one core.
    let host = network.hosts[host].first();
    let is_open = |side: &Side| matches!(side.stage, Stage::Open | Stage::Asked);
    let alive: Vec<(u32, Conn)> = host
        .service()
        .sides()
        .filter(|(_, side)| is_open(side))
        .filter_map(|(id, side)| Some((id, side.conn?)))
        .collect();
    if alive.is_empty() {
        return None;
    }
    let place = usize::try_from(rng.below(alive.len() as u64)).expect("a place in the list");
    let (id, conn) = alive[place];
    let record = host.stack().core().tcp().record(conn)?;
    Some(Target {
        id,
        tuple: record.tuple(),
        state: record.state(),
        rcv_nxt: record.rcv_nxt(),
        snd_nxt: record.snd_nxt(),
    })
}

/// A header from the victim's peer, with nothing in it but the ports.
fn ports(tuple: &Tuple) -> Repr {
    let &Tuple { remote_port, local_port, .. } = tuple;
    Repr { src_port: remote_port, dst_port: local_port, window: 1_000, ..Repr::default() }
}

/// A segment for a synchronized connection that is wrong in one place; and its bytes of data.
fn near_miss(target: &Target, rng: &mut Rng) -> (Repr, usize) {
    let &Target { rcv_nxt, snd_nxt, ref tuple, .. } = target;
    let reach = 1 << (1 + rng.below(20));
    let near = 1 + below_u32(rng, reach);
    let data_len = usize::try_from(rng.below(1_000)).expect("below 1000");
    let base = Repr { options: some_timestamps(rng), ..ports(tuple) };
    let at_edge = Repr { seq: rcv_nxt, ack: snd_nxt, ..base };
    match rng.below(7) {
        0 => (Repr { seq: rcv_nxt + near, flags: Flags::RST, ..base }, 0),
        1 => (Repr { seq: rcv_nxt - near, flags: Flags::RST | Flags::ACK, ..at_edge }, 0),
        2 => (Repr { seq: rcv_nxt + near - 1, flags: Flags::SYN, ..base }, 0),
        // An acknowledgement of what was never sent, alone or with data and FIN.
        3 => (Repr { ack: snd_nxt + near, flags: Flags::ACK, ..at_edge }, 0),
        4 => (Repr { ack: snd_nxt + near, flags: Flags::ACK | Flags::FIN, ..at_edge }, data_len),
        // Data and FIN far outside of any window.
        5 => {
            let seq = rcv_nxt + (1 << 30) + near;
            (Repr { seq, flags: Flags::ACK | Flags::FIN, ..at_edge }, data_len)
        }
        _ => (Repr { flags: Flags::PSH, ..at_edge }, data_len),
    }
}

/// A segment for a connection in SYN-SENT that acknowledges the wrong SYN, or none.
fn miss_opening(target: &Target, rng: &mut Rng) -> (Repr, usize) {
    let near = 1 + below_u32(rng, 1 << 16);
    let seq = SeqNum(rng.next_u32());
    let ack = target.snd_nxt + near;
    let base = Repr { seq, ack, ..ports(&target.tuple) };
    let flags = match rng.below(4) {
        0 => Flags::SYN | Flags::ACK,
        1 => Flags::RST | Flags::ACK,
        2 => Flags::ACK,
        _ => Flags::RST,
    };
    (Repr { flags, ..base }, 0)
}

fn some_timestamps(rng: &mut Rng) -> Options {
    let timestamps =
        (rng.below(2) == 0).then(|| Timestamps { value: rng.next_u32(), echo: rng.next_u32() });
    Options { timestamps, ..Options::default() }
}

/// A segment that belongs to no connection: a SYN to a listener, or nonsense.
fn forge_stray(network: &mut Network, host: usize, rng: &mut Rng) {
    let listener = PORT + u16::try_from(rng.below(4)).expect("below 4");
    let tuple = Tuple {
        remote: settings::address(1 - host, rng.below(2) == 0),
        remote_port: 1 + u16::try_from(rng.below(30_000)).expect("below 30000"),
        local_port: listener,
        local: 0,
    };
    let flags = match rng.below(5) {
        0 | 1 => Flags::SYN,
        2 => Flags::ACK,
        3 => Flags::RST,
        _ => Flags::from_bits_truncate(rng.next_u64().to_le_bytes()[0]),
    };
    let (seq, ack) = (SeqNum(rng.next_u32()), SeqNum(rng.next_u32()));
    let data_len = usize::try_from(rng.below(100)).expect("below 100");
    let repr = Repr { seq, ack, flags, options: some_timestamps(rng), ..ports(&tuple) };
    forge(network, host, &tuple, repr, data_len);
}

/// Puts a segment from the peer of `tuple` in front of what `host` receives next.
fn forge(network: &mut Network, host: usize, tuple: &Tuple, repr: Repr, data_len: usize) {
    let (source, target) = (tuple.remote, settings::address(host, tuple.remote.is_v6()));
    let bytes = packet(host, source, target, &repr, data_len);
    network.hosts[host].cores_mut()[0].stack_mut().queue_mut().forge(bytes);
}

fn packet(host: usize, source: Address, target: Address, repr: &Repr, data_len: usize) -> Vec<u8> {
    let is_v4 = source.is_v4();
    let ip_len = if is_v4 { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
    let segment_len = repr.header_len() + data_len;
    let payload_len = u16::try_from(segment_len).expect("a small segment");
    let mut bytes = vec![0xee; ethernet::HEADER_LEN + ip_len + segment_len];
    let (destination, from) = (settings::mac(host), settings::mac(1 - host));
    let ethertype = if is_v4 { EtherType::IPV4 } else { EtherType::IPV6 };
    ethernet::Repr { destination, source: from, ethertype }.emit(&mut bytes);
    let (head, segment) = bytes.split_at_mut(ethernet::HEADER_LEN + ip_len);
    let head = &mut head[ethernet::HEADER_LEN..];
    if is_v4 {
        let header = ipv4::Repr {
            source: source.v4_octets().into(),
            destination: target.v4_octets().into(),
            protocol: protocol::TCP,
            payload_len,
            hop_limit: 64,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            fragment: ipv4::Fragment::WHOLE,
        };
        header.emit(head);
    } else {
        let header = ipv6::Repr {
            source: source.to_v6(),
            destination: target.to_v6(),
            next_header: protocol::TCP,
            payload_len,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
        };
        header.emit(head);
    }
    repr.emit(segment);
    wire::tcp::fill_checksum(segment, source, target);
    bytes
}
