//! Every bound of this crate, with its derivation.

use std::time::Duration;

/// Entries of a ring, at least: one burst of the engine, and what the kernel sends in a call.
pub const RING_SIZE_MIN: u32 = 64;

/// Entries of a ring, at most. Frames in flight are counted in the ring of completions, and one
/// frame may be all of them: its count must stay below the mark of a lent frame in 16 bits.
pub const RING_SIZE_MAX: u32 = 1 << 15;

/// Descriptors that the kernel copies and sends in one call unless it is told otherwise
/// (`TX_BATCH_SIZE`), and the least that it can be told.
pub const TX_BUDGET_MIN: u32 = 32;

/// Frames that the kernel has while the arena has only its reserve left, which are then of the
/// reserve: a burst. What ends the shortage (ACK, FIN, RST) and what asks for us (ARP) must be heard.
pub(crate) const LENT_MIN: u32 = 64;

/// Frames of the reserve that are not lent, but left for what is sent: a burst as well.
pub(crate) const UNLENT_MIN: u32 = 64;

/// Bytes that the kernel leaves free in front of each received packet, whatever it is told
/// (`XDP_PACKET_HEADROOM`).
pub(crate) const KERNEL_HEADROOM: u16 = 256;

/// Bytes of an interface's name: `IFNAMSIZ` is 16 with the closing zero.
pub(crate) const NAME_LEN_MAX: usize = 15;

/// How long a taken queue is waited for. The kernel takes a closed socket's queue back in a work
/// item behind a grace period: some hundred milliseconds on a loaded machine. Ten times that is
/// a queue that somebody uses.
pub(crate) const BIND_WAIT_MAX: Duration = Duration::from_secs(2);

/// The pause between two tries.
pub(crate) const BIND_PAUSE: Duration = Duration::from_millis(10);

/// How long `close` waits for the device to send what it was given: longer than a queue of
/// [`RING_SIZE_MAX`] full packets takes at 10 Gbit/s (40 ms).
pub(crate) const CLOSE_WAIT_MAX: Duration = Duration::from_millis(100);

/// The pause between two looks at the completions there.
pub(crate) const CLOSE_PAUSE: Duration = Duration::from_millis(1);

/// Segments of a sent packet with a driver that gathers without copying. The kernel binds such
/// a socket only if the driver takes more than one.
pub(crate) const ZERO_COPY_SEGMENTS_MIN: u8 = 2;

/// The longest busy poll within one call: beyond it a core misses its own timers.
pub(crate) const BUSY_POLL_US_MAX: u32 = 1_000;

/// The largest budget of a busy poll: the kernel keeps it in 16 bits. Above its own figure of 8 it
/// takes CAP_NET_ADMIN.
pub(crate) const BUSY_POLL_BUDGET_MAX: u16 = u16::MAX;

const _: () = assert!(RING_SIZE_MIN.is_power_of_two() && RING_SIZE_MAX.is_power_of_two());
const _: () = assert!(RING_SIZE_MAX < crate::ledger::LENT as u32);
// A chain that may be received always fits into the ring.
const _: () = assert!(nic::SEGMENTS_MAX as u32 <= RING_SIZE_MIN);
const _: () = assert!(TX_BUDGET_MIN <= RING_SIZE_MIN);
