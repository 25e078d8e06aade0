//! What is counted for the whole gateway and by no core: the XDP program's packets.
//!
//! Asking the kernel takes as long as handling a hundred packets, so no core does. Whoever has time
//! asks and writes here; one core shows it with its own.

use std::sync::atomic::{AtomicU64, Ordering};

use abi::Reason;

/// What the XDP program has counted, as last asked.
#[derive(Debug)]
pub struct Board {
    packets: [AtomicU64; Reason::ALL.len()],
}

impl Default for Board {
    fn default() -> Self {
        Self { packets: [const { AtomicU64::new(0) }; Reason::ALL.len()] }
    }
}

impl Board {
    /// Writes how many packets went where they went for `reason`.
    pub fn set_packets(&self, reason: Reason, packets: u64) {
        self.packets[reason as usize].store(packets, Ordering::Relaxed);
    }

    /// How many packets went where they went for `reason`, when this was last asked.
    #[must_use]
    pub fn packets(&self, reason: Reason) -> u64 {
        self.packets[reason as usize].load(Ordering::Relaxed)
    }
}
