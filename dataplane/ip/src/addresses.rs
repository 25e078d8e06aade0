//! Own addresses: which there are, what else is for us, and which one speaks to a remote.
//!
//! Every received packet asks twice: is its destination ours, and does its source pretend to be us?
//! All addresses that mean us, also those of groups and networks, lie in one small open-addressed
//! table of fixed content, so each question is one multiplication and usually one compare.

use wire::{Address, MacAddress};

use crate::config::{Cidr, Config, ConfigError};
use crate::limits::ADDRESSES_MAX;

/// Which of the own addresses.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LocalIndex(pub u16);

/// Why an address is for us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// It is ours alone.
    Unicast,
    /// It is all hosts'.
    Broadcast,
    /// It is a group that we belong to.
    Multicast,
}

/// All nodes of the link (RFC 4291 2.7.1).
pub(crate) const ALL_NODES_V6: Address = Address::from_bits(0xff02 << 112 | 1);
/// All hosts of the link (RFC 1112 4).
const ALL_HOSTS_V4: Address = Address::from_v4_octets([224, 0, 0, 1]);

/// Never an own address, so it marks an empty slot.
const EMPTY: Slot = Slot { address: Address::UNSPECIFIED_V6, local: 0, kind: Kind::Unicast };

/// An odd number whose bits have no pattern (2^64 divided by the golden ratio). Our addresses are
/// configured, so nobody can make them collide on purpose.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug)]
struct Slot {
    address: Address,
    local: u16,
    kind: Kind,
}

/// The own addresses of one interface.
#[derive(Debug)]
pub(crate) struct Addresses {
    own: Vec<Cidr>,
    slots: Vec<Slot>,
    shift: u32,
}

impl Addresses {
    /// The addresses that `config` names, and the link-local one if it is wanted.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let own = config.own_addresses();
        if own.is_empty() {
            return Err(ConfigError::ConfigNoAddress);
        }
        if own.len() > ADDRESSES_MAX {
            return Err(ConfigError::ConfigAddresses(own.len()));
        }
        for (index, cidr) in own.iter().enumerate() {
            if !is_host(*cidr) {
                return Err(ConfigError::ConfigAddress(*cidr));
            }
            if own[..index].iter().any(|other| other.address() == cidr.address()) {
                return Err(ConfigError::ConfigAddressTwice(cidr.address()));
            }
        }
        // Two addresses each, three for all, and never more than half full.
        let slots_len = ((own.len() * 2 + 3) * 2).next_power_of_two();
        let mut addresses =
            Self { own, slots: vec![EMPTY; slots_len], shift: 64 - slots_len.trailing_zeros() };
        addresses.fill();
        Ok(addresses)
    }

    fn fill(&mut self) {
        for (index, cidr) in self.own.clone().into_iter().enumerate() {
            let local = u16::try_from(index).expect("at most `ADDRESSES_MAX`");
            self.insert(cidr.address(), local, Kind::Unicast);
        }
        for (index, cidr) in self.own.clone().into_iter().enumerate() {
            let local = u16::try_from(index).expect("at most `ADDRESSES_MAX`");
            if let Some(broadcast) = cidr.broadcast() {
                self.insert(broadcast, local, Kind::Broadcast);
            }
            if cidr.address().is_v4() {
                self.insert(Address::BROADCAST, local, Kind::Broadcast);
                self.insert(ALL_HOSTS_V4, local, Kind::Multicast);
            } else {
                self.insert(solicited_node(cidr.address()), local, Kind::Multicast);
                self.insert(ALL_NODES_V6, local, Kind::Multicast);
            }
        }
    }

    /// Adds an address, unless it is there: the first to claim one has it.
    fn insert(&mut self, address: Address, local: u16, kind: Kind) {
        if self.find(address).is_some() {
            return;
        }
        let mut at = self.start(address);
        while self.slots[at].address != EMPTY.address {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot { address, local, kind };
    }

    /// Which own address `address` means, and why.
    #[inline]
    pub(crate) fn find(&self, address: Address) -> Option<(LocalIndex, Kind)> {
        let mask = self.slots.len() - 1;
        let mut at = self.start(address);
        // At least half of the slots are empty, so the walk ends.
        loop {
            let slot = &self.slots[at & mask];
            if slot.address == address {
                let is_one = slot.address != EMPTY.address;
                return is_one.then_some((LocalIndex(slot.local), slot.kind));
            }
            if slot.address == EMPTY.address {
                return None;
            }
            at += 1;
        }
    }

    /// Which own address `address` is.
    #[inline]
    pub(crate) fn find_unicast(&self, address: Address) -> Option<LocalIndex> {
        match self.find(address) {
            Some((local, Kind::Unicast)) => Some(local),
            Some((_, Kind::Broadcast | Kind::Multicast)) | None => None,
        }
    }

    /// The own address at `local`; the first if there is none.
    #[inline]
    pub(crate) fn at(&self, local: LocalIndex) -> Address {
        self.own.get(usize::from(local.0)).unwrap_or(&self.own[0]).address()
    }

    /// All own addresses, each with its network.
    pub(crate) fn own(&self) -> &[Cidr] {
        &self.own
    }

    /// The own address that speaks to `remote`, which is reached through `next`.
    //= https://www.rfc-editor.org/rfc/rfc6724#section-5
    //# Rule 1: Prefer same address.
    //= https://www.rfc-editor.org/rfc/rfc6724#section-5
    //# Rule 2: Prefer appropriate scope.
    //= https://www.rfc-editor.org/rfc/rfc6724#section-5
    //# Rule 8: Use longest matching prefix.
    pub(crate) fn source_for(&self, remote: Address, next: Address) -> Option<LocalIndex> {
        let mut best: Option<((bool, bool, bool, u32), usize)> = None;
        for (index, cidr) in self.own.iter().enumerate() {
            let address = cidr.address();
            if address.is_v4() != remote.is_v4() {
                continue;
            }
            let rank = (
                address == remote,
                address.is_link_local() == remote.is_link_local(),
                // Rule 5, preferring the outgoing interface, with networks for interfaces.
                cidr.contains(next),
                (address.to_bits() ^ remote.to_bits()).leading_zeros(),
            );
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, index));
            }
        }
        best.and_then(|(_, index)| u16::try_from(index).ok()).map(LocalIndex)
    }

    #[inline]
    fn start(&self, address: Address) -> usize {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address.octets();
        let high = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let low = u64::from_be_bytes([i, j, k, l, m, n, o, p]);
        let mixed = (low ^ high.rotate_left(32)).wrapping_mul(MULTIPLIER);
        // The shift leaves fewer bits than a slice has length.
        usize::try_from(mixed >> self.shift).unwrap_or(0)
    }
}

