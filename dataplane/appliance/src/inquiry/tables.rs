//! Each answer as JSON.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ip::{Cidr, Neighbour};
use loader::{LoadError, Rate, Rule, Steering, SynBudget};
use serde_json::{Value, json};
use tcp::ListenerSeen;
use wire::Address;

use super::Told;
use crate::config::Listener;
use crate::plan::Plan;
use crate::sight::Seen;

fn family(address: Address) -> &'static str {
    if address.is_v4() { "ipv4" } else { "ipv6" }
}

/// The gateway's own addresses, and the interface that has them.
pub(super) fn addresses(plan: &Plan) -> Value {
    let row = |cidr: &Cidr| {
        let address = cidr.address();
        json!({
            "address": address.to_string(),
            "prefix_len": cidr.prefix_len(),
            "family": family(address),
            "scope": if address.is_link_local() { "link" } else { "global" },
        })
    };
    let (interface, ip) = (&plan.interface, &plan.stack.ip);
    json!({
        "interface": interface.name,
        "kind": interface.kind.name(),
        "mac": ip.mac.to_string(),
        "mtu": interface.mtu,
        "addresses": ip.own_addresses().iter().map(row).collect::<Vec<_>>(),
    })
}

/// The routes in the order in which they are tried: IPv4 first, the longest prefix first.
pub(super) fn routes(plan: &Plan) -> Value {
    let ip = &plan.stack.ip;
    let connected = ip.own_addresses().into_iter().map(|cidr| (cidr.network(), None, "connected"));
    let configured = |has_gateway: bool| {
        let routes = ip.routes.iter().filter(move |route| route.gateway.is_some() == has_gateway);
        routes.map(|route| (route.destination.network(), route.gateway, "configured"))
    };
    let mut routes: Vec<_> = connected.chain(configured(false)).chain(configured(true)).collect();
    routes.sort_by_key(|(to, _, _)| (to.address().is_v6(), Reverse(to.prefix_len())));
    let row = |(to, gateway, kind): &(Cidr, Option<Address>, &str)| {
        json!({
            "destination": to.to_string(),
            "family": family(to.address()),
            "gateway": gateway.map(|gateway| gateway.to_string()),
            "kind": kind,
        })
    };
    json!({ "routes": routes.iter().map(row).collect::<Vec<_>>() })
}

/// The numbers of the cores that told nothing.
fn missing(told: &Told) -> Vec<usize> {
    told.iter().enumerate().filter(|(_, rows)| rows.is_none()).map(|(core, _)| core).collect()
}

/// Every core's neighbours.
pub(super) fn neighbours(told: &Told) -> Value {
    let row = |core: usize, neighbour: &Neighbour, used_ns: Option<u64>| {
        json!({
            "core": core,
            "address": neighbour.address.to_string(),
            "mac": neighbour.mac.map(|mac| mac.to_string()),
            "state": neighbour.state.name(),
            "age_ms": used_ns.map(|nanos| nanos / 1_000_000),
            "router": neighbour.is_gateway,
        })
    };
    let mut rows: Vec<(usize, Neighbour, Option<u64>)> = Vec::new();
    for (core, seen) in told.iter().enumerate() {
        rows.extend(seen.iter().flatten().filter_map(|seen| match seen {
            Seen::Neighbour(neighbour, used) => Some((core, *neighbour, *used)),
            Seen::Listener(_) => None,
        }));
    }
    rows.sort_by_key(|(core, neighbour, _)| {
        (*core, neighbour.address.is_v6(), neighbour.address.to_bits())
    });
    let rows: Vec<_> = rows.iter().map(|(core, one, used)| row(*core, one, *used)).collect();
    json!({ "neighbours": rows, "missing_cores": missing(told) })
}

/// Connections of one port by core, and of how many they may be of one core.
#[derive(Debug, Default)]
struct Accepted {
    by_core: Vec<Option<u64>>,
}

