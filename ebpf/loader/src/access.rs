//! The access lists, as they stand in the program's maps.

use std::net::IpAddr;

use abi::{PrefixV4, PrefixV6, RULES_MAX};
use libbpf_rs::{MapCore as _, MapHandle};
use nix::errno::Errno;
use zerocopy::{FromBytes, IntoBytes};

use crate::error::LoadError;
use crate::prefix::{Prefix, Rule};
use crate::steering::Steering;

impl Steering {
    /// Sets what the access list says about a range of sources; a longer prefix goes before a
    /// shorter one. It holds from the next packet on, for new and old connections alike.
    ///
    /// # Errors
    /// The list is full.
    pub fn set_rule(&self, prefix: Prefix, rule: Rule) -> Result<(), LoadError> {
        let what = format!("adding {prefix} to the access list");
        let value = rule.to_abi();
        let (map, key) = self.rules_and_key(prefix);
        match self.update(map, &key, value.as_bytes(), &what) {
            Err(LoadError::System { errno: Errno::ENOSPC, .. }) => {
                Err(LoadError::ResourceRulesFull { most: RULES_MAX })
            }
            result => result,
        }
    }

    /// Removes a range from the access list. Whether it was there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_rule(&self, prefix: Prefix) -> Result<bool, LoadError> {
        let (map, key) = self.rules_and_key(prefix);
        self.delete(map, &key, &format!("removing {prefix} from the access list"))
    }

    /// The access list, in the order of the addresses. While another thread changes it, a range
    /// may be missing or stand in it twice.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn rules(&self) -> Result<Vec<(Prefix, Rule)>, LoadError> {
        let mut rules = Vec::new();
        for map in [&self.loaded.rules_v4, &self.loaded.rules_v6] {
            let keys = map.keys().take(RULES_MAX as usize);
            for (prefix, key) in keys.filter_map(|key| Some((prefix_of(&key)?, key))) {
                let value = self.lookup(map, &key, "reading the access list")?;
                // It may have been removed since its key was read.
                if let Some(value) = value.and_then(|v| u32::read_from_bytes(&v).ok()) {
                    rules.push((prefix, Rule::of_abi(value)));
                }
            }
        }
        rules.sort_by_key(|(prefix, _)| *prefix);
        Ok(rules)
    }

    fn rules_and_key(&self, prefix: Prefix) -> (&MapHandle, Vec<u8>) {
        let prefix_len = u32::from(prefix.len());
        match prefix.address() {
            IpAddr::V4(v4) => {
                let key = PrefixV4 { prefix_len, bytes: v4.octets() };
                (&self.loaded.rules_v4, key.as_bytes().to_vec())
            }
            IpAddr::V6(v6) => {
                let key = PrefixV6 { prefix_len, bytes: v6.octets() };
                (&self.loaded.rules_v6, key.as_bytes().to_vec())
            }
        }
    }
}

/// The prefix that a key of either list says; none if it is no such key.
fn prefix_of(key: &[u8]) -> Option<Prefix> {
    let (address, len) = if let Ok(v4) = PrefixV4::read_from_bytes(key) {
        (IpAddr::from(v4.bytes), v4.prefix_len)
    } else {
        let v6 = PrefixV6::read_from_bytes(key).ok()?;
        (IpAddr::from(v6.bytes), v6.prefix_len)
    };
    Prefix::new(address, u8::try_from(len).ok()?).ok()
}
