//! What differs between two plans: what may change while the gateway serves, and what stays as it
//! was until it starts again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use gateway::Document;
use loader::{LoadError, Prefix, Rule, Steering};
use logging::Log;
use settings::show_size;

use crate::config::{Listener, pages_name};
use crate::plan::Plan;
use crate::serving::Change;

/// What tells one state of each document from another, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests(BTreeMap<String, u64>);

impl Digests {
    pub(crate) fn of(documents: &[Document]) -> Self {
        let digest = |document: &Document| {
            let Document { path, content_type, body, modified } = document;
            let mut hasher = DefaultHasher::new();
            (content_type, body, modified).hash(&mut hasher);
            (path.clone(), hasher.finish())
        };
        Self(documents.iter().map(digest).collect())
    }
}

/// What differs.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Closed ones first.
    pub(crate) listeners: Vec<Change>,
    pub(crate) has_documents: bool,
    /// For people, a line each.
    changed: Vec<String>,
    /// Keys whose new values need another start.
    kept: Vec<&'static str>,
}

/// The difference from what is served to a new plan. The new plan's listeners are made those of the
/// cores that there are.
pub(crate) fn difference(
    old: &Plan,
    new: &Plan,
    old_digests: &Digests,
    new_digests: &Digests,
) -> Difference {
    let mut changed = Vec::new();
    let listeners = listeners(&old.listeners, &listeners_of(old, new), &mut changed);
    let has_documents = old_digests != new_digests;
    if has_documents {
        changed.push(show_documents(new, old_digests, new_digests));
    }
    if old.http != new.http {
        changed.push("http: other limits".to_owned());
    }
    if old.log != new.log {
        let Log { level, format } = new.log;
        changed.push(format!("log: level {level}, {}", format.name()));
    }
    if old.access_log != new.access_log {
        let what = if new.access_log.is_some() { "other terms" } else { "off" };
        changed.push(format!("access_log: {what}"));
    }
    let (before, after) = (rules(old), rules(new));
    if before != after {
        let set = after.iter().filter(|(prefix, rule)| before.get(prefix) != Some(rule)).count();
        let gone = before.keys().filter(|prefix| !after.contains_key(prefix)).count();
        changed.push(format!("access: {set} ranges set, {gone} removed; now {}", after.len()));
    }
    if old.syn_budget != new.syn_budget {
        changed.push("syn_budget: other budgets".to_owned());
    }
    let pairs = settings(old).into_iter().zip(settings(new));
    let kept = pairs.filter(|(before, after)| before != after).map(|((key, _), _)| key).collect();
    Difference { listeners, has_documents, changed, kept }
}

impl Difference {
    /// What people are told.
    pub(crate) fn show(&self, file: &str) -> String {
        let Self { changed, kept, .. } = self;
        let mut text = match (changed.len(), kept.len()) {
            (0, 0) => format!("{file}: nothing has changed"),
            (0, _) => format!("{file}: nothing has changed that can change while it runs"),
            (1, _) => format!("{file}: 1 change"),
            (count, _) => format!("{file}: {count} changes"),
        };
        for line in changed {
            write!(text, "\n  {line}").expect("a string takes all");
        }
        for key in kept {
            write!(text, "\n  {key}: stays as it was; a new value needs a restart")
                .expect("a string takes all");
        }
        text
    }

    /// Makes what was changed part of the plan that is served.
    pub(crate) fn keep_what_stays(&self, plan: &mut Plan, new: Plan) {
        plan.listeners = listeners_of(plan, &new);
        let Plan { document_root, catalogue, access, syn_budget, http, access_log, log, .. } = new;
        (plan.document_root, plan.catalogue, plan.access) = (document_root, catalogue, access);
        (plan.syn_budget, plan.http) = (syn_budget, http);
        (plan.access_log, plan.log) = (access_log, log);
    }
}

/// The listeners of a new plan, as each of the cores that there are has them.
fn listeners_of(old: &Plan, new: &Plan) -> Vec<Listener> {
    let of_one = |listener: &Listener| {
        let mut listener = *listener;
        let most = &mut listener.options.connections_max;
        *most = (*most).min(old.whole.tcp.records);
        listener.of_one(&old.workers)
    };
    new.whole.listeners.iter().map(of_one).collect()
}

