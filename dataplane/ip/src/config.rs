//! What an [`crate::Ip`] is made from, and what can be wrong with it.

use core::fmt;
use core::str::FromStr;

use wire::{Address, MacAddress};

use crate::limits::{ADDRESSES_MAX, NEIGHBOURS_MAX, PARKED_MAX, ROUTES_MAX};

/// An address and how many of its leading bits name its network, such as `192.0.2.1/24`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Cidr {
    address: Address,
    prefix_len: u8,
}

impl Cidr {
    /// The address with this prefix length; `None` if that is above 32 (IPv4) or 128 (IPv6).
    #[must_use]
    pub const fn new(address: Address, prefix_len: u8) -> Option<Self> {
        let bits = if address.is_v4() { 32 } else { 128 };
        if prefix_len > bits { None } else { Some(Self { address, prefix_len }) }
    }

    /// The address.
    #[must_use]
    pub const fn address(self) -> Address {
        self.address
    }

    /// How many leading bits name the network, as the family counts them.
    #[must_use]
    pub const fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// Ones where an [`Address`] has the network's bits. An IPv4 network begins with the 96 bits of
    /// the IPv4-mapped form, so that it never holds an IPv6 address.
    #[must_use]
    pub(crate) fn mask(self) -> u128 {
        let mapped = if self.address.is_v4() { 96 } else { 0 };
        let host_bits = 128 - u32::from(self.prefix_len) - mapped;
        u128::MAX.checked_shl(host_bits).unwrap_or(0)
    }

    /// The network alone: the address with all bits of the host cleared.
    #[must_use]
    pub fn network(self) -> Self {
        let address = Address::from_bits(self.address.to_bits() & self.mask());
        Self { address, prefix_len: self.prefix_len }
    }

    /// Whether `address` is in the network. `::/0` holds every IPv6 address and no IPv4 address.
    #[must_use]
    pub fn contains(self, address: Address) -> bool {
        self.address.is_v4() == address.is_v4()
            && (self.address.to_bits() ^ address.to_bits()) & self.mask() == 0
    }

    /// The address of all hosts of an IPv4 network that has one.
    //= https://www.rfc-editor.org/rfc/rfc3021#section-2.1
    //# 31-bit prefixes
    #[must_use]
    pub fn broadcast(self) -> Option<Address> {
        let has_one = self.address.is_v4() && self.prefix_len <= 30;
        has_one.then(|| Address::from_bits(self.address.to_bits() | !self.mask()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// The text is not an address, a slash and a prefix length that the family has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a network is an address, a slash and a prefix length, such as 192.0.2.1/24")]
pub struct ParseCidrError;

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        let (address, prefix_len) = text.split_once('/').ok_or(ParseCidrError)?;
        let address = address.parse().or(Err(ParseCidrError))?;
        let prefix_len = prefix_len.parse().or(Err(ParseCidrError))?;
        Self::new(address, prefix_len).ok_or(ParseCidrError)
    }
}

/// One way to other hosts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RouteConfig {
    /// Which hosts.
    pub destination: Cidr,
    /// Through which neighbour; without one the hosts are neighbours themselves.
    pub gateway: Option<Address>,
}

/// What an [`crate::Ip`] is made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The Ethernet address of the interface.
    pub mac: MacAddress,
    /// Bytes of the longest IP packet that the link takes.
    pub mtu: u16,
    /// Own addresses, each with the network it is connected to.
    pub addresses: Vec<Cidr>,
    /// Further routes; the connected networks have theirs by themselves.
    pub routes: Vec<RouteConfig>,
    /// Neighbours that are remembered at most, gateways included; at most [`NEIGHBOURS_MAX`].
    pub neighbours_max: u16,
    /// Frames that wait for neighbours at most, all together; at most [`PARKED_MAX`].
    pub parked_max: u16,
    /// Whether the IPv6 link-local address that follows from `mac` is one of ours too.
    pub link_local: bool,
    /// Whether own addresses are announced at start.
    pub announce: bool,
}

impl Default for Config {
    /// No address yet; 1500 bytes, 1024 neighbours, 256 parked frames, link-local, announced.
    fn default() -> Self {
        Self {
            mac: MacAddress::ZERO,
            mtu: 1500,
            addresses: Vec::new(),
            routes: Vec::new(),
            neighbours_max: 1024,
            parked_max: 256,
            link_local: true,
            announce: true,
        }
    }
}

