//! Everything that is counted on a core, and how the tools' file describes it.

use abi::{Reason, Verdict};
use counters::{Counter, Schema};
use engine::{Engine, Stage};
use gateway::Gateway;
use nic::{DeviceCounters, QueueCounters, QueuePair};

/// Texts that each core says of itself, in the order of [`Facts`](crate::Facts).
pub(crate) const FACTS: [&str; 6] = ["device", "interface", "queue", "packets", "pages", "cpu"];

/// Texts behind those that not every device has to say.
pub const DEVICE_FACTS: [&str; 5] = ["driver", "xdp", "zero_copy_refused", "xsk", "rings"];

/// Everything that is counted on one core.
#[derive(Debug)]
pub struct Counted<'a> {
    queue: &'a QueueCounters,
    device: DeviceCounters,
    stack: &'a stack::Counters,
    ip: &'a ip::Counters,
    udp: &'a udp::Counters,
    tcp: &'a tcp::Counters,
    gateway: gateway::Counters,
}

impl Counted<'_> {
    /// Calls `add` with group, name and value of each counter, always in the same order.
    pub fn each(&self, mut add: impl FnMut(&'static str, &'static str, u64)) {
        let Self { queue, device, stack, ip, udp, tcp, gateway } = self;
        queue.rows().for_each(|(name, value)| add("queue", name, value));
        device.rows().for_each(|(name, value, _is_drop)| add("device", name, value));
        stack.iter().for_each(|(name, value)| add("stack", name, value));
        ip.iter().for_each(|(name, value)| add("ip", name, value));
        udp.iter().for_each(|(name, value)| add("udp", name, value));
        tcp.iter().for_each(|(name, value)| add("tcp", name, value));
        gateway.iter().for_each(|(name, value)| add("gateway", name, value));
    }

    /// What an engine has counted.
    #[must_use]
    pub fn of<Q: QueuePair>(engine: &Engine<Q, Gateway>) -> Counted<'_> {
        let (stack, core) = (engine.stack(), engine.stack().core());
        Counted {
            queue: stack.queue().counters(),
            device: stack.queue().device_counters(),
            stack: core.counters(),
            ip: core.ip().counters(),
            udp: core.udp().counters(),
            tcp: core.tcp().counters(),
            gateway: engine.service().counters(),
        }
    }
}

/// Whether a counter says what was dropped or refused.
fn is_drop(name: &str) -> bool {
    let of = |known: &str| known == name;
    nic::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || DeviceCounters::default().rows().any(|(name, _value, is_drop)| is_drop && of(name))
        || stack::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || ip::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || udp::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || tcp::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || of("http_access_lost")
        || gateway::Refusal::ALL.iter().any(|reason| of(reason.name()))
}

/// Gauges behind the counters, in the order in which [`Publisher`](crate::Publisher) gives them.
const GAUGES: [(&str, &str, &str); 11] = [
    ("tcp", "connections", ""),
    ("tcp", "half_open", ""),
    ("tcp", "time_wait", ""),
    ("tcp", "extensions_used", ""),
    ("tcp", "nodes_used", ""),
    ("pool", "frames", "frames"),
    ("pool", "frames_free", "frames"),
    ("pool", "frames_held", "frames"),
    ("pool", "frames_lent", "frames"),
    // Of the whole gateway, shown by one core.
    ("pool", "frames_home", "frames"),
    ("pool", "frames_total", "frames"),
];

/// What every core of a gateway publishes: the stages of its turns, all counters, the gauges, and
/// what it says of itself.
#[must_use]
pub fn schema() -> Schema {
    let mut schema = Schema::new();
    for stage in Stage::ALL {
        schema.counter(Counter::new("stage", stage.name()).cycles());
    }
    let nothing = Counted {
        queue: &QueueCounters::default(),
        device: DeviceCounters::default(),
        stack: &stack::Counters::default(),
        ip: &ip::Counters::default(),
        udp: &udp::Counters::default(),
        tcp: &tcp::Counters::default(),
        gateway: gateway::Counters::default(),
    };
    nothing.each(|group, name, _zero| {
        let counter = Counter::new(group, name);
        schema.counter(if is_drop(name) { counter.drop_reason() } else { counter });
    });
    for (group, name, unit) in GAUGES {
        schema.counter(Counter::new(group, name).gauge().unit(unit));
    }
    schema.counter(Counter::new("access_log", "lines_written"));
    schema.counter(Counter::new("access_log", "lines_lost").drop_reason());
    for reason in Reason::ALL {
        let counter = Counter::new("xdp", reason.name()).unit("packets");
        let is_drop = reason.verdict() == Verdict::Drop;
        schema.counter(if is_drop { counter.drop_reason() } else { counter });
    }
    for fact in FACTS.into_iter().chain(DEVICE_FACTS) {
        schema.fact(fact);
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_counter_has_a_name_of_its_own_and_drops_are_marked() {
        let schema = schema();
        let names: BTreeSet<_> = schema.counters().iter().map(Counter::full_name).collect();
        assert_eq!(names.len(), schema.counters().len());
        let is_drop = |name: &str| {
            let found = schema.counters().iter().find(|counter| counter.full_name() == name);
            found.map(|counter| counter.is_drop)
        };
        let reason = nic::DropReason::ALL[0].name();
        let is_marked = schema.counters().iter().any(|has| has.name == reason && has.is_drop);
        assert!(is_marked, "{reason}");
        assert_eq!(is_drop("tcp.accepted"), Some(false));
        assert_eq!(is_drop("tcp.connections"), Some(false));
        assert_eq!(schema.facts(), [FACTS.as_slice(), &DEVICE_FACTS].concat());
        assert_eq!(is_drop("xdp.denied"), Some(true));
        assert_eq!(is_drop("xdp.redirect_tcp"), Some(false));
        assert_eq!(is_drop("device.rx_ring_full"), Some(true));
        assert_eq!(is_drop("device.tx_kicks"), Some(false));
    }
}
