//! How fast cores run, and how deep they sleep.

use crate::core_list::CoreList;
use crate::limits::IDLE_STATES_MAX;
use crate::tree::{Reading, Tree};

/// A state that a core without work may sleep in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleState {
    /// As the kernel calls it: `POLL`, `C1`, `C6`.
    pub name: String,
    /// Microseconds until the core runs again.
    pub latency_us: u32,
    /// Whether it is used.
    pub is_enabled: bool,
}

/// What there is to know of a core's speed and sleep.
#[derive(Clone, Debug)]
pub struct CorePower {
    /// The core.
    pub core: usize,
    /// Who chooses its frequency. Missing: nobody here does.
    pub governor: Reading<String>,
    /// The states that it may sleep in. Missing: the kernel knows none here.
    pub idle_states: Reading<Vec<IdleState>>,
}

/// What there is to know of speed and sleep.
#[derive(Clone, Debug)]
pub struct Power {
    /// Core by core.
    pub cores: Vec<CorePower>,
    /// Whether cores may run faster than their nominal frequency for a while.
    pub turbo: Reading<bool>,
    /// Who puts cores to sleep: `intel_idle`, `acpi_idle`, `haltpoll`, `none`.
    pub idle_driver: Reading<String>,
}

const SYSTEM: &str = "/sys/devices/system/cpu";

impl Power {
    /// Reads it, of these cores.
    #[must_use]
    pub fn read(tree: &Tree, cores: &CoreList) -> Self {
        let cores = cores.iter().map(|core| CorePower {
            core,
            governor: tree.text(&format!("{SYSTEM}/cpu{core}/cpufreq/scaling_governor")),
            idle_states: idle_states(tree, core),
        });
        Self {
            cores: cores.collect(),
            turbo: turbo(tree),
            idle_driver: tree.text(&format!("{SYSTEM}/cpuidle/current_driver")),
        }
    }
}

/// `intel_pstate` has a switch that forbids it, everybody else one that allows it.
fn turbo(tree: &Tree) -> Reading<bool> {
    let forbids = tree.number(&format!("{SYSTEM}/intel_pstate/no_turbo")).map(|value| value == 0);
    if forbids.is_missing() {
        return tree.number(&format!("{SYSTEM}/cpufreq/boost")).map(|value| value == 1);
    }
    forbids
}

fn idle_states(tree: &Tree, core: usize) -> Reading<Vec<IdleState>> {
    let folder = format!("{SYSTEM}/cpu{core}/cpuidle");
    let names = tree.names(&folder);
    let state = |name: &String| {
        let folder = format!("{folder}/{name}");
        Some(IdleState {
            name: tree.text(&format!("{folder}/name")).value.ok()?,
            latency_us: u32::try_from(tree.number(&format!("{folder}/latency")).value.ok()?)
                .ok()?,
            is_enabled: tree.number(&format!("{folder}/disable")).value.ok()? == 0,
        })
    };
    names.map(|names| {
        let states = names.iter().filter(|name| name.starts_with("state"));
        states.take(IDLE_STATES_MAX).filter_map(state).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::{IdleState, Power};
    use crate::core_list::CoreList;
    use crate::made_up::tree;

    #[test]
    fn governor_turbo_and_idle_states_are_read() {
        const CPU: &str = "sys/devices/system/cpu";
        let files = [
            ("cpu1/cpufreq/scaling_governor", "powersave\n"),
            ("cpu1/cpuidle/state0/name", "POLL\n"),
            ("cpu1/cpuidle/state0/latency", "0\n"),
            ("cpu1/cpuidle/state0/disable", "0\n"),
            ("cpu1/cpuidle/state1/name", "C6\n"),
            ("cpu1/cpuidle/state1/latency", "133\n"),
            ("cpu1/cpuidle/state1/disable", "1\n"),
            ("cpuidle/current_driver", "intel_idle\n"),
            ("intel_pstate/no_turbo", "1\n"),
        ]
        .map(|(path, text)| (format!("{CPU}/{path}"), text));
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let (_folder, tree) = tree(&files);
        let power = Power::read(&tree, &CoreList::parse("0-1").unwrap());
        assert!(power.cores[0].governor.is_missing() && power.cores[0].idle_states.is_missing());
        assert_eq!(power.cores[1].governor.value.as_deref(), Ok("powersave"));
        let states = power.cores[1].idle_states.known_value().unwrap();
        let c6 = IdleState { name: "C6".to_owned(), latency_us: 133, is_enabled: false };
        assert_eq!((states.len(), &states[1]), (2, &c6));
        assert_eq!(power.turbo.value, Ok(false));
        assert_eq!(power.idle_driver.value.as_deref(), Ok("intel_idle"));
    }

    #[test]
    fn turbo_has_another_switch_on_other_processors() {
        let (_folder, with) = tree(&[("sys/devices/system/cpu/cpufreq/boost", "1")]);
        assert_eq!(super::turbo(&with).value, Ok(true));
        let (_folder, without) = tree(&[]);
        assert!(super::turbo(&without).is_missing());
    }
}
