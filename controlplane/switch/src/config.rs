//! How a switch is to be, and what it is in its cluster.

use base::Duration;
use memory::PageChoice;
use protocol::limits::NODE_LEN_MAX;
use protocol::{ClusterId, Epoch, Limits};

use crate::access::AccessEntry;
use crate::limits::{
    ACCESS_MAX, CONNECTIONS_MAX, DRIFT_PPM_MAX, LEASE_MAX, LEASE_MIN, PLACES_MAX, SESSIONS_MAX,
};
use crate::table::PlanError;

/// How a switch is to be.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// How long a renewal gives authority, on the session's clock.
    pub lease: Duration,
    /// How far clocks may run apart, in parts per million of each.
    pub drift_ppm: u32,
    /// How long nothing is granted after the start: until every lease of an earlier switch is over,
    /// which is [`SwitchConfig::exclusion`]. Zero is right only where there was none.
    pub grace: Duration,
    /// Bounds of frames.
    pub limits: Limits,
    /// Connections at a time: their numbers are below.
    pub connections_max: u32,
    /// Sessions at a time.
    pub sessions_max: u32,
    /// Shards, among which the names are spread: at least one.
    pub shards: u8,
    /// Ports whose memory is taken at the start.
    pub ports_planned: u32,
    /// Ports at a time.
    pub ports_max: u32,
    /// Places of subscribers and waiters at a time.
    pub places_max: u32,
    /// Who may come in, the first fitting entry first.
    pub access: Vec<AccessEntry>,
    /// The pages of the table.
    pub pages: PageChoice,
}

impl SwitchConfig {
    /// Nobody may come in; three seconds of lease, a million ports that may become a billion.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lease: Duration::from_secs(3),
            drift_ppm: 1_000,
            grace: Duration::ZERO,
            limits: Limits::DEFAULT,
            connections_max: 65_536,
            sessions_max: 65_536,
            shards: 1,
            ports_planned: 1_000_000,
            ports_max: 1_000_000_000,
            places_max: PLACES_MAX,
            access: Vec::new(),
            pages: PageChoice::Best,
        }
    }
}

impl Default for SwitchConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What the switch is in its cluster, for as long as it is master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The incarnation of the cluster.
    pub cluster: ClusterId,
    /// The number of this mastership.
    pub epoch: Epoch,
    /// The version of the map of groups.
    pub map_version: u64,
    /// Groups in that map.
    pub groups: u16,
    /// The group of this switch.
    pub group: u16,
    /// The switch's name, 1 to 64 bytes.
    pub name: String,
}

/// Why a switch cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// The lease is too short or too long.
    #[error("a lease of {0}; from {LEASE_MIN} to {LEASE_MAX} would be right")]
    Lease(Duration),
    /// The clocks drift too far for a lease.
    #[error("a drift of {0} parts per million; at most {DRIFT_PPM_MAX} would be right")]
    Drift(u32),
    /// Too many connections, or none.
    #[error("{0} connections; from 1 to {CONNECTIONS_MAX} would be right")]
    Connections(u32),
    /// Too many sessions, or none.
    #[error("{0} sessions; from 1 to {SESSIONS_MAX} would be right")]
    Sessions(u32),
    /// Too many places.
    #[error("{0} places of subscribers and waiters; at most 2147483647 would be right")]
    Places(u32),
    /// There are no shards.
    #[error("no shards; 1 to 255 would be right")]
    Shards,
    /// The list of who may come in is too long.
    #[error("{0} entries of access; at most {ACCESS_MAX} would be right")]
    Access(usize),
    /// The switch has no proper name.
    #[error("the switch's name has {0} bytes; 1 to {NODE_LEN_MAX} would be right")]
    Name(usize),
    /// The group is not in the map.
    #[error("group {group} of {groups}; 0 to {groups} - 1 would be right, with 1 group at least")]
    Group {
        /// Of this switch.
        group: u16,
        /// In all.
        groups: u16,
    },
    /// The table cannot be made.
    #[error(transparent)]
    Table(#[from] PlanError),
}

impl SwitchConfig {
    /// How long a silent session's ports are kept: what the lease lasts on the slowest clock as the
    /// fastest one counts it, rounded up to a millisecond.
    #[must_use]
    pub fn exclusion(&self) -> Duration {
        let drift = u64::from(self.drift_ppm);
        let micros = u128::from(self.lease.as_nanos()).div_ceil(1_000);
        let kept = (micros * u128::from(1_000_000 + drift)).div_ceil(u128::from(1_000_000 - drift));
        let millis = kept.div_ceil(1_000);
        Duration::from_millis(u64::try_from(millis).expect("about the length of a lease"))
    }

    pub(crate) fn check(&self, identity: &Identity) -> Result<(), SwitchError> {
        if self.lease < LEASE_MIN || self.lease > LEASE_MAX {
            return Err(SwitchError::Lease(self.lease));
        }
        if self.drift_ppm > DRIFT_PPM_MAX {
            return Err(SwitchError::Drift(self.drift_ppm));
        }
        if self.connections_max == 0 || self.connections_max > CONNECTIONS_MAX {
            return Err(SwitchError::Connections(self.connections_max));
        }
        if self.sessions_max == 0 || self.sessions_max > SESSIONS_MAX {
            return Err(SwitchError::Sessions(self.sessions_max));
        }
        if self.shards == 0 {
            return Err(SwitchError::Shards);
        }
        if i32::try_from(self.places_max).is_err() {
            return Err(SwitchError::Places(self.places_max));
        }
        if self.access.len() > ACCESS_MAX {
            return Err(SwitchError::Access(self.access.len()));
        }
        if !(1..=NODE_LEN_MAX).contains(&identity.name.len()) {
            return Err(SwitchError::Name(identity.name.len()));
        }
        if identity.group >= identity.groups {
            let Identity { group, groups, .. } = *identity;
            return Err(SwitchError::Group { group, groups });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base::Duration;

    use super::SwitchConfig;

    #[test]
    fn ports_are_kept_for_the_lease_of_the_slowest_clock() {
        let kept = |lease, drift_ppm| {
            let config = SwitchConfig { lease, drift_ppm, ..SwitchConfig::new() };
            config.exclusion()
        };
        let three = Duration::from_secs(3);
        assert_eq!(kept(three, 0), three);
        // 3,000 * 1.001 / 0.999 = 3,006.006 ms.
        assert_eq!(kept(three, 1_000), Duration::from_millis(3_007));
        assert_eq!(kept(Duration::from_millis(10), 100_000), Duration::from_millis(13));
    }
}
