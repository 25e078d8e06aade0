//! What an input does: one byte names an action, those that follow fill it in.

use base::Duration;
use wire::ethernet::EtherType;
use wire::tcp::{Flags, Options, Repr, SackBlock, Timestamps};
use wire::{Address, SeqNum, arp, icmpv4, icmpv6, ndp, protocol, udp};

use crate::bed::{Bed, Packet};
use crate::frame::{self, HOSTS, OUR_MAC, address_of, our_address};
use crate::input::Input;
use crate::peer::{self, Flow};
use crate::service::{PORTS, UDP_PORTS};

/// The frame is tampered with before it is sent: a byte follows that says how.
const TAMPERED: u8 = 0x80;
/// More frames follow in the same burst.
const HELD: u8 = 0x40;

/// Lengths of time, in milliseconds.
const TIMES: [u64; 8] = [0, 1, 40, 210, 1_100, 6_000, 61_000, 130_000];
/// Windows as they are on the wire.
const WINDOWS: [u16; 7] = [0x4000, 0, 1, 64, 1_000, 0xffff, 0x100];

/// Does what `code` names.
pub(crate) fn apply(bed: &mut Bed, code: u8, input: &mut Input<'_>) {
    let bytes = match code & 0x0f {
        0..=5 => segment(bed, input),
        6 => datagram(input),
        7 => icmp(bed, input),
        8 => neighbour(input),
        9 => raw(input),
        10 => return burst(bed, input),
        11 => return time(bed, input),
        12 | 13 => return service(bed, input),
        14 => return weather(bed, input),
        _ => return next_deadline(bed),
    };
    let mut packet = Packet::new(bytes);
    if code & TAMPERED != 0 {
        tamper(&mut packet, input);
    }
    packet.bytes.truncate(1_514);
    if code & HELD != 0 && bed.stack.queue().inbox.len() < 100 {
        bed.queue(packet);
    } else {
        bed.arrive(packet);
    }
}

/// Changes bytes and length; repairs what the change has broken unless it is told not to.
fn tamper(packet: &mut Packet, input: &mut Input<'_>) {
    let how = input.byte();
    if how & 1 != 0 {
        for _ in 0..=input.byte() & 3 {
            let (at, value) = (usize::from(input.byte()), input.byte());
            if let Some(byte) = packet.bytes.get_mut(at) {
                *byte ^= value;
            }
        }
    }
    if how & 2 != 0 {
        packet.bytes.truncate(usize::from(input.word() % 1_600));
    }
    if how & 4 != 0 {
        let len = packet.bytes.len() + usize::from(input.byte());
        packet.bytes.resize(len, 0xee);
    }
    if how & 8 == 0 {
        frame::repair(&mut packet.bytes, how & 16 != 0);
    }
    packet.is_verified = how & 32 != 0;
    packet.is_scattered = how & 64 != 0;
}

/// The connection that an action is about; a new one if there is none, or it is asked for.
fn choose(bed: &mut Bed, input: &mut Input<'_>) -> usize {
    let choice = input.byte();
    let count = bed.peers.flows.len();
    if choice < 0xe0 && count > 0 {
        return usize::from(choice) % count;
    }
    let port = input.byte();
    let port = if port == 0xff { 9 } else { PORTS[usize::from(port) % PORTS.len()] };
    bed.peers.open(choice % HOSTS, choice & 0x10 != 0, port)
}

fn segment(bed: &mut Bed, input: &mut Input<'_>) -> Vec<u8> {
    let at = choose(bed, input);
    let now = bed.now;
    let flow = &mut bed.peers.flows[at];
    // Without the bits of the input it is an acknowledgement.
    let flags = Flags::from_bits_retain(input.byte()) ^ Flags::ACK;
    let (modes, shape) = (input.byte(), input.byte());
    let mut repr = flow.header(flags, now);
    repr.seq = sequence(flow, modes & 7, input);
    repr.ack = match modes >> 3 & 3 {
        0 => flow.next,
        1 => flow.una + u32::from(input.word() & 0x3fff),
        2 => SeqNum(flow.next.0.wrapping_add(u32::from(input.byte())).wrapping_sub(128)),
        _ => SeqNum(input.long()),
    };
    repr.window = match WINDOWS.get(usize::from(modes >> 5)) {
        Some(&window) => window,
        None => input.word(),
    };
    let mut raw: &[u8] = &[];
    match shape & 7 {
        0 if flags.contains(Flags::SYN) => repr.options = Flow::syn_options(1_460, 0x70, now),
        4 => {
            let len = input.below(41);
            raw = input.bytes(len);
        }
        kind => options(&mut repr, kind, input, now),
    }
    let payload = payload(shape >> 5, input);
    flow.segment(&repr, raw, &payload)
}

