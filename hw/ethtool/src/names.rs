//! Which interfaces there are.

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;

/// The names of all interfaces of this network namespace, in order.
///
/// # Errors
/// The kernel does not list them.
pub fn names() -> Result<Vec<String>, Errno> {
    let mut names: Vec<String> = getifaddrs()?.map(|entry| entry.interface_name).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_is_there_once() {
        let names = super::names().unwrap();
        assert_eq!(names.iter().filter(|name| *name == "lo").count(), 1, "{names:?}");
    }
}
