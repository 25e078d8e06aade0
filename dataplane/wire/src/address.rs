//! Addresses: one type for IPv4 and IPv6, and Ethernet's.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// The upper 96 bits of an IPv4-mapped address, `::ffff:0:0/96` (RFC 4291 2.5.5.2).
const V4_MAPPED: u128 = 0xffff << 32;

/// An IPv4 or IPv6 address in 16 bytes; IPv4 lies in its IPv4-mapped form.
///
/// One plain integer instead of an enum: a connection record holds one of these and compares it in
/// one instruction or two, and both protocols share every table. The value is the address read as
/// one big-endian number, so that order is the order of the octets. A *real* IPv6 packet with an
/// IPv4-mapped address would be mistaken for IPv4, so `ip` drops such packets (they are never
/// allowed on the wire).
///
/// ```
/// use wire::Address;
/// let address = Address::from(core::net::Ipv4Addr::new(192, 0, 2, 1));
/// assert!(address.is_v4());
/// assert_eq!(address.to_string(), "192.0.2.1");
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address(u128);

impl Address {
    /// The unspecified IPv6 address, `::`.
    pub const UNSPECIFIED_V6: Self = Self(0);
    /// The unspecified IPv4 address, `0.0.0.0`.
    pub const UNSPECIFIED_V4: Self = Self(V4_MAPPED);
    /// The limited broadcast address, `255.255.255.255`.
    pub const BROADCAST: Self = Self(V4_MAPPED | 0xffff_ffff);

    /// The address whose 16 octets, in network order, are these.
    #[inline]
    #[must_use]
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(octets))
    }

    /// The address with this value, as [`Address::to_bits`] gives it.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The IPv4 address whose four octets, in network order, are these.
    #[inline]
    #[must_use]
    pub const fn from_v4_octets(octets: [u8; 4]) -> Self {
        // `from` is not const, and a `u32` always fits.
        Self(V4_MAPPED | u32::from_be_bytes(octets) as u128)
    }

    /// The 16 octets in network order.
    #[inline]
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The four octets of an IPv4 address; of an IPv6 address, its last four.
    #[inline]
    #[must_use]
    pub const fn v4_octets(self) -> [u8; 4] {
        let [.., a, b, c, d] = self.0.to_be_bytes();
        [a, b, c, d]
    }

    /// The octets read as one big-endian number.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u128 {
        self.0
    }

    /// The address as the standard library has it.
    #[inline]
    #[must_use]
    pub const fn to_ip(self) -> IpAddr {
        match self.to_v4() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(self.to_v6()),
        }
    }

    /// The IPv4 address, if it is one.
    #[inline]
    #[must_use]
    pub const fn to_v4(self) -> Option<Ipv4Addr> {
        if self.is_v4() {
            let [a, b, c, d] = self.v4_octets();
            Some(Ipv4Addr::new(a, b, c, d))
        } else {
            None
        }
    }

    /// The address as IPv6; an IPv4 address in its IPv4-mapped form.
    #[inline]
    #[must_use]
    pub const fn to_v6(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.0)
    }

    /// Whether this is an IPv4 address.
    #[inline]
    #[must_use]
    pub const fn is_v4(self) -> bool {
        self.0 >> 32 == V4_MAPPED >> 32
    }

    /// Whether this is an IPv6 address.
    #[inline]
    #[must_use]
    pub const fn is_v6(self) -> bool {
        !self.is_v4()
    }

    /// Whether this is `224.0.0.0/4` or `ff00::/8`.
    #[inline]
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        if self.is_v4() { self.v4_octets()[0] >> 4 == 0xe } else { self.0 >> 120 == 0xff }
    }

    /// Whether this is `0.0.0.0` or `::`.
    #[inline]
    #[must_use]
    pub const fn is_unspecified(self) -> bool {
        self.0 == 0 || self.0 == V4_MAPPED
    }

    /// Whether this is in `127.0.0.0/8` or is `::1`.
    #[inline]
    #[must_use]
    pub const fn is_loopback(self) -> bool {
        self.0 == 1 || (self.is_v4() && self.v4_octets()[0] == 127)
    }

    /// Whether this is the limited broadcast address, `255.255.255.255`. A subnet's own broadcast
    /// address can be known only where the prefix is.
    #[inline]
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        self.0 == Self::BROADCAST.0
    }

    /// Whether this is in `169.254.0.0/16` or `fe80::/10`.
    #[inline]
    #[must_use]
    pub const fn is_link_local(self) -> bool {
        if self.is_v4() {
            self.0 & 0xffff_0000 == 0xa9fe_0000
        } else {
            self.0 >> 118 == 0xfe80 >> 6
        }
    }

    /// Whether one host can be named by this address: not unspecified, multicast, broadcast or
    /// loopback.
    #[inline]
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        !(self.is_unspecified() || self.is_multicast() || self.is_broadcast() || self.is_loopback())
    }
}

impl From<Ipv4Addr> for Address {
    #[inline]
    fn from(address: Ipv4Addr) -> Self {
        Self::from_v4_octets(address.octets())
    }
}

