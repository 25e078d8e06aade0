//! The other hosts: what they know of their connections, and what they answer by themselves.

use base::Instant;
use wire::ethernet::{self, EtherType};
use wire::tcp::{Flags, Options, Repr, Timestamps};
use wire::{Address, SeqNum, arp, icmpv6, ndp, protocol};

use crate::bed::Packet;
use crate::frame::{self, HOSTS, OUR_MAC, Seen, address_of, mac_of, our_address};

/// Connections that are kept in mind.
const FLOWS_MAX: usize = 24;
/// The host that answers no neighbour's question.
const SILENT_HOST: u8 = 2;

/// One connection, as its far end sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) host: u8,
    pub(crate) is_v6: bool,
    pub(crate) peer_port: u16,
    pub(crate) our_port: u16,
    /// The next number that the peer sends, as far as it has sent in order.
    pub(crate) sent: SeqNum,
    /// What the stack has acknowledged of it.
    pub(crate) acked: SeqNum,
    /// The next number that the stack will send.
    pub(crate) next: SeqNum,
    /// What the peer has acknowledged of that.
    pub(crate) una: SeqNum,
    /// The right edge of the stack's window, as its last segment gave it.
    pub(crate) edge: SeqNum,
    /// The scale that the stack announced.
    scale: u8,
    /// The peer's scale, if it announces one.
    pub(crate) own_scale: Option<u8>,
    /// What the stack has acknowledged, and the right edge of its window: neither goes back. Known
    /// of connections that it accepted.
    promise: Option<(SeqNum, SeqNum)>,
    /// The stack's last timestamp; `None` while timestamps are not used.
    pub(crate) timestamps: Option<u32>,
}

impl Flow {
    /// A connection that is about to be opened from `host`.
    pub(crate) fn new(host: u8, is_v6: bool, peer_port: u16, our_port: u16) -> Self {
        let iss = SeqNum(0xffff_f000);
        Self {
            host,
            is_v6,
            peer_port,
            our_port,
            sent: iss,
            acked: iss,
            next: SeqNum(0),
            una: SeqNum(0),
            edge: iss,
            scale: 0,
            own_scale: None,
            promise: None,
            timestamps: None,
        }
    }

    /// A header with the true numbers.
    pub(crate) fn header(&self, flags: Flags, now: Instant) -> Repr {
        let value = frame::timestamp(now);
        let options = Options {
            timestamps: self.timestamps.map(|echo| Timestamps { value, echo }),
            ..Options::default()
        };
        let ack = if flags.contains(Flags::ACK) { self.next } else { SeqNum(0) };
        Repr {
            src_port: self.peer_port,
            dst_port: self.our_port,
            seq: self.sent,
            ack,
            flags,
            window: 0x4000,
            urgent: 0,
            options,
        }
    }

    /// The frame of a segment. What is in order counts as sent.
    pub(crate) fn segment(&mut self, repr: &Repr, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).expect("payloads are short");
        if repr.seq == self.sent && !repr.flags.contains(Flags::RST) {
            self.sent += repr.sequence_len(len);
        }
        if repr.flags.contains(Flags::ACK) && repr.ack == self.next {
            self.una = self.next;
        }
        if repr.flags.contains(Flags::SYN) {
            self.own_scale = repr.options.window_scale;
            let has_timestamps = repr.options.timestamps.is_some();
            self.timestamps = has_timestamps.then_some(self.timestamps.unwrap_or(0));
        }
        let bytes = frame::segment(repr, options, payload);
        let destination = our_address(self.is_v6);
        let mut bytes = frame::packet(self.host, destination, protocol::TCP, &bytes);
        frame::repair(&mut bytes, false);
        bytes
    }

    /// The options of a SYN.
    pub(crate) fn syn_options(mss: u16, kinds: u8, now: Instant) -> Options {
        Options {
            mss: (kinds & 1 == 0).then_some(mss),
            window_scale: (kinds & 2 == 0).then_some(kinds >> 4),
            timestamps: (kinds & 4 == 0)
                .then_some(Timestamps { value: frame::timestamp(now), echo: 0 }),
            sack_permitted: kinds & 8 == 0,
            ..Options::default()
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) flows: Vec<Flow>,
    /// They do not answer questions for their addresses any more.
    pub(crate) are_silent: bool,
    ports: u16,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self { flows: Vec::new(), are_silent: false, ports: 4_000 }
    }

    /// Another connection; its number.
    pub(crate) fn open(&mut self, host: u8, is_v6: bool, our_port: u16) -> usize {
        self.ports += 1;
        let flow = Flow::new(host, is_v6, self.ports, our_port);
        if self.flows.len() == FLOWS_MAX {
            self.flows.remove(0);
        }
        self.flows.push(flow);
        self.flows.len() - 1
    }

    /// Learns from a frame that the stack has sent; gives what a host answers to it.
    pub(crate) fn learn(&mut self, bytes: &[u8], seen: Option<&Seen>) -> Option<Packet> {
        if let Some(seen) = seen {
            self.learn_segment(seen);
            return None;
        }
        let answer = if self.are_silent { None } else { answer(bytes) };
        answer.map(Packet::new)
    }

    /// The connection of a segment that the stack has sent, and its host.
    fn find(&mut self, seen: &Seen) -> (Option<&mut Flow>, Option<u8>) {
        let Seen { destination, ref repr, .. } = *seen;
        let is_v6 = destination.is_v6();
        let host = (0..HOSTS).find(|&host| address_of(host, is_v6) == destination);
        let known = self.flows.iter_mut().rev().find(|flow| {
            (Some(flow.host), flow.is_v6) == (host, is_v6)
                && (flow.peer_port, flow.our_port) == (repr.dst_port, repr.src_port)
                && seen.source == our_address(is_v6)
        });
        (known, host)
    }

    /// Checks that a segment takes back nothing that the stack has said before.
    pub(crate) fn judge(&mut self, seen: &Seen, is_comparable: bool) {
        let (Some(flow), _) = self.find(seen) else { return };
        let Repr { ack, flags, window, options, .. } = seen.repr;
        if flags.contains(Flags::SYN) {
            let edge = ack + u32::from(window);
            flow.promise = flags.contains(Flags::ACK).then_some((ack, edge));
            flow.scale = options.window_scale.unwrap_or(0);
            return;
        }
        let Some((acked, promised)) = flow.promise else { return };
        if !is_comparable || flags.contains(Flags::RST) {
            return;
        }
        let edge = ack + (u32::from(window) << flow.scale);
        assert!(ack.is_at_or_after(acked), "{ack:?} after {acked:?}: {seen:?}");
        // A scaled window is rounded down, by less than one unit.
        let rounded = edge + ((1 << flow.scale) - 1);
        assert!(rounded.is_at_or_after(promised), "edge {edge:?} after {promised:?}: {seen:?}");
        flow.promise = Some((ack, edge.max(promised)));
    }

    fn learn_segment(&mut self, seen: &Seen) {
        let Seen { destination, ref repr, .. } = *seen;
        let is_v6 = destination.is_v6();
        let (known, host) = self.find(seen);
        let Some(host) = host else { return };
        let flow = match known {
            Some(flow) => flow,
            None if repr.flags & (Flags::SYN | Flags::ACK) == Flags::SYN => {
                let mut flow = Flow::new(host, is_v6, repr.dst_port, repr.src_port);
                flow.own_scale = Some(2);
                if self.flows.len() == FLOWS_MAX {
                    self.flows.remove(0);
                }
                self.flows.push(flow);
                self.flows.last_mut().expect("just pushed")
            }
            None => return,
        };
        if repr.flags.contains(Flags::RST) {
            return;
        }
        flow.hear(seen);
    }
}

