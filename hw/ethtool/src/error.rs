//! Why a NIC could not be asked.

use nix::errno::Errno;

/// Why a NIC could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EthtoolError {
    /// There is no such interface here.
    #[error(
        "there is no interface {name} in this network namespace. Look which there are: ip -brief \
         link; and use one of them"
    )]
    ConfigNoInterface {
        /// What was asked for.
        name: String,
    },
    /// The interface has no Ethernet address, as a tunnel has none.
    #[error("the interface {name} is not Ethernet. Look: ip -details link show {name}")]
    ConfigNotEthernet {
        /// The interface.
        name: String,
    },
    /// The driver gave more than any known one has.
    #[error("{name}: the driver speaks of {count} {what}; at most {most} are understood")]
    PeerTooMany {
        /// The interface.
        name: String,
        /// Of what.
        what: &'static str,
        /// How many.
        count: u32,
        /// The bound.
        most: u32,
    },
    /// No right.
    #[error("{what} of {name}: not permitted; it takes CAP_NET_RAW. Run it as root")]
    ResourceNotPermitted {
        /// The interface.
        name: String,
        /// What was tried.
        what: &'static str,
    },
    /// Anything else that the kernel refused.
    #[error("{what} of {name}: {errno}")]
    System {
        /// The interface.
        name: String,
        /// What was asked.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

impl EthtoolError {
    /// What the kernel's refusal of a question means.
    pub(crate) fn of(name: &str, what: &'static str, errno: Errno) -> Self {
        let name = name.to_owned();
        if matches!(errno, Errno::ENODEV | Errno::ENXIO) {
            Self::ConfigNoInterface { name }
        } else if matches!(errno, Errno::EPERM | Errno::EACCES) {
            Self::ResourceNotPermitted { name, what }
        } else {
            Self::System { name, what, errno }
        }
    }
}

/// The answer; a driver that does not know the question has none.
pub(crate) fn answer<T>(
    name: &str,
    what: &'static str,
    outcome: Result<T, Errno>,
) -> Result<Option<T>, EthtoolError> {
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(Errno::EOPNOTSUPP | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(EthtoolError::of(name, what, errno)),
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::{EthtoolError, answer};

    #[test]
    fn a_driver_without_an_answer_is_no_error_and_a_missing_interface_is_one() {
        assert_eq!(answer("a", "it", Ok(7)), Ok(Some(7)));
        assert_eq!(answer::<u32>("a", "it", Err(Errno::EOPNOTSUPP)), Ok(None));
        let missing = answer::<u32>("a", "it", Err(Errno::ENODEV)).unwrap_err();
        assert_eq!(missing, EthtoolError::ConfigNoInterface { name: "a".to_owned() });
        let other = answer::<u32>("a", "the key", Err(Errno::EIO)).unwrap_err().to_string();
        assert!(other.contains("the key of a") && other.contains("EIO"), "{other}");
        let refused = answer::<u32>("a", "the key", Err(Errno::EPERM)).unwrap_err().to_string();
        assert!(refused.contains("the key of a") && refused.contains("CAP_NET_RAW"), "{refused}");
    }
}
