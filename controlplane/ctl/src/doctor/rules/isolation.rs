//! Whether the kernel leaves the workers' cores alone.

use topology::{CoreList, Reading};

use super::OfMachine;
use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;

pub(super) const RULES: &[OfMachine] = &[scheduler, timer, callbacks];

fn scheduler(facts: &Facts) -> Finding {
    let cores = &facts.machine.cores;
    let mut isolated = cores.isolated.clone();
    // Only where cpusets of the second version are mounted is there a second list.
    if let (Ok(list), Some(more)) = (&mut isolated.value, cores.isolated_by_cpuset.known_value()) {
        *list = list.joined(more);
    }
    judge(
        "isolation.isolcpus",
        facts,
        &isolated,
        &Words {
            what: "the scheduler leaves alone",
            parameter: "isolcpus=managed_irq,domain,",
            costs: "any program may be put on a worker's core, which then waits for slices of \
                milliseconds",
        },
    )
    .from(&cores.isolated_by_cpuset.source)
}

fn timer(facts: &Facts) -> Finding {
    const RULE: &str = "isolation.nohz_full";
    let (reading, online) = (&facts.machine.cores.nohz_full, &facts.machine.cores.online);
    // The file is there in every kernel that can do it.
    if reading.is_missing() && online.value.is_ok() {
        return Finding::warn(RULE, "this kernel cannot stop the timer of a busy core")
            .from(&reading.source)
            .costs("each worker is interrupted 100 to 1,000 times a second, for some us each")
            .mend("a kernel with CONFIG_NO_HZ_FULL, then nohz_full= on its command line");
    }
    judge(
        RULE,
        facts,
        reading,
        &Words {
            what: "the timer leaves alone",
            parameter: "nohz_full=",
            costs: "each worker is interrupted 100 to 1,000 times a second, for some us each",
        },
    )
}

fn callbacks(facts: &Facts) -> Finding {
    judge(
        "isolation.rcu_nocbs",
        facts,
        &facts.machine.cores.rcu_nocbs,
        &Words {
            what: "callbacks of RCU leave alone",
            parameter: "rcu_nocbs=",
            costs: "the kernel frees what others have used on the workers' cores: pauses of some us",
        },
    )
}

struct Words {
    what: &'static str,
    parameter: &'static str,
    costs: &'static str,
}

fn judge(rule: &'static str, facts: &Facts, reading: &Reading<CoreList>, words: &Words) -> Finding {
    let Some(list) = reading.known_value() else {
        return Finding::unread(rule, &format!("what {}", words.what), reading);
    };
    let workers = &facts.workers.cores;
    if workers.is_empty() {
        return Finding::unknown(rule, "it is not known where the workers run")
            .from(&reading.source);
    }
    let without = workers.without(list);
    // The list of all cores that there could be is of no use to anybody.
    let online = facts.machine.cores.online.known_value();
    let list = online.map_or(list.clone(), |online| list.common(online));
    let list = if list.is_empty() { "no core".to_owned() } else { list.to_string() };
    let value = format!("{} {list}; workers on {workers}", words.what);
    let finding = if without.is_empty() {
        Finding::ok(rule, value)
    } else {
        Finding::warn(rule, value).costs(words.costs).mend(format!(
            "{}{workers} on the kernel's command line (GRUB_CMDLINE_LINUX, update-grub, reboot)",
            words.parameter
        ))
    };
    finding.from(&reading.source)
}

#[cfg(test)]
mod tests {
    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Ok, Unknown, Warn};
    use crate::doctor::made_up::{cores, facts, found, known, level, missing, refused};

    #[test]
    fn cores_are_left_alone_by_the_scheduler_or_are_not() {
        let rule = "isolation.isolcpus";
        assert_eq!(level(rule, |_| {}), Ok);
        let isolated = |list| move |facts: &mut Facts| facts.machine.cores.isolated = list;
        assert_eq!(level(rule, isolated(known(cores("")))), Warn);
        assert_eq!(level(rule, isolated(known(cores("3")))), Warn, "core 2 is not");
        assert_eq!(level(rule, isolated(refused())), Unknown);
        let by_cpuset = |facts: &mut Facts| {
            facts.machine.cores.isolated = known(cores("3"));
            facts.machine.cores.isolated_by_cpuset = known(cores("2"));
        };
        assert_eq!(level(rule, by_cpuset), Ok);
        assert_eq!(level(rule, |facts| facts.workers.cores = cores("")), Unknown);
    }

    #[test]
    fn a_kernel_that_cannot_stop_its_timer_is_told_from_one_that_was_not_told_to() {
        let rule = "isolation.nohz_full";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, |facts| facts.machine.cores.nohz_full = known(cores(""))), Warn);
        assert_eq!(level(rule, |facts| facts.machine.cores.nohz_full = missing()), Warn);
        assert_eq!(level(rule, |facts| facts.machine.cores.nohz_full = refused()), Unknown);
        let nothing = |facts: &mut Facts| {
            facts.machine.cores.nohz_full = missing();
            facts.machine.cores.online = missing();
        };
        assert_eq!(level(rule, nothing), Unknown, "without sysfs nothing is known");
    }

    #[test]
    fn callbacks_run_elsewhere_or_do_not() {
        let rule = "isolation.rcu_nocbs";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, |facts| facts.machine.cores.rcu_nocbs = known(cores("2"))), Warn);
        assert_eq!(level(rule, |facts| facts.machine.cores.rcu_nocbs = refused()), Unknown);
    }

    #[test]
    fn the_mend_names_the_workers_cores() {
        let mut facts = facts();
        facts.machine.cores.isolated = known(cores(""));
        let finding = found(&facts, "isolation.isolcpus");
        assert!(finding.mend.starts_with("isolcpus=managed_irq,domain,2-3 "), "{finding:?}");
    }
}
