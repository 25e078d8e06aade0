//! The queues of a NIC, one for each worker, and the XDP program that hands them the gateway's
//! packets.

use std::net::IpAddr;
use std::os::fd::AsFd;

use af_xdp::{AfXdpQueue, Config, RingSizes};
use base::{CoreId, QueueId};
use ethtool::{Groups, HashFunction, Link, Rss};
use loader::{Counters, Steering};
use memory::{CoreArena, FrameArena};
use nix::net::if_::if_indextoname;
use stack::Owners;
use tracing::{info, warn};
use wire::{MacAddress, toeplitz};

use super::Device;
use crate::error::Error;
use crate::plan::Plan;

/// The NIC as far as it is the gateway's. The program goes with this value, and with the process.
#[derive(Debug)]
pub(crate) struct AfXdpDevice {
    steering: Steering,
    link: Link,
    /// Held, so that the NIC lets in who asks for our IPv6 addresses.
    _groups: Groups,
    owners: Option<Owners>,
    /// What is wanted of each worker's queue.
    queues: Vec<Config>,
}

impl Device for AfXdpDevice {
    type Queue = AfXdpQueue;
    type Seat = AfXdpQueue;

    fn open(plan: &Plan) -> Result<Self, Error> {
        let (interface, count) = (&plan.interface, plan.workers.count);
        let name = interface.name.as_str();
        let link = ethtool::link(name)?;
        refuse_what_the_link_lacks(name, &link, interface.mtu)?;
        refuse_other_queues(name, count)?;
        let addresses = plan.stack.ip.addresses.iter().map(|cidr| cidr.address().to_ip());
        let steering = loader::load(&loader::Config {
            interface: name.to_owned(),
            mode: interface.xdp.mode,
            queues: count.into(),
            addresses: addresses.collect(),
            mac: Some(link.mac),
            syn_budget: plan.syn_budget,
        })?;
        for (prefix, rule) in &plan.access {
            steering.set_rule(*prefix, *rule)?;
        }
        let groups = Groups::join(name, &link, &groups(plan))?;
        let owners = if count > 1 { owners(name, count)? } else { None };
        let queues = (0..count).map(|queue| wanted(plan, QueueId(queue))).collect();
        Ok(Self { steering, link, _groups: groups, owners, queues })
    }

    fn mac(&self) -> Option<MacAddress> {
        Some(MacAddress(self.link.mac))
    }

    fn owners(&self) -> Option<Owners> {
        self.owners.clone()
    }

    fn seats(&mut self, frames: &FrameArena) -> Result<Vec<AfXdpQueue>, Error> {
        let mut queues = Vec::with_capacity(self.queues.len());
        for config in &self.queues {
            let queue = af_xdp::open(config, frames)?;
            self.steering.set_socket(config.queue.0.into(), queue.as_fd())?;
            info!("{}", queue.truth());
            queues.push(queue);
        }
        Ok(queues)
    }

    fn sit(queue: AfXdpQueue, _arena: &mut CoreArena) -> Result<AfXdpQueue, Error> {
        Ok(queue)
    }

    fn facts(queue: &AfXdpQueue) -> Vec<(&'static str, String)> {
        let truth = queue.truth();
        let refused = truth.zero_copy_refused.map(|errno| errno.desc().to_owned());
        vec![
            ("driver", truth.driver.clone()),
            ("zero_copy_refused", refused.unwrap_or_default()),
            ("xsk", truth.options()),
            ("rings", truth.rings.to_string()),
        ]
    }

    /// The name may be another's by now, and the number is nobody's again.
    fn is_gone(&self) -> bool {
        if_indextoname(self.link.index).is_err()
    }

    fn attach(&mut self, plan: &Plan) -> Result<Option<String>, Error> {
        let attached = self.steering.attach()?;
        let interface = plan.interface.name.as_str();
        info!(interface, mode = %attached, access = plan.access.len(), "xdp program");
        // `abelectl doctor` knows by the number that the program on the interface is ours.
        Ok(Some(format!("{attached}, program {}", self.steering.program())))
    }

    fn steering(&self) -> Option<&Steering> {
        Some(&self.steering)
    }

    fn detach(&mut self) {
        match self.steering.counters() {
            Ok(counters) => info!("xdp program: {}", told(&counters)),
            Err(error) => warn!("{error}"),
        }
        self.steering.detach();
    }
}

/// Packets by reason, where there were any.
fn told(counters: &Counters) -> String {
    let rows = counters.iter().filter(|(_, tally)| tally.packets > 0);
    let rows: Vec<_> =
        rows.map(|(reason, tally)| format!("{} {}", reason.name(), tally.packets)).collect();
    rows.join(", ")
}

/// The groups by which neighbours ask for our addresses.
//= https://www.rfc-editor.org/rfc/rfc2464#section-7
//# An IPv6 packet with a multicast destination address DST ... is transmitted to the Ethernet
//# multicast address whose first two octets are the value 3333 hexadecimal
fn groups(plan: &Plan) -> Vec<[u8; 6]> {
    let addresses = plan.stack.ip.addresses.iter().map(|cidr| cidr.address().to_ip());
    let asked = addresses.filter_map(|address| match address {
        // The solicited-node address ends in the address's last 24 bits.
        IpAddr::V6(v6) => {
            let [.., a, b, c] = v6.octets();
            Some([0x33, 0x33, 0xff, a, b, c])
        }
        IpAddr::V4(_) => None,
    });
    asked.collect()
}

