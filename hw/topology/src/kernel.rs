//! The kernel: which it is, what it can do for XDP, what it guards against, what time costs.

use crate::tree::{Reading, Tree};

/// What a processor's weakness costs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakness {
    /// As the kernel calls it: `meltdown`, `spectre_v2`.
    pub name: String,
    /// What the kernel says of it: `Not affected`, `Mitigation: PTI`, `Vulnerable`.
    pub state: String,
}

/// What time on the processors was spent on, in ticks since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    /// All of it.
    pub total: u64,
    /// What the host gave to others while we wanted to run.
    pub stolen: u64,
}

/// What there is to know of the kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Its release: `6.18.44`.
    pub release: Reading<String>,
    /// Whether it describes its own types. Missing: it does not.
    pub btf: Reading<()>,
    /// Whether BPF programs are translated to machine code: 0 no, 1 yes, 2 yes and printed.
    /// Missing: it is shown in the first network namespace only.
    pub jit: Reading<i64>,
    /// What it reads the time from.
    pub clock: Reading<String>,
    /// What else it could read it from.
    pub clocks: Reading<String>,
    /// Weaknesses of the processors.
    pub weaknesses: Reading<Vec<Weakness>>,
    /// Whether this is a virtual machine, as the processor says.
    pub is_virtual: Reading<bool>,
    /// How the processors' time was spent.
    pub ticks: Reading<Ticks>,
    /// Its command line.
    pub command_line: Reading<String>,
}

const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0";
const WEAKNESSES: &str = "/sys/devices/system/cpu/vulnerabilities";

impl Kernel {
    /// Reads it.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        // It is larger than what is read of a file; that it is there is all that is asked.
        const BTF: &str = "/sys/kernel/btf/vmlinux";
        let btf = match tree.names("/sys/kernel/btf").value {
            Ok(_) if tree.exists(BTF) => Reading::known(BTF, ()),
            Ok(_) => Reading::unread(BTF, crate::tree::Unread::Missing),
            Err(why) => Reading::unread(BTF, why),
        };
        Self {
            btf,
            release: tree.text("/proc/sys/kernel/osrelease"),
            jit: tree.number("/proc/sys/net/core/bpf_jit_enable"),
            clock: tree.text(&format!("{CLOCK}/current_clocksource")),
            clocks: tree.text(&format!("{CLOCK}/available_clocksource")),
            weaknesses: tree.names(WEAKNESSES).map(|names| {
                let weakness = |name: String| {
                    let state = tree.text(&format!("{WEAKNESSES}/{name}")).value.ok()?;
                    Some(Weakness { name, state })
                };
                names.into_iter().filter_map(weakness).collect()
            }),
            is_virtual: tree.text("/proc/cpuinfo").parse(|text| {
                let flags = text.lines().find(|line| line.starts_with("flags"))?;
                Some(flags.split_whitespace().any(|flag| flag == "hypervisor"))
            }),
            ticks: tree.text("/proc/stat").parse(ticks),
            command_line: tree.text("/proc/cmdline"),
        }
    }
}

/// User, nice, system, idle, iowait, irq, softirq, steal; the guests' time is within user's.
fn ticks(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let values: Vec<u64> =
        line.split_whitespace().take(8).map_while(|value| value.parse().ok()).collect();
    let stolen = *values.get(7)?;
    Some(Ticks { total: values.iter().sum(), stolen })
}

/// Major and minor number of a release: `6.18.44-fc` is (6, 18).
#[must_use]
pub fn release_number(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Kernel, Ticks, Weakness, release_number};
    use crate::made_up::tree;

    #[test]
    fn a_kernel_is_read() {
        let (_folder, tree) = tree(&[
            ("proc/sys/kernel/osrelease", "6.18.44-x\n"),
            ("proc/sys/net/core/bpf_jit_enable", "1\n"),
            ("sys/kernel/btf/vmlinux", ""),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
            ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet \n"),
            ("sys/devices/system/cpu/vulnerabilities/meltdown", "Mitigation: PTI\n"),
            ("proc/cpuinfo", "processor : 0\nflags\t\t: fpu hypervisor lm\n"),
            ("proc/stat", "cpu  1 2 3 4 5 6 7 8 1 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"),
        ]);
        let kernel = Kernel::read(&tree);
        assert_eq!(kernel.release.value.as_deref(), Ok("6.18.44-x"));
        assert_eq!((kernel.btf.value, kernel.jit.value), (Ok(()), Ok(1)));
        assert_eq!(kernel.clock.value.as_deref(), Ok("tsc"));
        assert_eq!(kernel.clocks.value.as_deref(), Ok("tsc hpet"));
        let meltdown =
            Weakness { name: "meltdown".to_owned(), state: "Mitigation: PTI".to_owned() };
        assert_eq!(kernel.weaknesses.value, Ok(vec![meltdown]));
        assert_eq!(kernel.is_virtual.value, Ok(true));
        assert_eq!(kernel.ticks.value, Ok(Ticks { total: 36, stolen: 8 }));
    }

    #[test]
    fn an_empty_tree_has_no_kernel() {
        let (_folder, tree) = tree(&[("sys/kernel/btf/other", "")]);
        let kernel = Kernel::read(&tree);
        assert!(kernel.btf.is_missing() && kernel.clock.is_missing());
        assert!(kernel.is_virtual.is_missing() && kernel.ticks.is_missing());
    }

    #[test]
    fn releases_are_numbers() {
        assert_eq!(release_number("6.18.44-fc-v445"), Some((6, 18)));
        assert_eq!(release_number("5.10-rc1"), Some((5, 10)));
        assert_eq!(release_number("x"), None);
    }
}
