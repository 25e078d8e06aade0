//! IPv6 and `ICMPv6`.

use core::net::Ipv6Addr;

use base::Instant;
use wire::ipv6::ExtensionError;
use wire::{Address, icmpv6, ipv6, ndp, protocol};

use super::{Ends, Ingress, Packet, Station};
use crate::Ip;
use crate::addresses::Kind;
use crate::counters::DropReason;
use crate::icmp::{EndsV6, IP_OFFSET, Report, quoted_v6, turn_station, write_v6};

/// An `ICMPv6` message as it lies in its frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) hop_limit: u8,
    pub(super) ends: Ends,
}

impl Ip {
    #[inline]
    pub(super) fn handle_v6(
        &mut self,
        bytes: &mut [u8],
        station: Station,
        now: Instant,
    ) -> Ingress {
        let Ok(packet) = ipv6::Packet::parse(&bytes[IP_OFFSET..]) else {
            return Ingress::Drop(DropReason::Ipv6Malformed);
        };
        let source = Address::from(packet.source());
        let destination = Address::from(packet.destination());
        //= https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2
        //# used to represent the addresses of IPv4 nodes as IPv6 addresses
        if source.is_v4() || destination.is_v4() {
            return Ingress::Drop(DropReason::SourceMartian);
        }
        let (local, kind) = match self.judge_ends(source, destination, station) {
            Ok(found) => found,
            Err(reason) => return Ingress::Drop(reason),
        };
        let upper = match packet.upper() {
            Ok(upper) => upper,
            Err(error) => return self.handle_extension_error(error),
        };
        if upper.fragment.is_some() {
            return Ingress::Drop(DropReason::Ipv6Fragment);
        }
        let offset = IP_OFFSET + ipv6::HEADER_LEN + upper.offset;
        let len = packet.payload().len() - upper.offset;
        let ecn = packet.ecn();
        if upper.protocol == protocol::ICMPV6 {
            let ends = Ends { source, destination, kind };
            let message = Message { offset, len, hop_limit: packet.hop_limit(), ends };
            let ingress = self.handle_icmpv6(bytes, message, station, now);
            return ingress.unwrap_or_else(Ingress::Drop);
        }
        if source.is_unspecified() {
            return Ingress::Drop(DropReason::SourceMartian);
        }
        if upper.protocol == protocol::NO_NEXT_HEADER {
            return Ingress::Consumed;
        }
        Ingress::Transport(Packet {
            source,
            destination,
            local,
            protocol: upper.protocol,
            offset,
            len,
            hop: self.hint_for(source),
            ecn,
            is_broadcast: false,
            is_multicast: kind == Kind::Multicast,
        })
    }

    fn handle_extension_error(&mut self, error: ExtensionError) -> Ingress {
        match error {
            ExtensionError::Report { code, pointer, even_if_multicast } => {
                self.counters.count_drop(DropReason::Ipv6Extension);
                Ingress::Report(Report::ParameterProblem { code, pointer, even_if_multicast })
            }
            ExtensionError::Truncated | ExtensionError::TooMany | ExtensionError::Discard => {
                Ingress::Drop(DropReason::Ipv6Extension)
            }
        }
    }

    fn handle_icmpv6(
        &mut self,
        bytes: &mut [u8],
        message: Message,
        station: Station,
        now: Instant,
    ) -> Result<Ingress, DropReason> {
        let Message { offset, len, ends, .. } = message;
        let (source, destination) = (ends.source.to_v6(), ends.destination.to_v6());
        let (repr, head_len) =
            icmpv6::Repr::parse(&bytes[offset..offset + len], source, destination)
                .or(Err(DropReason::IcmpMalformed))?;
        match repr {
            icmpv6::Repr::Other {
                kind: ndp::NEIGHBOUR_SOLICITATION | ndp::NEIGHBOUR_ADVERTISEMENT,
                ..
            } => self.handle_nd(bytes, message, station, now),
            _ if source.is_unspecified() => Err(DropReason::SourceMartian),
            icmpv6::Repr::EchoRequest { ident, seq } => {
                let reply = icmpv6::Repr::EchoReply { ident, seq };
                self.turn_echo_v6(bytes, message, reply)
            }
            icmpv6::Repr::DestinationUnreachable { .. }
            | icmpv6::Repr::PacketTooBig { .. }
            | icmpv6::Repr::TimeExceeded { .. }
            | icmpv6::Repr::ParameterProblem { .. } => {
                let message_end = &bytes[..offset + len];
                let at = offset + head_len;
                let error = quoted_v6(repr, ends.source, message_end, at, &self.addresses)?;
                self.hear_echo_error(&error, message_end, now);
                Ok(Ingress::Error(error))
            }
            icmpv6::Repr::EchoReply { ident, seq } => {
                let seen = (len - head_len, message.hop_limit);
                self.hear_echo_reply(ends.source, (ident, seq), seen, now)?;
                Ok(Ingress::Consumed)
            }
            icmpv6::Repr::Other { .. } => Err(DropReason::IcmpUnused),
        }
    }

    /// Turns the request into its reply; its extension headers, if it has any, are left out.
    //= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
    //# An Echo Reply SHOULD be sent in response to an Echo Request message sent to an IPv6 multicast
    fn turn_echo_v6(
        &mut self,
        bytes: &mut [u8],
        message: Message,
        reply: icmpv6::Repr,
    ) -> Result<Ingress, DropReason> {
        let Message { offset, len, ends, .. } = message;
        let source = match ends.kind {
            Kind::Unicast => ends.destination,
            Kind::Broadcast | Kind::Multicast => {
                let local = self.source_for(ends.source).ok_or(DropReason::EchoBroadcast)?;
                self.addresses.at(local)
            }
        };
        self.counters.echo_replies += 1;
        bytes.copy_within(offset..offset + len, IP_OFFSET + ipv6::HEADER_LEN);
        turn_station(bytes, self.mac);
        let turned = EndsV6 { source: source.to_v6(), destination: ends.source.to_v6() };
        Ok(Ingress::Reply { len: write_v6(bytes, turned, reply, len) })
    }
}

/// All nodes of the link, as IPv6 has it.
pub(super) const ALL_NODES: Ipv6Addr = crate::addresses::ALL_NODES_V6.to_v6();