/// What is wanted of one queue.
fn wanted(plan: &Plan, queue: QueueId) -> Config {
    let xdp = &plan.interface.xdp;
    let size = xdp.ring_size;
    Config {
        rings: RingSizes { fill: size, completion: size, rx: size, tx: size },
        copy: xdp.copy,
        busy_poll: xdp.busy_poll,
        tx_budget: xdp.tx_budget,
        ..Config::new(plan.interface.name.as_str(), queue)
    }
}

fn refuse_what_the_link_lacks(name: &str, link: &Link, mtu: u16) -> Result<(), Error> {
    if !link.is_up {
        let what = format!("a link: {name} is down");
        return Err(Error::Lacks { what, mend: format!("mend it: ip link set dev {name} up") });
    }
    if link.mtu < mtu.into() {
        let what = format!("packets of {mtu} bytes: {name} has an MTU of {}", link.mtu);
        let mend = format!("mend it: ip link set dev {name} mtu {mtu}, or use a smaller mtu");
        return Err(Error::Lacks { what, mend });
    }
    Ok(())
}

/// A queue without a worker would take packets and nobody would look at them.
fn refuse_other_queues(name: &str, workers: u16) -> Result<(), Error> {
    let Some(channels) = ethtool::channels(name)? else { return Ok(()) };
    // Fewer are refused by the queue that is not there, with the command that makes it.
    if channels.rx <= workers.into() {
        return Ok(());
    }
    let queues = channels.rx;
    let what = format!("a worker for each queue: {name} has {queues} and there are {workers}");
    let fewer = if channels.combined > 0 {
        format!("combined {workers}")
    } else {
        format!("rx {workers} tx {workers}")
    };
    let mend = format!("mend it: workers.count = {queues}, or ethtool -L {name} {fewer}");
    Err(Error::Lacks { what, mend })
}

/// The NIC's own rule, if it is one that can be followed.
fn owners(name: &str, count: u16) -> Result<Option<Owners>, Error> {
    let Some(rss) = ethtool::rss(name)? else {
        info!(
            "{name} does not say how it spreads flows: they are spread by a key of our own, and what comes in elsewhere is handed over"
        );
        return Ok(None);
    };
    let owners = rule(&rss, count);
    let Rss { function, key, table, is_symmetric } = &rss;
    let (key_len, table_len) = (key.len(), table.len());
    if owners.is_some() {
        info!(key_len, table_len, "flows are spread as {name} does it");
    } else {
        warn!(
            ?function,
            is_symmetric,
            key_len,
            table_len,
            "{name} spreads flows in a way that cannot be followed: by a key of our own, most come in elsewhere and are handed over; mend it: ethtool -X {name} hfunc toeplitz equal {count}"
        );
    }
    for is_ipv6 in [false, true] {
        let fields = ethtool::hash_fields(name, is_ipv6)?;
        if fields.is_some_and(|fields| !fields.addresses || !fields.ports || fields.others) {
            let family = if is_ipv6 { "tcp6" } else { "tcp4" };
            warn!(
                "{name} does not hash addresses and ports of {family} alone, so packets come in elsewhere and are handed over; mend it: ethtool -N {name} rx-flow-hash {family} sdfn"
            );
        }
    }
    Ok(owners)
}

/// The rule of a NIC in the stack's terms; queue and worker have the same number.
fn rule(rss: &Rss, count: u16) -> Option<Owners> {
    if rss.function != HashFunction::Toeplitz || rss.is_symmetric {
        return None;
    }
    let key = rss.key.first_chunk::<{ toeplitz::KEY_LEN }>()?;
    let core = |queue: &u32| u16::try_from(*queue).ok().filter(|queue| *queue < count).map(CoreId);
    let table: Option<Box<[CoreId]>> = rss.table.iter().map(core).collect();
    // A worker that owns nothing would still receive, and could open nothing.
    let table = table.filter(|table| {
        table.len().is_power_of_two() && (0..count).all(|core| table.contains(&CoreId(core)))
    })?;
    Some(Owners::new(key, table))
}

#[cfg(test)]
mod tests {
    use ethtool::{HashFunction, Rss};

    use super::rule;

    fn rss() -> Rss {
        Rss {
            function: HashFunction::Toeplitz,
            is_symmetric: false,
            key: (0..52).collect(),
            table: (0..128).map(|entry| entry % 2).collect(),
        }
    }

    #[test]
    fn a_toeplitz_card_is_followed_to_the_letter() {
        let owners = rule(&rss(), 2).expect("it can be followed");
        assert_eq!(owners.cores(), 2);
        let other = Rss { table: (0..128).map(|entry| 1 - entry % 2).collect(), ..rss() };
        let other = rule(&other, 2).expect("it can be followed");
        let address = |text: &str| wire::Address::from(text.parse::<std::net::IpAddr>().unwrap());
        for port in 1..100 {
            let (from, to) = ((address("192.0.2.1"), port), (address("192.0.2.2"), 80));
            assert_ne!(owners.owner(from, to), other.owner(from, to), "the table decides");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_not_pretended() {
        let refused = [
            Rss { function: HashFunction::Other(2), ..rss() },
            Rss { is_symmetric: true, ..rss() },
            Rss { key: vec![1; 39], ..rss() },
            Rss { table: vec![0, 1, 0], ..rss() },
            Rss { table: vec![0, 2, 0, 1], ..rss() },
            Rss { table: vec![0; 128], ..rss() },
        ];
        for rss in refused {
            assert!(rule(&rss, 2).is_none(), "{rss:?}");
        }
    }
}
