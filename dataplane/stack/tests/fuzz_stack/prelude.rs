//! The connections that a run begins with: one in each state that is asked for.

use wire::tcp::{Flags, Repr};
use wire::{arp, ndp};

use crate::bed::{Bed, Packet};
use crate::frame::{self, our_address};
use crate::peer::{self, Flow};

/// The neighbours ask for the stack, so that it knows them.
pub(crate) fn meet(bed: &mut Bed) {
    for host in [0, 1, 3] {
        let question = peer::arp_answer(host, our_address(false), arp::Operation::Request);
        bed.arrive(Packet::new(question));
        let ours = our_address(true);
        let source_link = Some(frame::mac_of(host));
        let question = ndp::Repr::Solicitation { target: ours.to_v6(), source_link };
        bed.arrive(Packet::new(peer::nd_message(host, ours, &question)));
    }
}

/// Opens what the bits of `states` name. `variant` says by which family, with which options.
pub(crate) fn open(bed: &mut Bed, states: u16, variant: u8) {
    for bit in (0..16).filter(|bit| states >> bit & 1 == 1) {
        open_one(bed, bit, variant);
    }
}

fn open_one(bed: &mut Bed, bit: u8, variant: u8) {
    match bit {
        0 => {
            syn(bed, 80, variant);
        }
        1 => {
            handshake(bed, 80, variant);
        }
        2 => {
            // Data that the service leaves lying.
            let flow = handshake(bed, 80, variant);
            say(bed, flow, Flags::ACK, &[2; 300]);
        }
        3 => {
            let flow = handshake(bed, 82, variant);
            say(bed, flow, Flags::FIN | Flags::ACK, &[]);
        }
        4 => {
            let flow = handshake(bed, 87, variant);
            say(bed, flow, Flags::FIN | Flags::ACK, &[]);
        }
        5 => {
            handshake(bed, 86, variant);
        }
        6 => {
            let flow = handshake(bed, 86, variant);
            say(bed, flow, Flags::ACK, &[]);
        }
        7 => {
            let flow = handshake(bed, 86, variant);
            say_older(bed, flow, Flags::FIN | Flags::ACK);
        }
        8 => {
            let flow = handshake(bed, 86, variant);
            say(bed, flow, Flags::ACK, &[]);
            say(bed, flow, Flags::FIN | Flags::ACK, &[]);
        }
        9 => connect(bed, 1, variant),
        10 => {
            connect(bed, 3, variant);
            cross(bed, variant);
        }
        11 => connect(bed, 2, variant),
        12 => {
            handshake(bed, 83, variant);
        }
        13 => {
            // A hole in what was received.
            let flow = handshake(bed, 80, !variant);
            bed.peers.flows[flow].sent += 100;
            say(bed, flow, Flags::ACK, &[15; 50]);
        }
        14 => {
            // Closed by the service, with data in flight.
            let flow = handshake(bed, 83, variant);
            say(bed, flow, Flags::ACK, &[6]);
        }
        _ => {
            connect(bed, 3, !variant);
            answer_syn(bed);
        }
    }
}

fn is_v6(variant: u8) -> bool {
    variant & 0x80 != 0
}

/// Sends a SYN to `port`.
fn syn(bed: &mut Bed, port: u16, variant: u8) -> usize {
    let now = bed.now;
    let flow = bed.peers.open(variant & 1, is_v6(variant), port);
    let known = &mut bed.peers.flows[flow];
    let mut repr = known.header(Flags::SYN, now);
    repr.options = Flow::syn_options(1_460, variant & 0x7f, now);
    let bytes = known.segment(&repr, &[], &[]);
    bed.arrive(Packet::new(bytes));
    flow
}

fn handshake(bed: &mut Bed, port: u16, variant: u8) -> usize {
    let flow = syn(bed, port, variant);
    say(bed, flow, Flags::ACK, &[]);
    flow
}

/// Sends a segment with the true numbers.
pub(crate) fn say(bed: &mut Bed, flow: usize, flags: Flags, payload: &[u8]) {
    let known = &mut bed.peers.flows[flow];
    let repr = known.header(flags, bed.now);
    let bytes = known.segment(&repr, &[], payload);
    bed.arrive(Packet::new(bytes));
}

/// The same, but without acknowledging what was sent last.
fn say_older(bed: &mut Bed, flow: usize, flags: Flags) {
    let known = &mut bed.peers.flows[flow];
    let repr = known.header(flags, bed.now);
    let repr = Repr { ack: known.una, ..repr };
    let bytes = known.segment(&repr, &[], &[]);
    bed.arrive(Packet::new(bytes));
}

fn connect(bed: &mut Bed, host: u8, variant: u8) {
    let to = host | variant & 0x80;
    bed.with_service(|service, cx| service.connect(cx, to, 8_000 + u16::from(host), 2));
}

/// The last connection that the stack opened meets a SYN of the peer.
fn cross(bed: &mut Bed, variant: u8) {
    let now = bed.now;
    let Some(known) = bed.peers.flows.last_mut() else { return };
    let mut repr = known.header(Flags::SYN, now);
    repr.options = Flow::syn_options(1_460, variant & 0x7f, now);
    let bytes = known.segment(&repr, &[], &[]);
    bed.arrive(Packet::new(bytes));
}

fn answer_syn(bed: &mut Bed) {
    let now = bed.now;
    let Some(known) = bed.peers.flows.last_mut() else { return };
    let mut repr = known.header(Flags::SYN | Flags::ACK, now);
    repr.options = Flow::syn_options(1_300, 0x20, now);
    let bytes = known.segment(&repr, &[], &[]);
    bed.arrive(Packet::new(bytes));
}
