//! `addresses` and `[[route]]`: who we are, and where the others are.

use ip::limits::ROUTES_MAX;
use ip::{Cidr, RouteConfig};
use settings::{At, Ledger, Section};
use wire::Address;

use crate::host::HostAddress;
use crate::limits::ADDRESSES_MAX;

/// Reads the addresses under `key`, each with its prefix; each may be there once.
pub(crate) fn addresses(
    section: Section<'_>,
    key: &str,
    ledger: &mut Ledger<'_>,
) -> Option<Vec<At<Cidr>>> {
    let found_before = ledger.found.len();
    let mut cidrs: Vec<At<Cidr>> = Vec::new();
    for At { value: text, place } in section.texts(key, ledger) {
        let verdict = match host_cidr(text) {
            Ok(value) => first_of(&cidrs, value).map_or(Ok(value), Err),
            Err(refusal) => Err(refusal),
        };
        match verdict {
            Ok(value) => cidrs.push(At { value, place }),
            Err((wrong, right)) => ledger.refuse(place, &section.path(key), wrong, right),
        }
    }
    (ledger.found.len() == found_before).then_some(cidrs)
}

/// What is wrong, and what would be right.
type Refusal = (String, String);

/// An address that a host can have in its network.
fn host_cidr(text: &str) -> Result<Cidr, Refusal> {
    if let Ok(address) = text.parse::<Address>() {
        let example = if address.is_v4() { 24 } else { 64 };
        let right = format!("add the length of its network, such as \"{address}/{example}\"");
        return Err((format!("{address} has no prefix"), right));
    }
    let cidr = cidr(text)?;
    let bits = if cidr.address().is_v4() { 32 } else { 128 };
    let is_network = cidr.broadcast().is_some() && network_of(cidr) == cidr;
    let is_host = cidr.address().is_unicast()
        && cidr.broadcast() != Some(cidr.address())
        && !is_network
        && (1..=bits).contains(&cidr.prefix_len());
    if is_host {
        Ok(cidr)
    } else {
        let right = "use a unicast address, not the network's own, its broadcast or a group's";
        Err((format!("{cidr} cannot be a host's address"), right.to_owned()))
    }
}

fn cidr(text: &str) -> Result<Cidr, Refusal> {
    text.parse().map_err(|_malformed| {
        let right = "use an address, a slash and a prefix length, such as \"10.77.0.2/24\"";
        (format!("\"{text}\" is no network address"), right.to_owned())
    })
}

/// The network of the link-local address that every interface has.
const LINK_LOCAL: Cidr = match Cidr::new(Address::from_bits(0xfe80 << 112), 64) {
    Some(cidr) => cidr,
    None => unreachable!(),
};

/// The same network with zeros where the host's bits are.
fn network_of(cidr: Cidr) -> Cidr {
    let bits = if cidr.address().is_v4() { 32 } else { 128 };
    let host_bits = u32::from(bits - cidr.prefix_len());
    let host_mask = 1_u128.checked_shl(host_bits).map_or(u128::MAX, |bit| bit - 1);
    let address = Address::from_bits(cidr.address().to_bits() & !host_mask);
    Cidr::new(address, cidr.prefix_len()).expect("the prefix is as long as it was")
}

fn first_of(known: &[At<Cidr>], cidr: Cidr) -> Option<Refusal> {
    let first = known.iter().find(|at| at.value.address() == cidr.address())?;
    let wrong = format!("{} is there twice", cidr.address());
    Some((wrong, format!("remove this one, or line {}'s", first.place)))
}

/// Reads our own addresses; there must be one, and none may be the kernel's.
pub(crate) fn own_addresses(
    root: Section<'_>,
    host: &[HostAddress],
    ledger: &mut Ledger<'_>,
) -> Option<Vec<Cidr>> {
    const KEY: &str = "addresses";
    let own = addresses(root, KEY, ledger)?;
    if own.is_empty() {
        let place = root.find(KEY, ledger).map_or(root.place, |at| at.place);
        let right = "name the gateway's own, such as addresses = [\"10.77.0.2/24\"]";
        ledger.refuse(place, KEY, "there is no address", right);
    }
    if let Some(extra) = own.get(ADDRESSES_MAX) {
        let wrong = format!("{} addresses are too many", own.len());
        ledger.refuse(extra.place, KEY, wrong, format!("use at most {ADDRESSES_MAX}"));
    }
    for At { value, place } in &own {
        let taken = host.iter().find(|host| Address::from(host.address) == value.address());
        if let Some(HostAddress { interface, address }) = taken {
            let wrong = format!("the kernel has {address} itself, on {interface}");
            let right = format!(
                "choose an address of the gateway's own, or take it from the kernel; see it with: \
                 ip address show dev {interface}"
            );
            ledger.lacks(*place, KEY, wrong, right);
        }
    }
    Some(own.into_iter().map(|at| at.value).collect())
}

