//! What leaves: headers written in front of data where it lies, and bursts to the queue pair.

use ip::{EchoOutcome, Envelope, HopIndex, LocalIndex, Report, Resolution};
use memory::Frame;
use nic::QueuePair;
use tcp::{Outgoing, Payload, Reply};
use wire::tcp::Repr;
use wire::{Address, protocol};

use crate::DatagramError;
use crate::context::Context;
use crate::core::{Core, Stack};
use crate::counters::DropReason;
use crate::limits::{DUE_PER_TURN, SEGMENTS_PER_TURN, TX_RESERVE};
use crate::service::{Datagram, Service};

/// A segment with its addresses, on its way to become a frame.
struct Departure<'a> {
    local: LocalIndex,
    remote: Address,
    hop: HopIndex,
    /// Whether the neighbour's address is known, so that the frame may leave at once.
    is_resolved: bool,
    repr: &'a Repr,
}

impl<Q: QueuePair> Stack<Q> {
    /// Sends what connections have to send, tells services of ended connections, and hands the
    /// burst to the queue pair.
    pub fn poll_egress(&mut self, service: &mut impl Service) {
        let mut budget = SEGMENTS_PER_TURN;
        while budget > 0 {
            if !self.has_room() {
                break;
            }
            let Some(dirty) = self.core.tcp.poll_dirty() else { break };
            if dirty.has_offer {
                self.core.offer(dirty.conn, service);
            }
            budget = budget.saturating_sub(1 + self.poll_connection(dirty.conn));
        }
        self.tell_ended(service);
        self.flush();
        if self.core.hand_over.is_some() {
            // Frames flow from the core that receives to the one that owns: what the device has
            // given back and nobody needs here goes home, where the receiver finds it.
            self.core.arena.exchange();
        }
    }

    /// Sends the segments of one connection; returns how many.
    fn poll_connection(&mut self, conn: tcp::Conn) -> usize {
        for sent in 0..tcp::limits::SEGMENTS_PER_POLL as usize {
            if !self.has_room() {
                self.core.tcp.put_off(conn);
                return sent;
            }
            let (tcp, mut cx) = self.core.tcp_cx();
            let Some(outgoing) = tcp.poll_segment(&mut cx, conn) else { return sent };
            self.core.send_segment(&outgoing);
        }
        self.core.tcp.put_off(conn);
        tcp::limits::SEGMENTS_PER_POLL as usize
    }

    /// Whether a segment may be polled: frames and backlog have room beyond their reserves.
    fn has_room(&mut self) -> bool {
        if self.core.tx.free() <= TX_RESERVE {
            self.flush();
        }
        self.core.tx.free() > TX_RESERVE && self.core.arena.has_free(1)
    }

    fn tell_ended(&mut self, service: &mut impl Service) {
        while let Some(ended) = self.core.tcp.poll_ended() {
            if ended.is_told {
                let mut cx = Context { core: &mut self.core };
                service.on_close(&mut cx, ended.conn, ended.reason);
            }
            self.core.tcp.release_ended();
        }
    }

    /// Whether something is left to be sent: the device was full, or the turn's share was used up.
    #[must_use]
    pub fn has_egress(&self) -> bool {
        !self.core.tx.is_empty() || self.core.tcp.has_dirty()
    }

    /// Hands the backlog to the queue pair, as much as it takes; collects completions besides.
    pub fn flush(&mut self) {
        self.queue.tx_burst(&mut self.core.arena, &mut self.core.tx);
    }
}

impl Core {
    /// Sends a segment without data that answers at once.
    pub(crate) fn send_reply(&mut self, reply: Option<Reply>) {
        let Some(Reply { tuple, hop, repr }) = reply else { return };
        let local = LocalIndex(tuple.local);
        let Some((hop, is_resolved)) = self.resolve(tuple.remote, hop) else { return };
        let departure = Departure { local, remote: tuple.remote, hop, is_resolved, repr: &repr };
        self.send_bare(&departure);
    }

    fn send_segment(&mut self, outgoing: &Outgoing) {
        let Outgoing { tuple, hop, index, ref repr, payload } = *outgoing;
        let Some((found, is_resolved)) = self.resolve(tuple.remote, hop) else { return };
        if found.0 != hop {
            self.tcp.set_hop(index, found.0);
        }
        let local = LocalIndex(tuple.local);
        let departure = Departure { local, remote: tuple.remote, hop: found, is_resolved, repr };
        match payload {
            None => self.send_bare(&departure),
            Some(payload) => self.send_data(&departure, payload),
        }
    }