impl Config {
    /// All own addresses, in the order of their indices: those that it names, and the link-local
    /// one if it is wanted.
    #[must_use]
    pub fn own_addresses(&self) -> Vec<Cidr> {
        let mut own = self.addresses.clone();
        let link_local = link_local(self.mac);
        if self.link_local && !own.iter().any(|cidr| cidr.address() == link_local.address()) {
            own.push(link_local);
        }
        own
    }
}

/// Whether this can be a host's address in its network.
fn is_host(cidr: Cidr) -> bool {
    let address = cidr.address();
    let is_network = cidr.broadcast().is_some() && address.to_bits() & !cidr.mask() == 0;
    address.is_unicast() && cidr.broadcast() != Some(address) && !is_network
}

/// The link-local address of a station.
//= https://www.rfc-editor.org/rfc/rfc2464#section-5
//# The IPv6 link-local address [AARCH] for an Ethernet interface
//= https://www.rfc-editor.org/rfc/rfc4291#appendix-A
//# inverting the universal/local bit
fn link_local(mac: MacAddress) -> Cidr {
    let [a, b, c, d, e, f] = mac.0;
    let identifier = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let bits = 0xfe80 << 112 | u128::from(u64::from_be_bytes(identifier));
    Cidr::new(Address::from_bits(bits), 64).expect("64 is at most 128")
}

