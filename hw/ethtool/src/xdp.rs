//! What an interface can do for XDP, and which program is on it.

use nix::errno::Errno;

use crate::error::EthtoolError;
use crate::netlink::{Netlink, attribute, find, u32_of, u64_of};
use crate::rtnetlink;

/// What a driver says that it can do for XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpAbilities {
    /// It runs programs itself, before the kernel makes anything of a packet.
    pub native: bool,
    /// Programs there may hand packets to a socket.
    pub redirect: bool,
    /// Its queues can be lent to AF_XDP without a copy.
    pub zero_copy: bool,
    /// A packet may come in several buffers.
    pub multi_buffer: bool,
    /// Buffers that a packet may be sent from without a copy; 1 is none besides the first.
    pub zero_copy_segments_max: Option<u32>,
}

/// The XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpAttached {
    /// None.
    Nothing,
    /// One in the driver; its number.
    Native(u32),
    /// One behind the driver; its number.
    Generic(u32),
    /// One in the card; its number.
    Hardware(u32),
    /// Several at different places.
    Several,
}

/// Asks what the driver can do; `None` where the kernel does not say (before Linux 6.3).
///
/// # Errors
/// There is no such interface, or the kernel refused to answer.
pub fn xdp_abilities(name: &str) -> Result<Option<XdpAbilities>, EthtoolError> {
    const DEVICE_GET: u8 = 1;
    const INDEX: u16 = 1;
    let failed = |errno| EthtoolError::of(name, "the abilities for XDP", errno);
    let index = rtnetlink::interface(name)?.index;
    let netlink = Netlink::generic().map_err(failed)?;
    let question = attribute(INDEX, &index.to_ne_bytes());
    match netlink.ask_family("netdev", DEVICE_GET, &question) {
        Ok(answer) => Ok(abilities(&answer)),
        // No family of that name, or none that knows the command.
        Err(Errno::ENOENT | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(failed(errno)),
    }
}

fn abilities(attributes: &[u8]) -> Option<XdpAbilities> {
    const ABILITIES: u16 = 3;
    const SEGMENTS_MAX: u16 = 4;
    let bits = find(attributes, ABILITIES).and_then(u64_of)?;
    let is_set = |bit: u32| bits >> bit & 1 == 1;
    Some(XdpAbilities {
        native: is_set(0),
        redirect: is_set(1),
        zero_copy: is_set(3),
        multi_buffer: is_set(5),
        zero_copy_segments_max: find(attributes, SEGMENTS_MAX).and_then(u32_of),
    })
}

/// Asks which program is on the interface.
///
/// # Errors
/// There is no such interface, or the kernel refused to answer.
pub fn xdp_attached(name: &str) -> Result<XdpAttached, EthtoolError> {
    Ok(rtnetlink::interface(name)?.xdp)
}

#[cfg(test)]
mod tests {
    use super::{XdpAbilities, XdpAttached, abilities, xdp_abilities, xdp_attached};
    use crate::error::EthtoolError;
    use crate::netlink::attribute;

    #[test]
    fn abilities_are_bits() {
        let mut bytes = attribute(1, &7_u32.to_ne_bytes());
        bytes.extend(attribute(3, &0b10_1011_u64.to_ne_bytes()));
        bytes.extend(attribute(4, &8_u32.to_ne_bytes()));
        let expected = XdpAbilities {
            native: true,
            redirect: true,
            zero_copy: true,
            multi_buffer: true,
            zero_copy_segments_max: Some(8),
        };
        assert_eq!(abilities(&bytes), Some(expected));
        let none = abilities(&attribute(3, &4_u64.to_ne_bytes())).unwrap();
        assert!(!none.native && !none.redirect && !none.zero_copy && !none.multi_buffer);
        assert_eq!(abilities(&attribute(1, &7_u32.to_ne_bytes())), None);
    }

    #[test]
    fn loopback_has_no_program_and_what_is_missing_is_an_error() {
        assert_eq!(xdp_attached("lo"), Ok(XdpAttached::Nothing));
        if let Some(abilities) = xdp_abilities("lo").unwrap() {
            assert!(!abilities.zero_copy, "{abilities:?}");
        }
        let name = "no-such-link".to_owned();
        let missing = EthtoolError::ConfigNoInterface { name: name.clone() };
        assert_eq!(xdp_attached(&name), Err(missing.clone()));
        assert_eq!(xdp_abilities(&name), Err(missing));
    }
}
