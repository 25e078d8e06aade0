//! Every bound of this crate, with its derivation.

/// The oldest kernel that takes the program: 5.18 brought XDP over several buffers.
pub(crate) const KERNEL_MIN: (u32, u32) = (5, 18);

/// Lines of the kernel's log that an error shows: the verifier's last words say what it met.
pub(crate) const LOG_LINES_MAX: usize = 3;

/// Bytes of the log that are kept while the program loads; the verifier writes no more of ours.
pub(crate) const LOG_LEN_MAX: usize = 1 << 20;

/// How often a packet may be rehearsed in one call: some tenths of a second.
pub(crate) const REHEARSALS_MAX: u32 = 1_000_000;
