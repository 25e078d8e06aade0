//! Cores: which there are, which this process may use, which are left alone by the kernel.

use crate::core_list::CoreList;
use crate::tree::{Reading, Tree};

/// What there is to know of cores.
#[derive(Clone, Debug)]
pub struct Cores {
    /// Those that run.
    pub online: Reading<CoreList>,
    /// Those that this process may use.
    pub allowed: Reading<CoreList>,
    /// Those that the scheduler puts nothing on by itself (`isolcpus=domain`).
    pub isolated: Reading<CoreList>,
    /// Those that cpusets keep apart (`cpuset.cpus.partition` is `isolated`).
    pub isolated_by_cpuset: Reading<CoreList>,
    /// Those whose timer rests while one thread runs there. Missing: the kernel cannot do it.
    pub nohz_full: Reading<CoreList>,
    /// Those whose RCU callbacks run elsewhere: `rcu_nocbs=`, and `nohz_full=`, which implies it.
    pub rcu_nocbs: Reading<CoreList>,
    /// Whether cores have more than one thread that runs.
    pub smt: Reading<bool>,
    /// The threads of each core that is online, for each of them.
    pub siblings: Vec<(usize, Reading<CoreList>)>,
}

const SYSTEM: &str = "/sys/devices/system/cpu";

impl Cores {
    /// Reads it.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        let list = |path: &str| tree.text(path).parse(CoreList::parse);
        let online = list(&format!("{SYSTEM}/online"));
        let siblings =
            online.known_value().into_iter().flat_map(CoreList::iter).map(|core| {
                (core, list(&format!("{SYSTEM}/cpu{core}/topology/thread_siblings_list")))
            });
        Self {
            siblings: siblings.collect(),
            allowed: tree.text("/proc/self/status").parse(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
                CoreList::parse(line)
            }),
            isolated: list(&format!("{SYSTEM}/isolated")),
            isolated_by_cpuset: list("/sys/fs/cgroup/cpuset.cpus.isolated"),
            nohz_full: list(&format!("{SYSTEM}/nohz_full")),
            rcu_nocbs: tree.text("/proc/cmdline").parse(rcu_nocbs),
            smt: tree.text(&format!("{SYSTEM}/smt/active")).parse(|text| match text {
                "0" => Some(false),
                "1" => Some(true),
                _other => None,
            }),
            online,
        }
    }
}

/// Both parameters of the kernel's command line, joined; without them no core.
fn rcu_nocbs(line: &str) -> Option<CoreList> {
    let mut cores = CoreList::default();
    for name in ["rcu_nocbs=", "nohz_full="] {
        for value in line.split_whitespace().filter_map(|word| word.strip_prefix(name)) {
            if value == "all" {
                cores = cores.joined(&(0..crate::limits::CORES_MAX).collect());
            } else {
                cores = cores.joined(&CoreList::parse(value)?);
            }
        }
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::{Cores, rcu_nocbs};
    use crate::made_up::tree;

    #[test]
    fn a_machine_with_isolated_cores_and_threads_is_read() {
        let (_folder, tree) = tree(&[
            ("sys/devices/system/cpu/online", "0-3\n"),
            ("sys/devices/system/cpu/isolated", "2-3\n"),
            ("sys/devices/system/cpu/nohz_full", "2-3\n"),
            ("sys/devices/system/cpu/smt/active", "1\n"),
            ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,3\n"),
            ("proc/cmdline", "quiet isolcpus=2-3 nohz_full=2-3 rcu_nocbs=1\n"),
            ("proc/self/status", "Name:\tx\nCpus_allowed:\tf\nCpus_allowed_list:\t0-1\n"),
        ]);
        let cores = Cores::read(&tree);
        let shown = |reading: &crate::tree::Reading<crate::CoreList>| {
            reading.known_value().map(ToString::to_string)
        };
        assert_eq!(shown(&cores.online).as_deref(), Some("0-3"));
        assert_eq!(shown(&cores.allowed).as_deref(), Some("0-1"));
        assert_eq!(shown(&cores.isolated).as_deref(), Some("2-3"));
        assert_eq!(shown(&cores.rcu_nocbs).as_deref(), Some("1-3"));
        assert!(cores.isolated_by_cpuset.is_missing());
        assert_eq!(cores.smt.value, Ok(true));
        assert_eq!(cores.siblings.len(), 4);
        assert_eq!(shown(&cores.siblings[1].1).as_deref(), Some("1,3"));
        assert!(cores.siblings[0].1.is_missing());
    }

    #[test]
    fn an_empty_tree_says_of_everything_that_it_is_not_there() {
        let (_folder, tree) = tree(&[]);
        let cores = Cores::read(&tree);
        assert!(cores.online.is_missing() && cores.smt.is_missing());
        assert!(cores.siblings.is_empty());
    }

    #[test]
    fn parameters_that_are_not_understood_are_not_guessed() {
        assert!(rcu_nocbs("quiet").unwrap().is_empty());
        assert!(rcu_nocbs("rcu_nocbs=all").unwrap().contains(7));
        assert_eq!(rcu_nocbs("rcu_nocbs=0-31:1/2"), None);
    }
}
