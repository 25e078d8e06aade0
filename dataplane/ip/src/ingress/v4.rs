//! IPv4 and ICMP.

use base::Instant;
use wire::{ParseError, icmpv4, ipv4, protocol};

use super::{Ends, Ingress, Packet, Station};
use crate::Ip;
use crate::addresses::Kind;
use crate::counters::DropReason;
use crate::icmp::{EndsV4, IP_OFFSET, quoted_v4, turn_station, write_v4};

impl Ip {
    #[inline]
    pub(super) fn handle_v4(
        &mut self,
        bytes: &mut [u8],
        station: Station,
        now: Instant,
    ) -> Ingress {
        let packet = match ipv4::Packet::parse(&bytes[IP_OFFSET..]) {
            Ok(packet) => packet,
            Err(error) => return Ingress::Drop(reason(error)),
        };
        let (source, destination) = (packet.source().into(), packet.destination().into());
        let (local, kind) = match self.judge_ends(source, destination, station) {
            Ok(found) => found,
            Err(reason) => return Ingress::Drop(reason),
        };
        if packet.is_fragment() {
            return Ingress::Drop(DropReason::Ipv4Fragment);
        }
        let header_len = packet.header_len();
        //= https://www.rfc-editor.org/rfc/rfc7126#section-4.3
        //# drop packets that contain an LSRR option
        if header_len > ipv4::HEADER_LEN && packet.has_source_route() {
            return Ingress::Drop(DropReason::Ipv4SourceRoute);
        }
        let (offset, len) = (IP_OFFSET + header_len, packet.payload().len());
        let (protocol, ecn) = (packet.protocol(), packet.ecn());
        if protocol == protocol::ICMP {
            let ends = Ends { source, destination, kind };
            let message = (offset, len);
            return self.handle_icmpv4(bytes, message, ends, now).unwrap_or_else(Ingress::Drop);
        }
        Ingress::Transport(Packet {
            source,
            destination,
            local,
            protocol,
            offset,
            len,
            hop: self.hint_for(source),
            ecn,
            is_broadcast: kind == Kind::Broadcast,
            is_multicast: kind == Kind::Multicast,
        })
    }

    /// Handles the ICMP message in `bytes[offset..offset + len]`.
    fn handle_icmpv4(
        &mut self,
        bytes: &mut [u8],
        (offset, len): (usize, usize),
        ends: Ends,
        now: Instant,
    ) -> Result<Ingress, DropReason> {
        let message = &bytes[offset..offset + len];
        let (repr, head_len) = icmpv4::Repr::parse(message).or(Err(DropReason::IcmpMalformed))?;
        match repr {
            icmpv4::Repr::EchoRequest { ident, seq } => {
                //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
                //# An ICMP Echo Request destined to an IP broadcast or IP multicast address MAY be
                //# silently discarded.
                if ends.kind != Kind::Unicast {
                    return Err(DropReason::EchoBroadcast);
                }
                let reply = icmpv4::Repr::EchoReply { ident, seq };
                let frame_len = self.turn_echo_v4(bytes, offset, len, ends, reply);
                Ok(Ingress::Reply { len: frame_len })
            }
            icmpv4::Repr::DestinationUnreachable { .. }
            | icmpv4::Repr::FragmentationNeeded { .. }
            | icmpv4::Repr::TimeExceeded { .. }
            | icmpv4::Repr::ParameterProblem { .. } => {
                let message_end = &bytes[..offset + len];
                let at = offset + head_len;
                let error = quoted_v4(repr, ends.source, message_end, at, &self.addresses)?;
                self.hear_echo_error(&error, message_end, now);
                Ok(Ingress::Error(error))
            }
            icmpv4::Repr::EchoReply { ident, seq } => {
                let seen = (len - head_len, bytes[IP_OFFSET + 8]);
                self.hear_echo_reply(ends.source, (ident, seq), seen, now)?;
                Ok(Ingress::Consumed)
            }
            icmpv4::Repr::Other { .. } => Err(DropReason::IcmpUnused),
        }
    }

    /// Turns the request at `offset` into its reply; its options, if it has any, are left out.
    fn turn_echo_v4(
        &mut self,
        bytes: &mut [u8],
        offset: usize,
        len: usize,
        ends: Ends,
        reply: icmpv4::Repr,
    ) -> usize {
        self.counters.echo_replies += 1;
        //= https://www.rfc-editor.org/rfc/rfc1349#section-5.1
        //# An ICMP reply message is sent with the same value in the TOS field
        let traffic_class = bytes[IP_OFFSET + 1] & !3;
        bytes.copy_within(offset..offset + len, IP_OFFSET + ipv4::HEADER_LEN);
        turn_station(bytes, self.mac);
        let source = ends.destination.v4_octets().into();
        let destination = ends.source.v4_octets().into();
        write_v4(bytes, EndsV4 { source, destination }, traffic_class, reply, len)
    }
}

/// Which reason a header that was refused counts as.
fn reason(error: ParseError) -> DropReason {
    match error {
        ParseError::BadChecksum => DropReason::Ipv4Checksum,
        ParseError::Truncated
        | ParseError::BadLength
        | ParseError::BadVersion
        | ParseError::BadOption
        | ParseError::BadField => DropReason::Ipv4Malformed,
    }
}