    /// The neighbour to send through, and whether its address is known yet.
    fn resolve(&mut self, remote: Address, hint: u16) -> Option<(HopIndex, bool)> {
        match self.ip.resolve(remote, HopIndex(hint), self.now) {
            Resolution::Known(hop) => Some((hop, true)),
            Resolution::Wait(hop) => Some((hop, false)),
            Resolution::Unreachable(_) => {
                self.counters.drop_for(DropReason::Unreachable);
                None
            }
        }
    }

    fn send_bare(&mut self, departure: &Departure<'_>) {
        let len = self.ip.headers_len(departure.remote) + departure.repr.header_len();
        let Some(mut frame) = self.arena.allocate_reserved() else {
            self.counters.drop_for(DropReason::NoFrame);
            return;
        };
        self.arena.extend_front(&mut frame, len.min(self.arena.headroom()));
        let bytes = self.arena.bytes_mut(&mut frame);
        write_headers(&self.ip, bytes, departure);
        self.depart(frame, departure.hop, departure.is_resolved);
    }

    /// Sends data from where it lies if the bytes in front of it are free and nobody else reads
    /// the frame; otherwise from a copy, which is counted.
    fn send_data(&mut self, departure: &Departure<'_>, payload: Payload) {
        let Payload { bytes: mut data, is_front_free } = payload;
        let headers_len = self.ip.headers_len(departure.remote) + departure.repr.header_len();
        let has_front = is_front_free && usize::from(data.offset) >= headers_len;
        if has_front && departure.is_resolved && self.arena.stowed_is_unshared(data) {
            data.extend_front(headers_len);
            if let Some(bytes) = self.arena.stowed_bytes_mut(data) {
                write_headers(&self.ip, bytes, departure);
                let frame = self.arena.share_stowed(data);
                self.depart(frame, departure.hop, departure.is_resolved);
                return;
            }
        }
        let Some(mut frame) = self.arena.allocate() else {
            self.counters.drop_for(DropReason::NoFrame);
            return;
        };
        let len = usize::from(data.len);
        self.arena.set_len(&mut frame, len);
        let (source, target) = self.arena.stowed_bytes_pair(data, &mut frame);
        target.copy_from_slice(source);
        self.counters.bytes_copied_again += len as u64;
        self.arena.extend_front(&mut frame, headers_len);
        let bytes = self.arena.bytes_mut(&mut frame);
        write_headers(&self.ip, bytes, departure);
        self.depart(frame, departure.hop, departure.is_resolved);
    }

    /// Sends a frame, or lets it wait for its neighbour's address.
    pub(crate) fn depart(&mut self, frame: Frame, hop: HopIndex, is_resolved: bool) {
        if is_resolved {
            self.push(frame);
            return;
        }
        let stowed = self.arena.stow(frame);
        if let Some(refused) = self.ip.park(hop, stowed) {
            self.undelivered(refused, EchoOutcome::Displaced);
            self.counters.drop_for(DropReason::ParkedFull);
        }
    }

    /// Puts a frame into the transmit backlog.
    pub(crate) fn push(&mut self, frame: Frame) {
        match self.tx.push(frame) {
            Ok(()) => self.counters.packets_out += 1,
            Err(frame) => {
                self.arena.free(frame);
                self.counters.drop_for(DropReason::BacklogFull);
            }
        }
    }

    /// Sends what waited for a neighbour that has answered; frees what waited in vain.
    pub(crate) fn send_released(&mut self) {
        for _ in 0..DUE_PER_TURN {
            let Some((hop, stowed)) = self.ip.poll_released() else { break };
            match stowed {
                ip::Released::Send(stowed) => {
                    let mut frame = self.arena.unstow(stowed);
                    self.ip.set_destination(self.arena.bytes_mut(&mut frame), hop);
                    self.push(frame);
                }
                ip::Released::Failed(stowed) => {
                    self.undelivered(stowed, EchoOutcome::NeighbourFailed);
                    self.counters.drop_for(DropReason::Unreachable);
                }
            }
        }
    }

