//! What the interface, and a veth pair's other end, leave undone or do too much.

use ethtool::{Features, VethEnd, VethPeer};

use super::OfInterface;
use crate::doctor::facts::{Facts, Interface};
use crate::doctor::finding::Finding;

pub(super) const RULES: &[OfInterface] = &[own, merging, peer];

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// What AF_XDP never uses is said once, so that nobody looks for what it costs.
fn own(_facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "offloads.own";
    let Some(features) = interface.features.known_value() else {
        return Finding::unread(RULE, "its offloads", &interface.features);
    };
    let value = format!(
        "rx-checksumming {}, tx-checksumming {}, tso {}, gso {}, gro {}: the gateway uses none, it \
         checks, sums and cuts by itself",
        on_off(features.is_on("rx-checksum")),
        on_off(features.leaves_tx_checksums()),
        on_off(features.leaves_tcp_segments()),
        on_off(features.is_on("tx-generic-segmentation")),
        on_off(features.is_on("rx-gro")),
    );
    Finding::ok(RULE, value).from(&interface.features.source)
}

/// Packets that are merged before they reach the program.
fn merging(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "offloads.merging";
    let name = &interface.name;
    let Some(features) = interface.features.known_value() else {
        return Finding::unread(RULE, "its offloads", &interface.features);
    };
    let in_card: Vec<_> = ["rx-lro", "rx-gro-hw"]
        .into_iter()
        .filter_map(|name| features.find(name))
        .filter(|feature| feature.is_on)
        .collect();
    let names: Vec<_> = in_card.iter().map(|it| word(&it.name)).collect();
    let is_fixed = in_card.iter().any(|it| it.is_fixed);
    let wants_native = facts.wanted.xdp_mode == "native";
    let finding = if is_fixed {
        let level = if wants_native { Finding::bad } else { Finding::warn };
        level(RULE, format!("{} on, and it cannot be changed here", names.join(", ")))
            .costs(
                "the card merges segments, so its driver refuses the program whatever it says of \
                 itself; behind the driver, packets longer than a frame are lost",
            )
            .mend(
                "in a virtual machine at the host: guest_tso4=off,guest_tso6=off of virtio-net; \
                 else xdp_mode = \"generic\"",
            )
    } else if !in_card.is_empty() {
        let off: Vec<_> = names.iter().map(|name| format!("{name} off")).collect();
        Finding::warn(RULE, format!("{} on", names.join(", ")))
            .costs("segments that the card has merged do not fit into a frame; many drivers refuse")
            .mend(format!("ethtool -K {name} {}", off.join(" ")))
    } else if features.is_on("rx-gro") && is_generic(facts, interface) {
        Finding::warn(RULE, "gro on, and the program runs behind the driver")
            .costs("segments are merged before the program sees them and do not fit into a frame")
            .mend(format!("ethtool -K {name} gro off"))
    } else {
        Finding::ok(RULE, "nothing is merged before the program sees it")
    };
    finding.from(&interface.features.source).from(&interface.xdp_abilities.source)
}

/// Ethtool's own word for what the kernel calls otherwise.
fn word(name: &str) -> &str {
    if name == "rx-lro" { "lro" } else { name }
}

/// Whether the program will run behind the driver, as far as is known.
fn is_generic(facts: &Facts, interface: &Interface) -> bool {
    let can = interface.xdp_abilities.known_value();
    facts.wanted.xdp_mode == "generic" || can.is_some_and(|can| !can.native || !can.redirect)
}

fn peer(_facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "offloads.peer";
    let reading = &interface.veth_peer;
    let off = "tx off tso off gso off gro off";
    let finding = match &reading.value {
        Err(_) => return Finding::unread(RULE, "the other end", reading),
        Ok(VethEnd::NotVeth) => Finding::ok(RULE, "no veth pair: the other end is on the wire"),
        Ok(VethEnd::OutOfSight) => Finding::unknown(
            RULE,
            "the other end lies in a network namespace that cannot be entered from here (root can)",
        )
        .costs("if it leaves checksums or segments to the interface, the gateway drops its packets")
        .mend(format!("there: ethtool -K PEER {off}")),
        Ok(VethEnd::Found(peer)) => judge_peer(RULE, peer, off),
    };
    finding.from(&reading.source)
}

fn judge_peer(rule: &'static str, peer: &VethPeer, off: &str) -> Finding {
    let VethPeer { name, namespace, features } = peer;
    let (enter, place) = match namespace {
        Some(path) => {
            (format!("nsenter --net={} ", path.display()), format!(" in {}", path.display()))
        }
        None => (String::new(), String::new()),
    };
    let leaves = Left::of(features);
    let value = format!("{name}{place}: {leaves}");
    let mend = format!("{enter}ethtool -K {name} {off}");
    if leaves.checksums {
        Finding::bad(rule, value)
            .costs("its packets come without checksums, and the gateway drops them as damaged")
            .mend(mend)
    } else if leaves.segments {
        Finding::bad(rule, value)
            .costs("it sends up to 64 KiB in one packet, which no frame holds: they are lost")
            .mend(mend)
    } else if leaves.merges {
        Finding::warn(rule, value)
            .costs("it holds what it receives back to merge it: later answers at that end")
            .mend(mend)
    } else {
        Finding::ok(rule, value)
    }
}

