//! A short XDP program, loaded by hand: what comes in on a queue with a socket goes to it, all
//! else to the kernel.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const QUEUES: u32 = 16;

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In the driver.
    Native,
    /// In the kernel's common code, behind any driver.
    Generic,
}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key_len: u32,
    value_len: u32,
    entries: u32,
}

#[repr(C)]
struct MapUpdate {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log: [u32; 2],
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach: u32,
    flags: u32,
}

/// The program on one interface; it goes when this is dropped.
pub(crate) struct Program {
    map: OwnedFd,
    _link: OwnedFd,
}

impl Program {
    pub(crate) fn attach(interface: u32, mode: Mode) -> Result<Self, Errno> {
        let create =
            MapCreate { kind: BPF_MAP_TYPE_XSKMAP, key_len: 4, value_len: 4, entries: QUEUES };
        let map = made(bpf(BPF_MAP_CREATE, &create)?);
        let code = code(map.as_raw_fd());
        let load = ProgramLoad {
            kind: BPF_PROG_TYPE_XDP,
            instructions: u32::try_from(code.len()).expect("six"),
            code: code.as_ptr().addr() as u64,
            license: c"Dual MIT/GPL".as_ptr().addr() as u64,
            log: [0; 2],
            log_buffer: 0,
            kernel_version: 0,
            flags: BPF_F_XDP_HAS_FRAGS,
            name: *b"lab_to_sockets\0\0",
            interface: 0,
            attach: BPF_XDP,
        };
        let program = made(bpf(BPF_PROG_LOAD, &load)?);
        let flags = if mode == Mode::Generic { 1 << 1 } else { 1 << 2 };
        let link = LinkCreate { program: raw(&program), interface, attach: BPF_XDP, flags };
        Ok(Self { _link: made(bpf(BPF_LINK_CREATE, &link)?), map })
    }

    /// Sends what comes in on `queue` to this socket.
    pub(crate) fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        let value = u32::try_from(socket.as_raw_fd()).expect("descriptors are positive");
        let (key, value) = (&raw const queue, &raw const value);
        let (key, value) = (key.addr() as u64, value.addr() as u64);
        let update = MapUpdate { map: raw(&self.map), pad: 0, key, value, flags: 0 };
        bpf(BPF_MAP_UPDATE_ELEM, &update).map(drop)
    }
}

/// `return bpf_redirect_map(&map, context->rx_queue_index, XDP_PASS)`.
fn code(map: i32) -> [u64; 6] {
    let instruction = |code: u8, registers: u8, offset: i16, value: i32| {
        let [o0, o1] = offset.to_ne_bytes();
        let [v0, v1, v2, v3] = value.to_ne_bytes();
        u64::from_ne_bytes([code, registers, o0, o1, v0, v1, v2, v3])
    };
    [
        instruction(0x61, 0x12, 16, 0),
        instruction(0x18, 0x11, 0, map),
        0,
        instruction(0xb7, 0x03, 0, 2),
        instruction(0x85, 0, 0, 51),
        instruction(0x95, 0, 0, 0),
    ]
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> Result<i32, Errno> {
    let (first, len) = (&raw const *attributes, size_of::<T>());
    // SAFETY: the kernel reads `len` bytes of `attributes`, and what its addresses name lives in
    // the callers for the time of the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, first, len) };
    Errno::result(result).map(|result| i32::try_from(result).expect("a descriptor or zero"))
}

fn made(descriptor: i32) -> OwnedFd {
    // SAFETY: the kernel has just made it, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn raw(descriptor: &OwnedFd) -> u32 {
    u32::try_from(descriptor.as_raw_fd()).expect("descriptors are positive")
}
