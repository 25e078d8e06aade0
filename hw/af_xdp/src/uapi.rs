//! What of the kernel's interface `libc` does not have, and that what it has is laid out rightly.

/// `setsockopt`: descriptors sent in one call in copy mode (Linux 6.17).
pub(crate) const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// `ioctl` on any socket: bytes of the longest IP packet.
pub(crate) const SIOCGIFMTU: libc::c_ulong = 0x8921;
/// `ioctl` on any socket: what `ethtool` asks.
pub(crate) const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// `ioctl`: how many queues there are.
pub(crate) const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// `ioctl`: which driver it is.
pub(crate) const ETHTOOL_GDRVINFO: u32 = 0x03;

/// `struct ethtool_channels`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct EthtoolChannels {
    pub(crate) cmd: u32,
    pub(crate) max: [u32; 4],
    pub(crate) rx_count: u32,
    pub(crate) tx_count: u32,
    pub(crate) other_count: u32,
    pub(crate) combined_count: u32,
}

/// `struct ethtool_drvinfo`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct EthtoolDriver {
    pub(crate) cmd: u32,
    pub(crate) driver: [u8; 32],
    pub(crate) rest: [u8; 160],
}

/// `struct ifreq`: a name, and a union of which the first eight bytes are read or written here.
#[repr(C, align(8))]
pub(crate) struct InterfaceRequest {
    pub(crate) name: [u8; 16],
    /// A pointer for `SIOCETHTOOL`; the low half is the MTU for `SIOCGIFMTU`.
    pub(crate) value: *mut libc::c_void,
    pub(crate) rest: [u64; 2],
}

const _: () = assert!(size_of::<InterfaceRequest>() == 40, "struct ifreq on 64-bit Linux");
const _: () = assert!(size_of::<EthtoolChannels>() == 36);
const _: () = assert!(size_of::<EthtoolDriver>() == 196);
const _: () = assert!(size_of::<libc::xdp_desc>() == 16 && align_of::<libc::xdp_desc>() == 8);
const _: () = assert!(size_of::<libc::xdp_umem_reg>() == 32);
const _: () = assert!(size_of::<libc::xdp_mmap_offsets>() == 128);
const _: () = assert!(size_of::<libc::xdp_statistics>() == 48);
const _: () = assert!(size_of::<libc::sockaddr_xdp>() == 16);
