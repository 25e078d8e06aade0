//! A burst on its way up: parsed and prefetched as a whole, then handled one by one.

use base::CoreId;
use ip::{HopIndex, Ingress, Packet, Report};
use memory::Frame;
use nic::{QueuePair, flags};
use tcp::{Arrival, Conn, Due, Outcome, Tuple};
use wire::{checksum, protocol};

use crate::context::Context;
use crate::core::{Core, Stack};
use crate::counters::DropReason;
use crate::hand_over::HandOver;
use crate::limits::DUE_PER_TURN;
use crate::service::{Data, Datagram, Service};

/// A TCP segment that has been parsed and waits for its record to arrive from memory.
#[derive(Debug)]
pub(crate) struct Pending {
    arrival: Arrival,
    /// The data alone.
    payload: Frame,
}

impl<Q: QueuePair> Stack<Q> {
    /// Receives one burst, to be handled next; returns how many frames it has.
    pub fn receive(&mut self, now: base::Instant) -> usize {
        self.core.now = now;
        self.queue.set_now(now);
        self.queue.rx_burst(&mut self.core.arena, &mut self.rx)
    }

    /// Handles the burst that was received: what this core owns here, the rest at its owner.
    pub fn handle_burst(&mut self, service: &mut impl Service) {
        if self.rx.is_empty() {
            return;
        }
        self.core.counters.bursts_in += 1;
        let mut is_scattered = false;
        while let Some(frame) = self.rx.pop_front() {
            let continues = flags::continues(&frame);
            if continues || is_scattered {
                // The count is of packets: the last frame of each.
                if !continues {
                    self.core.counters.packets_in += 1;
                    self.core.counters.drop_for(DropReason::Scattered);
                }
                is_scattered = continues;
                self.core.arena.free(frame);
                continue;
            }
            self.core.counters.packets_in += 1;
            if let Some(pending) = self.core.parse(frame, service) {
                self.core.tcp.prefetch_bucket(pending.arrival.hash);
                self.pending.push(pending);
            }
        }
        self.handle_pending(service);
        // An answer of a neighbour may have come: a core that goes to sleep now would keep what
        // waited for it.
        self.core.send_released();
        let Core { hand_over, arena, counters, .. } = &mut self.core;
        if let Some(hand_over) = hand_over {
            hand_over.flush(arena, counters);
        }
    }

    /// Handles what other cores have received for this one, at most a burst; returns how much.
    pub fn take_over(&mut self, service: &mut impl Service) -> usize {
        let Core { hand_over, arena, ip, now, counters, .. } = &mut self.core;
        let Some(hand_over) = hand_over else { return 0 };
        let taken = hand_over.take(arena, ip, *now, &mut self.rx, counters);
        if taken == 0 {
            return 0;
        }
        while let Some(frame) = self.rx.pop_front() {
            if let Some(pending) = self.core.parse_taken_over(frame) {
                self.core.tcp.prefetch_bucket(pending.arrival.hash);
                self.pending.push(pending);
            }
        }
        self.handle_pending(service);
        self.core.send_released();
        taken
    }

    /// Handles the segments of a burst, whose records are on their way from memory. It is called in
    /// two places, and one of them is the way of every packet.
    #[inline(always)]
    fn handle_pending(&mut self, service: &mut impl Service) {
        for pending in &self.pending {
            self.core.tcp.prefetch_record(pending.arrival.hash);
        }
        for pending in &self.pending {
            self.core.tcp.prefetch_extension(pending.arrival.hash);
        }
        let Self { core, pending, .. } = self;
        for Pending { arrival, payload } in pending.drain(..) {
            let (tcp, mut cx) = core.tcp_cx();
            let outcome = tcp.handle_segment(&mut cx, &arrival, payload);
            if outcome.has_progress {
                core.ip.confirm(HopIndex(arrival.hop), core.now);
            }
            core.act(outcome, service);
        }
    }

    /// Handles what time has brought about: TCP's timers, the service's, and the neighbours'.
    pub fn handle_time(&mut self, now: base::Instant, service: &mut impl Service) {
        self.core.now = now;
        for _ in 0..DUE_PER_TURN {
            let (tcp, mut cx) = self.core.tcp_cx();
            match tcp.poll_due(&mut cx) {
                None => break,
                Some(Due::Handled) => {}
                Some(Due::Reply(reply)) => self.core.send_reply(Some(reply)),
                Some(Due::Writable(conn)) => {
                    service.on_writable(&mut Context { core: &mut self.core }, conn);
                }
                Some(Due::Idle(conn)) => {
                    service.on_idle(&mut Context { core: &mut self.core }, conn);
                }
            }
        }
        for _ in 0..DUE_PER_TURN {
            let Some(key) = self.core.timers.poll(now) else { break };
            service.on_timer(&mut Context { core: &mut self.core }, key);
        }
        self.core.send_control();
    }

