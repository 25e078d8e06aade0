//! A datagram that has arrived, judged.

use wire::Address;
use wire::udp::{Datagram, HEADER_LEN, Repr, fill_checksum};

use crate::counters::{Counters, DropReason};
use crate::ports::{BindError, Ports};

/// What a delivered datagram's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's port.
    pub src_port: u16,
    /// Our port.
    pub dst_port: u16,
    /// Bytes of data behind the header.
    pub payload_len: usize,
}

/// What is to be done with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// It is for a bound port.
    Deliver(Header),
    /// Nobody is bound to the port: the sender may be told.
    PortUnreachable,
    /// It is dropped, and counted.
    Drop(DropReason),
}

/// UDP of one core.
#[derive(Debug)]
pub struct Udp {
    ports: Ports,
    counters: Counters,
}

impl Default for Udp {
    fn default() -> Self {
        Self::new()
    }
}

impl Udp {
    /// No port is bound.
    #[must_use]
    pub fn new() -> Self {
        Self { ports: Ports::new(), counters: Counters::default() }
    }

    /// Receives on `port`.
    ///
    /// # Errors
    /// The port is zero, bound already, or one too many.
    pub fn bind(&mut self, port: u16) -> Result<(), BindError> {
        self.ports.bind(port)
    }

    /// Gives a port back; whether it was bound. Datagrams to it are refused from then on.
    pub fn unbind(&mut self, port: u16) -> bool {
        self.ports.unbind(port)
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Judges `bytes`, the whole datagram from its header on; `is_verified` if the device has
    /// checked the checksum.
    pub fn handle_datagram(
        &mut self,
        source: Address,
        destination: Address,
        bytes: &[u8],
        is_verified: bool,
    ) -> Ingress {
        let verdict = self.judge(source, destination, bytes, is_verified);
        match verdict {
            Ingress::Deliver(_) => self.counters.delivered += 1,
            Ingress::PortUnreachable => self.counters.drop_for(DropReason::PortUnbound),
            Ingress::Drop(reason) => self.counters.drop_for(reason),
        }
        verdict
    }

    fn judge(
        &self,
        source: Address,
        destination: Address,
        bytes: &[u8],
        is_verified: bool,
    ) -> Ingress {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return Ingress::Drop(DropReason::Malformed);
        };
        //= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
        //# IPv6 receivers must discard UDP packets containing a zero checksum
        if !is_verified && !datagram.has_valid_checksum(source, destination) {
            return Ingress::Drop(DropReason::Checksum);
        }
        let Repr { src_port, dst_port, .. } = datagram.repr();
        if self.ports.has(dst_port) {
            let payload_len = datagram.payload().len();
            Ingress::Deliver(Header { src_port, dst_port, payload_len })
        } else {
            Ingress::PortUnreachable
        }
    }

    /// Writes the header of a datagram into its first [`HEADER_LEN`] bytes; the data follows it.
    ///
    /// # Panics
    /// If `bytes` is shorter than the header.
    pub fn emit(
        &mut self,
        bytes: &mut [u8],
        ports: (u16, u16),
        source: Address,
        destination: Address,
    ) {
        let (src_port, dst_port) = ports;
        let payload_len =
            u16::try_from(bytes.len() - HEADER_LEN).expect("a packet is below 64 KiB");
        Repr { src_port, dst_port, payload_len }.emit(bytes);
        fill_checksum(bytes, source, destination);
        self.counters.sent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Ingress, Udp};
    use crate::BindError;
    use crate::counters::DropReason;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use wire::Address;

    fn datagram(udp: &mut Udp, from: Address, to: Address, port: u16) -> Vec<u8> {
        let mut bytes = vec![0; 8 + 5];
        bytes[8..].copy_from_slice(b"hello");
        udp.emit(&mut bytes, (4_000, port), from, to);
        bytes
    }

    #[test]
    fn datagram_to_a_bound_port_is_delivered_and_another_is_unreachable() {
        for (from, to) in [
            (Address::from(Ipv4Addr::new(10, 0, 0, 1)), Address::from(Ipv4Addr::new(10, 0, 0, 2))),
            (Address::from(Ipv6Addr::LOCALHOST), Address::from(Ipv6Addr::LOCALHOST)),
        ] {
            let mut udp = Udp::new();
            udp.bind(7).unwrap();
            let bytes = datagram(&mut udp, from, to, 7);
            let header = Header { src_port: 4_000, dst_port: 7, payload_len: 5 };
            assert_eq!(udp.handle_datagram(from, to, &bytes, false), Ingress::Deliver(header));
            let other = datagram(&mut udp, from, to, 8);
            assert_eq!(udp.handle_datagram(from, to, &other, false), Ingress::PortUnreachable);
            assert_eq!(udp.counters().dropped(DropReason::PortUnbound), 1);
        }
    }

    #[test]
    fn damaged_datagrams_are_dropped_for_their_reason() {
        let (from, to) = (Address::from(Ipv6Addr::LOCALHOST), Address::from(Ipv6Addr::LOCALHOST));
        let mut udp = Udp::new();
        udp.bind(7).unwrap();
        let good = datagram(&mut udp, from, to, 7);
        let mut flipped = good.clone();
        flipped[9] ^= 1;
        let checksum = Ingress::Drop(DropReason::Checksum);
        assert_eq!(udp.handle_datagram(from, to, &flipped, false), checksum);
        let mut bare = good.clone();
        bare[6..8].fill(0);
        assert_eq!(udp.handle_datagram(from, to, &bare, false), checksum, "IPv6 needs a checksum");
        let malformed = Ingress::Drop(DropReason::Malformed);
        assert_eq!(udp.handle_datagram(from, to, &good[..7], false), malformed);
    }

    #[test]
    fn ports_are_bound_once() {
        let mut udp = Udp::new();
        udp.bind(53).unwrap();
        assert_eq!(udp.bind(53), Err(BindError::ConfigTaken(53)));
        assert_eq!(udp.bind(0), Err(BindError::ConfigPortZero));
    }
}
