//! Which faults are injected, and which requests make no sense.

use base::Duration;

use crate::limits::{HELD_PACKETS_MAX, HOLD_MAX, PPM_MAX, RATE_BITS_PER_S_MAX};
use crate::queue::Capabilities;

/// What happens to the packets that are sent. `Default` is nothing at all.
///
/// A packet meets the faults in this order: loss, corruption, duplication, rate limit, delay and
/// jitter, reordering. Chances are parts in a million, each drawn for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impairments {
    /// What every choice follows from.
    pub seed: u64,
    /// A packet disappears.
    pub loss_ppm: u32,
    /// A packet is sent twice, one right after the other.
    pub duplicate_ppm: u32,
    /// One bit of a packet flips, where a checksum sees it: in the IPv4 packet, or in the IPv6
    /// packet from the source address on. ARP and other types are left whole: nothing would
    /// detect it. UDP over IPv4 without a checksum takes such a bit for good.
    pub corrupt_ppm: u32,
    /// A packet is held back until others have overtaken it.
    pub reorder_ppm: u32,
    /// How many packets overtake one that is held back.
    pub reorder_packets: u16,
    /// How long one is held back at most, beyond its delay. Together with `u16::MAX` packets it
    /// is reordering by time alone.
    pub reorder_hold_max: Duration,
    /// How long every packet takes.
    pub delay: Duration,
    /// How much longer one takes at most, evenly spread. Packets do not overtake each other by
    /// it: that is `reorder_ppm`.
    pub jitter: Duration,
    /// Bits a second, counted from the Ethernet header on; 0 is no limit.
    pub rate_bits_per_s: u64,
    /// Bytes that may wait for the rate limit; what does not fit is dropped.
    pub queue_bytes_max: u64,
    /// Packets that may be held in all; what does not fit is dropped.
    pub held_packets_max: u32,
}

impl Default for Impairments {
    fn default() -> Self {
        Self {
            seed: 0,
            loss_ppm: 0,
            duplicate_ppm: 0,
            corrupt_ppm: 0,
            reorder_ppm: 0,
            reorder_packets: 3,
            reorder_hold_max: Duration::from_millis(10),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate_bits_per_s: 0,
            queue_bytes_max: 256 << 10,
            held_packets_max: 1024,
        }
    }
}

/// Why a set of impairments was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpairError {
    /// A chance of more than one.
    #[error("{field} is {ppm}; parts in a million are 0 to 1000000")]
    ConfigChance {
        /// The field.
        field: &'static str,
        /// Its value.
        ppm: u32,
    },
    /// A time that nothing waits for.
    #[error("{field} is {asked}; at most {HOLD_MAX}")]
    ConfigTime {
        /// The field.
        field: &'static str,
        /// Its value.
        asked: Duration,
    },
    /// Held back until no packet has overtaken it, or for no time: not held back.
    #[error("reorder_ppm is set, so reorder_packets and reorder_hold_max must not be 0")]
    ConfigReorder,
    /// Faster than packets can be told apart.
    #[error("rate_bits_per_s is {rate}; at most {RATE_BITS_PER_S_MAX}, or 0 for no limit")]
    ConfigRate {
        /// What was asked for.
        rate: u64,
    },
    /// The longest packet could never be sent.
    #[error("queue_bytes_max is {queue}; the longest packet alone has {packet} bytes")]
    ConfigQueue {
        /// What was asked for.
        queue: u64,
        /// What is needed at least.
        packet: u64,
    },
    /// A packet and its duplicate could not be held, or more than there is memory for.
    #[error("held_packets_max is {packets}; use 2 to {HELD_PACKETS_MAX}")]
    ConfigHeld {
        /// What was asked for.
        packets: u32,
    },
    /// The device would write a right checksum over the damage.
    #[error("corrupt_ppm is set, but {name} fills in checksums after the bit is flipped")]
    ConfigCorruptOffload {
        /// The queue pair behind.
        name: &'static str,
    },
}

impl Impairments {
    /// Whether it changes nothing: every packet passes at once.
    #[must_use]
    pub fn is_none(&self) -> bool {
        let Self {
            seed: _,
            loss_ppm,
            duplicate_ppm,
            corrupt_ppm,
            reorder_ppm,
            reorder_packets: _,
            reorder_hold_max: _,
            delay,
            jitter,
            rate_bits_per_s,
            queue_bytes_max: _,
            held_packets_max: _,
        } = *self;
        let chances = [loss_ppm, duplicate_ppm, corrupt_ppm, reorder_ppm];
        chances == [0; 4]
            && delay == Duration::ZERO
            && jitter == Duration::ZERO
            && rate_bits_per_s == 0
    }

    /// Says what is wrong with it in front of a queue pair that can do `capabilities`.
    ///
    /// # Errors
    /// See [`ImpairError`].
    pub fn check(&self, capabilities: &Capabilities) -> Result<(), ImpairError> {
        let chances = [
            ("loss_ppm", self.loss_ppm),
            ("duplicate_ppm", self.duplicate_ppm),
            ("corrupt_ppm", self.corrupt_ppm),
            ("reorder_ppm", self.reorder_ppm),
        ];
        if let Some(&(field, ppm)) = chances.iter().find(|chance| chance.1 > PPM_MAX) {
            return Err(ImpairError::ConfigChance { field, ppm });
        }
        let times = [
            ("delay", self.delay),
            ("jitter", self.jitter),
            ("reorder_hold_max", self.reorder_hold_max),
        ];
        if let Some(&(field, asked)) = times.iter().find(|time| time.1 > HOLD_MAX) {
            return Err(ImpairError::ConfigTime { field, asked });
        }
        let is_held = self.reorder_packets > 0 && self.reorder_hold_max > Duration::ZERO;
        if self.reorder_ppm > 0 && !is_held {
            return Err(ImpairError::ConfigReorder);
        }
        if self.rate_bits_per_s > RATE_BITS_PER_S_MAX {
            let rate = self.rate_bits_per_s;
            return Err(ImpairError::ConfigRate { rate });
        }
        let packet = capabilities.packet_len_max() as u64;
        if self.rate_bits_per_s > 0 && self.queue_bytes_max < packet {
            let queue = self.queue_bytes_max;
            return Err(ImpairError::ConfigQueue { queue, packet });
        }
        if !(2..=HELD_PACKETS_MAX).contains(&self.held_packets_max) {
            let packets = self.held_packets_max;
            return Err(ImpairError::ConfigHeld { packets });
        }
        if self.corrupt_ppm > 0 && capabilities.checksum_tx {
            let name = capabilities.name;
            return Err(ImpairError::ConfigCorruptOffload { name });
        }
        Ok(())
    }
}
