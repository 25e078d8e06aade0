//! Whether there are cores for the workers, whole and alone.

use topology::CoreList;

use super::OfMachine;
use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;

pub(super) const RULES: &[OfMachine] = &[count, quota, smt];

fn count(facts: &Facts) -> Finding {
    const RULE: &str = "cores.count";
    let (cores, workers) = (&facts.machine.cores, &facts.workers);
    let (Some(online), Some(allowed)) = (cores.online.known_value(), cores.allowed.known_value())
    else {
        let finding = Finding::unread(RULE, "the cores that run", &cores.online);
        let allowed = Finding::unread(RULE, "the cores of this process", &cores.allowed);
        return if cores.online.value.is_err() { finding } else { allowed };
    };
    let value = format!(
        "{} run ({online}), this process may use {} ({allowed}); {} for workers",
        online.len(),
        allowed.len(),
        workers.count
    );
    let finding = if workers.count > allowed.len() {
        Finding::bad(RULE, value)
            .costs("the gateway does not start: each worker needs a core of its own")
            .mend(format!("workers.count = {} in the configuration, or taskset", allowed.len()))
    } else if !workers.cores.without(allowed).is_empty() {
        let refused = workers.cores.without(allowed);
        Finding::bad(RULE, format!("{value}; not allowed: {refused}"))
            .costs("the gateway does not start: it may not run on the cores that are named")
            .mend(format!("workers.cores among {allowed}, or taskset -c {}", workers.cores))
    } else if online.without(&workers.cores).is_empty() {
        Finding::warn(RULE, format!("{value}; none is left to the kernel"))
            .costs(
                "interrupts, timers and all other programs run on the workers' cores and stop \
                 them meanwhile: pauses of milliseconds",
            )
            .mend("fewer workers (workers.count, ethtool -L), or a machine with one core more")
    } else {
        let rest = online.without(&workers.cores);
        Finding::ok(RULE, format!("{value}; left to the kernel: {rest}"))
    };
    finding.from(&cores.online.source).from(&cores.allowed.source)
}

fn quota(facts: &Facts) -> Finding {
    const RULE: &str = "cores.quota";
    let reading = &facts.machine.process.quota;
    let finding = match &reading.value {
        Err(_) => return Finding::unread(RULE, "the share of the cores' time", reading),
        Ok(None) => Finding::ok(RULE, "no control group limits this process's time"),
        Ok(Some(share)) => {
            let value = format!("the control group gives the time of {share:.2} cores");
            // A worker that polls uses all of its core.
            if *share < f64::from(u32::try_from(facts.workers.count).unwrap_or(u32::MAX)) {
                Finding::bad(RULE, value)
                    .costs(
                        "workers that poll use their time up and are stopped for the rest of each \
                         period, usually up to 100 ms: packets are lost",
                    )
                    .mend("CPUQuota= (empty) in the systemd unit, or echo max > cpu.max there")
            } else {
                Finding::ok(RULE, format!("{value}, enough for the workers"))
            }
        }
    };
    finding.from(&reading.source)
}

fn smt(facts: &Facts) -> Finding {
    const RULE: &str = "cores.smt";
    let (cores, workers) = (&facts.machine.cores, &facts.workers.cores);
    let finding = match &cores.smt.value {
        Err(_) => return Finding::unread(RULE, "threads of a core", &cores.smt),
        Ok(false) => Finding::ok(RULE, "each core runs one thread"),
        Ok(true) => judge_siblings(RULE, facts),
    };
    let of_workers = cores.siblings.iter().filter(|(core, _)| workers.contains(*core));
    of_workers.fold(finding.from(&cores.smt.source), |finding, (_, of_core)| {
        finding.from(&of_core.source)
    })
}

