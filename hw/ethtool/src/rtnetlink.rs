//! What the kernel tells of an interface over netlink: its number, its kind, its other end, XDP.

use nix::errno::Errno;

use crate::error::EthtoolError;
use crate::limits::NAME_LEN_MAX;
use crate::netlink::{Netlink, after, attribute, find, u32_of};
use crate::xdp::XdpAttached;

/// An interface as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `veth`, `tun`, `bridge`; none of a device's own driver.
    pub(crate) kind: Option<String>,
    /// The number of the interface that it is tied to, as of a veth pair's other end.
    pub(crate) tied_to: Option<u32>,
    /// The namespace of that one, as a number of ours; none if it is in our own.
    pub(crate) tied_in: Option<u32>,
    pub(crate) xdp: XdpAttached,
}

/// Which interface is asked for.
#[derive(Clone, Copy, Debug)]
enum Which<'a> {
    Name(&'a str),
    Index(u32),
}

/// `RTM_GETLINK`.
const GET_LINK: u16 = 18;
/// `struct ifinfomsg`: family, padding, type, index, flags, mask of flags.
const HEAD_LEN: usize = 16;
// IFLA_*, of `include/uapi/linux/if_link.h`.
const NAME: u16 = 3;
const TIED_TO: u16 = 5;
const INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const TIED_IN: u16 = 37;
const XDP: u16 = 43;

/// Asks for an interface of this namespace by its name.
pub(crate) fn interface(name: &str) -> Result<Interface, EthtoolError> {
    if name.is_empty() || name.len() > NAME_LEN_MAX || name.contains('\0') {
        return Err(EthtoolError::ConfigNoInterface { name: name.to_owned() });
    }
    ask(Which::Name(name)).map_err(|errno| EthtoolError::of(name, "what it is", errno))
}

/// Asks for an interface of this namespace by its number.
pub(crate) fn interface_of(index: u32) -> Result<Interface, Errno> {
    ask(Which::Index(index))
}

fn ask(which: Which<'_>) -> Result<Interface, Errno> {
    let mut body = vec![0; HEAD_LEN];
    match which {
        Which::Index(index) => body[4..8].copy_from_slice(&index.to_ne_bytes()),
        Which::Name(name) => {
            let name: Vec<u8> = name.bytes().chain([0]).collect();
            body.extend(attribute(NAME, &name));
        }
    }
    let answer = Netlink::route()?.ask(GET_LINK, &body)?;
    parse(&answer).ok_or(Errno::EBADMSG)
}

fn parse(body: &[u8]) -> Option<Interface> {
    let attributes = after(body, HEAD_LEN);
    let number = |kind| find(attributes, kind).and_then(u32_of);
    let kind = find(attributes, INFO).and_then(|info| find(info, INFO_KIND)).map(text);
    Some(Interface {
        index: u32_of(after(body, 4))?,
        name: text(find(attributes, NAME)?),
        kind,
        tied_to: number(TIED_TO),
        tied_in: number(TIED_IN),
        xdp: xdp(find(attributes, XDP).unwrap_or_default()),
    })
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// `IFLA_XDP_ATTACHED` says where a program runs, `IFLA_XDP_PROG_ID` which.
fn xdp(attributes: &[u8]) -> XdpAttached {
    const ATTACHED: u16 = 2;
    const PROGRAM: u16 = 4;
    let program = find(attributes, PROGRAM).and_then(u32_of).unwrap_or_default();
    match find(attributes, ATTACHED).and_then(|value| value.first()) {
        Some(1) => XdpAttached::Native(program),
        Some(2) => XdpAttached::Generic(program),
        Some(3) => XdpAttached::Hardware(program),
        Some(4) => XdpAttached::Several,
        Some(_) | None => XdpAttached::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD_LEN, Interface, interface, interface_of, parse};
    use crate::netlink::attribute;
    use crate::xdp::XdpAttached;

    #[test]
    fn a_veth_end_names_its_other_end_and_its_program() {
        let mut body = vec![0; HEAD_LEN];
        body[4] = 7;
        body.extend(attribute(3, b"abele0\0"));
        body.extend(attribute(5, &3_u32.to_ne_bytes()));
        body.extend(attribute(18, &attribute(1, b"veth\0")));
        body.extend(attribute(37, &0_u32.to_ne_bytes()));
        let mut xdp = attribute(2, &[1]);
        xdp.extend(attribute(4, &99_u32.to_ne_bytes()));
        body.extend(attribute(43, &xdp));
        let expected = Interface {
            index: 7,
            name: "abele0".to_owned(),
            kind: Some("veth".to_owned()),
            tied_to: Some(3),
            tied_in: Some(0),
            xdp: XdpAttached::Native(99),
        };
        assert_eq!(parse(&body), Some(expected));
        assert_eq!(parse(&body[..HEAD_LEN]), None, "without a name");
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn loopback_is_found_by_name_and_by_number() {
        let by_name = interface("lo").unwrap();
        assert_eq!((by_name.name.as_str(), by_name.xdp), ("lo", XdpAttached::Nothing));
        assert_eq!(interface_of(by_name.index), Ok(by_name));
    }
}
