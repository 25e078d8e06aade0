//! One request to the kernel's routing socket and its answer.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

const HEADER_LEN: usize = 16;
const ATTRIBUTE_HEADER_LEN: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;

/// A netlink message being written, in the machine's byte order.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    pub(crate) fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        Self { bytes }
    }

    /// A piece of the fixed part.
    pub(crate) fn body(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An attribute, filled up to four bytes.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(value.len()).expect("addresses are short") + ATTRIBUTE_HEADER_LEN;
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).expect("requests are short");
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes
    }
}

/// Sends the request and waits for the kernel's word, which comes before `sendto` returns.
pub(crate) fn call(request: Request) -> Result<(), Errno> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    let fd = socket.as_raw_fd();
    sendto(fd, &request.finish(), &kernel, MsgFlags::empty())?;
    let mut answer = [0; 512];
    let len = recv(fd, &mut answer, MsgFlags::empty())?;
    outcome(&answer[..len])
}

/// The error number in an acknowledgement; zero is success.
fn outcome(answer: &[u8]) -> Result<(), Errno> {
    let kind = answer.get(4..6).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    let code = answer.get(16..20).map(|b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    let (Some(NLMSG_ERROR), Some(code)) = (kind, code) else {
        return Err(Errno::EPROTO);
    };
    if code == 0 {
        return Ok(());
    }
    Err(Errno::from_raw(code.saturating_neg()))
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::{Request, outcome};

    #[test]
    fn an_attribute_is_padded_and_the_length_covers_it_all() {
        let mut request = Request::new(16, 0);
        request.attribute(1, &[1, 2, 3, 4, 5, 6]);
        let bytes = request.finish();
        assert_eq!(bytes.len(), 16 + 4 + 8);
        assert_eq!(bytes[..4], 28_u32.to_ne_bytes());
        assert_eq!(bytes[16..18], 10_u16.to_ne_bytes());
        assert_eq!(bytes[20..], [1, 2, 3, 4, 5, 6, 0, 0]);
    }

    #[test]
    fn the_kernels_word_is_read_and_anything_else_is_an_error() {
        let answer = |kind: u16, code: i32| {
            let mut bytes = [0; 20];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[16..].copy_from_slice(&code.to_ne_bytes());
            bytes
        };
        assert_eq!(outcome(&answer(2, 0)), Ok(()));
        assert_eq!(outcome(&answer(2, -1)), Err(Errno::EPERM));
        assert_eq!(outcome(&answer(3, 0)), Err(Errno::EPROTO));
        assert_eq!(outcome(&answer(2, 0)[..18]), Err(Errno::EPROTO));
    }
}