impl Flow {
    fn hear(&mut self, seen: &Seen) {
        let repr = &seen.repr;
        let end = repr.seq + seen.sequence_len();
        if repr.flags.contains(Flags::SYN) {
            self.una = repr.seq;
            self.next = end;
        }
        self.next = self.next.max(end);
        if repr.flags.contains(Flags::ACK) {
            self.acked = repr.ack;
            self.sent = self.sent.max(repr.ack);
            let is_scaled = !repr.flags.contains(Flags::SYN) && self.own_scale.is_some();
            let scale = if is_scaled { self.scale } else { 0 };
            self.edge = repr.ack + (u32::from(repr.window) << scale);
        }
        if let Some(timestamps) = repr.options.timestamps
            && (self.timestamps.is_some() || repr.flags.contains(Flags::SYN))
        {
            self.timestamps = Some(timestamps.value);
        }
    }
}

/// What the host that is asked for answers.
fn answer(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, _) = ethernet::Repr::parse(bytes).ok()?;
    let body = &bytes[ethernet::HEADER_LEN..];
    if header.ethertype == EtherType::ARP {
        let (question, _) = arp::Repr::parse(body).ok()?;
        let host = host_with(question.target_ip.into())?;
        if question.operation != arp::Operation::Request {
            return None;
        }
        return Some(arp_answer(host, question.sender_ip.into(), arp::Operation::Reply));
    }
    let (source, _, protocol, payload) = frame::transport(bytes)?;
    if protocol != protocol::ICMPV6 {
        return None;
    }
    let (ndp::Repr::Solicitation { target, .. }, _) = ndp::Repr::parse(payload).ok()? else {
        return None;
    };
    let host = host_with(target.into())?;
    Some(advertisement(host, source, 0))
}

fn host_with(address: Address) -> Option<u8> {
    let on_link = 0..HOSTS - 1;
    let mut hosts = on_link.filter(|&host| host != SILENT_HOST);
    hosts.find(|&host| address_of(host, address.is_v6()) == address)
}

/// A host says where it is: as the answer to `target`, or as a question for it.
pub(crate) fn arp_answer(host: u8, target: Address, operation: arp::Operation) -> Vec<u8> {
    let repr = arp::Repr {
        operation,
        sender_mac: mac_of(host),
        sender_ip: address_of(host, false).v4_octets().into(),
        target_mac: OUR_MAC,
        target_ip: target.v4_octets().into(),
    };
    let mut packet = vec![0; repr.header_len()];
    repr.emit(&mut packet);
    let is_for_all = operation == arp::Operation::Request;
    frame::other(host, is_for_all, EtherType::ARP, &packet)
}

/// A host says where it is; `variant` turns flags off and leaves its station out.
pub(crate) fn advertisement(host: u8, asker: Address, variant: u8) -> Vec<u8> {
    let repr = ndp::Repr::Advertisement {
        target: address_of(host, true).to_v6(),
        is_router: host == 0,
        is_solicited: variant & 1 == 0,
        overrides: variant & 2 == 0,
        target_link: (variant & 4 == 0).then(|| mac_of(host)),
    };
    nd_message(host, asker, &repr)
}

/// A neighbour message from a host.
pub(crate) fn nd_message(host: u8, to: Address, repr: &ndp::Repr) -> Vec<u8> {
    let mut message = vec![0; repr.header_len()];
    repr.emit(&mut message, address_of(host, true).to_v6(), to.to_v6());
    assert!(message.len() >= icmpv6::HEADER_LEN);
    frame::packet(host, to, protocol::ICMPV6, &message)
}
