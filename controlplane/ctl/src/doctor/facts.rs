//! Everything that was read, and what is to run there.

use counters::{FILE_NAME, View};
use ethtool::{
    Channels, Driver, EthtoolError, Features, HashFields, Link, Rings, Rss, VethEnd, XdpAbilities,
    XdpAttached,
};
use topology::{BusDevice, CoreList, Machine, Reading, Tree, Unread};

use super::wanted::Wanted;
use crate::args::Target;
use crate::instance::{Instance, Life, Search};

/// All that is judged.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) machine: Machine,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) wanted: Wanted,
    pub(crate) workers: Workers,
    /// The XDP programs of gateways that run, by the kernel's number, and whose they are.
    pub(crate) programs: Vec<(u32, String)>,
}

/// The programs of all gateways that can be seen to run.
pub(crate) fn programs() -> Vec<(u32, String)> {
    let target = Target { instance: None, folder: None };
    let found = Search::run(&target, |name| name == FILE_NAME).found;
    let living = found.into_iter().filter(|instance| instance.life == Life::Alive);
    let program = |instance: Instance| {
        let view = View::open(&instance.path).ok()?;
        let fact = view.facts().iter().position(|fact| fact == "xdp")?;
        let told = view.core(0).facts.get(fact)?.clone();
        Some((program_in(&told)?, instance.name))
    };
    living.filter_map(program).collect()
}

/// The number at the end of how a gateway says that its program was attached.
fn program_in(fact: &str) -> Option<u32> {
    fact.rsplit_once("program ")?.1.parse().ok()
}

/// The workers that run, or shall run, on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    pub(crate) count: usize,
    /// Where they are: those of the file, else the last ones that the process may use.
    pub(crate) cores: CoreList,
    /// Whether nothing says how many.
    pub(crate) is_assumed: bool,
}

impl Workers {
    /// As the gateway chooses. Without a file there is one for each queue, and one core is left.
    pub(crate) fn choose(machine: &Machine, wanted: &Wanted, queues: Option<u32>) -> Self {
        let none = CoreList::default();
        let allowed = machine.cores.allowed.known_value().unwrap_or(&none);
        let most = allowed.len().saturating_sub(1).max(1);
        let queues = queues.and_then(|queues| usize::try_from(queues).ok()).unwrap_or(1);
        let count = wanted.workers.unwrap_or_else(|| queues.clamp(1, most));
        let cores = match &wanted.cores {
            Some(cores) => cores.iter().copied().collect(),
            None => allowed.iter().rev().take(count).collect(),
        };
        Self { count, cores, is_assumed: wanted.workers.is_none() }
    }
}

/// What was read of one interface.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) link: Reading<Link>,
    pub(crate) driver: Reading<Driver>,
    pub(crate) channels: Reading<Channels>,
    pub(crate) rings: Reading<Rings>,
    pub(crate) features: Reading<Features>,
    pub(crate) rss: Reading<Rss>,
    /// What is hashed of TCP over IPv4 and over IPv6.
    pub(crate) hash_fields: [Reading<HashFields>; 2],
    pub(crate) xdp_abilities: Reading<XdpAbilities>,
    pub(crate) xdp_attached: Reading<XdpAttached>,
    pub(crate) veth_peer: Reading<VethEnd>,
    /// None of what is on no bus, as a veth.
    pub(crate) device: Option<BusDevice>,
}