    /// Sends what the neighbour cache has to ask or to announce.
    pub(crate) fn send_control(&mut self) {
        self.send_released();
        for _ in 0..DUE_PER_TURN {
            if self.ip.next_deadline().is_none_or(|deadline| deadline > self.now) {
                break;
            }
            let Some(mut frame) = self.arena.allocate_reserved() else {
                self.counters.drop_for(DropReason::NoFrame);
                break;
            };
            let room = self.arena.tailroom(&frame);
            self.arena.set_len(&mut frame, room);
            let len = self.ip.poll_transmit(self.arena.bytes_mut(&mut frame), self.now);
            match len {
                Some(len) => {
                    self.arena.set_len(&mut frame, len);
                    self.push(frame);
                }
                None => {
                    self.arena.free(frame);
                    break;
                }
            }
        }
    }

    /// Tells the sender of a packet by ICMP why it goes no further, if the rules allow it.
    pub(crate) fn send_report(&mut self, report: Report, offender: &Frame) {
        let Some(mut frame) = self.arena.allocate() else {
            self.counters.drop_for(DropReason::NoFrame);
            return;
        };
        let room = self.arena.tailroom(&frame);
        self.arena.set_len(&mut frame, room);
        let (quoted, target) = self.arena.bytes_pair(offender, &mut frame);
        match self.ip.write_icmp_error(report, quoted, target, self.now) {
            Some(len) => {
                self.arena.set_len(&mut frame, len);
                self.push(frame);
            }
            None => self.arena.free(frame),
        }
    }

    pub(crate) fn send_datagram(
        &mut self,
        datagram: &Datagram,
        bytes: &[u8],
    ) -> Result<(), DatagramError> {
        let headers_len = self.ip.headers_len(datagram.source) + udp::HEADER_LEN;
        let max = usize::from(self.ip.mtu()) + wire::ethernet::HEADER_LEN - headers_len;
        if bytes.len() > max {
            return Err(DatagramError::TooLong { len: bytes.len(), max });
        }
        let mut frame = self.arena.allocate().ok_or(DatagramError::ResourceRoom)?;
        self.arena.set_len(&mut frame, bytes.len());
        self.arena.bytes_mut(&mut frame).copy_from_slice(bytes);
        self.send_datagram_frame(datagram, frame)
    }

    /// Sends the bytes of an unshared frame as the answer to `datagram`.
    pub(crate) fn send_datagram_frame(
        &mut self,
        datagram: &Datagram,
        mut frame: Frame,
    ) -> Result<(), DatagramError> {
        let &Datagram { source: remote, source_port, local, local_port, hop } = datagram;
        let Some((hop, is_resolved)) = self.resolve(remote, hop) else {
            self.arena.free(frame);
            return Err(DatagramError::Unreachable);
        };
        let local = LocalIndex(local);
        let ip_len = self.ip.headers_len(remote);
        let envelope = Envelope { local, remote, hop, protocol: 0, transport_len: 0, ecn: 0 };
        self.arena.extend_front(&mut frame, ip_len + udp::HEADER_LEN);
        let source = self.ip.local_address(local);
        let bytes = self.arena.bytes_mut(&mut frame);
        self.udp.emit(&mut bytes[ip_len..], (local_port, source_port), source, remote);
        write_envelope(&self.ip, bytes, Envelope { protocol: protocol::UDP, ..envelope });
        frame.set_flags(0);
        self.depart(frame, hop, is_resolved);
        Ok(())
    }
}

/// Writes Ethernet, IP and TCP headers in front of the data that ends `bytes`.
fn write_headers(ip: &ip::Ip, bytes: &mut [u8], departure: &Departure<'_>) {
    let &Departure { local, remote, hop, is_resolved: _, repr } = departure;
    let segment = &mut bytes[ip.headers_len(remote)..];
    repr.emit(segment);
    wire::tcp::fill_checksum(segment, ip.local_address(local), remote);
    let protocol = protocol::TCP;
    write_envelope(ip, bytes, Envelope { local, remote, hop, protocol, transport_len: 0, ecn: 0 });
}

/// Writes Ethernet and IP headers in front of the transport that ends `bytes`.
fn write_envelope(ip: &ip::Ip, bytes: &mut [u8], envelope: Envelope) {
    let len = bytes.len() - ip.headers_len(envelope.remote);
    let transport_len = u16::try_from(len).expect("a frame has at most 4096 bytes");
    ip.encapsulate(bytes, &Envelope { transport_len, ..envelope });
}