/// What is wrong with a [`Config`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The Ethernet address cannot be a station's.
    #[error("{0} cannot be a station's address; it must be neither zero nor a group's")]
    ConfigMac(MacAddress),
    /// The MTU is too small for the families in use.
    #[error("an MTU of {mtu} is too small; these addresses need at least {mtu_min}")]
    ConfigMtu {
        /// What was given.
        mtu: u16,
        /// What is needed.
        mtu_min: u16,
    },
    /// There is no address at all.
    #[error("there is no address; give at least one, such as 192.0.2.1/24, or link_local = true")]
    ConfigNoAddress,
    /// An address cannot be a host's.
    #[error("{0} cannot be a host's address; it must be a unicast address, not the network's")]
    ConfigAddress(Cidr),
    /// An address is there twice.
    #[error("{0} is there twice")]
    ConfigAddressTwice(Address),
    /// There are too many addresses.
    #[error("{0} addresses are too many; {ADDRESSES_MAX} is the most, link-local ones included")]
    ConfigAddresses(usize),
    /// There are too many routes of one family.
    #[error(
        "{0} routes are too many; {ROUTES_MAX} of a family is the most, connected ones included"
    )]
    ConfigRoutes(usize),
    /// A gateway is of the other family, or not a host's address.
    #[error("the gateway {gateway} cannot lead to {destination}")]
    ConfigGateway {
        /// Where the route leads.
        destination: Cidr,
        /// Through which neighbour.
        gateway: Address,
    },
    /// A gateway is not in a connected network.
    #[error("the gateway {0} is in none of the connected networks")]
    ConfigGatewayOffLink(Address),
    /// The number of neighbours is too large, or leaves none beside the gateways.
    #[error(
        "neighbours_max = {neighbours_max} must be at most {NEIGHBOURS_MAX} and above {gateways}, the number of gateways"
    )]
    ConfigNeighbours {
        /// What was given.
        neighbours_max: u16,
        /// How many gateways there are.
        gateways: usize,
    },
    /// The number of parked frames is too large.
    #[error("parked_max = {0} must be at most {PARKED_MAX}")]
    ConfigParked(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().expect("a literal")
    }

    fn address(text: &str) -> Address {
        text.parse().expect("a literal")
    }

    #[test]
    fn a_network_holds_its_own_family_only() {
        assert!(cidr("192.0.2.1/24").contains(address("192.0.2.255")));
        assert!(!cidr("192.0.2.1/24").contains(address("192.0.3.1")));
        assert!(cidr("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(!cidr("0.0.0.0/0").contains(address("2001:db8::1")));
        assert!(cidr("::/0").contains(address("2001:db8::1")));
        assert!(!cidr("::/0").contains(address("192.0.2.1")));
        assert!(cidr("192.0.2.1/32").contains(address("192.0.2.1")));
        assert!(!cidr("192.0.2.1/32").contains(address("192.0.2.0")));
        assert!(cidr("2001:db8::/33").contains(address("2001:db8:7fff::1")));
        assert!(!cidr("2001:db8::/33").contains(address("2001:db8:8000::1")));
    }

    #[test]
    fn a_network_is_its_address_without_the_host() {
        for (host, network) in [
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.77/32", "192.0.2.77/32"),
            ("192.0.2.77/0", "0.0.0.0/0"),
            ("2001:db8::77/64", "2001:db8::/64"),
            ("2001:db8::77/0", "::/0"),
        ] {
            assert_eq!(cidr(host).network(), cidr(network), "{host}");
        }
    }

    #[test]
    fn only_an_ipv4_network_of_four_or_more_has_a_broadcast_address() {
        assert_eq!(cidr("192.0.2.1/24").broadcast(), Some(address("192.0.2.255")));
        assert_eq!(cidr("192.0.2.1/30").broadcast(), Some(address("192.0.2.3")));
        for none in ["192.0.2.1/31", "192.0.2.1/32", "2001:db8::1/64"] {
            assert_eq!(cidr(none).broadcast(), None);
        }
    }

    #[test]
    fn text_is_read_as_it_is_written() {
        for text in ["192.0.2.1/0", "192.0.2.1/32", "2001:db8::1/128"] {
            assert_eq!(cidr(text).to_string(), text);
        }
        for text in ["192.0.2.1", "192.0.2.1/33", "2001:db8::1/129", "/8", "192.0.2.1/-1"] {
            assert_eq!(text.parse::<Cidr>(), Err(ParseCidrError));
        }
    }
}