/// The group to which solicitations for `address` are sent.
//= https://www.rfc-editor.org/rfc/rfc4291#section-2.7.1
//# appending those bits to the prefix FF02:0:0:0:0:1:FF00::/104
pub(crate) fn solicited_node(address: Address) -> Address {
    Address::from_bits(0xff02 << 112 | 0x1_ff00_0000 | address.to_bits() & 0x00ff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().expect("a literal")
    }

    fn addresses(own: &[&str]) -> Addresses {
        let addresses = own.iter().map(|text| text.parse().expect("a literal")).collect();
        let mac = MacAddress([2, 0, 0, 0, 0, 0x0a]);
        Addresses::new(&Config { mac, addresses, ..Config::default() })
            .expect("a good configuration")
    }

    fn refused(own: &[&str]) -> ConfigError {
        let addresses = own.iter().map(|text| text.parse().expect("a literal")).collect();
        let config = Config { addresses, link_local: false, ..Config::default() };
        Addresses::new(&config).expect_err("a bad configuration")
    }

    #[test]
    fn everything_that_means_us_is_found() {
        let own = addresses(&["192.0.2.1/24", "198.51.100.9/31", "2001:db8::12:3456/64"]);
        let found = |text| own.find(address(text)).map(|(local, kind)| (local.0, kind));
        assert_eq!(found("192.0.2.1"), Some((0, Kind::Unicast)));
        assert_eq!(found("192.0.2.255"), Some((0, Kind::Broadcast)));
        assert_eq!(found("255.255.255.255"), Some((0, Kind::Broadcast)));
        assert_eq!(found("224.0.0.1"), Some((0, Kind::Multicast)));
        assert_eq!(found("198.51.100.9"), Some((1, Kind::Unicast)));
        assert_eq!(found("2001:db8::12:3456"), Some((2, Kind::Unicast)));
        assert_eq!(found("ff02::1:ff12:3456"), Some((2, Kind::Multicast)));
        assert_eq!(found("fe80::ff:fe00:a"), Some((3, Kind::Unicast)));
        assert_eq!(found("ff02::1"), Some((2, Kind::Multicast)));
        for other in ["192.0.2.2", "192.0.2.0", "198.51.100.8", "::", "0.0.0.0", "ff02::2"] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_full_set_of_addresses_is_found_and_nothing_else() {
        let text: Vec<String> = (0..63).map(|host| format!("10.0.{host}.1/24")).collect();
        let own = addresses(&text.iter().map(String::as_str).collect::<Vec<_>>());
        for host in 0..=255 {
            let found = own.find_unicast(Address::from_v4_octets([10, 0, host, 1]));
            assert_eq!(found, (host < 63).then_some(LocalIndex(u16::from(host))));
        }
    }

    #[test]
    fn what_cannot_be_a_host_is_refused() {
        for text in ["224.0.0.1/24", "0.0.0.0/0", "127.0.0.1/8", "::1/128", "ff02::1/64"] {
            assert!(matches!(refused(&[text]), ConfigError::ConfigAddress(_)), "{text}");
        }
        for text in ["192.0.2.0/24", "192.0.2.255/24"] {
            assert!(matches!(refused(&[text]), ConfigError::ConfigAddress(_)), "{text}");
        }
        let twice = refused(&["192.0.2.1/24", "192.0.2.1/32"]);
        assert_eq!(twice, ConfigError::ConfigAddressTwice(address("192.0.2.1")));
        assert_eq!(refused(&[]), ConfigError::ConfigNoAddress);
        let many: Vec<String> = (0..65).map(|host| format!("10.0.{host}.1/24")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(refused(&many), ConfigError::ConfigAddresses(65));
    }

    #[test]
    fn the_source_fits_family_scope_network_and_prefix() {
        let own = addresses(&["192.0.2.1/24", "10.0.0.1/8", "2001:db8::1/64", "2001:db8:1::1/64"]);
        let source = |remote: &str, next: &str| {
            own.source_for(address(remote), address(next)).map(|local| own.at(local).to_string())
        };
        assert_eq!(source("192.0.2.9", "192.0.2.9").as_deref(), Some("192.0.2.1"));
        assert_eq!(source("8.8.8.8", "192.0.2.254").as_deref(), Some("192.0.2.1"));
        assert_eq!(source("8.8.8.8", "10.0.0.254").as_deref(), Some("10.0.0.1"));
        assert_eq!(source("2001:db8:1::9", "2001:db8:1::9").as_deref(), Some("2001:db8:1::1"));
        assert_eq!(source("fe80::9", "fe80::9").as_deref(), Some("fe80::ff:fe00:a"));
        assert_eq!(source("2600::1", "fe80::9").as_deref(), Some("2001:db8::1"));
        assert_eq!(source("10.0.0.1", "10.0.0.1").as_deref(), Some("10.0.0.1"));
        let v6_only = addresses(&["2001:db8::1/64"]);
        assert_eq!(v6_only.source_for(address("8.8.8.8"), address("8.8.8.8")), None);
    }
}
