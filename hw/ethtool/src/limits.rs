//! What is believed of a driver at most.

use std::time::Duration;

/// Entries of an indirection table; the largest known has 2,048 (`mlx5`).
pub(crate) const TABLE_MAX: u32 = 16_384;

/// Bytes of a hash key; 40 and 52 are common.
pub(crate) const KEY_LEN_MAX: u32 = 256;

/// Offloads that an interface may have; Linux 6.18 knows some 60.
pub(crate) const FEATURES_MAX: u32 = 1_024;

/// Bytes of a netlink message that is read; an interface's own has some 2 KiB.
pub(crate) const MESSAGE_LEN_MAX: usize = 32 << 10;

/// How long the kernel may take to answer; it does so within the call that asks.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Processes whose namespaces are looked at for the other end of a veth pair.
pub(crate) const PROCESSES_MAX: usize = 1 << 16;

/// Groups that are joined at most: two for each of 63 addresses, and some more.
pub(crate) const GROUPS_MAX: usize = 256;

/// Bytes of an interface's name, without the zero behind it.
pub(crate) const NAME_LEN_MAX: usize = libc::IFNAMSIZ - 1;

const _: () = assert!(NAME_LEN_MAX == 15, "as `ip link` has it");
