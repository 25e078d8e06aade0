//! Makes the interface and one descriptor for each of its queues.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use base::QueueId;
use nix::errno::Errno;

use crate::error::TapError;
use crate::interface::Interface;
use crate::limits::{MTU_MAX, MTU_MIN, NAME_LEN_MAX, QUEUES_MAX};
use crate::queue::TapQueue;

const TUN_PATH: &str = "/dev/net/tun";
/// The kernel puts the lowest free number in place of `%d`.
const NAME_PATTERN: &str = "abele%d";

/// What kind of TAP device is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// The interface's name; without one the kernel numbers it: `abele0`.
    pub name: Option<String>,
    /// Queue pairs. The kernel spreads flows over them by a hash of its own.
    pub queues: u16,
    /// Bytes of the longest IP packet.
    pub mtu: u16,
}

impl Default for TapConfig {
    fn default() -> Self {
        Self { name: None, queues: 1, mtu: 1500 }
    }
}

/// A TAP device: its queue pairs and the kernel's end.
#[derive(Debug)]
pub struct Tap {
    /// The kernel's end, not up yet.
    pub interface: Interface,
    /// One for each queue, in order.
    pub queues: Vec<TapQueue>,
}

/// `struct ifreq` as far as `TUNSETIFF` reads it: the name, the flags, and the rest of the union.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_LEN_MAX + 1],
    flags: libc::c_short,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<InterfaceRequest>() == 40, "struct ifreq on 64-bit Linux");

/// Makes a TAP device, or takes a persistent one of that name. The interface is down until
/// [`Interface::set_up`]; it vanishes with the last queue pair.
///
/// # Errors
/// See [`TapError`].
pub fn open(config: &TapConfig) -> Result<Tap, TapError> {
    check(config)?;
    let mut name = config.name.clone().unwrap_or_else(|| NAME_PATTERN.to_owned());
    let mut descriptors = Vec::new();
    for _queue in 0..config.queues {
        let file = open_tun()?;
        // The first call turns the pattern into a name; the other queues join under it.
        name = attach(&file, &name, config.queues > 1)?;
        descriptors.push(OwnedFd::from(file));
    }
    let interface = Interface::named(&name)?;
    interface.set_mtu(config.mtu)?;
    let queue = |(number, descriptor)| TapQueue::new(descriptor, QueueId(number), config.mtu);
    let queues = (0..).zip(descriptors).map(queue).collect();
    Ok(Tap { interface, queues })
}

fn check(config: &TapConfig) -> Result<(), TapError> {
    let TapConfig { name, queues, mtu } = config;
    if let Some(name) = name
        && !is_interface_name(name)
    {
        let name = name.clone();
        return Err(TapError::ConfigName { name });
    }
    if !(MTU_MIN..=MTU_MAX).contains(mtu) {
        return Err(TapError::ConfigMtu { mtu: *mtu, least: MTU_MIN, most: MTU_MAX });
    }
    if !(1..=QUEUES_MAX).contains(queues) {
        let (queues, most) = (*queues, QUEUES_MAX);
        return Err(TapError::ConfigQueues { queues, most });
    }
    Ok(())
}

/// Stricter than the kernel, which takes anything but '/', ':' and white space: these names need
/// no quotes anywhere.
fn is_interface_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.chars().all(is_plain)
        && name.chars().any(|c| c != '.')
}

fn open_tun() -> Result<File, TapError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    options.open(TUN_PATH).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        TapError::of_open(errno)
    })
}

/// Binds the descriptor to interface `name`, or to a new one by that pattern; returns its name.
fn attach(file: &File, name: &str, is_multi_queue: bool) -> Result<String, TapError> {
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
    if is_multi_queue {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    let mut request = InterfaceRequest {
        name: [0; NAME_LEN_MAX + 1],
        flags: libc::c_short::try_from(flags).expect("0x1102 has 13 bits"),
        rest: [0; 22],
    };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the descriptor is open; TUNSETIFF reads and writes one `struct ifreq`, which
    // `request` is in size and layout, and which lives and is ours alone during the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    Errno::result(result).map_err(|errno| TapError::of_attach(name, errno))?;
    let end = request.name.iter().position(|&byte| byte == 0);
    let given = &request.name[..end.unwrap_or(NAME_LEN_MAX)];
    Ok(String::from_utf8_lossy(given).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{TapConfig, is_interface_name, open};
    use crate::error::TapError;

    #[test]
    fn names_that_are_no_interface_are_refused() {
        for name in ["abele0", "a", "tap-1.x_y", "123456789012345"] {
            assert!(is_interface_name(name), "{name:?}");
        }
        for name in ["", ".", "..", "a b", "a/b", "abele%d", "1234567890123456", "ä"] {
            assert!(!is_interface_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_before_anything_is_opened() {
        let none = TapConfig::default();
        let refused = |config| open(&config).unwrap_err();
        let name = Some("a/b".to_owned());
        let error = refused(TapConfig { name, ..none });
        assert!(matches!(error, TapError::ConfigName { .. }), "{error}");
        for mtu in [0, 1279, 4018] {
            let error = refused(TapConfig { mtu, ..none.clone() });
            assert!(matches!(error, TapError::ConfigMtu { .. }), "{error}");
        }
        for queues in [0, 257] {
            let error = refused(TapConfig { queues, ..none.clone() });
            assert!(matches!(error, TapError::ConfigQueues { .. }), "{error}");
        }
    }
}
