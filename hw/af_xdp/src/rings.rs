//! The four rings of a socket: made, found and mapped.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::config::RingSizes;
use crate::mapping::Mapping;
use crate::refusal::Step;
use crate::ring::{Consumer, Entry, Memory, Parts, Producer};
use crate::socket::Socket;

/// Why there are none.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The kernel refused a step.
    Refused(Step, Errno),
    /// What it answered makes no sense.
    Odd(&'static str),
}

/// The rings of one socket.
#[derive(Debug)]
pub(crate) struct Rings {
    /// Frames to receive into.
    pub(crate) fill: Producer<u64>,
    /// Frames that were sent.
    pub(crate) completion: Consumer<u64>,
    /// Packets received.
    pub(crate) rx: Consumer<libc::xdp_desc>,
    /// Packets to send.
    pub(crate) tx: Producer<libc::xdp_desc>,
}

impl Rings {
    /// Makes and maps all four, before the socket is bound.
    pub(crate) fn new(socket: &Socket, sizes: RingSizes) -> Result<Self, Failure> {
        let made = [
            (libc::XDP_UMEM_FILL_RING, sizes.fill),
            (libc::XDP_UMEM_COMPLETION_RING, sizes.completion),
            (libc::XDP_RX_RING, sizes.rx),
            (libc::XDP_TX_RING, sizes.tx),
        ];
        for (name, size) in made {
            let outcome = socket.set_xdp(name, size);
            outcome.map_err(|errno| Failure::Refused(Step::MakeRing, errno))?;
        }
        let answer = socket.read::<libc::xdp_mmap_offsets>(libc::SOL_XDP, libc::XDP_MMAP_OFFSETS);
        let (offsets, len) = answer.map_err(|errno| Failure::Refused(Step::RingOffsets, errno))?;
        if len < size_of::<libc::xdp_mmap_offsets>() {
            // Before 5.4 rings had no flags, and nobody could know when a wake-up was due.
            return Err(Failure::Refused(Step::RingOffsets, Errno::ENOPROTOOPT));
        }
        let fill = parts(socket, libc::XDP_UMEM_PGOFF_FILL_RING, &offsets.fr, sizes.fill)?;
        let completion =
            parts(socket, libc::XDP_UMEM_PGOFF_COMPLETION_RING, &offsets.cr, sizes.completion)?;
        let (rx_at, tx_at) = (libc::XDP_PGOFF_RX_RING, libc::XDP_PGOFF_TX_RING);
        let rx = parts(socket, offset(rx_at), &offsets.rx, sizes.rx)?;
        let tx = parts(socket, offset(tx_at), &offsets.tx, sizes.tx)?;
        // SAFETY: `parts` found every part in its mapping, aligned; the kernel has initialised its
        // pages and made as many entries as were asked for; the socket is new, so nobody else
        // plays this process' side of its rings.
        let fill = unsafe { Producer::new(fill) };
        // SAFETY: as above.
        let completion = unsafe { Consumer::new(completion) };
        // SAFETY: as above.
        let rx = unsafe { Consumer::new(rx) };
        // SAFETY: as above.
        let tx = unsafe { Producer::new(tx) };
        Ok(Self { fill, completion, rx, tx })
    }
}

/// A ring's place in the socket's address space, whatever integer the library has it in.
fn offset(value: impl TryInto<u64>) -> u64 {
    value.try_into().ok().expect("offsets of rings are positive")
}

/// Maps one ring and finds its parts.
fn parts<T: Entry>(
    socket: &Socket,
    offset: u64,
    at: &libc::xdp_ring_offset,
    size: u32,
) -> Result<Parts<T>, Failure> {
    const ODD: Failure = Failure::Odd("finding the parts of a ring");
    let entries_len = u64::from(size) * size_of::<T>() as u64;
    let len = at.desc.checked_add(entries_len).and_then(|len| usize::try_from(len).ok());
    let len = len.ok_or(ODD)?;
    let offset = i64::try_from(offset).map_err(|_too_large| ODD)?;
    let mapping = Mapping::new(socket.as_fd(), offset, len)
        .map_err(|errno| Failure::Refused(Step::MapRing, errno))?;
    Ok(Parts {
        producer: mapping.place(at.producer, 1).ok_or(ODD)?,
        consumer: mapping.place(at.consumer, 1).ok_or(ODD)?,
        flags: mapping.place(at.flags, 1).ok_or(ODD)?,
        entries: mapping.place(at.desc, size as usize).ok_or(ODD)?,
        size,
        memory: Memory::Kernel { _mapping: mapping },
    })
}
