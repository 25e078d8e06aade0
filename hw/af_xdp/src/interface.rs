//! What the kernel says of the interface, in the namespace of the calling thread.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::net::if_::{if_indextoname, if_nametoindex};

use crate::config::InterfaceId;
use crate::error::AfXdpError;
use crate::limits::NAME_LEN_MAX;
use crate::uapi::{
    ETHTOOL_GCHANNELS, ETHTOOL_GDRVINFO, EthtoolChannels, EthtoolDriver, InterfaceRequest,
    SIOCETHTOOL, SIOCGIFMTU,
};

/// Queues of an interface by direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channels {
    pub(crate) rx: u32,
    pub(crate) tx: u32,
    /// Queues that serve both directions, of which `ethtool -L IF combined N` makes more.
    pub(crate) combined: u32,
}

impl From<EthtoolChannels> for Channels {
    fn from(answer: EthtoolChannels) -> Self {
        let EthtoolChannels { rx_count, tx_count, combined_count: combined, .. } = answer;
        let (rx, tx) = (rx_count.saturating_add(combined), tx_count.saturating_add(combined));
        Self { rx, tx, combined }
    }
}

/// An interface that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
}

impl Interface {
    pub(crate) fn find(id: &InterfaceId) -> Result<Self, AfXdpError> {
        let missing = |_errno| AfXdpError::ResourceNoInterface { interface: id.to_string() };
        match id {
            InterfaceId::Name(name) => {
                let index = if_nametoindex(name.as_str()).map_err(missing)?;
                Ok(Self { name: name.clone(), index })
            }
            InterfaceId::Index(index) => {
                let name = if_indextoname(*index).map_err(missing)?;
                if name.is_empty() {
                    // What some versions of the call answer for a number that nobody has.
                    return Err(missing(Errno::ENXIO));
                }
                Ok(Self { name: name.to_string_lossy().into_owned(), index: *index })
            }
        }
    }

    /// Bytes of the longest IP packet.
    pub(crate) fn mtu(&self, socket: BorrowedFd<'_>) -> Result<u32, Errno> {
        let mut request = self.request();
        self.ask(socket, SIOCGIFMTU, &mut request)?;
        // The union's first four bytes, in the machine's order.
        let bytes = request.value.addr().to_ne_bytes();
        Ok(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// How many queues it has, if its driver says so.
    pub(crate) fn channels(&self, socket: BorrowedFd<'_>) -> Option<Channels> {
        let mut answer = EthtoolChannels { cmd: ETHTOOL_GCHANNELS, ..EthtoolChannels::default() };
        let mut request = self.request();
        request.value = (&raw mut answer).cast();
        self.ask(socket, SIOCETHTOOL, &mut request).ok()?;
        Some(Channels::from(answer))
    }

    /// The name of its driver, for messages.
    pub(crate) fn driver(&self, socket: BorrowedFd<'_>) -> String {
        let mut answer = EthtoolDriver { cmd: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
        let mut request = self.request();
        request.value = (&raw mut answer).cast();
        let outcome = self.ask(socket, SIOCETHTOOL, &mut request);
        let end = answer.driver.iter().position(|&byte| byte == 0).unwrap_or(answer.driver.len());
        match outcome {
            Ok(()) if end > 0 => String::from_utf8_lossy(&answer.driver[..end]).into_owned(),
            Ok(()) | Err(_) => "unnamed".to_owned(),
        }
    }

    fn request(&self) -> InterfaceRequest {
        let mut request =
            InterfaceRequest { name: [0; 16], value: std::ptr::null_mut(), rest: [0; 2] };
        let len = self.name.len().min(NAME_LEN_MAX);
        request.name[..len].copy_from_slice(&self.name.as_bytes()[..len]);
        request
    }

    /// `request.value` is for `SIOCETHTOOL` a pointer to the struct that its command names.
    fn ask(
        &self,
        socket: BorrowedFd<'_>,
        call: libc::c_ulong,
        request: &mut InterfaceRequest,
    ) -> Result<(), Errno> {
        // SAFETY: the kernel reads and writes one `struct ifreq`, which `request` is in size and
        // layout; for SIOCETHTOOL it writes as much as the command in the struct behind `value`
        // says, which callers have made for that command.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), call, &raw mut *request) };
        Errno::result(result).map(drop)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::Channels;
    use crate::uapi::EthtoolChannels;

    #[test]
    fn a_queue_for_both_directions_counts_in_each() {
        let answer = EthtoolChannels {
            rx_count: 1,
            tx_count: 2,
            other_count: 9,
            combined_count: 4,
            ..EthtoolChannels::default()
        };
        assert_eq!(Channels::from(answer), Channels { rx: 5, tx: 6, combined: 4 });
    }
}
