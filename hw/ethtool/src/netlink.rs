//! Questions to the kernel over netlink: one message there, one message back.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::limits::{ANSWER_PATIENCE, MESSAGE_LEN_MAX};

/// `struct nlmsghdr`: length, kind, flags, sequence number, port.
const HEADER_LEN: usize = 16;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `GENL_ID_CTRL`, which knows the numbers of all others.
const CONTROL: u16 = 16;

/// A socket to the kernel, in the namespace of the thread that made it.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    /// One that asks about interfaces.
    pub(crate) fn route() -> Result<Self, Errno> {
        Self::open(SockProtocol::NetlinkRoute)
    }

    /// One that asks any other part of the kernel.
    pub(crate) fn generic() -> Result<Self, Errno> {
        Self::open(SockProtocol::NetlinkGeneric)
    }

    fn open(protocol: SockProtocol) -> Result<Self, Errno> {
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        let patience = i64::try_from(Duration::as_millis(&ANSWER_PATIENCE)).unwrap_or(i64::MAX);
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(patience))?;
        Ok(Self { socket })
    }

    /// The body of the answer to a message of this kind.
    pub(crate) fn ask(&self, kind: u16, body: &[u8]) -> Result<Vec<u8>, Errno> {
        let len = u32::try_from(HEADER_LEN + body.len()).map_err(|_too_long| Errno::EMSGSIZE)?;
        let mut message = Vec::with_capacity(HEADER_LEN + body.len());
        message.extend(len.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(REQUEST.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
        let mut answer = vec![0; MESSAGE_LEN_MAX];
        let len = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        parse_message(&answer[..len])
    }

    /// The attributes of the answer of `family` to a command with these attributes.
    pub(crate) fn ask_family(
        &self,
        family: &str,
        command: u8,
        attributes: &[u8],
    ) -> Result<Vec<u8>, Errno> {
        const FAMILY_ID: u16 = 1;
        const FAMILY_NAME: u16 = 2;
        const GET_FAMILY: u8 = 3;
        let name: Vec<u8> = family.bytes().chain([0]).collect();
        let found = self.ask(CONTROL, &generic(GET_FAMILY, &attribute(FAMILY_NAME, &name)))?;
        let id = find(after(&found, GENERIC_LEN), FAMILY_ID).and_then(u16_of);
        let answer = self.ask(id.ok_or(Errno::EBADMSG)?, &generic(command, attributes))?;
        Ok(after(&answer, GENERIC_LEN).to_vec())
    }
}

/// `struct genlmsghdr`: command, version, nothing.
const GENERIC_LEN: usize = 4;

fn generic(command: u8, attributes: &[u8]) -> Vec<u8> {
    let mut body = vec![command, 1, 0, 0];
    body.extend(attributes);
    body
}

/// What lies behind a head of `len` bytes.
pub(crate) fn after(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(len..).unwrap_or_default()
}

/// The body of the first message in what was received.
fn parse_message(bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(Errno::EBADMSG)?;
    let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let body = bytes.get(HEADER_LEN..len).ok_or(Errno::EBADMSG)?;
    if u16::from_ne_bytes([header[4], header[5]]) != ERROR {
        return Ok(body.to_vec());
    }
    match u32_of(body) {
        // A kernel's error is negative; zero would confirm what asks for no confirmation.
        Some(code) => Err(Errno::from_raw(code.cast_signed().wrapping_neg())),
        None => Err(Errno::EBADMSG),
    }
}

/// An attribute, padded to four bytes.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len() + 4).expect("what is asked is short");
    let mut bytes = Vec::with_capacity(usize::from(len) + 3);
    bytes.extend(len.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The value of the first attribute of that kind.
pub(crate) fn find(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    // The two upper bits say how the value is written, not what it is.
    const KIND: u16 = 0x3fff;
    loop {
        let head = bytes.first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & KIND;
        let value = bytes.get(4..len)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = after(bytes, len.next_multiple_of(4));
    }
}

/// The number in the first bytes.
pub(crate) fn u16_of(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// The number in the first bytes.
pub(crate) fn u32_of(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// The number in the first bytes.
pub(crate) fn u64_of(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::{Netlink, attribute, find, parse_message, u16_of};

    #[test]
    fn attributes_are_found_behind_padding() {
        let mut bytes = attribute(3, b"abcde");
        bytes.extend(attribute(7 | 0x8000, &9_u16.to_ne_bytes()));
        assert_eq!(bytes.len(), 12 + 8);
        assert_eq!(find(&bytes, 3), Some(&b"abcde"[..]));
        assert_eq!(find(&bytes, 7).and_then(u16_of), Some(9));
        assert_eq!(find(&bytes, 8), None);
    }

    #[test]
    fn broken_messages_and_attributes_are_refused() {
        assert_eq!(find(&[1, 0, 3, 0], 3), None, "shorter than its own head");
        assert_eq!(find(&[9, 0, 3, 0, 0], 3), None, "longer than what is there");
        assert_eq!(find(&[0, 0, 1, 0], 3), None, "of no length");
        assert_eq!(parse_message(&[0; 8]), Err(Errno::EBADMSG));
        let mut long = vec![0; 16];
        long[..4].copy_from_slice(&99_u32.to_ne_bytes());
        assert_eq!(parse_message(&long), Err(Errno::EBADMSG));
    }

    #[test]
    fn an_error_is_the_kernels_number() {
        let mut bytes = vec![0; 36];
        bytes[..4].copy_from_slice(&36_u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        bytes[16..20].copy_from_slice(&(-19_i32).to_ne_bytes());
        assert_eq!(parse_message(&bytes), Err(Errno::ENODEV));
    }

    #[test]
    fn an_unknown_family_is_an_error() {
        let netlink = Netlink::generic().expect("anybody may ask");
        assert_eq!(netlink.ask_family("no-such-family", 1, &[]), Err(Errno::ENOENT));
    }
}
