//! Where the card's interrupts go, and who moves them.

use topology::Interrupt;

use super::{OfInterface, OfMachine};
use crate::doctor::facts::{Facts, Interface};
use crate::doctor::finding::Finding;

pub(super) const OF_MACHINE: &[OfMachine] = &[irqbalance];
pub(super) const OF_INTERFACE: &[OfInterface] = &[affinity];

fn irqbalance(facts: &Facts) -> Finding {
    const RULE: &str = "interrupts.irqbalance";
    let reading = &facts.machine.process.irqbalance;
    let finding = match &reading.value {
        Err(_) => return Finding::unread(RULE, "whether irqbalance runs", reading),
        Ok(found) if found.is_empty() => Finding::ok(RULE, "it does not run"),
        Ok(found) => Finding::warn(RULE, format!("it runs (process {})", found[0]))
            .costs("it moves interrupts from core to core, onto the workers' too")
            .mend("systemctl disable --now irqbalance, or IRQBALANCE_BANNED_CPULIST of its own"),
    };
    finding.from(&reading.source)
}

fn affinity(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "interrupts.affinity";
    let Some(device) = &interface.device else {
        let value = if interface.is_veth() {
            "a veth pair has none: the core that sends does the receiver's work"
        } else {
            "it is no device of a bus that is known here"
        };
        let level = if interface.is_veth() { Finding::ok } else { Finding::unknown };
        return level(RULE, value.to_owned()).from(&interface.driver.source);
    };
    let Some(all) = device.interrupts.known_value() else {
        return Finding::unread(RULE, "its interrupts", &device.interrupts);
    };
    let queues: Vec<&Interrupt> = all.iter().filter(|it| it.is_of_queue()).collect();
    let finding = judge(RULE, facts, interface, &queues);
    finding.from(&device.interrupts.source)
}

fn judge(
    rule: &'static str,
    facts: &Facts,
    interface: &Interface,
    queues: &[&Interrupt],
) -> Finding {
    if queues.is_empty() {
        let value = "no interrupt has the name of a queue (the interface may be down)";
        return Finding::unknown(rule, value);
    }
    if queues.iter().any(|it| it.cores().is_none()) {
        return Finding::unread(rule, "where an interrupt goes", &queues[0].allowed);
    }
    let places: Vec<_> = queues
        .iter()
        .map(|it| format!("{} {}: {}", it.number, it.name, it.cores().expect("each was seen")))
        .collect();
    let value = if places.len() > 4 {
        format!("{}, and {} more", places[..4].join(", "), places.len() - 4)
    } else {
        places.join(", ")
    };
    let workers = &facts.workers.cores;
    let is_on_worker =
        |it: &&&Interrupt| it.cores().is_some_and(|at| !at.common(workers).is_empty());
    let on_workers = queues.iter().filter(is_on_worker).count();
    let rest = facts.machine.cores.online.known_value().map(|online| online.without(workers));
    // With busy polling the card is polled on the worker's core, and its interrupts rest.
    if facts.wanted.is_busy_polling && on_workers == queues.len() {
        return Finding::ok(rule, format!("{value}; polled there (interface.busy_poll_us)"));
    }
    if on_workers > 0 && !facts.wanted.is_busy_polling {
        let mend = match rest.filter(|rest| !rest.is_empty()) {
            Some(rest) => format!(
                "echo {rest} > /proc/irq/{}/smp_affinity_list (as root), and so on for each",
                queues[0].number
            ),
            None => "interface.busy_poll_us = 50 in the configuration".to_owned(),
        };
        return Finding::warn(
            rule,
            format!("{value}; {on_workers} on the workers' cores {workers}"),
        )
        .costs("the driver's work stops the worker on the same core, for each burst of packets")
        .mend(mend);
    }
    if facts.wanted.is_busy_polling {
        return Finding::warn(rule, format!("{value}; the workers poll from {workers}"))
            .costs("polling and interrupts take turns on different cores: lines move between them")
            .mend(format!(
                "echo CORE > /proc/irq/{}/smp_affinity_list (as root), each to its worker",
                queues[0].number
            ));
    }
    let first = queues[0].cores();
    let is_one_core = first.is_some_and(|at| at.len() == 1);
    let receive = interface.queues().unwrap_or(1);
    if receive > 1
        && is_one_core
        && queues.iter().all(|it| it.cores() == first)
        && rest.is_some_and(|rest| rest.len() > 1)
    {
        return Finding::warn(rule, format!("{value}; all on one core"))
            .costs("one core does the driver's work for all queues and is the bound of all")
            .mend(format!(
                "echo CORE > /proc/irq/{}/smp_affinity_list (as root), each to another core",
                queues[0].number
            ));
    }
    Finding::ok(rule, value)
}

#[cfg(test)]
mod tests {
    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Ok, Unknown, Warn};
    use crate::doctor::made_up::{interrupt, known, level, missing, refused};

    #[test]
    fn irqbalance_moves_interrupts() {
        let rule = "interrupts.irqbalance";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, |facts| facts.machine.process.irqbalance = known(vec![7])), Warn);
        assert_eq!(level(rule, |facts| facts.machine.process.irqbalance = refused()), Unknown);
    }

    fn at(places: &'static [&'static str]) -> impl Fn(&mut Facts) {
        move |facts| {
            let found = (40..).zip(places).map(|(number, at)| interrupt(number, at)).collect();
            facts.interfaces[0].device.as_mut().unwrap().interrupts = known(found);
        }
    }

    #[test]
    fn interrupts_belong_beside_the_workers() {
        let rule = "interrupts.affinity";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, at(&["0", "3"])), Warn, "a worker is on 3");
        assert_eq!(level(rule, at(&["0", "0"])), Warn, "all on one core");
        assert_eq!(level(rule, at(&["0-1", "0-1"])), Ok);
        let one_queue = |facts: &mut Facts| {
            at(&["0", "0"])(facts);
            facts.interfaces[0].channels = missing();
        };
        assert_eq!(level(rule, one_queue), Ok, "rx and tx of one queue");
    }

    #[test]
    fn with_busy_polling_they_belong_to_the_workers() {
        let rule = "interrupts.affinity";
        let polling = |places| {
            move |facts: &mut Facts| {
                at(places)(facts);
                facts.wanted.is_busy_polling = true;
            }
        };
        assert_eq!(level(rule, polling(&["2", "3"])), Ok);
        assert_eq!(level(rule, polling(&["0", "1"])), Warn);
    }

    #[test]
    fn what_has_no_interrupts_that_are_known_is_said() {
        let rule = "interrupts.affinity";
        assert_eq!(level(rule, at(&[])), Unknown);
        assert_eq!(level(rule, |facts| facts.interfaces[0].device = None), Unknown);
        let veth = |facts: &mut Facts| {
            facts.interfaces[0].device = None;
            let driver = ethtool::Driver { name: "veth".to_owned(), bus: String::new() };
            facts.interfaces[0].driver = known(driver);
        };
        assert_eq!(level(rule, veth), Ok);
        let hidden = |facts: &mut Facts| {
            facts.interfaces[0].device.as_mut().unwrap().interrupts = refused();
        };
        assert_eq!(level(rule, hidden), Unknown);
        let no_place = |facts: &mut Facts| {
            let mut found = interrupt(40, "0");
            (found.allowed, found.effective) = (refused(), refused());
            facts.interfaces[0].device.as_mut().unwrap().interrupts = known(vec![found]);
        };
        assert_eq!(level(rule, no_place), Unknown);
    }
}
