//! The card itself: link, queues, rings, the length of packets.

use super::OfInterface;
use crate::doctor::facts::{Facts, Interface};
use crate::doctor::finding::Finding;
use crate::limits::{FRAME_OVERHEAD, RING_MIN};

pub(super) const RULES: &[OfInterface] = &[link, queues, rings, mtu];
/// What is said of an interface that cannot be asked.
pub(super) const LINK: &[OfInterface] = &[link];

fn link(_facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "nic.link";
    let name = &interface.name;
    let finding = match &interface.link.value {
        Err(why) => Finding::bad(RULE, why.to_string())
            .costs("the gateway does not start on it")
            .mend("an interface of: ip -brief link"),
        Ok(link) => {
            let driver = match interface.driver.known_value() {
                Some(driver) if driver.bus.is_empty() => driver.name.clone(),
                Some(driver) => format!("{} at {}", driver.name, driver.bus),
                None => "its driver does not say its name".to_owned(),
            };
            if link.is_up {
                Finding::ok(RULE, format!("up; {driver}"))
            } else {
                Finding::bad(RULE, format!("down; {driver}"))
                    .costs("the gateway does not start on it")
                    .mend(format!("ip link set dev {name} up"))
            }
        }
    };
    finding.from(&interface.link.source).from(&interface.driver.source)
}

fn queues(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "nic.queues";
    let (name, reading) = (&interface.name, &interface.channels);
    let Some(channels) = reading.known_value() else {
        return Finding::unread(RULE, "how many queues it has", reading);
    };
    let (queues, most) = (channels.rx, channels.rx_max);
    let workers = u32::try_from(facts.workers.count).unwrap_or(u32::MAX);
    let set = |count: u32| {
        if channels.combined > 0 {
            format!("ethtool -L {name} combined {count}")
        } else {
            format!("ethtool -L {name} rx {count} tx {count}")
        }
    };
    let value = format!("{queues} that receive, {} that send, at most {most}", channels.tx);
    let finding = if facts.workers.is_assumed {
        let allowed = facts.machine.cores.allowed.known_value().map_or(1, |list| list.len());
        let spare = u32::try_from(allowed.saturating_sub(1).max(1)).unwrap_or(u32::MAX);
        if queues > spare {
            Finding::warn(RULE, format!("{value}; cores for {spare} workers"))
                .costs("each queue needs a worker with a core of its own, or nobody looks at it")
                .mend(set(spare))
        } else if queues < spare && queues < most {
            Finding::warn(RULE, format!("{value}; cores for {spare} workers"))
                .costs("fewer workers than there could be: their number is that of the queues")
                .mend(set(spare.min(most)))
        } else {
            Finding::ok(RULE, format!("{value}; workers.count = {queues}"))
        }
    } else if queues > workers {
        Finding::bad(RULE, format!("{value}, and workers.count = {workers}"))
            .costs("the gateway does not start: a queue without a worker would lose its packets")
            .mend(format!("{}, or workers.count = {queues}", set(workers)))
    } else if queues < workers {
        let mend = if most >= workers {
            set(workers)
        } else {
            format!("workers.count = {} in the configuration", most.min(queues.max(1)))
        };
        Finding::bad(RULE, format!("{value}, and workers.count = {workers}"))
            .costs("the gateway does not start: each worker needs a queue of its own")
            .mend(mend)
    } else {
        Finding::ok(RULE, format!("{value}; one for each worker"))
    };
    finding.from(&reading.source)
}

fn rings(_facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "nic.rings";
    let reading = &interface.rings;
    if reading.is_missing() && interface.is_veth() {
        return Finding::ok(RULE, "a veth pair has none that can be set").from(&reading.source);
    }
    let Some(rings) = reading.known_value() else {
        return Finding::unread(RULE, "how much its rings hold", reading);
    };
    let value = format!(
        "receive {} of at most {}, send {} of at most {}",
        rings.rx, rings.rx_max, rings.tx, rings.tx_max
    );
    let (rx, tx) = (RING_MIN.min(rings.rx_max), RING_MIN.min(rings.tx_max));
    let finding = if rings.rx < rx || rings.tx < tx {
        Finding::warn(RULE, value)
            .costs("a burst that comes in while the worker is busy is lost: few packets fit")
            .mend(format!(
                "ethtool -G {} rx {} tx {}",
                interface.name,
                rings.rx.max(rx),
                rings.tx.max(tx)
            ))
    } else {
        Finding::ok(RULE, value)
    };
    finding.from(&reading.source)
}

