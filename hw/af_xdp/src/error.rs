//! Why there is no queue: what, why, and the command that mends it, in one line each.

use nix::errno::Errno;

/// Why a queue could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "fields are named in the messages")]
pub enum AfXdpError {
    /// The name cannot be an interface's.
    #[error("{name:?} cannot name an interface; use 1 to 15 characters without space, '/' or ':'")]
    ConfigName { name: String },
    /// A ring of a size that the kernel or this crate does not take.
    #[error("{size} entries in the {ring} ring; use a power of two from {least} to {most}")]
    ConfigRing { ring: &'static str, size: u32, least: u32, most: u32 },
    /// The arena could not even fill the ring.
    #[error(
        "a fill ring of {fill} takes every frame of an arena of {frames} with {reserved} in \
         reserve; use a smaller ring or more frames"
    )]
    ConfigFrames { fill: u32, frames: u32, reserved: u64 },
    /// A transmit budget that the kernel does not take.
    #[error("a transmit budget of {budget}; use {least} to {most}, the size of the tx ring")]
    ConfigTxBudget { budget: u32, least: u32, most: u32 },
    /// A busy poll that does nothing, or too much.
    #[error(
        "a busy poll of {us} us and {budget} packets; use 1 to {us_most} us and 1 to {budget_most}"
    )]
    ConfigBusyPoll { us: u32, us_most: u32, budget: u16, budget_most: u16 },
    /// Packets that no frame takes, and no second frame to go on in.
    #[error(
        "{interface} has an MTU of {mtu}, which makes packets of {packet} bytes, and a frame takes \
         {room}; packets over several frames take Linux 6.6 and multi_buffer. Mend it: ip link set \
         dev {interface} mtu {best}, or frames of 4096 bytes"
    )]
    ConfigMtu { interface: String, mtu: u32, packet: u32, room: u32, best: u32 },
    /// There is no such interface.
    #[error(
        "there is no interface {interface} in this network namespace. Look which there are: ip link"
    )]
    ResourceNoInterface { interface: String },
    /// There is no such queue.
    #[error(
        "{interface} has no queue {queue}: it receives on {rx} and sends on {tx}, counted from 0. \
         Mend it: ethtool -L {interface} {mend} (the driver's most: ethtool -l {interface})"
    )]
    ResourceNoQueue { interface: String, queue: u16, rx: u32, tx: u32, mend: String },
    /// Another socket has the queue.
    #[error(
        "queue {queue} of {interface} is taken by another socket, still after {waited_ms} ms. Look \
         by whom: ss --xdp --processes; and end it, or use another queue"
    )]
    ResourceQueueTaken { interface: String, queue: u16, waited_ms: u64 },
    /// No right.
    #[error(
        "{what}: not permitted; it takes CAP_NET_RAW to open AF_XDP sockets, and CAP_NET_ADMIN, \
         CAP_BPF and CAP_PERFMON for what belongs to them. Run it as root, or: setcap \
         cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock+ep PROGRAM"
    )]
    ResourceNotPermitted { what: &'static str },
    /// The limit on locked memory is too low.
    #[error(
        "registering {needed_kib} KiB of frames takes as much locked memory for each queue, and \
         RLIMIT_MEMLOCK is {limit_kib} KiB. Mend it: ulimit -l unlimited (as root before the \
         start; LimitMEMLOCK=infinity in a systemd unit), or setcap \
         cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock+ep PROGRAM"
    )]
    ResourceLockedMemory { needed_kib: u64, limit_kib: u64 },
    /// The kernel has no memory for what stands behind the rings and frames.
    #[error(
        "{what}: the kernel has no memory for it. Look at what is free: free -m; use fewer frames \
         or smaller rings"
    )]
    ResourceMemory { what: &'static str },
    /// The arena lies in memory that cannot be registered.
    #[error(
        "the kernel cannot register the memory of the frames ({errno}): it takes anonymous memory, \
         tmpfs or hugetlbfs, and no file on a disk. Use an anonymous arena"
    )]
    ResourceMapping { errno: Errno },
    /// The interface is down, and its driver sets queues up only while it is up.
    #[error("{interface} is down. Mend it: ip link set dev {interface} up")]
    ResourceLinkDown { interface: String },
    /// Zero-copy was required.
    #[error(
        "{interface} (driver {driver}) refuses zero-copy on queue {queue} ({errno}). Use copy mode \
         (copy = \"auto\" takes the best there is), or a network card whose driver has it (ice, \
         i40e, ixgbe, igc, mlx5, ...): ethtool -i {interface}"
    )]
    ResourceNoZeroCopy { interface: String, driver: String, queue: u16, errno: Errno },
    /// The kernel was built without AF_XDP.
    #[error(
        "this kernel has no AF_XDP ({errno}): it takes Linux 5.4 or later with CONFIG_XDP_SOCKETS=y. \
         Look: uname -r; zgrep XDP_SOCKETS /proc/config.gz; or use a TAP device"
    )]
    ResourceNoAfXdp { errno: Errno },
    /// The kernel lacks something that was asked for.
    #[error(
        "this kernel has no {what}, which takes Linux {since}. Look: uname -r; use a newer kernel, \
         or do without"
    )]
    ResourceKernelOld { what: &'static str, since: &'static str },
    /// What the kernel answered cannot be.
    #[error("{what}: the kernel's answer makes no sense; this is an error of the kernel or ours")]
    ResourceOddAnswer { what: &'static str },
    /// Anything else that the kernel refused.
    #[error("{what} for queue {queue} of {interface}: {errno}")]
    System { what: &'static str, interface: String, queue: u16, errno: Errno },
}
