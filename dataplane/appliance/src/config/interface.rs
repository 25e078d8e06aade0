//! `[interface]`: which device, and what it is called.

use std::ops::RangeInclusive;

use ip::Cidr;
use ip::limits::NEIGHBOURS_MAX;
use settings::{At, Ledger, Section};
use wire::MacAddress;

use super::network;
use super::xdp::{self, Xdp};
use crate::limits::{MTU_MAX, MTU_MIN, NAME_LEN_MAX, mtu_max};

/// What kind of device carries the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A TAP device that the gateway makes itself.
    Tap,
    /// Queues of a NIC that stays with the kernel's driver.
    AfXdp,
}

const KINDS: &[(&str, Kind)] = &[("tap", Kind::Tap), ("af_xdp", Kind::AfXdp)];

impl Kind {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::AfXdp => "af_xdp",
        }
    }

    /// Keys that the other kind alone has.
    fn foreign_keys(self) -> &'static [&'static str] {
        match self {
            Self::Tap => &["xdp_mode", "copy", "require", "ring_size", "tx_budget", "busy_poll_us"],
            Self::AfXdp => &["mac", "kernel_addresses"],
        }
    }
}

/// The device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Without one, that of the device.
    pub(crate) mac: Option<MacAddress>,
    /// Bytes of the longest IP packet.
    pub(crate) mtu: u16,
    /// Addresses that the kernel's end of the device is given.
    pub(crate) kernel_addresses: Vec<Cidr>,
    pub(crate) neighbours_max: u16,
    pub(crate) xdp: Xdp,
}

impl Interface {
    /// Entries of the ring through which each worker lends frames to the card, if it does.
    pub(crate) fn ring_size(&self) -> Option<u32> {
        (self.kind == Kind::AfXdp).then_some(self.xdp.ring_size)
    }
}

const NAME: &str = "abele0";
const MTU: u16 = 1500;
const NEIGHBOURS: u16 = 1024;
/// One gateway and one neighbour beside it.
const NEIGHBOURS_RANGE: RangeInclusive<u16> = 2..=NEIGHBOURS_MAX;

/// Reads the section. `frame_len` is known where `[memory]` is right, and `own` where the gateway's
/// addresses are.
pub(crate) fn read(
    section: Section<'_>,
    frame_len: Option<u32>,
    own: Option<&[Cidr]>,
    ledger: &mut Ledger<'_>,
) -> Option<Interface> {
    let kind = section.choice("kind", Kind::Tap, KINDS, ledger);
    if let Some(At { value: kind, .. }) = kind {
        refuse_foreign_keys(section, kind, ledger);
    }
    let name = name(section, ledger);
    let is_tap = kind.as_ref().is_none_or(|kind| kind.value == Kind::Tap);
    let mac = if is_tap { mac(section, name.as_deref(), ledger).map(Some) } else { Some(None) };
    let mtu = mtu(section, frame_len, ledger);
    let kernel_addresses = kernel_addresses(section, own.unwrap_or_default(), ledger);
    let neighbours = section.number("neighbours_max", NEIGHBOURS, NEIGHBOURS_RANGE, ledger);
    let xdp = xdp::read(section, ledger);
    Some(Interface {
        kind: kind?.value,
        name: name?,
        mac: mac?,
        mtu: mtu?,
        kernel_addresses: kernel_addresses?,
        neighbours_max: neighbours?.value,
        xdp: xdp?,
    })
}

fn refuse_foreign_keys(section: Section<'_>, kind: Kind, ledger: &mut Ledger<'_>) {
    for key in kind.foreign_keys() {
        if let Some(At { place, .. }) = section.find(key, ledger) {
            let wrong = format!("kind = \"{}\" has no such key", kind.name());
            ledger.refuse(place, &section.path(key), wrong, "remove it, or choose the other kind");
        }
    }
}

fn name(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<String> {
    if section.find("name", ledger).is_none() {
        return Some(NAME.to_owned());
    }
    let At { value: name, place } = section.text("name", ledger)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = (1..=NAME_LEN_MAX).contains(&name.len())
        && name.chars().all(is_plain)
        && name.chars().any(|c| c != '.');
    if !is_name {
        let right = format!("use 1 to {NAME_LEN_MAX} letters, digits, '-', '_' or '.'");
        let wrong = format!("\"{name}\" cannot name an interface");
        ledger.refuse(place, &section.path("name"), wrong, right);
    }
    is_name.then(|| name.to_owned())
}

fn mac(section: Section<'_>, name: Option<&str>, ledger: &mut Ledger<'_>) -> Option<MacAddress> {
    if section.find("mac", ledger).is_none() {
        return name.map(derived_mac);
    }
    let At { value: text, place } = section.text("mac", ledger)?;
    let key = section.path("mac");
    match text.parse::<MacAddress>() {
        Ok(mac) if mac.is_unicast() => Some(mac),
        Ok(mac) => {
            let wrong =
                format!("{mac} is {}", if mac.is_multicast() { "a group's" } else { "zero" });
            ledger.refuse(place, &key, wrong, "use a station's address, such as 02:00:00:00:00:01");
            None
        }
        Err(_malformed) => {
            let wrong = format!("\"{text}\" is no Ethernet address");
            ledger.refuse(place, &key, wrong, "use six pairs of digits, as 02:00:00:00:00:01");
            None
        }
    }
}

/// A locally administered address that follows from the interface's name, so that neighbours know
/// the gateway again after a restart.
pub(crate) fn derived_mac(name: &str) -> MacAddress {
    // FNV-1a: it spreads short names well, and nobody gains by a collision on his own machine.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [_, _, _, a, b, c, d, e] = hash.to_be_bytes();
    MacAddress([0x02, a, b, c, d, e])
}

fn mtu(section: Section<'_>, frame_len: Option<u32>, ledger: &mut Ledger<'_>) -> Option<u16> {
    let At { value: mtu, place } = section.number("mtu", MTU, MTU_MIN..=MTU_MAX, ledger)?;
    let most = frame_len.map_or(MTU_MAX, mtu_max);
    if mtu > most {
        let wrong = format!("packets of {mtu} bytes do not fit into a frame");
        let right = format!("use at most {most}, or memory.frame_len = \"4 KiB\"");
        ledger.refuse(place, &section.path("mtu"), wrong, right);
        return None;
    }
    Some(mtu)
}

/// The two ends of the device are two hosts: they share no address.
fn kernel_addresses(
    section: Section<'_>,
    own: &[Cidr],
    ledger: &mut Ledger<'_>,
) -> Option<Vec<Cidr>> {
    const KEY: &str = "kernel_addresses";
    let kernels = network::addresses(section, KEY, ledger)?;
    for At { value, place } in &kernels {
        if own.iter().any(|own| own.address() == value.address()) {
            let wrong = format!("{} is the gateway's own address", value.address());
            let right = "give the kernel's end another one of the same network";
            ledger.refuse(*place, &section.path(KEY), wrong, right);
        }
    }
    Some(kernels.into_iter().map(|at| at.value).collect())
}

#[cfg(test)]
mod tests {
    use super::derived_mac;

    #[test]
    fn a_derived_address_is_a_locally_administered_stations_and_follows_the_name() {
        let mac = derived_mac("abele0");
        assert!(mac.is_unicast() && mac.0[0] & 2 == 2, "{mac}");
        assert_eq!(mac, derived_mac("abele0"));
        assert_ne!(mac, derived_mac("abele1"));
    }
}
