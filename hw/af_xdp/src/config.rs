//! What is wanted of a queue.

use std::fmt;

use base::QueueId;

use crate::error::AfXdpError;
use crate::limits::{
    BUSY_POLL_BUDGET_MAX, BUSY_POLL_US_MAX, NAME_LEN_MAX, RING_SIZE_MAX, RING_SIZE_MIN,
    TX_BUDGET_MIN,
};

/// Which interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceId {
    /// By its name.
    Name(String),
    /// By its number in the kernel.
    Index(u32),
}

impl From<&str> for InterfaceId {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<u32> for InterfaceId {
    fn from(index: u32) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "number {index}"),
        }
    }
}

/// Whether the device reads and writes the arena's frames itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyMode {
    /// Zero-copy if the driver has it, else the kernel copies; [`crate::Truth`] says which.
    #[default]
    Auto,
    /// The kernel copies, whatever the driver can.
    Copy,
    /// Zero-copy, or an error.
    ZeroCopy,
}

/// Whether packets may lie in several frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultiBuffer {
    /// If kernel and driver have it; [`crate::Truth`] says whether. Where the interface's MTU
    /// makes packets longer than a frame's room, it must be had.
    #[default]
    Auto,
    /// No. An MTU that makes packets longer than a frame's room is refused.
    Off,
}

/// The core drives the device's interrupt work itself, in the calls of its own turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// Microseconds that one call may poll.
    pub us: u32,
    /// Packets that one call may take; the kernel's own figure is 8, and 64 is a full turn.
    pub budget: u16,
}

/// Entries of the four rings, each a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// Frames lent to the kernel to receive into.
    pub fill: u32,
    /// Descriptors that may be on their way out or sent and not yet collected.
    pub completion: u32,
    /// Packets received and not yet taken.
    pub rx: u32,
    /// Descriptors given to the kernel to send.
    pub tx: u32,
}

impl fmt::Display for RingSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fill, completion, rx, tx } = self;
        write!(f, "fill {fill} completion {completion} rx {rx} tx {tx}")
    }
}

impl Default for RingSizes {
    fn default() -> Self {
        Self { fill: 2048, completion: 2048, rx: 2048, tx: 2048 }
    }
}

/// What is wanted of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The interface.
    pub interface: InterfaceId,
    /// Its queue.
    pub queue: QueueId,
    /// The rings.
    pub rings: RingSizes,
    /// Zero-copy or not.
    pub copy: CopyMode,
    /// The kernel says when it must be woken, so that no call is made in vain. Without it each
    /// burst is a system call, also with a driver that polls.
    pub need_wakeup: bool,
    /// Busy polling, if it is wanted.
    pub busy_poll: Option<BusyPoll>,
    /// Descriptors that one system call may send in copy mode, if not the kernel's 32. Where the
    /// kernel lacks the option (before Linux 6.17), [`crate::Truth`] says so.
    pub tx_budget: Option<u32>,
    /// Packets in several frames.
    pub multi_buffer: MultiBuffer,
}

impl Config {
    /// Everything automatic, the rings of ordinary size.
    pub fn new(interface: impl Into<InterfaceId>, queue: QueueId) -> Self {
        Self {
            interface: interface.into(),
            queue,
            rings: RingSizes::default(),
            copy: CopyMode::default(),
            need_wakeup: true,
            busy_poll: None,
            tx_budget: None,
            multi_buffer: MultiBuffer::default(),
        }
    }

    /// Says what cannot work on any machine.
    pub(crate) fn check(&self) -> Result<(), AfXdpError> {
        if let InterfaceId::Name(name) = &self.interface
            && !is_interface_name(name)
        {
            let name = name.clone();
            return Err(AfXdpError::ConfigName { name });
        }
        let RingSizes { fill, completion, rx, tx } = self.rings;
        for (ring, size) in [("fill", fill), ("completion", completion), ("rx", rx), ("tx", tx)] {
            if !size.is_power_of_two() || !(RING_SIZE_MIN..=RING_SIZE_MAX).contains(&size) {
                let (least, most) = (RING_SIZE_MIN, RING_SIZE_MAX);
                return Err(AfXdpError::ConfigRing { ring, size, least, most });
            }
        }
        if let Some(budget) = self.tx_budget
            && !(TX_BUDGET_MIN..=tx).contains(&budget)
        {
            return Err(AfXdpError::ConfigTxBudget { budget, least: TX_BUDGET_MIN, most: tx });
        }
        if let Some(BusyPoll { us, budget }) = self.busy_poll
            && (!(1..=BUSY_POLL_US_MAX).contains(&us) || budget == 0)
        {
            let (us_most, budget_most) = (BUSY_POLL_US_MAX, BUSY_POLL_BUDGET_MAX);
            return Err(AfXdpError::ConfigBusyPoll { us, us_most, budget, budget_most });
        }
        Ok(())
    }
}

/// What the kernel takes as a name, without what would need quotes in a shell.
fn is_interface_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':' | '\'' | '"' | '\\');
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.chars().all(is_plain)
        && name.chars().any(|c| c != '.')
}

#[cfg(test)]
mod tests {
    use base::QueueId;

    use super::{BusyPoll, Config, RingSizes};
    use crate::error::AfXdpError;

    fn config() -> Config {
        Config::new("eth0", QueueId(0))
    }

    #[test]
    fn the_ordinary_configuration_is_right() {
        assert_eq!(config().check(), Ok(()));
        let widest = RingSizes { fill: 32_768, completion: 32_768, rx: 64, tx: 64 };
        let tx_budget = Some(64);
        let busy_poll = Some(BusyPoll { us: 20, budget: 64 });
        let all = Config { rings: widest, tx_budget, busy_poll, ..config() };
        assert_eq!(all.check(), Ok(()));
        assert_eq!(Config::new(7, QueueId(0)).check(), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for name in ["", "..", "a b", "a/b", "1234567890123456"] {
            let refused = Config::new(name, QueueId(0)).check();
            assert!(matches!(refused, Err(AfXdpError::ConfigName { .. })), "{name:?}");
        }
        for size in [0, 32, 100, 65_536] {
            let rings = RingSizes { rx: size, ..RingSizes::default() };
            let refused = Config { rings, ..config() }.check();
            assert!(matches!(refused, Err(AfXdpError::ConfigRing { ring: "rx", .. })), "{size}");
        }
        for budget in [0, 31, 2049] {
            let refused = Config { tx_budget: Some(budget), ..config() }.check();
            assert!(matches!(refused, Err(AfXdpError::ConfigTxBudget { .. })), "{budget}");
        }
        for (us, budget) in [(0, 64), (1_001, 64), (20, 0)] {
            let busy_poll = Some(BusyPoll { us, budget });
            let refused = Config { busy_poll, ..config() }.check();
            assert!(matches!(refused, Err(AfXdpError::ConfigBusyPoll { .. })), "{us} {budget}");
        }
    }
}
