//! What is believed of a driver at most.

/// Entries of an indirection table; the largest known has 2,048 (`mlx5`).
pub(crate) const TABLE_MAX: u32 = 16_384;

/// Bytes of a hash key; 40 and 52 are common.
pub(crate) const KEY_LEN_MAX: u32 = 256;

/// Groups that are joined at most: two for each of 63 addresses, and some more.
pub(crate) const GROUPS_MAX: usize = 256;

/// Bytes of an interface's name, without the zero behind it.
pub(crate) const NAME_LEN_MAX: usize = libc::IFNAMSIZ - 1;

const _: () = assert!(NAME_LEN_MAX == 15, "as `ip link` has it");
