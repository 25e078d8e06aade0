//! What a process is given: limits, rights, a share of the cores; and who else runs.

use crate::limits::GROUP_DEPTH_MAX;
use crate::tree::{Reading, Tree, Unread};

/// A limit of a process; `None` is no limit.
pub type Limit = Option<u64>;

/// What this process is given.
#[derive(Clone, Debug)]
pub struct Process {
    /// Bytes that may be locked in memory.
    pub locked_bytes: Reading<Limit>,
    /// Files that may be open.
    pub descriptors: Reading<Limit>,
    /// Its effective capabilities, a bit each.
    pub capabilities: Reading<u64>,
    /// Cores' worth of time that its control groups give it; `None` is no limit.
    pub quota: Reading<Option<f64>>,
    /// Processes called `irqbalance`.
    pub irqbalance: Reading<Vec<u32>>,
}

/// `CAP_IPC_LOCK`: memory may be locked without limit.
pub const CAP_IPC_LOCK: u32 = 14;

impl Process {
    /// Reads it.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        let limits = tree.text("/proc/self/limits");
        let limit = |name: &str| limits.clone().parse(|text| limit_of(text, name));
        Self {
            locked_bytes: limit("Max locked memory"),
            descriptors: limit("Max open files"),
            capabilities: tree.text("/proc/self/status").parse(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
                u64::from_str_radix(line.trim(), 16).ok()
            }),
            quota: quota(tree),
            irqbalance: named(tree, "irqbalance"),
        }
    }

    /// Whether it has the capability of this number.
    #[must_use]
    pub fn has(&self, capability: u32) -> Option<bool> {
        self.capabilities.known_value().map(|set| set >> capability & 1 == 1)
    }
}

/// The soft limit of that name.
fn limit_of(text: &str, name: &str) -> Option<Limit> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

/// The least that a control group of this process, or one above it, allows; both versions of
/// control groups are looked at.
fn quota(tree: &Tree) -> Reading<Option<f64>> {
    const GROUPS: &str = "/proc/self/cgroup";
    let groups = tree.text(GROUPS);
    let text = match groups.value {
        Ok(text) => text,
        // A kernel without control groups limits nobody.
        Err(Unread::Missing) if tree.exists("/proc/self/status") => {
            return Reading::known(GROUPS, None);
        }
        Err(why) => return Reading::unread(GROUPS, why),
    };
    let (mut least, mut source): (Option<f64>, _) = (None, GROUPS.to_owned());
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_v2 = controllers.is_empty();
        if !is_v2 && !controllers.split(',').any(|name| name == "cpu") {
            continue;
        }
        let base = if is_v2 { String::new() } else { format!("/{controllers}") };
        for folder in upwards(path) {
            let folder = format!("/sys/fs/cgroup{base}{folder}");
            let found = if is_v2 { quota_v2(tree, &folder) } else { quota_v1(tree, &folder) };
            if let Some((cores, file)) = found
                && least.is_none_or(|least| cores < least)
            {
                (least, source) = (Some(cores), file);
            }
        }
    }
    Reading::known(source, least)
}

/// A path and those above it: `/a/b`, `/a` and the empty one.
fn upwards(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    let above = |path: &&'_ str| path.rfind('/').map(|slash| slash..path.len());
    std::iter::successors(Some(path), move |path| above(path).map(|cut| &path[..cut.start]))
        .take(GROUP_DEPTH_MAX)
}

/// `cpu.max` holds microseconds of each period, or `max`, and the period.
fn quota_v2(tree: &Tree, folder: &str) -> Option<(f64, String)> {
    let file = format!("{folder}/cpu.max");
    let text = tree.text(&file).value.ok()?;
    let (quota, period) = text.split_once(' ')?;
    share(quota.parse().ok()?, period.parse().ok()?).map(|cores| (cores, file))
}

/// Below zero there is no limit.
fn quota_v1(tree: &Tree, folder: &str) -> Option<(f64, String)> {
    let file = format!("{folder}/cpu.cfs_quota_us");
    let quota: f64 = tree.text(&file).value.ok()?.parse().ok()?;
    let period = tree.text(&format!("{folder}/cpu.cfs_period_us")).value.ok()?.parse().ok()?;
    share(quota, period).map(|cores| (cores, file))
}

fn share(quota: f64, period: f64) -> Option<f64> {
    (quota >= 0.0 && period > 0.0).then(|| quota / period)
}

/// Processes of that name. Where others' processes are hidden, process 1 is as well.
fn named(tree: &Tree, name: &str) -> Reading<Vec<u32>> {
    let numbers = tree.names("/proc").map(|names| {
        let numbers = names.iter().filter_map(|name| name.parse::<u32>().ok());
        numbers.collect::<Vec<_>>()
    });
    let is_called = |number: &u32| {
        tree.text(&format!("/proc/{number}/comm")).value.is_ok_and(|comm| comm == name)
    };
    let source = format!("/proc/*/comm ({name})");
    let value = numbers.value.and_then(|numbers| {
        let found: Vec<_> = numbers.into_iter().filter(is_called).collect();
        if found.is_empty() && tree.text("/proc/1/comm").value.is_err() {
            return Err(Unread::NotPermitted);
        }
        Ok(found)
    });
    Reading { source, value }
}

#[cfg(test)]
mod tests {
    use super::{CAP_IPC_LOCK, Process, upwards};
    use crate::made_up::tree;
    use crate::tree::Unread;

    #[test]
    fn limits_capabilities_and_irqbalance_are_read() {
        let (_folder, tree) = tree(&[
            (
                "proc/self/limits",
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max open files            20000                30000                files\n\
                 Max locked memory         unlimited            unlimited            bytes\n",
            ),
            ("proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n"),
            ("proc/1/comm", "init\n"),
            ("proc/77/comm", "irqbalance\n"),
        ]);
        let process = Process::read(&tree);
        assert_eq!(process.locked_bytes.value, Ok(None));
        assert_eq!(process.descriptors.value, Ok(Some(20_000)));
        assert_eq!((process.has(CAP_IPC_LOCK), process.has(1)), (Some(true), Some(false)));
        assert_eq!(process.irqbalance.value, Ok(vec![77]));
        assert_eq!(process.quota.value, Ok(None));
    }

    #[test]
    fn a_tree_that_hides_other_processes_does_not_say_that_there_are_none() {
        let (_folder, tree) = tree(&[("proc/self/status", "")]);
        let process = Process::read(&tree);
        assert_eq!(process.irqbalance.value, Err(Unread::NotPermitted));
        assert!(process.descriptors.is_missing());
        assert!(process.capabilities.value.is_err());
    }

    #[test]
    fn the_least_quota_of_all_groups_above_counts() {
        let (_folder, tree) = tree(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
        ]);
        let quota = super::quota(&tree);
        assert_eq!(quota.value, Ok(Some(1.5)));
        assert_eq!(quota.source, "/sys/fs/cgroup/a/cpu.max");
    }

    #[test]
    fn the_older_control_groups_are_read_too() {
        let (_folder, old) = tree(&[
            ("proc/self/cgroup", "4:memory:/x\n2:cpu,cpuacct:/a\n0::/\n"),
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(super::quota(&old).value, Ok(Some(0.5)));
        assert_eq!(upwards("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", ""]);
        assert_eq!(upwards("/").collect::<Vec<_>>(), [""]);
    }
}
