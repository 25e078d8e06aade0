//! What is read of the kernel's files at most.

/// Bytes of a file: `/proc/interrupts` has some 11 bytes for each core and line, so 1,000 lines of
/// 500 cores fit.
pub(crate) const FILE_LEN_MAX: u64 = 8 << 20;

/// Entries of a folder: `/proc` has one for each process.
pub(crate) const ENTRIES_MAX: usize = 1 << 17;

/// Numbers of cores are below it: the kernel's own bound, `NR_CPUS` of x86-64.
pub(crate) const CORES_MAX: usize = 8_192;

/// Idle states of a core; the kernel's own bound, `CPUIDLE_STATE_MAX`.
pub(crate) const IDLE_STATES_MAX: usize = 10;

/// Folders of control groups above a process that are looked at.
pub(crate) const GROUP_DEPTH_MAX: usize = 32;
