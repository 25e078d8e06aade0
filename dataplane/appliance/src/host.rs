//! What the machine says of itself: addresses that the kernel has, cores and memory that are there.

use std::fs;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nameindex;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::socket::SockaddrStorage;

use crate::error::Error;

/// An address of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostAddress {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
}

/// Every address on every interface of the network namespace that this process is in.
pub(crate) fn addresses() -> Result<Vec<HostAddress>, Error> {
    let interfaces = getifaddrs().map_err(Error::errno("list the kernel's addresses"))?;
    let named = interfaces.filter_map(|entry| {
        let address = ip_of(&entry.address?)?;
        Some(HostAddress { interface: entry.interface_name, address })
    });
    Ok(named.collect())
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// What the machine has for this process. Each is `None` where the kernel does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The names of the interfaces of the network namespace that the process is in.
    pub(crate) interfaces: Option<Vec<String>>,
    /// The cores that the process may run on.
    pub(crate) cores: Option<Vec<usize>>,
    pub(crate) memory: Option<HostMemory>,
    /// Bytes that the process may lock; `None` also where any number is.
    pub(crate) locked_max: Option<u64>,
}

impl Machine {
    /// As it is now.
    pub(crate) fn read() -> Self {
        let cores = core_affinity::get_core_ids();
        let cores = cores.map(|cores| cores.iter().map(|core| core.id).collect());
        Self { interfaces: interfaces(), cores, memory: memory(), locked_max: locked_max() }
    }
}

fn interfaces() -> Option<Vec<String>> {
    let there = if_nameindex().ok()?;
    Some(there.iter().map(|one| one.name().to_string_lossy().into_owned()).collect())
}

/// Bytes that the process may lock, unless it may lock any number.
fn locked_max() -> Option<u64> {
    let (limit, _hard) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    // Who may not open the queues at all has more to mend than this, and `run` names all of it.
    let is_bound = has_right(&status, CAP_NET_RAW) && !has_right(&status, CAP_IPC_LOCK);
    (limit != RLIM_INFINITY && is_bound).then_some(limit)
}

/// The right to open queues of a card.
const CAP_NET_RAW: u32 = 13;
/// With it the limit on locked memory does not hold.
const CAP_IPC_LOCK: u32 = 14;

/// Whether a process of this status has a right, by its number in the kernel.
fn has_right(status: &str, right: u32) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    effective.is_some_and(|bits| bits >> right & 1 == 1)
}

/// Memory that is there to be taken, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostMemory {
    /// All of it.
    pub(crate) total: u64,
    /// What the kernel would give without swapping.
    pub(crate) available: u64,
    /// Free pages of the pool of huge pages, which are not part of it.
    pub(crate) huge: u64,
}

/// The memory of this machine; `None` where the kernel does not say. A limit of a control group is
/// not looked at: taking the memory will meet it.
fn memory() -> Option<HostMemory> {
    memory_in(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_in(meminfo: &str) -> Option<HostMemory> {
    let value = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    };
    let total = value("MemTotal")?.checked_mul(1024)?;
    let available = value("MemAvailable")?.checked_mul(1024)?;
    let huge_page_len = value("Hugepagesize").unwrap_or(0).checked_mul(1024)?;
    let huge = value("HugePages_Free").unwrap_or(0).checked_mul(huge_page_len)?;
    Some(HostMemory { total, available, huge })
}

#[cfg(test)]
mod tests {
    use super::{CAP_IPC_LOCK, CAP_NET_RAW, HostMemory, addresses, has_right, memory_in};

    #[test]
    fn the_kernels_loopback_address_is_found_where_it_is_up() {
        for host in addresses().unwrap() {
            assert!(!host.interface.is_empty(), "{host:?}");
            assert_eq!(host.address.is_loopback(), host.interface == "lo", "{host:?}");
        }
    }

    #[test]
    fn rights_are_read_from_the_status() {
        assert!(has_right("Name:\tx\nCapEff:\t000001ffffffffff\n", CAP_NET_RAW));
        assert!(has_right("CapEff:\t0000000000004000\n", CAP_IPC_LOCK));
        assert!(!has_right("CapEff:\t0000000000004000\n", CAP_NET_RAW));
        for poor in ["CapEff:\t0000000000000000\n", "CapPrm:\t4000\n", "", "CapEff: x"] {
            assert!(!has_right(poor, CAP_IPC_LOCK), "{poor}");
        }
    }

    #[test]
    fn memory_is_read_in_bytes_and_the_pool_apart() {
        let text = "MemTotal:       24682416 kB\nMemAvailable:   23960400 kB\n\
                    HugePages_Free:        3\nHugepagesize:       2048 kB\n";
        let total = 24_682_416 * 1024;
        let memory = HostMemory { total, available: 23_960_400 * 1024, huge: 3 << 21 };
        assert_eq!(memory_in(text), Some(memory));
        let without_pool = HostMemory { total: 2048, available: 1024, huge: 0 };
        assert_eq!(memory_in("MemTotal: 2 kB\nMemAvailable: 1 kB\n"), Some(without_pool));
        assert_eq!(memory_in("MemTotal: 1 kB\n"), None);
    }
}