fn mtu(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "nic.mtu";
    let (name, wanted) = (&interface.name, &facts.wanted);
    let Some(link) = interface.link.known_value() else {
        return Finding::unread(RULE, "the longest packet", &interface.link);
    };
    let fits = u32::try_from(wanted.frame_len.saturating_sub(FRAME_OVERHEAD)).unwrap_or(u32::MAX);
    let value = format!(
        "{}; the gateway's is {}, a frame of {} bytes holds {fits}",
        link.mtu, wanted.mtu, wanted.frame_len
    );
    let finding = if wanted.mtu > fits {
        Finding::bad(RULE, value)
            .costs("the gateway does not start: its packets do not fit into its frames")
            .mend(format!("interface.mtu = {fits}, or memory.frame_len = \"4 KiB\""))
    } else if link.mtu < wanted.mtu {
        let level = if wanted.file.is_some() { Finding::bad } else { Finding::warn };
        level(RULE, value)
            .costs("the gateway does not start: the interface cannot send packets that long")
            .mend(format!(
                "interface.mtu = {} in the configuration, or ip link set dev {name} \
                           mtu {}",
                link.mtu, wanted.mtu
            ))
    } else if link.mtu > fits {
        Finding::warn(RULE, value)
            .costs("longer packets that peers may send are dropped, and many drivers refuse XDP")
            .mend(format!("ip link set dev {name} mtu {}", wanted.mtu))
    } else {
        Finding::ok(RULE, value)
    };
    finding.from(&interface.link.source)
}

#[cfg(test)]
mod tests {
    use ethtool::{Channels, Link, Rings};

    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Bad, Ok, Unknown, Warn};
    use crate::doctor::made_up::{facts, found, known, level, missing, refused};

    fn with_link(mtu: u32, is_up: bool) -> impl Fn(&mut Facts) {
        move |facts| {
            facts.interfaces[0].link = known(Link { index: 2, mac: [2; 6], mtu, is_up });
        }
    }

    fn with_queues(rx: u32, rx_max: u32) -> impl Fn(&mut Facts) {
        move |facts| {
            let channels = Channels { rx, tx: rx, combined: rx, rx_max, tx_max: rx_max };
            facts.interfaces[0].channels = known(channels);
        }
    }

    #[test]
    fn a_link_is_up_or_down_or_not_there() {
        let rule = "nic.link";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, with_link(1_500, false)), Bad);
        assert_eq!(level(rule, |facts| facts.interfaces[0].link = missing()), Bad);
        assert_eq!(level(rule, |facts| facts.interfaces[0].driver = missing()), Ok);
    }

    #[test]
    fn queues_are_as_many_as_workers() {
        let rule = "nic.queues";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, with_queues(4, 8)), Bad);
        assert_eq!(level(rule, with_queues(1, 8)), Bad);
        assert_eq!(level(rule, |facts| facts.interfaces[0].channels = missing()), Unknown);
        let mut facts = facts();
        with_queues(1, 8)(&mut facts);
        assert_eq!(found(&facts, rule).mend, "ethtool -L eth1 combined 2");
        with_queues(1, 1)(&mut facts);
        assert_eq!(found(&facts, rule).mend, "workers.count = 1 in the configuration");
    }

    #[test]
    fn without_a_file_queues_are_judged_by_the_cores() {
        let rule = "nic.queues";
        let assumed = |rx, rx_max| {
            move |facts: &mut Facts| {
                with_queues(rx, rx_max)(facts);
                facts.workers.is_assumed = true;
            }
        };
        assert_eq!(level(rule, assumed(3, 8)), Ok, "three cores besides the kernel's");
        assert_eq!(level(rule, assumed(8, 8)), Warn);
        assert_eq!(level(rule, assumed(1, 8)), Warn);
        assert_eq!(level(rule, assumed(1, 1)), Ok, "there can be no more");
    }

    #[test]
    fn short_rings_cost_where_they_could_be_longer() {
        let rule = "nic.rings";
        let rings = |rx, rx_max| {
            move |facts: &mut Facts| {
                facts.interfaces[0].rings = known(Rings { rx, tx: 512, rx_max, tx_max: 4_096 });
            }
        };
        assert_eq!(level(rule, rings(512, 4_096)), Ok);
        assert_eq!(level(rule, rings(256, 4_096)), Warn);
        assert_eq!(level(rule, rings(256, 256)), Ok, "that is all there is");
        assert_eq!(level(rule, |facts| facts.interfaces[0].rings = missing()), Unknown);
        assert_eq!(level(rule, |facts| facts.interfaces[0].rings = refused()), Unknown);
        let veth = |facts: &mut Facts| {
            facts.interfaces[0].rings = missing();
            let driver = ethtool::Driver { name: "veth".to_owned(), bus: String::new() };
            facts.interfaces[0].driver = known(driver);
        };
        assert_eq!(level(rule, veth), Ok);
    }

    #[test]
    fn packets_fit_the_link_and_the_frames() {
        let rule = "nic.mtu";
        assert_eq!(level(rule, with_link(1_500, true)), Ok);
        assert_eq!(level(rule, with_link(1_400, true)), Bad);
        assert_eq!(level(rule, with_link(9_000, true)), Warn);
        assert_eq!(level(rule, with_link(1_905, true)), Ok, "the last that fits");
        assert_eq!(level(rule, with_link(1_906, true)), Warn);
        assert_eq!(level(rule, |facts| facts.wanted.mtu = 3_000), Bad);
        let without_file = |facts: &mut Facts| {
            with_link(1_400, true)(facts);
            facts.wanted.file = None;
        };
        assert_eq!(level(rule, without_file), Warn);
    }
}