/// Reads `[[route]]`. `own` is known where the addresses are right.
pub(crate) fn routes(
    root: Section<'_>,
    own: Option<&[Cidr]>,
    ledger: &mut Ledger<'_>,
) -> Option<Vec<RouteConfig>> {
    let found_before = ledger.found.len();
    let mut routes: Vec<At<RouteConfig>> = Vec::new();
    for section in root.tables("route", "route", ledger) {
        let Some(destination) = destination(section, ledger) else { continue };
        let Some(gateway) = gateway(section, destination, own, ledger) else { continue };
        let known = routes.iter().find(|at| at.value.destination == destination);
        if let Some(At { place, .. }) = known {
            let wrong = format!("there are two routes to {destination}");
            let right = format!("remove this one, or line {place}'s");
            ledger.refuse(section.place, &section.path("destination"), wrong, right);
        }
        let value = RouteConfig { destination, gateway };
        routes.push(At { value, place: section.place });
    }
    refuse_too_many(&routes, own.unwrap_or_default(), ledger);
    let is_right = ledger.found.len() == found_before;
    is_right.then(|| routes.into_iter().map(|at| at.value).collect())
}

/// `ip` bounds the routes of each family, those of the connected networks included.
fn refuse_too_many(routes: &[At<RouteConfig>], own: &[Cidr], ledger: &mut Ledger<'_>) {
    for is_v4 in [true, false] {
        let own = own.iter().filter(|cidr| cidr.address().is_v4() == is_v4).count();
        let most = ROUTES_MAX.saturating_sub(own + usize::from(!is_v4));
        let mut family = routes.iter().filter(|at| at.value.destination.address().is_v4() == is_v4);
        if let Some(extra) = family.nth(most) {
            let wrong =
                format!("more than {most} routes of a family beside the connected networks");
            let right = "put routes through the same router together";
            ledger.refuse(extra.place, "route", wrong, right);
        }
    }
}

fn destination(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Cidr> {
    const KEY: &str = "destination";
    if section.find(KEY, ledger).is_none() {
        let right = "name the network, such as destination = \"0.0.0.0/0\"";
        ledger.refuse(section.place, &section.path(KEY), "it is missing", right);
        return None;
    }
    let At { value: text, place } = section.text(KEY, ledger)?;
    let verdict = cidr(text).and_then(|cidr| {
        let network = network_of(cidr);
        if network == cidr {
            return Ok(cidr);
        }
        let right = format!("write \"{network}\"");
        Err((format!("{cidr} has bits beyond its prefix"), right))
    });
    verdict.map_err(|(wrong, right)| ledger.refuse(place, &section.path(KEY), wrong, right)).ok()
}

/// `Some(None)` is a route whose hosts are neighbours themselves.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: no gateway is needed")]
fn gateway(
    section: Section<'_>,
    destination: Cidr,
    own: Option<&[Cidr]>,
    ledger: &mut Ledger<'_>,
) -> Option<Option<Address>> {
    const KEY: &str = "gateway";
    if section.find(KEY, ledger).is_none() {
        return Some(None);
    }
    let At { value: text, place } = section.text(KEY, ledger)?;
    let verdict = match text.parse::<Address>() {
        Ok(gateway) => judge_gateway(gateway, destination, own),
        Err(_malformed) => {
            let right = "use an address without a prefix, such as \"10.77.0.1\"";
            Err((format!("\"{text}\" is no address"), right.to_owned()))
        }
    };
    verdict
        .map_err(|(wrong, right)| ledger.refuse(place, &section.path(KEY), wrong, right))
        .ok()?;
    text.parse().ok().map(Some)
}

fn judge_gateway(gateway: Address, destination: Cidr, own: Option<&[Cidr]>) -> Result<(), Refusal> {
    if !gateway.is_unicast() {
        let right = "use the address of one router";
        return Err((format!("{gateway} cannot be a router's address"), right.to_owned()));
    }
    if gateway.is_v4() != destination.address().is_v4() {
        let right = "use a router and a destination that are both IPv4 or both IPv6";
        return Err((format!("{gateway} cannot lead to {destination}"), right.to_owned()));
    }
    let Some(own) = own else { return Ok(()) };
    if own.iter().any(|cidr| cidr.address() == gateway) {
        let right = "use the address of another router";
        return Err((format!("{gateway} is the gateway's own address"), right.to_owned()));
    }
    if LINK_LOCAL.contains(gateway) || own.iter().any(|cidr| cidr.contains(gateway)) {
        return Ok(());
    }
    let networks: Vec<_> = own.iter().map(|cidr| network_of(*cidr)).collect();
    let networks: Vec<_> = networks.iter().map(Cidr::to_string).collect();
    let wrong = format!("{gateway} is in none of the connected networks");
    Err((wrong, format!("use a neighbour, in {}", networks.join(" or "))))
}
