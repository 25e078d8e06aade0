//! How the card spreads flows over its queues: table, hash, hashed fields.

use std::collections::BTreeMap;

use ethtool::{HashFunction, Rss};

use super::OfInterface;
use crate::doctor::facts::{Facts, Interface};
use crate::doctor::finding::{Finding, Level};
use crate::limits::HASH_KEY_LEN;

pub(super) const RULES: &[OfInterface] = &[table, hash, fields];

const HANDED_OVER: &str =
    "packets come in at other workers than their flows' and are handed over: some 100 ns each";

/// What is to be spread, or the finding which says that there is nothing to look at.
fn told_spread<'a>(
    rule: &'static str,
    facts: &Facts,
    interface: &'a Interface,
) -> Result<&'a Rss, Box<Finding>> {
    let reading = &interface.rss;
    let finding = if facts.workers.count <= 1 && interface.queues().unwrap_or(1) <= 1 {
        Finding::ok(rule, "one queue: there is nothing to spread").from(&interface.channels.source)
    } else if reading.is_missing() {
        Finding::unknown(rule, "the driver does not say (see table)").from(&reading.source)
    } else {
        match reading.known_value() {
            Some(rss) => return Ok(rss),
            None => Finding::unread(rule, "how it spreads flows", reading),
        }
    };
    Err(Box::new(finding))
}

/// Without a rule that could be followed.
fn untold(rule: &'static str, interface: &Interface) -> Finding {
    let (value, mend) = if interface.is_veth() {
        (
            "a veth pair has no fixed rule: it follows the sending core",
            "nothing on veth; one worker needs no rule: workers.count = 1 and ethtool -L",
        )
    } else {
        (
            "the driver does not say how it spreads flows",
            "a newer driver, or one worker: workers.count = 1 and ethtool -L",
        )
    };
    Finding::warn(rule, value).costs(HANDED_OVER).mend(mend).from(&interface.rss.source)
}

fn table(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "spread.table";
    let rss = match told_spread(RULE, facts, interface) {
        Ok(rss) => rss,
        Err(finding) if finding.level == Level::Unknown && interface.rss.is_missing() => {
            return untold(RULE, interface);
        }
        Err(finding) => return *finding,
    };
    let (queues, len) = (interface.queues().unwrap_or(1), rss.table.len());
    let mut entries: BTreeMap<u32, usize> = (0..queues).map(|queue| (queue, 0)).collect();
    for queue in &rss.table {
        *entries.entry(*queue).or_default() += 1;
    }
    let least = entries.values().copied().min().unwrap_or_default();
    let most = entries.values().copied().max().unwrap_or_default();
    let value = format!("{len} entries over {} queues, {least} to {most} each", entries.len());
    let mend = format!("ethtool -X {} equal {queues}", interface.name);
    let finding = if entries.keys().any(|queue| *queue >= queues) {
        Finding::bad(RULE, format!("{value}; some name queues that are not there"))
            .costs("packets of those flows reach no worker")
            .mend(mend)
    } else if least == 0 {
        Finding::warn(RULE, format!("{value}; a queue has none"))
            .costs("a worker gets nothing, and the gateway cannot follow the card's rule")
            .mend(mend)
    } else if !len.is_power_of_two() {
        Finding::warn(RULE, format!("{value}; no power of two"))
            .costs(format!("the gateway cannot follow the card's rule: {HANDED_OVER}"))
            .mend(mend)
    } else if most > least.saturating_mul(2) {
        Finding::warn(RULE, value)
            .costs("the worker with the most flows is full while others are not")
            .mend(mend)
    } else {
        Finding::ok(RULE, value)
    };
    finding.from(&interface.rss.source)
}

fn hash(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "spread.hash";
    let Rss { function, is_symmetric, key, .. } = match told_spread(RULE, facts, interface) {
        Ok(rss) => rss,
        Err(finding) => return *finding,
    };
    let name = &interface.name;
    let of_key = if is_periodic(key) {
        "symmetric: both directions of a flow hash alike"
    } else {
        "not symmetric"
    };
    let value = format!("{}, key of {} bytes, {of_key}", told(*function), key.len());
    let cannot = format!("the gateway cannot follow the card's rule: {HANDED_OVER}");
    let finding = if *function != HashFunction::Toeplitz {
        Finding::warn(RULE, value).costs(cannot).mend(format!("ethtool -X {name} hfunc toeplitz"))
    } else if *is_symmetric {
        Finding::warn(RULE, format!("{value}; addresses and ports are mixed first"))
            .costs(cannot)
            .mend(format!("ethtool -X {name} xfrm none"))
    } else if key.len() < HASH_KEY_LEN {
        Finding::warn(RULE, value)
            .costs(cannot)
            .mend("a newer driver, or one worker: workers.count = 1 and ethtool -L")
    } else if key.iter().all(|byte| *byte == 0) {
        Finding::bad(RULE, format!("{value}; all of it zero"))
            .costs("all flows have the same hash and come to one worker")
            .mend(format!("ethtool -X {name} hkey KEY with a random key"))
    } else {
        Finding::ok(RULE, value)
    };
    finding.from(&interface.rss.source)
}

