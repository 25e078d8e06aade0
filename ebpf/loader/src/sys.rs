//! The calls of libbpf that have no safe wrapper with the arguments we need.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use libbpf_sys::{
    BPF_XDP, bpf_link_create, bpf_link_create_opts, bpf_prog_test_run_opts, bpf_test_run_opts,
    bpf_xdp_query, bpf_xdp_query_opts, size_t,
};
use nix::errno::Errno;

/// The program that an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// The program's number.
    pub(crate) program: u32,
    /// Where it runs: `XDP_ATTACHED_*`.
    pub(crate) mode: u32,
}

/// Attaches a program to an interface for as long as the descriptor is open. `mode` is
/// `XDP_FLAGS_DRV_MODE` or `XDP_FLAGS_SKB_MODE`.
pub(crate) fn link(program: BorrowedFd<'_>, index: i32, mode: u32) -> Result<OwnedFd, Errno> {
    let options = bpf_link_create_opts {
        sz: size_of::<bpf_link_create_opts>() as size_t,
        flags: mode,
        ..bpf_link_create_opts::default()
    };
    // SAFETY: the program's descriptor is open, and `options` is a whole structure that carries
    // its size; the kernel copies it.
    let result =
        unsafe { bpf_link_create(program.as_raw_fd(), index, BPF_XDP, &raw const options) };
    if result < 0 {
        return Err(Errno::from_raw(result.saturating_neg()));
    }
    // SAFETY: the kernel has just made this descriptor (close-on-exec), and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// The program that an interface has, if it has one.
pub(crate) fn attachment(index: i32) -> Result<Option<Attachment>, Errno> {
    let mut options = bpf_xdp_query_opts {
        sz: size_of::<bpf_xdp_query_opts>() as size_t,
        ..bpf_xdp_query_opts::default()
    };
    // SAFETY: `options` is a whole structure that carries its size, and outlives the call.
    let result = unsafe { bpf_xdp_query(index, 0, &raw mut options) };
    if result < 0 {
        return Err(Errno::from_raw(result.saturating_neg()));
    }
    // With programs in two places there is no one number; any of them is in the way.
    let numbers = [options.prog_id, options.drv_prog_id, options.skb_prog_id, options.hw_prog_id];
    let program = numbers.into_iter().find(|&number| number != 0);
    Ok(program.map(|program| Attachment { program, mode: u32::from(options.attach_mode) }))
}

/// Runs a program over a packet as the kernel's test facility does: nothing is sent or received.
/// Gives the action and the mean time of one run.
pub(crate) fn test_run(
    program: BorrowedFd<'_>,
    packet: &[u8],
    repeat: i32,
) -> Result<(u32, Duration), Errno> {
    let mut options = bpf_test_run_opts {
        sz: size_of::<bpf_test_run_opts>() as size_t,
        data_in: packet.as_ptr().cast(),
        data_size_in: u32::try_from(packet.len()).map_err(|_too_long| Errno::EMSGSIZE)?,
        repeat,
        ..bpf_test_run_opts::default()
    };
    // SAFETY: the program's descriptor is open; `options` is a whole structure that carries its
    // size; `data_in` points to `data_size_in` bytes, which the kernel only reads, and all other
    // pointers are null with a size of 0.
    let result = unsafe { bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) };
    if result < 0 {
        return Err(Errno::from_raw(result.saturating_neg()));
    }
    Ok((options.retval, Duration::from_nanos(u64::from(options.duration))))
}
