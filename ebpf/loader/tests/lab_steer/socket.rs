//! `AF_XDP` sockets without a frame to fill: what reaches one is dropped there, and counted there.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Frames of the socket's memory; none of them is ever given to the kernel.
const FRAMES: usize = 4;
const FRAME_LEN: u32 = 4_096;
const MEMORY_LEN: usize = FRAMES * 4_096;

/// A socket that is bound to nothing: enough for the map, and for the test facility, which
/// delivers nothing.
pub(crate) fn unbound() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes no pointer.
    let number = Errno::result(unsafe { libc::socket(libc::AF_XDP, kind, 0) })?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A socket that is bound to a queue, in copy mode.
pub(crate) struct Bound {
    socket: OwnedFd,
    memory: NonNull<libc::c_void>,
}

impl Bound {
    pub(crate) fn new(index: u32, queue: u32) -> Result<Self, Errno> {
        let len = NonZeroUsize::new(MEMORY_LEN).expect("some frames");
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
        let memory = unsafe { mmap_anonymous(None, len, rights, MapFlags::MAP_PRIVATE)? };
        let bound = Self { socket: unbound()?, memory };
        let umem = libc::xdp_umem_reg {
            addr: memory.as_ptr().addr() as u64,
            len: MEMORY_LEN as u64,
            chunk_size: FRAME_LEN,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        bound.set(libc::XDP_UMEM_REG, &umem)?;
        for ring in [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING] {
            bound.set(ring, &64_u32)?;
        }
        let address = libc::sockaddr_xdp {
            sxdp_family: u16::try_from(libc::AF_XDP).expect("44"),
            sxdp_flags: libc::XDP_COPY,
            sxdp_ifindex: index,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match bound.bind(&address) {
                // A queue can stay taken for a moment after its socket was closed.
                Err(Errno::EBUSY) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                result => return result.map(|()| bound),
            }
        }
    }

    fn bind(&self, address: &libc::sockaddr_xdp) -> Result<(), Errno> {
        let len = u32::try_from(size_of_val(address)).expect("16");
        let number = self.socket.as_raw_fd();
        let address = (&raw const *address).cast();
        // SAFETY: the descriptor is open, and `address` is a whole `sockaddr_xdp` of `len` bytes.
        Errno::result(unsafe { libc::bind(number, address, len) }).map(drop)
    }

    fn set<T>(&self, option: i32, value: &T) -> Result<(), Errno> {
        let len = u32::try_from(size_of::<T>()).expect("options are short");
        let (number, value) = (self.socket.as_raw_fd(), (&raw const *value).cast());
        // SAFETY: the descriptor is open, and `value` points to `len` bytes that the kernel reads.
        let result = unsafe { libc::setsockopt(number, libc::SOL_XDP, option, value, len) };
        Errno::result(result).map(drop)
    }

    /// Frames that came to this socket: all of them, because it has none to put them into.
    pub(crate) fn came(&self) -> u64 {
        let mut statistics = libc::xdp_statistics {
            rx_dropped: 0,
            rx_invalid_descs: 0,
            tx_invalid_descs: 0,
            rx_ring_full: 0,
            rx_fill_ring_empty_descs: 0,
            tx_ring_empty_descs: 0,
        };
        let mut len = u32::try_from(size_of_val(&statistics)).expect("48");
        let (number, value) = (self.socket.as_raw_fd(), (&raw mut statistics).cast());
        let option = libc::XDP_STATISTICS;
        // SAFETY: the descriptor is open; the kernel writes at most `len` bytes to `value`.
        let result =
            unsafe { libc::getsockopt(number, libc::SOL_XDP, option, value, &raw mut len) };
        Errno::result(result).expect("the socket is bound");
        statistics.rx_dropped
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and nobody but the kernel, which holds its
        // pages on its own, has its address.
        unsafe { munmap(self.memory, MEMORY_LEN) }.expect("it was mapped");
    }
}
