//! What the machine says of itself: addresses that the kernel has, memory that is there.

use std::fs;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
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

/// Memory that is there to be taken, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostMemory {
    /// What the kernel would give without swapping.
    pub(crate) available: u64,
    /// Free pages of the pool of huge pages, which are not part of it.
    pub(crate) huge: u64,
}

/// The memory of this machine; `None` where the kernel does not say. A limit of a control group is
/// not looked at: taking the memory will meet it.
pub(crate) fn memory() -> Option<HostMemory> {
    memory_in(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_in(meminfo: &str) -> Option<HostMemory> {
    let value = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    };
    let available = value("MemAvailable")?.checked_mul(1024)?;
    let huge_page_len = value("Hugepagesize").unwrap_or(0).checked_mul(1024)?;
    let huge = value("HugePages_Free").unwrap_or(0).checked_mul(huge_page_len)?;
    Some(HostMemory { available, huge })
}

#[cfg(test)]
mod tests {
    use super::{HostMemory, addresses, memory_in};

    #[test]
    fn the_kernels_loopback_address_is_found_where_it_is_up() {
        for host in addresses().unwrap() {
            assert!(!host.interface.is_empty(), "{host:?}");
            assert_eq!(host.address.is_loopback(), host.interface == "lo", "{host:?}");
        }
    }

    #[test]
    fn memory_is_read_in_bytes_and_the_pool_apart() {
        let text = "MemTotal:       24682416 kB\nMemAvailable:   23960400 kB\n\
                    HugePages_Free:        3\nHugepagesize:       2048 kB\n";
        let memory = HostMemory { available: 23_960_400 * 1024, huge: 3 << 21 };
        assert_eq!(memory_in(text), Some(memory));
        let without_pool = HostMemory { available: 1024, huge: 0 };
        assert_eq!(memory_in("MemAvailable: 1 kB\n"), Some(without_pool));
        assert_eq!(memory_in("MemTotal: 1 kB\n"), None);
    }
}