    /// Lets the service run its share of the turn.
    pub fn handle_turn(&mut self, service: &mut impl Service) {
        service.on_turn(&mut Context { core: &mut self.core });
    }

    /// Runs `act` with the context of a turn at `now`: for what begins from outside.
    pub fn with_context<R>(
        &mut self,
        now: base::Instant,
        act: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        self.core.now = now;
        act(&mut Context { core: &mut self.core })
    }
}

impl Core {
    /// Looks at one packet: answers what needs no connection, hands datagrams to the service, and
    /// returns a TCP segment for the second look.
    fn parse(&mut self, mut frame: Frame, service: &mut impl Service) -> Option<Pending> {
        let is_verified = frame.flags() & flags::CHECKSUM_VERIFIED != 0;
        match self.ip.handle_frame(self.arena.bytes_mut(&mut frame), self.now) {
            Ingress::Transport(packet) => match packet.protocol {
                protocol::TCP => match self.other_owner(&frame, &packet) {
                    None => return self.parse_tcp(frame, &packet, is_verified),
                    Some(owner) => self.hand_over(owner, frame),
                },
                protocol::UDP => self.handle_udp(frame, &packet, is_verified, service),
                _ => {
                    self.counters.drop_for(DropReason::ProtocolUnknown);
                    self.send_report(Report::ProtocolUnreachable, &frame);
                    self.arena.free(frame);
                }
            },
            Ingress::Report(report) => {
                self.send_report(report, &frame);
                self.arena.free(frame);
            }
            Ingress::Reply { len } => {
                self.arena.set_len(&mut frame, len);
                frame.set_flags(0);
                self.push(frame);
            }
            // An error about a packet of ours names a flow, and would go to that flow's owner; so
            // far TCP has no use for it.
            Ingress::Error(_) | Ingress::Consumed | Ingress::Drop(_) => self.arena.free(frame),
        }
        if let Some(hand_over) = &mut self.hand_over
            && let Some(heard) = self.ip.take_heard()
        {
            hand_over.tell(heard, &mut self.counters);
        }
        None
    }

    /// The core that owns the flow of a segment, if it is another one. A frame that is no segment
    /// of any flow is dropped where it arrived.
    #[inline(always)]
    fn other_owner(&self, frame: &Frame, packet: &Packet) -> Option<CoreId> {
        let hand_over = self.hand_over.as_ref()?;
        self.other_owner_among(hand_over, frame, packet)
    }

    #[inline(never)]
    fn other_owner_among(
        &self,
        hand_over: &HandOver,
        frame: &Frame,
        packet: &Packet,
    ) -> Option<CoreId> {
        if packet.is_multicast || packet.is_broadcast {
            return None;
        }
        let segment = &self.arena.bytes(frame)[packet.offset..packet.offset + packet.len];
        let &[a, b, c, d] = segment.first_chunk()?;
        let (source_port, own_port) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        hand_over.other_owner((packet.source, source_port), (packet.destination, own_port))
    }

    /// Lays a received packet aside for its owner.
    fn hand_over(&mut self, owner: CoreId, frame: Frame) {
        let frame = self.arena.detach(frame).expect("a received frame has one reference");
        let hand_over = self.hand_over.as_mut().expect("it has named the owner");
        hand_over.give(owner, frame);
        self.counters.rx_handed_over += 1;
    }

    /// Looks at a packet that another core has received. Whatever it is, it goes no further.
    fn parse_taken_over(&mut self, mut frame: Frame) -> Option<Pending> {
        let is_verified = frame.flags() & flags::CHECKSUM_VERIFIED != 0;
        let ingress = self.ip.handle_taken_over(self.arena.bytes_mut(&mut frame), self.now);
        let Ingress::Transport(packet) = ingress else {
            self.arena.free(frame);
            return None;
        };
        self.parse_tcp(frame, &packet, is_verified)
    }

