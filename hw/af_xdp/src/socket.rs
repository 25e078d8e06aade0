//! The system calls on an AF_XDP socket, one function each.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What an option of a socket may be.
///
/// # Safety
/// A `repr(C)` value of integers without padding: every pattern of bits is a value.
pub(crate) unsafe trait OptionValue: Copy {}

// SAFETY: an integer.
unsafe impl OptionValue for u32 {}
// SAFETY: four times four words of 64 bits.
unsafe impl OptionValue for libc::xdp_mmap_offsets {}
// SAFETY: six words of 64 bits.
unsafe impl OptionValue for libc::xdp_statistics {}
// SAFETY: one word of 32 bits.
unsafe impl OptionValue for libc::xdp_options {}
// SAFETY: two words of 64 bits and four of 32, whose sum is its size.
unsafe impl OptionValue for libc::xdp_umem_reg {}

/// An AF_XDP socket.
#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: OwnedFd,
}

impl Socket {
    pub(crate) fn open() -> Result<Self, Errno> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: three integers go in and a descriptor or an error comes out.
        let descriptor = Errno::result(unsafe { libc::socket(libc::AF_XDP, kind, 0) })?;
        // SAFETY: it was just opened, and nobody else has it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { descriptor })
    }

    /// Any other descriptor in its place.
    #[cfg(all(test, not(loom), not(miri)))]
    pub(crate) fn stand_in(descriptor: OwnedFd) -> Self {
        Self { descriptor }
    }

    /// Sets an option of AF_XDP's own.
    pub(crate) fn set_xdp<T: OptionValue>(&self, name: libc::c_int, value: T) -> Result<(), Errno> {
        self.set(libc::SOL_XDP, name, value)
    }

    /// Sets an option.
    pub(crate) fn set<T: OptionValue>(
        &self,
        level: libc::c_int,
        name: libc::c_int,
        value: T,
    ) -> Result<(), Errno> {
        let (fd, len) = (self.descriptor.as_raw_fd(), option_len::<T>());
        // SAFETY: the kernel reads `len` bytes of `value`, which is as long and lives on.
        let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) };
        Errno::result(result).map(drop)
    }

    /// Reads an option: the value, and how many of its bytes the kernel wrote. The rest is zero.
    pub(crate) fn read<T: OptionValue>(
        &self,
        level: libc::c_int,
        name: libc::c_int,
    ) -> Result<(T, usize), Errno> {
        let mut value = MaybeUninit::<T>::zeroed();
        let (fd, mut len) = (self.descriptor.as_raw_fd(), option_len::<T>());
        // SAFETY: the kernel writes at most `len` bytes, which `value` has.
        let result =
            unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut len) };
        Errno::result(result)?;
        // SAFETY: every pattern of bits is a value of an `OptionValue`, zeroes included.
        let value = unsafe { value.assume_init() };
        Ok((value, usize::try_from(len).unwrap_or_default()))
    }

    /// Takes the queue, with `flags` of `sockaddr_xdp`.
    pub(crate) fn bind(&self, interface: u32, queue: u16, flags: u16) -> Result<(), Errno> {
        let address = libc::sockaddr_xdp {
            sxdp_family: u16::try_from(libc::AF_XDP).expect("44"),
            sxdp_flags: flags,
            sxdp_ifindex: interface,
            sxdp_queue_id: u32::from(queue),
            sxdp_shared_umem_fd: 0,
        };
        let len = option_len::<libc::sockaddr_xdp>();
        let fd = self.descriptor.as_raw_fd();
        // SAFETY: the kernel reads one `sockaddr_xdp` of `len` bytes, which lives on.
        let result = unsafe { libc::bind(fd, (&raw const address).cast(), len) };
        Errno::result(result).map(drop)
    }

    /// Makes the kernel send what lies in the tx ring.
    #[inline]
    pub(crate) fn kick(&self) -> Result<(), Errno> {
        let (fd, no_bytes) = (self.descriptor.as_raw_fd(), std::ptr::null());
        // SAFETY: no byte and no address is passed.
        let result =
            unsafe { libc::sendto(fd, no_bytes, 0, libc::MSG_DONTWAIT, std::ptr::null(), 0) };
        Errno::result(result).map(drop)
    }

    /// Lets the kernel poll the device from this call, for a socket set up so.
    #[inline]
    pub(crate) fn busy_poll(&self) -> Result<(), Errno> {
        let fd = self.descriptor.as_raw_fd();
        let (no_bytes, no_address) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: no byte is read and no address is asked for.
        let result = unsafe {
            libc::recvfrom(fd, no_bytes, 0, libc::MSG_DONTWAIT, no_address, std::ptr::null_mut())
        };
        Errno::result(result).map(drop)
    }

    /// Wakes the driver for whatever it waits for; unlike [`Self::busy_poll`] every kernel can.
    pub(crate) fn wake(&self) -> Result<(), Errno> {
        let mut wanted = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        poll(&mut wanted, PollTimeout::ZERO).map(drop)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn option_len<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("options are short")
}