fn judge_siblings(rule: &'static str, facts: &Facts) -> Finding {
    let (cores, workers) = (&facts.machine.cores, &facts.workers.cores);
    let mut beside = CoreList::default();
    let mut shared = CoreList::default();
    for (core, threads) in cores.siblings.iter().filter(|(core, _)| workers.contains(*core)) {
        let Some(threads) = threads.known_value() else {
            return Finding::unread(rule, "the threads of a worker's core", threads);
        };
        let others = threads.without(&[*core].into_iter().collect());
        shared = shared.joined(&others.common(workers));
        beside = beside.joined(&others.without(workers));
    }
    let mend = "echo off > /sys/devices/system/cpu/smt/control (as root), or workers.cores that \
                are threads of different cores, their siblings in isolcpus=";
    let isolated = cores.isolated.known_value();
    let busy = isolated.map_or(beside.clone(), |isolated| beside.without(isolated));
    if !shared.is_empty() {
        Finding::warn(rule, format!("the workers on {shared} are threads of the same core"))
            .costs("two workers share one core's units and caches: each gets a half and some more")
            .mend(mend)
    } else if !busy.is_empty() {
        Finding::warn(rule, format!("beside the workers {workers} run the threads {busy}"))
            .costs("whatever runs there takes a part of the worker's core, up to a half")
            .mend(mend)
    } else {
        Finding::ok(rule, format!("nothing is put beside the workers on {workers}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::finding::Level::{Bad, Ok, Unknown, Warn};
    use crate::doctor::made_up::{cores, facts, found, known, level, missing, refused};

    #[test]
    fn workers_need_cores_and_leave_one() {
        let rule = "cores.count";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, |facts| facts.workers.cores = cores("0-3")), Warn);
        assert_eq!(level(rule, |facts| facts.workers.count = 5), Bad);
        let allowed = |facts: &mut crate::doctor::facts::Facts| {
            facts.machine.cores.allowed = known(cores("0-2"));
        };
        assert_eq!(level(rule, allowed), Bad, "core 3 is a worker's");
        assert_eq!(level(rule, |facts| facts.machine.cores.allowed = refused()), Unknown);
        assert_eq!(level(rule, |facts| facts.machine.cores.online = missing()), Unknown);
    }

    #[test]
    fn what_cannot_be_read_names_where_it_would_stand() {
        let mut facts = facts();
        facts.machine.cores.allowed = refused();
        let finding = found(&facts, "cores.count");
        assert_eq!(finding.value, "the cores of this process: no right to read it");
    }

    #[test]
    fn a_quota_below_the_workers_stops_them() {
        let rule = "cores.quota";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, |facts| facts.machine.process.quota = known(Some(2.0))), Ok);
        assert_eq!(level(rule, |facts| facts.machine.process.quota = known(Some(1.5))), Bad);
        assert_eq!(level(rule, |facts| facts.machine.process.quota = refused()), Unknown);
    }

    #[test]
    fn threads_beside_a_worker_cost() {
        let rule = "cores.smt";
        assert_eq!(level(rule, |_| {}), Ok);
        let with = |threads: [&str; 2]| {
            let threads = threads.map(|list| known(cores(list)));
            move |facts: &mut crate::doctor::facts::Facts| {
                facts.machine.cores.smt = known(true);
                for (core, threads) in (2..).zip(threads) {
                    facts.machine.cores.siblings[core].1 = threads;
                }
            }
        };
        assert_eq!(level(rule, with(["2", "3"])), Ok);
        assert_eq!(level(rule, with(["0,2", "1,3"])), Warn, "others");
        assert_eq!(level(rule, with(["2-3", "2-3"])), Warn, "each other");
        let isolated = |facts: &mut crate::doctor::facts::Facts| {
            with(["0,2", "1,3"])(facts);
            facts.machine.cores.isolated = known(cores("0-3"));
        };
        assert_eq!(level(rule, isolated), Ok);
        assert_eq!(level(rule, |facts| facts.machine.cores.smt = missing()), Unknown);
        let hidden = |facts: &mut crate::doctor::facts::Facts| {
            facts.machine.cores.smt = known(true);
            facts.machine.cores.siblings[3].1 = missing();
        };
        assert_eq!(level(rule, hidden), Unknown);
    }
}