fn told(function: HashFunction) -> String {
    match function {
        HashFunction::Toeplitz => "toeplitz".to_owned(),
        HashFunction::Other(mask) => format!("another function than toeplitz (mask {mask:#x})"),
    }
}

/// A key that repeats every two bytes gives both directions the same hash: addresses of four
/// bytes and ports of two then meet the same bits of it, whichever stands first.
fn is_periodic(key: &[u8]) -> bool {
    key.len() > 2 && key.iter().zip(&key[2..]).all(|(byte, next)| byte == next)
}

fn fields(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "spread.fields";
    if let Err(finding) = told_spread(RULE, facts, interface) {
        return *finding;
    }
    let mut wrong = Vec::new();
    for (family, reading) in ["tcp4", "tcp6"].into_iter().zip(&interface.hash_fields) {
        let Some(fields) = reading.known_value() else {
            let what = format!("what is hashed of {family}");
            return Finding::unread(RULE, &what, reading);
        };
        if !fields.addresses || !fields.ports || fields.others {
            wrong.push(family);
        }
    }
    let finding = if wrong.is_empty() {
        Finding::ok(RULE, "addresses and ports of TCP, over IPv4 and IPv6")
    } else {
        let mend: Vec<_> = wrong
            .iter()
            .map(|family| format!("ethtool -N {} rx-flow-hash {family} sdfn", interface.name))
            .collect();
        Finding::warn(RULE, format!("not addresses and ports alone of {}", wrong.join(", ")))
            .costs(HANDED_OVER)
            .mend(mend.join("; "))
    };
    interface.hash_fields.iter().fold(finding, |finding, of| finding.from(&of.source))
}

#[cfg(test)]
mod tests {
    use ethtool::{HashFields, HashFunction, Rss};

    use super::is_periodic;
    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Bad, Ok, Unknown, Warn};
    use crate::doctor::made_up::{facts, found, known, level, missing, refused};

    fn with(change: impl Fn(&mut Rss)) -> impl Fn(&mut Facts) {
        move |facts| change(facts.interfaces[0].rss.value.as_mut().unwrap())
    }

    fn one_queue(facts: &mut Facts) {
        facts.workers.count = 1;
        let channels = facts.interfaces[0].channels.value.as_mut().unwrap();
        (channels.rx, channels.tx, channels.combined) = (1, 1, 1);
        facts.interfaces[0].rss = missing();
    }

    #[test]
    fn the_table_gives_each_queue_its_share() {
        let rule = "spread.table";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, with(|rss| rss.table = vec![0; 128])), Warn, "none for queue 1");
        assert_eq!(level(rule, with(|rss| rss.table = vec![0, 1, 0])), Warn, "three entries");
        assert_eq!(level(rule, with(|rss| rss.table = vec![0, 0, 0, 1])), Warn, "uneven");
        assert_eq!(level(rule, with(|rss| rss.table = vec![0, 1, 2, 1])), Bad, "no queue 2");
        assert_eq!(level(rule, one_queue), Ok);
        assert_eq!(level(rule, |facts| facts.interfaces[0].rss = missing()), Warn);
        assert_eq!(level(rule, |facts| facts.interfaces[0].rss = refused()), Unknown);
    }

    #[test]
    fn the_hash_can_be_followed_or_not() {
        let rule = "spread.hash";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, with(|rss| rss.function = HashFunction::Other(2))), Warn);
        assert_eq!(level(rule, with(|rss| rss.is_symmetric = true)), Warn);
        assert_eq!(level(rule, with(|rss| rss.key = vec![1; 39])), Warn);
        assert_eq!(level(rule, with(|rss| rss.key = vec![0; 40])), Bad);
        assert_eq!(level(rule, one_queue), Ok);
        assert_eq!(level(rule, |facts| facts.interfaces[0].rss = missing()), Unknown);
        assert_eq!(level(rule, |facts| facts.interfaces[0].rss = refused()), Unknown);
    }

    #[test]
    fn a_symmetric_key_is_told() {
        let key = [0x6d, 0x5a].repeat(20);
        assert!(is_periodic(&key));
        assert!(!is_periodic(&(0..40).collect::<Vec<u8>>()) && !is_periodic(&[]));
        let mut facts = facts();
        with(|rss| rss.key = [0x6d, 0x5a].repeat(20))(&mut facts);
        let finding = found(&facts, "spread.hash");
        assert!(finding.value.contains("both directions"), "{finding:?}");
    }

    #[test]
    fn addresses_and_ports_are_hashed_and_nothing_else() {
        let rule = "spread.fields";
        assert_eq!(level(rule, |_| {}), Ok);
        let hashed = |ports, others| {
            move |facts: &mut Facts| {
                let fields = HashFields { addresses: true, ports, others };
                facts.interfaces[0].hash_fields[1] = known(fields);
            }
        };
        assert_eq!(level(rule, hashed(false, false)), Warn);
        assert_eq!(level(rule, hashed(true, true)), Warn);
        assert_eq!(level(rule, |facts| facts.interfaces[0].hash_fields[0] = missing()), Unknown);
        assert_eq!(level(rule, one_queue), Ok);
    }
}
