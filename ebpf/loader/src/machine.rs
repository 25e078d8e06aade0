//! What this machine and this process have that the kernel's refusals leave open.

use std::fs;

use nix::sys::utsname::uname;

/// Rights that loading and attaching take, by their bits in `CapEff`.
const RIGHTS: [(u32, &str); 3] = [(39, "CAP_BPF"), (PERFMON, CAP_PERFMON), (12, "CAP_NET_ADMIN")];
/// Without it the verifier refuses pointers in what it takes for arithmetic, as compilers write it.
pub(crate) const CAP_PERFMON: &str = "CAP_PERFMON";
const PERFMON: u32 = 38;
/// The right that older kernels wanted instead of those two, and newer ones still take.
const SYS_ADMIN: u32 = 21;
/// `/proc/self/uid_map` of the first user namespace: all numbers, to themselves.
const WHOLE_RANGE: [&str; 3] = ["0", "0", "4294967295"];

/// The facts that make a reason of an error number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The kernel's release, as `uname -r` prints it.
    pub(crate) release: String,
    /// The rights that the process lacks.
    pub(crate) lacks: Vec<&'static str>,
    /// Whether its rights are those of a user namespace, which count for nothing here.
    pub(crate) is_in_user_namespace: bool,
}

impl Machine {
    /// Of this process. What cannot be read is taken to be there: the kernel has the last word.
    pub(crate) fn read() -> Self {
        let release = uname().map(|name| name.release().to_string_lossy().into_owned());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let uid_map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self {
            release: release.unwrap_or_default(),
            lacks: lacks(&status),
            is_in_user_namespace: is_user_namespace(&uid_map),
        }
    }

    /// The kernel's version; none if it has a name that nobody can read.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

fn lacks(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Vec::new();
    };
    let has = |bit: u32| effective >> bit & 1 == 1;
    let missing = RIGHTS.iter().filter(|(bit, name)| {
        let is_covered = *name != "CAP_NET_ADMIN" && has(SYS_ADMIN);
        !has(*bit) && !is_covered
    });
    missing.map(|(_, name)| *name).collect()
}

fn is_user_namespace(uid_map: &str) -> bool {
    !uid_map.is_empty() && !uid_map.split_whitespace().eq(WHOLE_RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_are_read_from_the_process_status() {
        let none = "Name:\tx\nCapEff:\t0000000000000000\n";
        assert_eq!(lacks(none), ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        assert_eq!(lacks("CapEff:\t000001ffffffffff\n"), [""; 0]);
        assert_eq!(lacks("CapEff:\t000000c000000000\n"), ["CAP_NET_ADMIN"]);
        assert_eq!(lacks("CapEff:\t0000008000001000\n"), ["CAP_PERFMON"]);
        assert_eq!(lacks("CapEff:\t0000004000001000\n"), ["CAP_BPF"]);
        assert_eq!(lacks("CapEff:\t0000000000201000\n"), [""; 0], "CAP_SYS_ADMIN will do");
        assert_eq!(lacks("Name:\tx\n"), [""; 0]);
    }

    #[test]
    fn user_namespace_is_known_by_its_map() {
        assert!(!is_user_namespace("         0          0 4294967295\n"));
        assert!(is_user_namespace("         0       1000          1\n"));
        assert!(is_user_namespace("0 0 65536\n"));
        assert!(!is_user_namespace(""));
    }

    #[test]
    fn version_is_the_first_two_numbers() {
        let version = |release: &str| {
            let release = release.to_owned();
            Machine { release, lacks: Vec::new(), is_in_user_namespace: false }.version()
        };
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.15-generic"), Some((5, 15)));
        assert_eq!(version("mine"), None);
    }
}