impl Interface {
    /// Asks for all of it.
    pub(crate) fn read(tree: &Tree, name: &str) -> Self {
        let source = |call: &str| format!("{call} {name}");
        let driver = answer(source("ioctl ETHTOOL_GDRVINFO"), ethtool::driver(name));
        let place = driver.known_value().map(|driver| driver.bus.clone()).unwrap_or_default();
        Self {
            device: BusDevice::read(tree, &place),
            driver,
            link: known(source("ioctl SIOCGIFMTU, getifaddrs"), ethtool::link(name)),
            channels: answer(source("ioctl ETHTOOL_GCHANNELS"), ethtool::channels(name)),
            rings: answer(source("ioctl ETHTOOL_GRINGPARAM"), ethtool::rings(name)),
            features: answer(source("ioctl ETHTOOL_GFEATURES"), ethtool::features(name)),
            rss: answer(source("ioctl ETHTOOL_GRSSH"), ethtool::rss(name)),
            hash_fields: [("tcp4", false), ("tcp6", true)].map(|(family, is_ipv6)| {
                let source = format!("ioctl ETHTOOL_GRXFH {name} {family}");
                answer(source, ethtool::hash_fields(name, is_ipv6))
            }),
            xdp_abilities: answer(
                source("netlink netdev dev-get xdp-features"),
                ethtool::xdp_abilities(name),
            ),
            xdp_attached: known(
                source("netlink RTM_GETLINK IFLA_XDP"),
                ethtool::xdp_attached(name),
            ),
            veth_peer: known(
                source("netlink RTM_GETLINK IFLA_LINK, ETHTOOL_GFEATURES there"),
                ethtool::veth_peer(name),
            ),
            name: name.to_owned(),
        }
    }

    /// Whether it is one end of a veth pair.
    pub(crate) fn is_veth(&self) -> bool {
        self.driver.known_value().is_some_and(|driver| driver.name == "veth")
    }

    /// Queues that receive.
    pub(crate) fn queues(&self) -> Option<u32> {
        self.channels.known_value().map(|channels| channels.rx)
    }

    /// Whether it is a device of a bus: those are looked at if nobody names one.
    pub(crate) fn is_device(name: &str) -> bool {
        let bus = match ethtool::driver(name) {
            Ok(Some(driver)) => driver.bus,
            Ok(None) | Err(_) => return false,
        };
        // The words that drivers without a device leave there.
        !["", "N/A", "tap", "tun", "virtual"].contains(&bus.as_str()) && ethtool::link(name).is_ok()
    }
}

fn known<T>(source: String, outcome: Result<T, EthtoolError>) -> Reading<T> {
    Reading { source, value: outcome.map_err(|error| why(&error)) }
}

/// A driver that does not know the question has nothing there.
fn answer<T>(source: String, outcome: Result<Option<T>, EthtoolError>) -> Reading<T> {
    let value = outcome.map_err(|error| why(&error));
    Reading { source, value: value.and_then(|answer| answer.ok_or(Unread::Missing)) }
}

fn why(error: &EthtoolError) -> Unread {
    if matches!(error, EthtoolError::ResourceNotPermitted { .. }) {
        return Unread::NotPermitted;
    }
    Unread::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use topology::CoreList;

    use super::Workers;
    use crate::doctor::made_up;
    use crate::doctor::wanted::Wanted;

    fn chosen(wanted: &Wanted, queues: Option<u32>) -> (usize, String, bool) {
        let machine = made_up::facts().machine;
        let workers = Workers::choose(&machine, wanted, queues);
        (workers.count, workers.cores.to_string(), workers.is_assumed)
    }

    #[test]
    fn the_last_cores_are_the_workers_unless_some_are_named() {
        let wanted = |workers| Wanted { workers, ..Wanted::default() };
        assert_eq!(chosen(&wanted(None), Some(2)), (2, "2-3".to_owned(), true));
        assert_eq!(chosen(&wanted(None), Some(64)), (3, "1-3".to_owned(), true));
        assert_eq!(chosen(&wanted(None), None), (1, "3".to_owned(), true));
        assert_eq!(chosen(&wanted(Some(4)), Some(1)), (4, "0-3".to_owned(), false));
        let named = Wanted { cores: Some(vec![1, 0]), ..wanted(Some(2)) };
        assert_eq!(chosen(&named, None), (2, "0-1".to_owned(), false));
        let machine = made_up::facts().machine;
        assert_eq!(machine.cores.allowed.known_value(), CoreList::parse("0-3").as_ref());
    }
}
