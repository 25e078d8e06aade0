//! Why there is no TAP device, and the command that mends it.

use nix::errno::Errno;

/// Why a TAP device could not be opened or set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// The name cannot be an interface's.
    #[error(
        "{name:?} cannot name an interface; use 1 to 15 letters, digits, '-', '_' or '.', and not \
         just dots"
    )]
    ConfigName {
        /// What was asked for.
        name: String,
    },
    /// The MTU cannot work.
    #[error("an MTU of {mtu}; use {least} to {most}")]
    ConfigMtu {
        /// What was asked for.
        mtu: u16,
        /// The smallest that works.
        least: u16,
        /// The largest that works.
        most: u16,
    },
    /// The number of queues cannot work.
    #[error("{queues} queues; use 1 to {most}")]
    ConfigQueues {
        /// What was asked for.
        queues: u16,
        /// The most that the kernel gives.
        most: u16,
    },
    /// A prefix longer than the address.
    #[error("a prefix of {prefix_len} bits; an address of this family has {most}")]
    ConfigPrefix {
        /// What was asked for.
        prefix_len: u8,
        /// Bits of the address.
        most: u8,
    },
    /// There is no driver.
    #[error(
        "there is no /dev/net/tun ({errno}): the kernel has no TUN/TAP driver here. Load it: \
         modprobe tun. In a container: start it with --device /dev/net/tun"
    )]
    ResourceNoDriver {
        /// What the kernel said.
        errno: Errno,
    },
    /// The file may not be opened.
    #[error(
        "/dev/net/tun may not be opened ({errno}). Let everybody open it, which gives no right \
         over any interface: chmod 0666 /dev/net/tun (as root)"
    )]
    ResourceClosed {
        /// What the kernel said.
        errno: Errno,
    },
    /// No right over the network namespace.
    #[error(
        "{what}: not permitted; it takes CAP_NET_ADMIN over the network namespace. Run it as \
         root, or in a namespace of its own: scripts/lab tap -- COMMAND"
    )]
    ResourceNotPermitted {
        /// What was tried.
        what: String,
    },
    /// The interface is somebody else's.
    #[error(
        "the interface {name} is taken by another process. Look who: ip -details link show {name}; \
         or choose another name"
    )]
    ResourceNameTaken {
        /// The interface.
        name: String,
    },
    /// Anything else that the kernel refused.
    #[error("{what}: {errno}")]
    System {
        /// What was tried.
        what: String,
        /// What the kernel said.
        errno: Errno,
    },
}

impl TapError {
    /// The refusal of `/dev/net/tun` itself.
    pub(crate) fn of_open(errno: Errno) -> Self {
        if matches!(errno, Errno::EACCES | Errno::EPERM) {
            Self::ResourceClosed { errno }
        } else if matches!(errno, Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) {
            Self::ResourceNoDriver { errno }
        } else {
            let what = "opening /dev/net/tun".to_owned();
            Self::System { what, errno }
        }
    }

    /// The refusal to give interface `name`.
    pub(crate) fn of_attach(name: &str, errno: Errno) -> Self {
        if errno == Errno::EBUSY {
            let name = name.to_owned();
            return Self::ResourceNameTaken { name };
        }
        Self::of_call(format!("making the TAP interface {name}"), errno)
    }

    /// The refusal of anything else.
    pub(crate) fn of_call(what: String, errno: Errno) -> Self {
        if errno == Errno::EPERM {
            Self::ResourceNotPermitted { what }
        } else {
            Self::System { what, errno }
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::TapError;

    #[test]
    fn each_refusal_says_what_mends_it() {
        let said = |error: TapError| error.to_string();
        assert!(said(TapError::of_open(Errno::ENOENT)).contains("modprobe tun"));
        assert!(said(TapError::of_open(Errno::EACCES)).contains("chmod 0666 /dev/net/tun"));
        assert!(said(TapError::of_attach("t0", Errno::EPERM)).contains("scripts/lab tap"));
        assert!(said(TapError::of_attach("t0", Errno::EBUSY)).contains("t0 is taken"));
        let other = said(TapError::of_attach("t0", Errno::EINVAL));
        assert!(other.contains("t0") && other.contains("EINVAL"), "{other}");
    }
}
