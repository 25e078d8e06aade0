//! How fast the workers' cores run, and how long they take to wake up.

use topology::{CoreList, CorePower, IdleState};

use super::OfMachine;
use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::limits::WAKE_US_MAX;

pub(super) const RULES: &[OfMachine] = &[governor, turbo, idle];

fn of_workers(facts: &Facts) -> impl Iterator<Item = &CorePower> {
    facts.machine.power.cores.iter().filter(|power| facts.workers.cores.contains(power.core))
}

fn governor(facts: &Facts) -> Finding {
    const RULE: &str = "frequency.governor";
    let Some(first) = of_workers(facts).next() else {
        return Finding::unknown(RULE, "it is not known where the workers run")
            .from(&facts.machine.cores.online.source);
    };
    if first.governor.is_missing() {
        let who = match facts.machine.kernel.is_virtual.known_value() {
            Some(true) => "the host decides, which cannot be seen from here",
            Some(false) | None => "the firmware decides, or the driver is missing",
        };
        return Finding::unknown(RULE, format!("this kernel sets no frequency: {who}"))
            .from(&first.governor.source)
            .from(&facts.machine.kernel.is_virtual.source);
    }
    let mut slow = CoreList::default();
    let mut names: Vec<&str> = Vec::new();
    for power in of_workers(facts) {
        let Some(name) = power.governor.known_value() else {
            return Finding::unread(RULE, "who sets the frequency", &power.governor);
        };
        if name != "performance" {
            slow = slow.joined(&[power.core].into_iter().collect());
        }
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let value = format!("{} on the workers' cores", names.join(", "));
    let finding = if slow.is_empty() {
        Finding::ok(RULE, value)
    } else {
        Finding::warn(RULE, value)
            .costs("after each quiet moment a core begins slowly, for some ms")
            .mend(format!("cpupower -c {slow} frequency-set -g performance"))
    };
    of_workers(facts).fold(finding, |finding, power| finding.from(&power.governor.source))
}

fn turbo(facts: &Facts) -> Finding {
    const RULE: &str = "frequency.turbo";
    let reading = &facts.machine.power.turbo;
    let finding = match &reading.value {
        Err(_) if reading.is_missing() => {
            Finding::unknown(RULE, "this kernel has no switch for it")
        }
        Err(_) => return Finding::unread(RULE, "whether turbo is on", reading),
        Ok(true) => Finding::ok(RULE, "on"),
        Ok(false) => Finding::warn(RULE, "off")
            .costs("cores stay at their nominal frequency: less speed, and more even")
            .mend(if reading.source.ends_with("no_turbo") {
                format!("echo 0 > {} (as root)", reading.source)
            } else {
                format!("echo 1 > {} (as root)", reading.source)
            }),
    };
    finding.from(&reading.source)
}

fn idle(facts: &Facts) -> Finding {
    const RULE: &str = "frequency.idle";
    let driver = &facts.machine.power.idle_driver;
    let mut deepest: Option<&IdleState> = None;
    for power in of_workers(facts) {
        let states = power.idle_states.known_value().into_iter().flatten();
        let enabled = states.filter(|state| state.is_enabled);
        deepest = enabled.chain(deepest).max_by_key(|state| state.latency_us);
    }
    let finding = match (deepest, driver.known_value()) {
        (Some(state), _) => {
            let IdleState { name, latency_us, .. } = state;
            let value = format!("down to {name}, {latency_us} us to wake up");
            if *latency_us <= WAKE_US_MAX {
                Finding::ok(RULE, value)
            } else if facts.wanted.is_spinning {
                Finding::ok(RULE, format!("{value}; workers never sleep (workers.idle = \"spin\")"))
            } else {
                Finding::warn(RULE, value)
                    .costs(format!("a worker that sleeps answers up to {latency_us} us later"))
                    .mend(format!(
                        "cpupower -c {} idle-set -D {WAKE_US_MAX}, or workers.idle = \"spin\"",
                        facts.workers.cores
                    ))
            }
        }
        (None, Some(_)) if facts.machine.kernel.is_virtual.known_value() == Some(&true) => {
            let value = "the kernel knows no states; the host takes a core that sleeps";
            if facts.wanted.is_spinning {
                Finding::ok(RULE, format!("{value}, and workers never do"))
            } else {
                Finding::warn(RULE, value)
                    .costs("a worker that sleeps is woken by the host: some tens of us more")
                    .mend("workers.idle = \"spin\", or more workers.spin_us")
            }
            .from(&facts.machine.kernel.is_virtual.source)
        }
        (None, Some(driver)) => {
            Finding::unknown(RULE, format!("the driver {driver} shows no states"))
        }
        (None, None) => return Finding::unread(RULE, "how cores sleep", driver),
    };
    let finding = finding.from(&driver.source);
    of_workers(facts).fold(finding, |finding, power| finding.from(&power.idle_states.source))
}

#[cfg(test)]
mod tests {
    use topology::IdleState;

    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Ok, Unknown, Warn};
    use crate::doctor::made_up::{cores, facts, found, known, level, missing, refused};

    #[test]
    fn a_governor_that_saves_power_costs() {
        let rule = "frequency.governor";
        assert_eq!(level(rule, |_| {}), Ok);
        let of_core = |core: usize, value| {
            move |facts: &mut Facts| facts.machine.power.cores[core].governor = value
        };
        let saves = || known("powersave".to_owned());
        assert_eq!(level(rule, of_core(3, saves())), Warn);
        assert_eq!(level(rule, of_core(0, saves())), Ok, "no worker runs there");
        assert_eq!(level(rule, of_core(3, refused())), Unknown);
        assert_eq!(level(rule, of_core(2, missing())), Unknown);
        assert_eq!(level(rule, |facts| facts.workers.cores = cores("")), Unknown);
    }

    #[test]
    fn the_mend_of_the_governor_names_the_cores_that_need_it() {
        let mut facts = facts();
        facts.machine.power.cores[3].governor = known("schedutil".to_owned());
        let finding = found(&facts, "frequency.governor");
        assert_eq!(finding.mend, "cpupower -c 3 frequency-set -g performance");
        assert_eq!(finding.value, "performance, schedutil on the workers' cores");
    }

    #[test]
    fn turbo_is_on_or_off_or_not_to_be_seen() {
        let rule = "frequency.turbo";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, |facts| facts.machine.power.turbo = known(false)), Warn);
        assert_eq!(level(rule, |facts| facts.machine.power.turbo = missing()), Unknown);
        assert_eq!(level(rule, |facts| facts.machine.power.turbo = refused()), Unknown);
    }

    #[test]
    fn deep_sleep_costs_unless_nobody_sleeps() {
        let rule = "frequency.idle";
        assert_eq!(level(rule, |_| {}), Ok);
        let c6 = |is_enabled| IdleState { name: "C6".to_owned(), latency_us: 133, is_enabled };
        let deep = |is_enabled| {
            move |facts: &mut Facts| {
                facts.machine.power.cores[3].idle_states = known(vec![c6(is_enabled)]);
            }
        };
        assert_eq!(level(rule, deep(true)), Warn);
        assert_eq!(level(rule, deep(false)), Ok, "it is switched off");
        let spinning = |facts: &mut Facts| {
            deep(true)(facts);
            facts.wanted.is_spinning = true;
        };
        assert_eq!(level(rule, spinning), Ok);
    }

    #[test]
    fn in_a_virtual_machine_the_host_takes_a_core_that_sleeps() {
        let rule = "frequency.idle";
        let none = |is_virtual| {
            move |facts: &mut Facts| {
                facts.machine.kernel.is_virtual = known(is_virtual);
                for power in &mut facts.machine.power.cores {
                    power.idle_states = missing();
                }
            }
        };
        assert_eq!(level(rule, none(true)), Warn);
        assert_eq!(level(rule, none(false)), Unknown);
        let spinning = |facts: &mut Facts| {
            none(true)(facts);
            facts.wanted.is_spinning = true;
        };
        assert_eq!(level(rule, spinning), Ok);
        let nothing = |facts: &mut Facts| {
            none(true)(facts);
            facts.machine.power.idle_driver = missing();
        };
        assert_eq!(level(rule, nothing), Unknown);
    }
}
