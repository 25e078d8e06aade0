//! The kernel's end of a TAP device, set up over netlink.

use std::net::IpAddr;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use crate::error::TapError;
use crate::netlink::{Request, call};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_REPLACE: u16 = 0x100;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFF_UP: u32 = 1;
/// The address works at once, without a second of duplicate address detection.
const IFA_F_NODAD: u8 = 0x02;

/// A network interface of the namespace that the calling thread is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    name: String,
    index: u32,
}

impl Interface {
    /// The interface of this name.
    ///
    /// # Errors
    /// There is none: `ENODEV` in [`TapError::System`].
    pub fn named(name: &str) -> Result<Self, TapError> {
        let index = if_nametoindex(name)
            .map_err(|errno| TapError::of_call(format!("looking for interface {name}"), errno))?;
        let name = name.to_owned();
        Ok(Self { name, index })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number in the kernel.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Gives the kernel's end this Ethernet address.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn set_mac(&self, mac: [u8; 6]) -> Result<(), TapError> {
        let mut request = self.link_request(0, 0);
        request.attribute(IFLA_ADDRESS, &mac);
        self.ask(request, "setting the Ethernet address of")
    }

    /// Sets the longest IP packet, in bytes.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn set_mtu(&self, mtu: u16) -> Result<(), TapError> {
        let mut request = self.link_request(0, 0);
        request.attribute(IFLA_MTU, &u32::from(mtu).to_ne_bytes());
        self.ask(request, "setting the MTU of")
    }

    /// Takes it up, so that packets pass.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn set_up(&self) -> Result<(), TapError> {
        self.ask(self.link_request(IFF_UP, IFF_UP), "taking up")
    }

    /// Takes it down.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn set_down(&self) -> Result<(), TapError> {
        self.ask(self.link_request(0, IFF_UP), "taking down")
    }

    /// Gives the kernel's end an address, IPv4 or IPv6, that works at once.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn add_address(&self, address: IpAddr, prefix_len: u8) -> Result<(), TapError> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix_len > most {
            return Err(TapError::ConfigPrefix { prefix_len, most });
        }
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let family = u8::try_from(family).expect("address families are small");
        let mut request = Request::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
        // struct ifaddrmsg: family, prefix, flags, scope (universe), index.
        request.body(&[family, prefix_len, IFA_F_NODAD, 0]);
        request.body(&self.index.to_ne_bytes());
        for kind in [IFA_LOCAL, IFA_ADDRESS] {
            match address {
                IpAddr::V4(v4) => request.attribute(kind, &v4.octets()),
                IpAddr::V6(v6) => request.attribute(kind, &v6.octets()),
            }
        }
        self.ask(request, &format!("adding {address}/{prefix_len} to"))
    }

    /// `struct ifinfomsg` for this interface: `flags` are set where `change` has a bit.
    fn link_request(&self, flags: u32, change: u32) -> Request {
        let mut request = Request::new(RTM_NEWLINK, 0);
        request.body(&[0; 4]);
        for word in [self.index, flags, change] {
            request.body(&word.to_ne_bytes());
        }
        request
    }

    fn ask(&self, request: Request, what: &str) -> Result<(), TapError> {
        let named = |errno: Errno| TapError::of_call(format!("{what} {}", self.name), errno);
        call(request).map_err(named)
    }
}
