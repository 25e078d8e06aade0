//! The rules: pure functions from what was read to findings, one file a group.

mod cores;
mod frequency;
mod interrupts;
mod isolation;
mod kernel;
mod memory;
mod nic;
mod numa;
mod offloads;
mod spread;
mod xdp;

use super::facts::{Facts, Interface};
use super::finding::Finding;

/// A rule about the machine.
type OfMachine = fn(&Facts) -> Finding;
/// A rule about an interface.
type OfInterface = fn(&Facts, &Interface) -> Finding;

const OF_MACHINE: &[&[OfMachine]] = &[
    cores::RULES,
    isolation::RULES,
    frequency::RULES,
    numa::OF_MACHINE,
    memory::RULES,
    interrupts::OF_MACHINE,
    kernel::RULES,
];

const OF_INTERFACE: &[&[OfInterface]] = &[
    nic::RULES,
    spread::RULES,
    offloads::RULES,
    xdp::RULES,
    interrupts::OF_INTERFACE,
    numa::OF_INTERFACE,
];

/// All findings: of the machine, then of each interface.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        OF_MACHINE.iter().copied().flatten().map(|rule| rule(facts)).collect();
    for interface in &facts.interfaces {
        // Of what is not there only that is said.
        let rules: &[&[OfInterface]] =
            if interface.link.value.is_ok() { OF_INTERFACE } else { &[nic::LINK] };
        findings.extend(rules.iter().copied().flatten().map(|rule| Finding {
            interface: Some(interface.name.clone()),
            ..rule(facts, interface)
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::judge;
    use crate::doctor::finding::Level;
    use crate::doctor::made_up;
    use crate::doctor::made_up::refused;

    #[test]
    fn nothing_is_wrong_with_the_good_machine() {
        let findings = judge(&made_up::facts());
        for finding in &findings {
            assert_eq!(finding.level, Level::Ok, "{finding:?}");
            assert!(!finding.sources.is_empty() && !finding.value.is_empty(), "{finding:?}");
        }
        let names: BTreeSet<_> = findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(names.len(), findings.len(), "each rule has a name of its own");
    }

    #[test]
    fn of_an_interface_that_is_not_there_only_that_is_said() {
        let mut facts = made_up::facts();
        facts.interfaces[0].link = refused();
        let findings = judge(&facts);
        let of_it: Vec<_> = findings.iter().filter(|finding| finding.interface.is_some()).collect();
        assert_eq!(of_it.len(), 1, "{of_it:?}");
        assert_eq!((of_it[0].rule, of_it[0].level), ("nic.link", Level::Bad));
    }
}
