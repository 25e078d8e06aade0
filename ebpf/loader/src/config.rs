//! What the program is loaded with.

use std::net::IpAddr;

use abi::{ADDRESSES_MAX, QUEUES_MAX};

use crate::budget::SynBudget;
use crate::error::LoadError;

/// Where the program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In the driver if it can, else behind it; [`crate::Attached`] says which it was, and why.
    #[default]
    Auto,
    /// In the driver, before the kernel makes a packet of its own from the frame; or not at all.
    Native,
    /// Behind the driver, on the kernel's packets: every interface can.
    Generic,
}

/// What the program is loaded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The interface's name, in the network namespace of the calling thread.
    pub interface: String,
    /// Where the program runs.
    pub mode: Mode,
    /// How many queues can get a socket: 0 to `queues - 1`. Frames of ours on another queue are
    /// dropped and counted.
    pub queues: u32,
    /// The gateway's addresses, at most [`ADDRESSES_MAX`]; the kernel must not own any of them.
    pub addresses: Vec<IpAddr>,
    /// The gateway's Ethernet address: frames for other stations pass. None: all are looked at.
    pub mac: Option<[u8; 6]>,
    /// Budgets of SYNs; none of them unless asked for.
    pub syn_budget: SynBudget,
}

impl Config {
    /// There is at least one queue, and not more than the program can have.
    pub(crate) fn check_queues(&self) -> Result<(), LoadError> {
        if self.queues == 0 || self.queues > QUEUES_MAX {
            return Err(LoadError::ConfigQueues { queues: self.queues, most: QUEUES_MAX });
        }
        Ok(())
    }

    /// What no kernel needs to be asked for.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        self.check_queues()?;
        let count = self.addresses.len();
        if count == 0 || count > ADDRESSES_MAX as usize {
            return Err(LoadError::ConfigAddressCount { count, most: ADDRESSES_MAX });
        }
        let is_wrong = |address: &&IpAddr| {
            address.is_multicast() || address.is_unspecified() || address.is_loopback()
        };
        match self.addresses.iter().find(is_wrong) {
            Some(&address) => Err(LoadError::ConfigAddress { address }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(queues: u32, addresses: Vec<IpAddr>) -> Config {
        Config {
            interface: "abele0".to_owned(),
            mode: Mode::Auto,
            queues,
            addresses,
            mac: None,
            syn_budget: SynBudget::default(),
        }
    }

    #[test]
    fn number_of_queues_and_addresses_is_bounded() {
        let ours = vec![IpAddr::from([10, 77, 0, 2])];
        assert_eq!(config(1, ours.clone()).check(), Ok(()));
        assert_eq!(config(QUEUES_MAX, ours.clone()).check(), Ok(()));
        for queues in [0, QUEUES_MAX + 1] {
            let refused = config(queues, ours.clone()).check();
            assert_eq!(refused, Err(LoadError::ConfigQueues { queues, most: QUEUES_MAX }));
        }
        for count in [0, 64] {
            let refused = config(1, vec![ours[0]; count]).check();
            let expected = LoadError::ConfigAddressCount { count, most: ADDRESSES_MAX };
            assert_eq!(refused, Err(expected));
        }
    }

    #[test]
    fn address_of_no_station_is_refused_by_name() {
        for text in ["224.0.0.1", "0.0.0.0", "::", "ff02::1", "127.0.0.1", "::1"] {
            let address = text.parse().expect("an address");
            let refused = config(1, vec![address]).check();
            assert_eq!(refused, Err(LoadError::ConfigAddress { address }));
        }
    }
}