fn sequence(flow: &Flow, mode: u8, input: &mut Input<'_>) -> SeqNum {
    let minus = |seq: SeqNum, less: u32| SeqNum(seq.0.wrapping_sub(less));
    match mode {
        0 => flow.sent,
        1 => minus(flow.acked, 1),
        2 => flow.sent + u32::from(input.word() & 0x3fff),
        3 => minus(flow.edge, 128) + u32::from(input.byte()),
        4 => minus(flow.acked, u32::from(input.word() & 0x0fff)),
        5 => flow.sent + 1,
        6 => SeqNum(input.long()),
        _ => flow.acked,
    }
}

fn options(repr: &mut Repr, kind: u8, input: &mut Input<'_>, now: base::Instant) {
    let value = frame::timestamp(now);
    let timestamps = |value, echo| Options::timestamps(Timestamps { value, echo });
    let echo = repr.options.timestamps.map_or(0, |timestamps| timestamps.echo);
    match kind {
        1 => repr.options = Options::NONE,
        2 => repr.options = timestamps(value.wrapping_sub(u32::from(input.word())), echo),
        3 => repr.options = Flow::syn_options(input.word(), input.byte(), now),
        5 => {
            for _ in 0..=input.byte() & 3 {
                let start = repr.ack + u32::from(input.word());
                let block = SackBlock { start, end: start + u32::from(input.word()) };
                // Timestamps leave room for three.
                if repr.options.sack.len() < 3 {
                    repr.options.sack.push(block);
                }
            }
        }
        6 => repr.options = timestamps(value, input.long()),
        7 => repr.options = timestamps(value.wrapping_add(input.long()), echo),
        _ => {}
    }
}

fn payload(kind: u8, input: &mut Input<'_>) -> Vec<u8> {
    let command = |input: &mut Input<'_>, len: usize| {
        let mut bytes = vec![input.byte(), input.byte()];
        bytes.resize(len.max(2), 0);
        bytes
    };
    match kind {
        2 => {
            let len = input.below(32);
            input.bytes(len).to_vec()
        }
        3 => command(input, 100),
        4 => command(input, 1_440),
        5 => {
            let len = usize::from(input.byte()) * 4;
            command(input, len)
        }
        6 => command(input, 2),
        7 => vec![15; 536],
        _ => Vec::new(),
    }
}

/// Many segments of one connection at once, in order or not.
fn burst(bed: &mut Bed, input: &mut Input<'_>) {
    let at = choose(bed, input);
    let now = bed.now;
    let (count, order, fill) = (u32::from(input.byte() % 48), input.byte(), input.byte());
    let len = 1 + u32::from(input.byte()) * 5;
    let base = bed.peers.flows[at].sent;
    for number in 0..count {
        let number = match order % 4 {
            0 => number,
            1 => count - 1 - number,
            2 => number ^ 1,
            _ => number * 2,
        };
        let flow = &mut bed.peers.flows[at];
        let mut repr = flow.header(Flags::ACK, now);
        repr.seq = base + number * len;
        let bytes = flow.segment(&repr, &[], &vec![fill; len as usize]);
        bed.queue(Packet::new(bytes));
    }
    let flow = &mut bed.peers.flows[at];
    flow.sent = flow.sent.max(base + count * len);
    bed.rest();
}