impl From<Ipv6Addr> for Address {
    #[inline]
    fn from(address: Ipv6Addr) -> Self {
        Self(address.to_bits())
    }
}

impl From<IpAddr> for Address {
    #[inline]
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => v6.into(),
        }
    }
}

impl FromStr for Address {
    type Err = core::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<IpAddr>().map(Self::from)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_ip(), f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_ip(), f)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Every station.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No station; in ARP, "not known".
    pub const ZERO: Self = Self([0; 6]);

    /// Whether the group bit is set; broadcast is a multicast address too.
    #[inline]
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether this is the broadcast address.
    #[inline]
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        matches!(self.0, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    }

    /// Whether this can be the address of one station: neither a group nor zero.
    #[inline]
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        !self.is_multicast() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// The group address to which packets for the multicast address `group` are sent.
    ///
    /// `01:00:5e` and 23 bits of an IPv4 group; `33:33` and 32 bits of an IPv6 one.
    //= https://www.rfc-editor.org/rfc/rfc1112#section-6.4
    //# placing the low-order 23-bits of the IP address into the low-order 23 bits
    //= https://www.rfc-editor.org/rfc/rfc2464#section-7
    //# the first two octets are the value 3333 hexadecimal
    #[must_use]
    pub const fn for_multicast(group: Address) -> Self {
        let [a, b, c, d] = group.v4_octets();
        if group.is_v4() {
            Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        } else {
            Self([0x33, 0x33, a, b, c, d])
        }
    }
}

/// The text is not six pairs of hexadecimal digits with colons or hyphens between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a MAC address is six pairs of hexadecimal digits, such as 02:00:00:00:00:01")]
pub struct ParseMacError;

impl FromStr for MacAddress {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let mut octets = [0; 6];
        let mut pairs = text.split([':', '-']);
        for octet in &mut octets {
            let pair = pairs.next().ok_or(ParseMacError)?;
            let is_hex = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            if !is_hex {
                return Err(ParseMacError);
            }
            *octet = u8::from_str_radix(pair, 16).or(Err(ParseMacError))?;
        }
        if pairs.next().is_some() { Err(ParseMacError) } else { Ok(Self(octets)) }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().expect("a literal")
    }

    #[test]
    fn text_and_octets_round_trip_in_both_families() {
        for text in ["192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::42"] {
            let parsed = address(text);
            assert_eq!(parsed.to_string(), text);
            assert_eq!(Address::from_octets(parsed.octets()), parsed);
            assert_eq!(Address::from(parsed.to_ip()), parsed);
            assert_eq!(Address::from_bits(parsed.to_bits()), parsed);
        }
    }

    #[test]
    fn an_address_knows_its_kind() {
        type Kind = fn(Address) -> bool;
        let kinds: [(Kind, &[&str], &[&str]); 6] = [
            (Address::is_v4, &["1.2.3.4", "0.0.0.0"], &["::", "::1", "::1.2.3.4", "2001:db8::"]),
            (
                Address::is_multicast,
                &["224.0.0.1", "239.255.255.255", "ff02::1"],
                &["223.255.255.255", "240.0.0.0", "fe80::1", "::ffff:0"],
            ),
            (Address::is_unspecified, &["0.0.0.0", "::"], &["::1", "0.0.0.1"]),
            (Address::is_loopback, &["127.0.0.1", "127.9.9.9", "::1"], &["128.0.0.1", "::2"]),
            (Address::is_broadcast, &["255.255.255.255"], &["255.255.255.254", "ffff::"]),
            (
                Address::is_link_local,
                &["169.254.1.1", "fe80::1", "febf::1"],
                &["169.253.1.1", "fec0::1", "::169.254.1.1", "10.0.169.254"],
            ),
        ];
        for (is, yes, no) in kinds {
            for text in yes {
                assert!(is(address(text)), "{text}");
            }
            for text in no {
                assert!(!is(address(text)), "{text}");
            }
        }
    }

    #[test]
    fn a_mac_address_reads_what_it_writes() {
        let mac = MacAddress([2, 0, 0xab, 0xcd, 0, 0xff]);
        assert_eq!(mac.to_string(), "02:00:ab:cd:00:ff");
        assert_eq!("02:00:ab:cd:00:ff".parse(), Ok(mac));
        assert_eq!("02-00-AB-CD-00-FF".parse(), Ok(mac));
        for wrong in
            ["", "02:00:ab:cd:00", "02:00:ab:cd:00:ff:01", "+2:00:ab:cd:00:ff", "zz:00:ab:cd:00:ff"]
        {
            assert_eq!(wrong.parse::<MacAddress>(), Err(ParseMacError), "{wrong}");
        }
    }

    #[test]
    fn a_group_has_its_mac_address() {
        assert_eq!(
            MacAddress::for_multicast(address("239.129.2.3")).to_string(),
            "01:00:5e:01:02:03"
        );
        assert_eq!(
            MacAddress::for_multicast(address("ff02::1:ff12:3456")).to_string(),
            "33:33:ff:12:34:56"
        );
    }
}
