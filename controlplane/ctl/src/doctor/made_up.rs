//! Facts that tests make up: a good machine with a good card, of which each test spoils one thing.

use ethtool::{
    Channels, Driver, Feature, Features, HashFields, HashFunction, Link, Rings, Rss, VethEnd,
    XdpAbilities, XdpAttached,
};
use topology::{
    BusDevice, CoreList, CorePower, Cores, IdleState, Interrupt, Kernel, Machine, Node, Pages,
    Pool, Power, Process, Reading, Ticks, Unread, Weakness,
};

use super::facts::{Facts, Interface, Workers};
use super::finding::{Finding, Level};
use super::rules;
use super::wanted::Wanted;

/// A set of cores.
pub(crate) fn cores(text: &str) -> CoreList {
    CoreList::parse(text).expect("the test writes lists")
}

/// A value that was read.
pub(crate) fn known<T>(value: T) -> Reading<T> {
    Reading::known("made up", value)
}

/// What may not be read.
pub(crate) fn refused<T>() -> Reading<T> {
    Reading::unread("made up", Unread::NotPermitted)
}

/// What is not there.
pub(crate) fn missing<T>() -> Reading<T> {
    Reading::unread("made up", Unread::Missing)
}

/// The offloads of these names, on.
pub(crate) fn offloads(names: &[&str]) -> Features {
    let feature = |name: &&str| Feature { name: (*name).to_owned(), is_on: true, is_fixed: false };
    names.iter().map(feature).collect()
}

/// Four cores, two of them for two workers; a card with two queues; nothing is wrong.
pub(crate) fn facts() -> Facts {
    let machine = Machine {
        cores: Cores {
            online: known(cores("0-3")),
            allowed: known(cores("0-3")),
            isolated: known(cores("2-3")),
            isolated_by_cpuset: missing(),
            nohz_full: known(cores("2-3")),
            rcu_nocbs: known(cores("2-3")),
            smt: known(false),
            siblings: (0..4).map(|core| (core, known([core].into_iter().collect()))).collect(),
        },
        power: power(),
        pages: Pages {
            huge_2m: known(Pool { total: 64, free: 64 }),
            huge_1g: known(Pool { total: 0, free: 0 }),
            transparent: known("madvise".to_owned()),
            nodes: known(vec![Node { node: 0, cores: cores("0-3") }]),
            balancing: known(false),
        },
        process: Process {
            locked_bytes: known(None),
            descriptors: known(Some(20_000)),
            capabilities: known(0),
            quota: known(None),
            irqbalance: known(Vec::new()),
        },
        kernel: kernel(),
    };
    let wanted = Wanted {
        file: Some("abele.toml".to_owned()),
        interface: Some("eth1".to_owned()),
        workers: Some(2),
        ..Wanted::default()
    };
    let workers = Workers::choose(&machine, &wanted, None);
    let programs = vec![(7, "edge".to_owned())];
    Facts { machine, interfaces: vec![interface()], wanted, workers, programs }
}

fn power() -> Power {
    let idle = IdleState { name: "C1".to_owned(), latency_us: 2, is_enabled: true };
    let core = |core| CorePower {
        core,
        governor: known("performance".to_owned()),
        idle_states: known(vec![idle.clone()]),
    };
    Power {
        cores: (0..4).map(core).collect(),
        turbo: known(true),
        idle_driver: known("intel_idle".to_owned()),
    }
}

fn kernel() -> Kernel {
    let safe = Weakness { name: "meltdown".to_owned(), state: "Not affected".to_owned() };
    Kernel {
        release: known("6.18.1".to_owned()),
        btf: known(()),
        jit: known(1),
        clock: known("tsc".to_owned()),
        clocks: known("tsc hpet".to_owned()),
        weaknesses: known(vec![safe]),
        is_virtual: known(false),
        ticks: known(Ticks { total: 1_000_000, stolen: 0 }),
        command_line: known(String::new()),
    }
}

fn interface() -> Interface {
    let fields = HashFields { addresses: true, ports: true, others: false };
    Interface {
        name: "eth1".to_owned(),
        link: known(Link { index: 2, mac: [2; 6], mtu: 1_500, is_up: true }),
        driver: known(Driver { name: "ice".to_owned(), bus: "0000:01:00.0".to_owned() }),
        channels: known(Channels { rx: 2, tx: 2, combined: 2, rx_max: 8, tx_max: 8 }),
        rings: known(Rings { rx: 2_048, tx: 2_048, rx_max: 4_096, tx_max: 4_096 }),
        features: known(offloads(&["rx-gro"])),
        rss: known(Rss {
            function: HashFunction::Toeplitz,
            is_symmetric: false,
            key: (0..52).collect(),
            table: (0..128).map(|entry| entry % 2).collect(),
        }),
        hash_fields: [known(fields), known(fields)],
        xdp_abilities: known(XdpAbilities {
            native: true,
            redirect: true,
            zero_copy: true,
            multi_buffer: true,
            zero_copy_segments_max: Some(8),
        }),
        xdp_attached: known(XdpAttached::Nothing),
        veth_peer: known(VethEnd::NotVeth),
        device: Some(BusDevice {
            node: known(0),
            cores: known(cores("0-3")),
            interrupts: known(vec![interrupt(40, "0"), interrupt(41, "1")]),
        }),
    }
}

/// An interrupt of a queue that goes to these cores.
pub(crate) fn interrupt(number: u32, goes_to: &str) -> Interrupt {
    Interrupt {
        number,
        name: format!("ice-eth1-TxRx-{number}"),
        counts: vec![0; 4],
        allowed: known(cores("0-3")),
        effective: known(cores(goes_to)),
    }
}

/// The finding of that rule, which there must be once.
pub(crate) fn found(facts: &Facts, rule: &str) -> Finding {
    let mut of_rule = rules::judge(facts).into_iter().filter(|finding| finding.rule == rule);
    let finding = of_rule.next().unwrap_or_else(|| panic!("{rule} finds nothing"));
    assert!(of_rule.next().is_none(), "{rule} finds two things");
    finding
}

/// The level of that rule once `spoil` has changed the good machine; the finding must say what its
/// level asks for.
#[track_caller]
pub(crate) fn level(rule: &str, spoil: impl FnOnce(&mut Facts)) -> Level {
    let mut facts = facts();
    spoil(&mut facts);
    let finding = found(&facts, rule);
    assert!(!finding.value.is_empty() && !finding.sources.is_empty(), "{finding:?}");
    if finding.level >= Level::Warn {
        assert!(!finding.costs.is_empty() && !finding.mend.is_empty(), "{finding:?}");
    }
    finding.level
}