/// Where a datagram or a message goes: to us, or to many.
fn destination(choice: u8) -> Address {
    match choice % 8 {
        6 => Address::from_v4_octets([10, 9, 0, 255]),
        7 => Address::from_octets([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        5 => Address::from_v4_octets([224, 0, 0, 1]),
        4 => Address::from_v4_octets([10, 9, 0, 3]),
        choice => our_address(choice & 1 == 1),
    }
}

fn datagram(input: &mut Input<'_>) -> Vec<u8> {
    let (host, to) = (input.byte() % HOSTS, destination(input.byte()));
    let port = UDP_PORTS.get(input.below(4)).copied().unwrap_or(999);
    let len = input.below(64);
    let payload = input.bytes(len);
    let payload_len = u16::try_from(payload.len()).expect("short");
    let mut bytes = vec![0; udp::HEADER_LEN];
    udp::Repr { src_port: 5_000, dst_port: port, payload_len }.emit(&mut bytes);
    bytes.extend_from_slice(payload);
    udp::fill_checksum(&mut bytes, address_of(host, to.is_v6()), to);
    frame::packet(host, to, protocol::UDP, &bytes)
}

fn icmp(bed: &Bed, input: &mut Input<'_>) -> Vec<u8> {
    let (host, to) = (input.byte() % HOSTS, destination(input.byte()));
    let (kind, code) = (input.byte(), input.byte());
    let source = address_of(host, to.is_v6());
    let mut message = if to.is_v6() { icmpv6_head(kind, code) } else { icmpv4_head(kind, code) };
    if kind % 6 < 4
        && let Some(flow) = bed.peers.flows.get(usize::from(code) % bed.peers.flows.len().max(1))
    {
        // A packet that the stack could have sent.
        let quoted = Repr {
            src_port: flow.our_port,
            dst_port: flow.peer_port,
            seq: flow.una,
            flags: Flags::ACK,
            ..Repr::default()
        };
        let ends = (our_address(flow.is_v6), address_of(flow.host, flow.is_v6));
        let quoted = frame::segment(&quoted, &[], &[]);
        let packet = frame::ip_packet(ends.0, ends.1, (protocol::TCP, 60), &quoted);
        let len = packet.len() - input.below(packet.len());
        message.extend_from_slice(&packet[..len]);
    } else {
        let len = input.below(80);
        message.extend_from_slice(input.bytes(len));
    }
    let protocol = if source.is_v4() { protocol::ICMP } else { protocol::ICMPV6 };
    let mut bytes = frame::packet(host, to, protocol, &message);
    frame::repair(&mut bytes, false);
    bytes
}

fn icmpv4_head(kind: u8, code: u8) -> Vec<u8> {
    let repr = match kind % 6 {
        0 => icmpv4::Repr::DestinationUnreachable { code: code % 4 },
        1 => icmpv4::Repr::FragmentationNeeded { mtu: u16::from(code) * 8 },
        2 => icmpv4::Repr::TimeExceeded { code },
        3 => icmpv4::Repr::ParameterProblem { code: 0, pointer: code },
        4 => icmpv4::Repr::EchoRequest { ident: 1, seq: u16::from(code) },
        _ => icmpv4::Repr::Other { kind: kind / 6, code, rest: [0; 4] },
    };
    let mut head = vec![0; repr.header_len()];
    repr.emit(&mut head);
    head
}

fn icmpv6_head(kind: u8, code: u8) -> Vec<u8> {
    let repr = match kind % 6 {
        0 => icmpv6::Repr::DestinationUnreachable { code },
        1 => icmpv6::Repr::PacketTooBig { mtu: u32::from(code) * 8 },
        2 => icmpv6::Repr::TimeExceeded { code },
        3 => icmpv6::Repr::ParameterProblem { code: 0, pointer: u32::from(code) },
        4 => icmpv6::Repr::EchoRequest { ident: 1, seq: u16::from(code) },
        _ => icmpv6::Repr::Other { kind: kind / 2 + 128, code, rest: [0; 4] },
    };
    let mut head = vec![0; repr.header_len()];
    let any = address_of(0, true).to_v6();
    repr.emit(&mut head, any, any);
    head
}

fn neighbour(input: &mut Input<'_>) -> Vec<u8> {
    let (kind, host) = (input.byte(), input.byte() % HOSTS);
    let ours = our_address(true);
    match kind % 8 {
        0 => peer::arp_answer(host, our_address(false), arp::Operation::Reply),
        1 => peer::arp_answer(host, our_address(false), arp::Operation::Request),
        2 => peer::arp_answer(host, address_of(kind % HOSTS, false), arp::Operation::Request),
        3 => {
            // Somebody claims our address.
            let mut bytes = peer::arp_answer(host, address_of(0, false), arp::Operation::Reply);
            bytes[28..32].copy_from_slice(&our_address(false).v4_octets());
            bytes
        }
        4 => peer::advertisement(host, ours, input.byte()),
        5 => {
            let source_link = (kind & 0x80 == 0).then(|| frame::mac_of(host));
            let repr = ndp::Repr::Solicitation { target: ours.to_v6(), source_link };
            peer::nd_message(host, ours, &repr)
        }
        6 => {
            let claim = ndp::Repr::Advertisement {
                target: ours.to_v6(),
                is_router: false,
                is_solicited: false,
                overrides: true,
                target_link: Some(frame::mac_of(host)),
            };
            peer::nd_message(host, destination(7), &claim)
        }
        _ => {
            let target = address_of(kind >> 4, true).to_v6();
            let repr = ndp::Repr::Solicitation { target, source_link: None };
            peer::nd_message(host, ours, &repr)
        }
    }
}

fn raw(input: &mut Input<'_>) -> Vec<u8> {
    let (kind, len) = (input.byte(), usize::from(input.word() % 400));
    let bytes = input.bytes(len);
    match kind % 5 {
        0 => bytes.to_vec(),
        1 => frame::other(0, false, EtherType::IPV4, bytes),
        2 => frame::other(1, false, EtherType::IPV6, bytes),
        3 => frame::other(1, kind & 0x80 != 0, EtherType::ARP, bytes),
        _ => {
            // An IPv6 packet with extension headers before a segment or anything else.
            let destination = our_address(true);
            let first = if kind & 0x80 == 0 { protocol::HOP_BY_HOP } else { kind };
            let mut frame = frame::packet(1, destination, first, bytes);
            assert_eq!(frame[..6], OUR_MAC.0);
            frame::repair(&mut frame, false);
            frame
        }
    }
}

fn time(bed: &mut Bed, input: &mut Input<'_>) {
    let choice = input.byte();
    let times = u64::from(choice >> 4) + 1;
    let time_ms = (TIMES[usize::from(choice & 7)] * times).min(bed.time_left_ms);
    bed.time_left_ms -= time_ms;
    let duration = Duration::from_millis(time_ms);
    if choice & 8 != 0 {
        // Nobody called for so long: a core that was stopped.
        bed.now += duration;
        bed.rest();
    } else {
        bed.pass(duration);
    }
}

fn next_deadline(bed: &mut Bed) {
    bed.rest();
    if let Some(next) = bed.stack.next_deadline() {
        bed.now = next.max(bed.now + Duration::from_micros(250));
    }
    bed.rest();
}

fn service(bed: &mut Bed, input: &mut Input<'_>) {
    let (which, what, argument) = (input.byte(), input.byte(), input.byte());
    bed.rest();
    bed.with_service(|service, cx| {
        let count = service.live.len();
        if what >= 0xe0 || count == 0 {
            let word = u32::from(argument);
            service.connect(cx, which, 8_000 + u16::from(what & 7), word);
        } else {
            let conn = service.live[usize::from(which) % count];
            service.act(cx, conn, what, argument);
        }
    });
}

fn weather(bed: &mut Bed, input: &mut Input<'_>) {
    let choice = input.byte();
    match choice % 4 {
        0 => bed.stack.queue_mut().full_for = u32::from(choice >> 2),
        1 => bed.peers.are_silent = true,
        2 => bed.peers.are_silent = false,
        _ => {
            bed.stack.queue_mut().full_for = 0;
        }
    }
}