/// What an end leaves to the other.
struct Left {
    checksums: bool,
    segments: bool,
    merges: bool,
    told: String,
}

impl Left {
    fn of(features: &Features) -> Self {
        let checksums = features.leaves_tx_checksums();
        let (tso, gso) =
            (features.leaves_tcp_segments(), features.is_on("tx-generic-segmentation"));
        let merges = features.is_on("rx-gro");
        let told = format!(
            "tx-checksumming {}, tso {}, gso {}, gro {}",
            on_off(checksums),
            on_off(tso),
            on_off(gso),
            on_off(merges)
        );
        Self { checksums, segments: tso || gso, merges, told }
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.told)
    }
}

#[cfg(test)]
mod tests {
    use ethtool::{Feature, VethEnd, VethPeer};

    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Bad, Ok, Unknown, Warn};
    use crate::doctor::made_up::{facts, found, known, level, missing, offloads, refused};

    fn with(names: &'static [&'static str]) -> impl Fn(&mut Facts) {
        move |facts| facts.interfaces[0].features = known(offloads(names))
    }

    #[test]
    fn own_offloads_are_told_and_cost_nothing() {
        let rule = "offloads.own";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, with(&["tx-checksum-ip-generic"])), Ok);
        assert_eq!(level(rule, |facts| facts.interfaces[0].features = missing()), Unknown);
    }

    #[test]
    fn merging_before_the_program_costs() {
        let rule = "offloads.merging";
        assert_eq!(level(rule, |_| {}), Ok, "gro runs behind a native program");
        assert_eq!(level(rule, with(&["rx-lro"])), Warn);
        assert_eq!(level(rule, with(&["rx-gro-hw"])), Warn);
        let generic = |names| {
            move |facts: &mut Facts| {
                with(names)(facts);
                facts.wanted.xdp_mode = "generic".to_owned();
            }
        };
        assert_eq!(level(rule, generic(&["rx-gro"])), Warn);
        assert_eq!(level(rule, generic(&[])), Ok);
        assert_eq!(level(rule, |facts| facts.interfaces[0].features = refused()), Unknown);
        let mut facts = facts();
        with(&["rx-lro"])(&mut facts);
        assert_eq!(found(&facts, rule).mend, "ethtool -K eth1 lro off");
    }

    #[test]
    fn merging_that_cannot_be_switched_off_forbids_the_native_program() {
        let fixed = |mode: &'static str| {
            move |facts: &mut Facts| {
                let feature = Feature { name: "rx-gro-hw".to_owned(), is_on: true, is_fixed: true };
                facts.interfaces[0].features = known([feature].into_iter().collect());
                facts.wanted.xdp_mode = mode.to_owned();
            }
        };
        assert_eq!(level("offloads.merging", fixed("auto")), Warn);
        assert_eq!(level("offloads.merging", fixed("native")), Bad);
    }

    fn peer(names: &'static [&'static str]) -> impl Fn(&mut Facts) {
        move |facts| {
            let (name, namespace) = ("abele1".to_owned(), Some("/run/netns/lab".into()));
            let peer = VethPeer { name, namespace, features: offloads(names) };
            facts.interfaces[0].veth_peer = known(VethEnd::Found(peer));
        }
    }

    #[test]
    fn a_veth_peer_that_leaves_work_loses_packets() {
        let rule = "offloads.peer";
        assert_eq!(level(rule, |_| {}), Ok, "a card");
        assert_eq!(level(rule, peer(&[])), Ok);
        assert_eq!(level(rule, peer(&["tx-checksum-ip-generic"])), Bad);
        assert_eq!(level(rule, peer(&["tx-tcp-segmentation"])), Bad);
        assert_eq!(level(rule, peer(&["tx-generic-segmentation"])), Bad);
        assert_eq!(level(rule, peer(&["rx-gro"])), Warn);
        let hidden = |facts: &mut Facts| {
            facts.interfaces[0].veth_peer = known(VethEnd::OutOfSight);
        };
        assert_eq!(level(rule, hidden), Unknown);
        assert_eq!(level(rule, |facts| facts.interfaces[0].veth_peer = refused()), Unknown);
    }

    #[test]
    fn the_mend_of_a_peer_goes_where_it_is() {
        let mut facts = facts();
        peer(&["tx-checksum-ip-generic"])(&mut facts);
        assert_eq!(
            found(&facts, "offloads.peer").mend,
            "nsenter --net=/run/netns/lab ethtool -K abele1 tx off tso off gso off gro off"
        );
    }
}
