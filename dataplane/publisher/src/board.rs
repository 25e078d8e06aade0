//! What is counted for the whole gateway and by no core: the XDP program's packets, and lines of
//! the access log.
//!
//! Asking the kernel takes as long as handling a hundred packets, so no core does. Whoever has time
//! asks and writes here; one core shows it with its own.

use std::sync::atomic::{AtomicU64, Ordering};

use abi::Reason;

/// What the XDP program has counted, as last asked, and the writer of the access log.
#[derive(Debug)]
pub struct Board {
    packets: [AtomicU64; Reason::ALL.len()],
    access_written: AtomicU64,
    access_lost: AtomicU64,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            packets: [const { AtomicU64::new(0) }; Reason::ALL.len()],
            access_written: AtomicU64::new(0),
            access_lost: AtomicU64::new(0),
        }
    }
}

impl Board {
    /// Writes how many packets went where they went for `reason`.
    pub fn set_packets(&self, reason: Reason, packets: u64) {
        self.packets[reason as usize].store(packets, Ordering::Relaxed);
    }

    /// Counts lines of the access log: those that were written, and those that could not be.
    pub fn add_access_lines(&self, written: u64, lost: u64) {
        self.access_written.fetch_add(written, Ordering::Relaxed);
        self.access_lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// Lines of the access log that were written, and those that could not be.
    #[must_use]
    pub fn access_lines(&self) -> [u64; 2] {
        [&self.access_written, &self.access_lost].map(|lines| lines.load(Ordering::Relaxed))
    }

    /// How many packets went where they went for `reason`, when this was last asked.
    #[must_use]
    pub fn packets(&self, reason: Reason) -> u64 {
        self.packets[reason as usize].load(Ordering::Relaxed)
    }
}
