//! What an interface is called on the wire, and how long its packets may be.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use crate::error::EthtoolError;
use crate::ioctl;

/// An Ethernet interface of this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in the kernel.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Bytes of the longest IP packet.
    pub mtu: u32,
    /// Whether somebody has set it up.
    pub is_up: bool,
}

/// Reads what the interface is.
///
/// # Errors
/// There is no such interface, or it is not Ethernet.
pub fn link(name: &str) -> Result<Link, EthtoolError> {
    let failed = |what| move |errno| EthtoolError::of(name, what, errno);
    let mtu = ioctl::mtu(name).map_err(failed("the MTU"))?;
    let mut entries = getifaddrs().map_err(failed("the addresses"))?;
    let is_its_link = |entry: &nix::ifaddrs::InterfaceAddress| {
        let address = entry.address.as_ref().and_then(|address| address.as_link_addr());
        entry.interface_name == name && address.is_some()
    };
    let not_ethernet = || EthtoolError::ConfigNotEthernet { name: name.to_owned() };
    let entry = entries.find(is_its_link).ok_or_else(not_ethernet)?;
    let address = entry.address.as_ref().and_then(|address| address.as_link_addr());
    let address = address.ok_or_else(not_ethernet)?;
    if entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
        return Err(not_ethernet());
    }
    Ok(Link {
        index: u32::try_from(address.ifindex()).map_err(|_too_large| not_ethernet())?,
        mac: address.addr().ok_or_else(not_ethernet)?,
        mtu: u32::try_from(mtu).map_err(|_negative| not_ethernet())?,
        is_up: entry.flags.contains(InterfaceFlags::IFF_UP),
    })
}

#[cfg(test)]
mod tests {
    use super::link;
    use crate::error::EthtoolError;

    #[test]
    fn what_is_missing_and_what_is_not_ethernet_is_told_apart() {
        let name = "no-such-link".to_owned();
        assert_eq!(link(&name), Err(EthtoolError::ConfigNoInterface { name }));
        let name = "lo".to_owned();
        assert_eq!(link(&name), Err(EthtoolError::ConfigNotEthernet { name }));
    }
}
