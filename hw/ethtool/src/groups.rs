//! Ethernet groups that a NIC lets in besides what the kernel itself has joined.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::error::EthtoolError;
use crate::limits::GROUPS_MAX;
use crate::link::Link;

/// `struct packet_mreq`.
#[repr(C)]
struct Membership {
    interface: libc::c_int,
    kind: u16,
    address_len: u16,
    address: [u8; 8],
}

const _: () = assert!(size_of::<Membership>() == 16, "struct packet_mreq");

/// `PACKET_MR_MULTICAST`.
const MULTICAST: u16 = 0;

/// Groups that a NIC lets in while this value lives, and no longer than the process.
///
/// A NIC drops frames for groups that nobody has joined, so a stack beside the kernel would never
/// hear who asks for its IPv6 addresses. The kernel counts members: what it has joined itself stays.
#[derive(Debug)]
pub struct Groups {
    _socket: OwnedFd,
}

impl Groups {
    /// Joins these groups on `link`, which is called `name`.
    ///
    /// # Errors
    /// No right to (CAP_NET_RAW), too many groups, or the interface is gone.
    pub fn join(name: &str, link: &Link, groups: &[[u8; 6]]) -> Result<Self, EthtoolError> {
        if groups.len() > GROUPS_MAX {
            let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            let most = u32::try_from(GROUPS_MAX).unwrap_or(u32::MAX);
            let (name, what) = (name.to_owned(), "groups");
            return Err(EthtoolError::PeerTooMany { name, what, count, most });
        }
        let failed = |errno| EthtoolError::of(name, "joining Ethernet groups", errno);
        // With no protocol it receives nothing: it is only there to be a member.
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
            .map_err(failed)?;
        for group in groups {
            add(&socket, link, group).map_err(failed)?;
        }
        Ok(Self { _socket: socket })
    }
}

fn add(socket: &OwnedFd, link: &Link, group: &[u8; 6]) -> Result<(), Errno> {
    let mut address = [0; 8];
    address[..group.len()].copy_from_slice(group);
    let interface = libc::c_int::try_from(link.index).map_err(|_too_large| Errno::ENODEV)?;
    let membership = Membership { interface, kind: MULTICAST, address_len: 6, address };
    let len = libc::socklen_t::try_from(size_of::<Membership>()).expect("16 bytes");
    // SAFETY: the socket is open; PACKET_ADD_MEMBERSHIP reads one `struct packet_mreq` of `len`
    // bytes, which `membership` is in size and layout, and which lives during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const membership).cast(),
            len,
        )
    };
    Errno::result(result).map(drop)
}