    fn parse_tcp(
        &mut self,
        mut frame: Frame,
        packet: &Packet,
        is_verified: bool,
    ) -> Option<Pending> {
        let &Packet { source, destination, local, offset, len, hop, .. } = packet;
        let segment = &self.arena.bytes(&frame)[offset..offset + len];
        let reason = if packet.is_multicast || packet.is_broadcast {
            DropReason::TcpNotUnicast
        } else if !is_verified && !checksum::verify(source, destination, protocol::TCP, segment) {
            DropReason::TcpChecksum
        } else if let Ok((repr, header_len)) = wire::tcp::Repr::parse(segment) {
            let tuple = Tuple {
                remote: source,
                remote_port: repr.src_port,
                local_port: repr.dst_port,
                local: local.0,
            };
            let hash = self.tcp.flow_hash(&tuple);
            frame.trim_front(offset + header_len);
            frame.truncate(len - header_len);
            frame.set_flags(0);
            let arrival = Arrival { tuple, hash, hop: hop.0, repr };
            return Some(Pending { arrival, payload: frame });
        } else {
            DropReason::TcpMalformed
        };
        self.counters.drop_for(reason);
        self.arena.free(frame);
        None
    }

    fn handle_udp(
        &mut self,
        mut frame: Frame,
        packet: &Packet,
        is_verified: bool,
        service: &mut impl Service,
    ) {
        let &Packet { source, destination, local, offset, len, hop, .. } = packet;
        let bytes = &self.arena.bytes(&frame)[offset..offset + len];
        match self.udp.handle_datagram(source, destination, bytes, is_verified) {
            udp::Ingress::Deliver(header) => {
                let datagram = Datagram {
                    source,
                    source_port: header.src_port,
                    local: local.0,
                    local_port: header.dst_port,
                    hop: hop.0,
                };
                frame.trim_front(offset + udp::HEADER_LEN);
                frame.truncate(header.payload_len);
                let mut data = Data { frame: Some(frame) };
                service.on_datagram(&mut Context { core: self }, datagram, &mut data);
                if let Some(frame) = data.take() {
                    self.arena.free(frame);
                }
            }
            udp::Ingress::PortUnreachable => {
                self.send_report(Report::PortUnreachable, &frame);
                self.arena.free(frame);
            }
            udp::Ingress::Drop(_) => self.arena.free(frame),
        }
    }

    /// Tells the service what a segment has brought about, and sends what answers at once.
    pub(crate) fn act(&mut self, outcome: Outcome, service: &mut impl Service) {
        let Outcome {
            conn,
            opened,
            data,
            has_backlog,
            has_end,
            is_writable,
            has_progress: _,
            reply,
        } = outcome;
        self.send_reply(reply);
        let Some(conn) = conn else {
            debug_assert!(data.is_none(), "data belongs to a connection");
            return;
        };
        if opened && service.on_open(&mut Context { core: self }, conn).is_err() {
            let (tcp, mut cx) = self.tcp_cx();
            let reply = tcp.refuse_open(&mut cx, conn);
            self.send_reply(reply);
            if let Some(frame) = data {
                self.arena.free(frame);
            }
            return;
        }
        if let Some(frame) = data {
            self.deliver(conn, frame, service);
        }
        if has_backlog || has_end {
            self.offer(conn, service);
        }
        if is_writable {
            service.on_writable(&mut Context { core: self }, conn);
        }
    }

    /// Hands a frame to the service; false if it did not take all of it.
    fn deliver(&mut self, conn: Conn, frame: Frame, service: &mut impl Service) -> bool {
        if !self.tcp.is_read(conn) {
            // The service has closed in an earlier call of this segment.
            self.arena.free(frame);
            return false;
        }
        let len = frame.len();
        let mut data = Data { frame: Some(frame) };
        let taken = service.on_data(&mut Context { core: self }, conn, &mut data);
        let Some(mut rest) = data.take() else { return true };
        if taken >= len {
            self.arena.free(rest);
            return true;
        }
        rest.trim_front(taken);
        let (tcp, mut cx) = self.tcp_cx();
        tcp.put_back(&mut cx, conn, rest);
        false
    }

    /// Offers the backlog, and then the end, to the service.
    pub(crate) fn offer(&mut self, conn: Conn, service: &mut impl Service) {
        loop {
            let (tcp, mut cx) = self.tcp_cx();
            let Some(frame) = tcp.take_backlog(&mut cx, conn) else { break };
            if !self.deliver(conn, frame, service) {
                break;
            }
        }
        let (tcp, cx) = self.tcp_cx();
        tcp.after_read(&cx, conn);
        if tcp.take_end(conn) {
            service.on_end(&mut Context { core: self }, conn);
        }
    }
}