fn listeners(old: &[Listener], new: &[Listener], changed: &mut Vec<String>) -> Vec<Change> {
    let name = |listener: &Listener| format!("{} {}", listener.protocol.name(), listener.tcp_port);
    let same = |one: &Listener, other: &Listener| {
        one.tcp_port == other.tcp_port && one.protocol == other.protocol
    };
    let mut changes = Vec::new();
    for gone in old.iter().filter(|known| !new.iter().any(|listener| same(known, listener))) {
        changed.push(format!("listener {}: closed; its connections live on", name(gone)));
        changes.push(Change::Close(*gone));
    }
    for listener in new {
        match old.iter().find(|known| same(known, listener)) {
            None => {
                changed.push(format!("listener {}: opened", name(listener)));
                changes.push(Change::Open(*listener));
            }
            Some(known) if known != listener => {
                changed.push(format!("listener {}: other terms", name(listener)));
                changes.push(Change::Set(*listener));
            }
            Some(_) => {}
        }
    }
    changes
}

fn show_documents(new: &Plan, Digests(before): &Digests, Digests(after): &Digests) -> String {
    let added = after.keys().filter(|path| !before.contains_key(*path)).count();
    let gone = before.keys().filter(|path| !after.contains_key(*path)).count();
    let is_other = |(path, digest): &(&String, &u64)| {
        before.get(*path).is_some_and(|before| before != *digest)
    };
    let other = after.iter().filter(is_other).count();
    let (count, len) = (after.len(), show_size(new.catalogue.len()));
    format!("documents: {added} new, {other} changed, {gone} gone; now {count} with {len}")
}

fn rules(plan: &Plan) -> BTreeMap<Prefix, Rule> {
    plan.access.iter().copied().collect()
}

/// Changes the access list and the budgets from those of one plan to those of the other. What is
/// new comes first, so that nobody who is denied by both comes in between.
pub(super) fn steer(steering: &Steering, old: &Plan, new: &Plan) -> Result<(), LoadError> {
    let (before, after) = (rules(old), rules(new));
    let gone: Vec<_> = before.keys().filter(|prefix| !after.contains_key(*prefix)).collect();
    let set: Vec<_> =
        after.iter().filter(|(range, rule)| before.get(range) != Some(rule)).collect();
    let remove = || gone.iter().try_for_each(|range| steering.remove_rule(**range).map(drop));
    let is_full = before.len() + set.len() > crate::limits::ACCESS_RULES_MAX;
    if is_full {
        remove()?;
    }
    set.iter().try_for_each(|(range, rule)| steering.set_rule(**range, **rule))?;
    if !is_full {
        remove()?;
    }
    if old.syn_budget != new.syn_budget {
        steering.set_syn_budget(new.syn_budget)?;
    }
    Ok(())
}

/// Every key that holds until the gateway starts again, with its value.
fn settings(plan: &Plan) -> Vec<(&'static str, String)> {
    let Plan { instance, interface, memory, stack, whole, workers, drain, .. } = plan;
    let (tcp, service) = (&whole.tcp, whole.service);
    let xdp = &interface.xdp;
    vec![
        ("instance", instance.clone()),
        ("addresses", format!("{:?}", stack.ip.addresses)),
        ("route", format!("{:?}", stack.ip.routes)),
        ("interface.kind", interface.kind.name().to_owned()),
        ("interface.name", interface.name.clone()),
        ("interface.mac", format!("{:?}", interface.mac)),
        ("interface.mtu", interface.mtu.to_string()),
        ("interface.kernel_addresses", format!("{:?}", interface.kernel_addresses)),
        ("interface.neighbours_max", interface.neighbours_max.to_string()),
        ("interface.xdp_mode", format!("{:?}", xdp.mode)),
        ("interface.copy", format!("{:?}", xdp.copy)),
        ("interface.ring_size", xdp.ring_size.to_string()),
        ("interface.tx_budget", format!("{:?}", xdp.tx_budget)),
        ("interface.busy_poll_us", format!("{:?}", xdp.busy_poll)),
        ("memory.frames", memory.frames.frames.to_string()),
        ("memory.frame_len", memory.frames.frame_len.to_string()),
        ("memory.pages", pages_name(memory.pages).to_owned()),
        ("tcp.connections", tcp.records.to_string()),
        ("tcp.busy", tcp.extensions.to_string()),
        ("tcp.segments", tcp.nodes.to_string()),
        ("tcp.half_open", tcp.half_open.to_string()),
        ("tcp.time_wait", tcp.time_wait.to_string()),
        ("tcp.window", tcp.window_len.to_string()),
        ("tcp.send_queue", tcp.send_len_max.to_string()),
        ("gateway.sessions", service.sessions.to_string()),
        ("gateway.heads", service.heads.to_string()),
        ("workers.count", workers.count.to_string()),
        ("workers.cores", format!("{:?}", workers.cores)),
        ("workers.idle", workers.idle.name().to_owned()),
        ("workers.spin_us", workers.spin_us.to_string()),
        ("drain.timeout_s", drain.as_millis().to_string()),
    ]
}

#[cfg(test)]
mod tests;
