//! Whether card, cores and memory are near each other.

use super::{OfInterface, OfMachine};
use crate::doctor::facts::{Facts, Interface};
use crate::doctor::finding::Finding;

pub(super) const OF_MACHINE: &[OfMachine] = &[balancing];
pub(super) const OF_INTERFACE: &[OfInterface] = &[node];

fn balancing(facts: &Facts) -> Finding {
    const RULE: &str = "numa.balancing";
    let (pages, reading) = (&facts.machine.pages, &facts.machine.pages.balancing);
    // A kernel without NUMA has neither.
    let is_there = facts.machine.kernel.release.value.is_ok();
    let finding = match &reading.value {
        Ok(false) => Finding::ok(RULE, "off"),
        Err(_) if reading.is_missing() && is_there => Finding::ok(RULE, "this kernel has none"),
        Err(_) => return Finding::unread(RULE, "whether pages are moved", reading),
        Ok(true) => match pages.nodes.known_value().map(Vec::len) {
            Some(0 | 1) => Finding::ok(RULE, "on, and there is one node only"),
            Some(_) => Finding::warn(RULE, "on")
                .costs("the kernel takes pages away to see who uses them: pauses of some us")
                .mend("sysctl -w kernel.numa_balancing=0"),
            None => return Finding::unread(RULE, "on; the nodes of memory", &pages.nodes),
        },
    };
    finding.from(&reading.source).from(&pages.nodes.source)
}

fn node(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "numa.node";
    let nodes = &facts.machine.pages.nodes;
    let Some(device) = &interface.device else {
        return Finding::ok(RULE, "it is on no bus, so it is on no node")
            .from(&interface.driver.source);
    };
    let (Some(all), Some(&node)) = (nodes.known_value(), device.node.known_value()) else {
        let finding = Finding::unread(RULE, "the nodes of memory", nodes);
        let of_card = Finding::unread(RULE, "the card's node", &device.node);
        return if nodes.value.is_err() { finding } else { of_card };
    };
    let workers = &facts.workers.cores;
    let own = all.iter().find(|it| usize::try_from(node) == Ok(it.node));
    let finding = match own {
        _ if all.len() <= 1 => Finding::ok(RULE, "there is one node only"),
        None => Finding::unknown(RULE, "the firmware does not say which node the card is on"),
        Some(own) if workers.without(&own.cores).is_empty() => {
            Finding::ok(RULE, format!("node {node} ({}), workers on {workers}", own.cores))
        }
        Some(own) => {
            let far = workers.without(&own.cores);
            Finding::warn(RULE, format!("node {node} ({}); far from it: {far}", own.cores))
                .costs("each packet crosses between the nodes: some 100 ns a line, less bandwidth")
                .mend(format!("workers.cores among {} in the configuration", own.cores))
        }
    };
    finding.from(&device.node.source).from(&nodes.source)
}

#[cfg(test)]
mod tests {
    use topology::Node;

    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Ok, Unknown, Warn};
    use crate::doctor::made_up::{cores, known, level, missing, refused};

    fn two_nodes(facts: &mut Facts) {
        let node = |node, list| Node { node, cores: cores(list) };
        facts.machine.pages.nodes = known(vec![node(0, "0-1"), node(1, "2-3")]);
    }

    #[test]
    fn moving_pages_costs_where_there_are_nodes() {
        let rule = "numa.balancing";
        assert_eq!(level(rule, |_| {}), Ok);
        let on = |facts: &mut Facts| facts.machine.pages.balancing = known(true);
        assert_eq!(level(rule, on), Ok, "one node");
        let of_two = |facts: &mut Facts| {
            two_nodes(facts);
            on(facts);
        };
        assert_eq!(level(rule, of_two), Warn);
        assert_eq!(level(rule, |facts| facts.machine.pages.balancing = missing()), Ok);
        assert_eq!(level(rule, |facts| facts.machine.pages.balancing = refused()), Unknown);
        let unknown_nodes = |facts: &mut Facts| {
            on(facts);
            facts.machine.pages.nodes = refused();
        };
        assert_eq!(level(rule, unknown_nodes), Unknown);
    }

    #[test]
    fn a_card_should_be_near_its_workers() {
        let rule = "numa.node";
        assert_eq!(level(rule, |_| {}), Ok);
        let on_node = |node: i64| {
            move |facts: &mut Facts| {
                two_nodes(facts);
                facts.interfaces[0].device.as_mut().unwrap().node = known(node);
            }
        };
        assert_eq!(level(rule, on_node(1)), Ok);
        assert_eq!(level(rule, on_node(0)), Warn);
        assert_eq!(level(rule, on_node(-1)), Unknown);
        assert_eq!(level(rule, |facts| facts.interfaces[0].device = None), Ok);
        assert_eq!(level(rule, |facts| facts.machine.pages.nodes = missing()), Unknown);
        let hidden = |facts: &mut Facts| {
            facts.interfaces[0].device.as_mut().unwrap().node = refused();
        };
        assert_eq!(level(rule, hidden), Unknown);
    }
}