/// Connections by port, of those that accept and of those that were closed.
fn accepted(told: &Told) -> BTreeMap<(u16, bool), Accepted> {
    let mut ports = BTreeMap::<_, Accepted>::new();
    for (core, seen) in told.iter().enumerate() {
        for seen in seen.iter().flatten() {
            let Seen::Listener(ListenerSeen { port, is_open, connections, .. }) = seen else {
                continue;
            };
            let entry = ports.entry((*port, *is_open)).or_default();
            if entry.by_core.is_empty() {
                entry.by_core = told.iter().map(|rows| rows.as_ref().map(|_| 0)).collect();
            }
            if let Some(Some(count)) = entry.by_core.get_mut(core) {
                *count += u64::from(*connections);
            }
        }
    }
    ports
}

/// The listeners, and those that were closed and have connections left.
pub(super) fn listeners(plan: &Plan, told: &Told) -> Value {
    let ports = accepted(told);
    let nobody: Vec<Option<u64>> = told.iter().map(|rows| rows.as_ref().map(|_| 0)).collect();
    let cores = |port, is_open| ports.get(&(port, is_open)).map_or(&nobody, |has| &has.by_core);
    let sum = |cores: &[Option<u64>]| cores.iter().flatten().sum::<u64>();
    let root = plan.document_root.as_ref().map(|root| root.display().to_string());
    let mut rows = Vec::new();
    for Listener { protocol, tcp_port, udp, options } in &plan.listeners {
        let by_core = cores(*tcp_port, true);
        let name = protocol.name();
        let root = root.as_ref().filter(|_| name == "http");
        rows.push(json!({
            "transport": "tcp", "protocol": name, "address": "*", "port": tcp_port, "open": true,
            "connections": sum(by_core), "by_core": by_core,
            "limit": u64::from(options.connections_max) * u64::from(plan.workers.count),
            "document_root": root,
        }));
        if *udp {
            rows.push(json!({
                "transport": "udp", "protocol": name, "address": "*", "port": tcp_port,
                "open": true, "connections": null, "by_core": [], "limit": null,
                "document_root": null,
            }));
        }
    }
    for ((port, is_open), Accepted { by_core }) in &ports {
        if !is_open && sum(by_core) > 0 {
            rows.push(json!({
                "transport": "tcp", "protocol": null, "address": "*", "port": port, "open": false,
                "connections": sum(by_core), "by_core": by_core, "limit": null,
                "document_root": null,
            }));
        }
    }
    json!({ "listeners": rows, "missing_cores": missing(told) })
}

/// What the XDP program has, if there is one: rules and counters as the kernel tells them.
pub(super) fn access(plan: &Plan, steering: Option<&Steering>) -> Result<Value, LoadError> {
    let Some(steering) = steering else {
        return Ok(json!({ "program": false, "interface": plan.interface.kind.name() }));
    };
    let rules = steering.rules()?;
    let rules = rules.iter().map(|(prefix, rule)| {
        let action = if *rule == Rule::Deny { "deny" } else { "allow" };
        json!({ "prefix": prefix.to_string(), "action": action })
    });
    let SynBudget { per_source, strangers } = plan.syn_budget;
    let rate = |rate: Option<Rate>| {
        rate.map(|Rate { per_s, burst }| json!({ "per_s": per_s.get(), "burst": burst.get() }))
    };
    let counters = steering.counters()?;
    let counters = counters.iter().map(|(reason, tally)| {
        json!({
            "name": reason.name(),
            "verdict": reason.verdict().name(),
            "packets": tally.packets,
            "bytes": tally.bytes,
        })
    });
    Ok(json!({
        "program": true,
        "interface": plan.interface.kind.name(),
        "rules": rules.collect::<Vec<_>>(),
        "syn_budget": { "per_source": rate(per_source), "strangers": rate(strangers) },
        "counters": counters.collect::<Vec<_>>(),
    }))
}
