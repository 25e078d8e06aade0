//! The samples of every gateway that is meant, from its tools' file.

use std::collections::BTreeMap;

use counters::{Counter, FILE_NAME, Kind, View};
use exposition::{Exposition, Type, word};
use memory::SharedView;

use crate::args::Target;
use crate::instance::{Instance, Life, Search};
use crate::sample::Sample;

/// The families that are no counter's, with their meaning.
const OWN: [(&str, Type, &str); 9] = [
    ("abele_up", Type::Gauge, "1 if the gateway lives and its tools' file was read, else 0."),
    (
        "abele_file_readable",
        Type::Gauge,
        "0 if the tools' file cannot be read: no right to, or of another version.",
    ),
    (
        "abele_build_info",
        Type::Gauge,
        "Versions of the gateway and of the layout of its tools' file; the value is 1.",
    ),
    ("abele_start_time_seconds", Type::Gauge, "When the gateway started, in seconds since 1970."),
    (
        "abele_cycles_per_second",
        Type::Gauge,
        "Cycles of abele_stage_*_total in a second; 0 if that is not known.",
    ),
    ("abele_core_info", Type::Gauge, "What a core says of itself; the value is 1."),
    (
        "abele_core_stuck",
        Type::Gauge,
        "1 if the core should have shown a sign of life since its last one.",
    ),
    ("abele_core_last_sign_seconds", Type::Gauge, "How old the core's last sign of life is."),
    ("abele_core_turns_total", Type::Counter, "Turns that the core has made."),
];

/// What is answered: all samples.
pub(super) fn told(target: &Target) -> Exposition {
    let mut told = Exposition::default();
    for (name, kind, help) in OWN {
        told.family(name, kind, help);
    }
    let meant = meant(target);
    if let Some(name) = &target.instance
        && !meant.contains_key(name)
    {
        told.sample("abele_up", &[("instance", name)], "0");
    }
    for (name, instance) in &meant {
        tell(&mut told, name, instance);
    }
    told
}

/// One instance of each name: where two folders have it, the one that lives, else the first.
fn meant(target: &Target) -> BTreeMap<String, Instance> {
    let mut meant = BTreeMap::<String, Instance>::new();
    let wanted = |name: &str| target.instance.as_deref().is_none_or(|wanted| wanted == name);
    for found in Search::run(target, |name| name == FILE_NAME).found {
        let is_better = match meant.get(&found.name) {
            None => wanted(&found.name),
            Some(known) => known.life != Life::Alive && found.life == Life::Alive,
        };
        if is_better {
            meant.insert(found.name.clone(), found);
        }
    }
    meant
}

fn tell(told: &mut Exposition, name: &str, instance: &Instance) {
    let labels = [("instance", name)];
    let read = View::open(&instance.path).ok();
    let read = read.and_then(|view| Some((Sample::take(&view).ok()?, view)));
    let readable = if read.is_some() { "1" } else { "0" };
    told.sample("abele_file_readable", &labels, readable);
    let read = read.filter(|(sample, _)| sample.is_alive);
    told.sample("abele_up", &labels, if read.is_some() { "1" } else { "0" });
    // The last figures of a dead one would look as if it stood still.
    if let Some((sample, view)) = read {
        tell_gateway(told, name, &view);
        for core in 0..sample.cores.len() {
            tell_core(told, name, &view, &sample, core);
        }
    }
}

fn tell_gateway(told: &mut Exposition, name: &str, view: &View<SharedView>) {
    let (about, labels) = (view.about(), [("instance", name)]);
    let layout = format!("{}.{}", about.layout[0], about.layout[1]);
    let build = [labels[0], ("version", &about.version), ("layout", &layout)];
    told.sample("abele_build_info", &build, "1");
    let (seconds, nanos) =
        (about.started_unix_ns / 1_000_000_000, about.started_unix_ns % 1_000_000_000);
    told.sample("abele_start_time_seconds", &labels, &format!("{seconds}.{nanos:09}"));
    told.sample("abele_cycles_per_second", &labels, &about.cycles_per_s.to_string());
}

fn tell_core(
    told: &mut Exposition,
    name: &str,
    view: &View<SharedView>,
    sample: &Sample,
    core: usize,
) {
    let (number, found) = (core.to_string(), &sample.cores[core]);
    let labels = [("instance", name), ("core", number.as_str())];
    let facts = view.facts().iter().map(String::as_str);
    let mut info = labels.to_vec();
    info.extend(facts.zip(found.facts.iter().map(String::as_str)));
    told.sample("abele_core_info", &info, "1");
    let is_stuck = sample.is_stuck(view, core);
    told.sample("abele_core_stuck", &labels, if is_stuck { "1" } else { "0" });
    if let Some(age) = found.age(view.about(), sample.taken_at) {
        let age = format!("{}.{:03}", age.as_millis() / 1_000, age.as_millis() % 1_000);
        told.sample("abele_core_last_sign_seconds", &labels, &age);
    }
    told.sample("abele_core_turns_total", &labels, &found.turns.to_string());
    for (counter, value) in view.counters().iter().zip(&found.values) {
        let (family, kind, help) = family(counter);
        told.family(&family, kind, &help);
        told.sample(&family, &labels, &value.to_string());
    }
}

/// Name, type and meaning of a counter's family: `tcp.accepted` is `abele_tcp_accepted_total`.
fn family(counter: &Counter) -> (String, Type, String) {
    let mut name = word(&format!("abele_{}_{}", counter.group, counter.name));
    let kind = match counter.kind {
        Kind::Counter | Kind::Cycles => Type::Counter,
        Kind::Gauge => Type::Gauge,
        Kind::Unknown => Type::Untyped,
    };
    // Only what grows for ever may be called a total.
    let is_total = name.ends_with("_total");
    match kind {
        Type::Counter if !is_total => name.push_str("_total"),
        Type::Gauge if is_total => name = name.replace("_total", "_all"),
        Type::Counter | Type::Gauge | Type::Untyped => {}
    }
    let what = if counter.is_drop { "Dropped or refused" } else { "Counted" };
    let what = if kind == Type::Gauge { "There are now" } else { what };
    let unit =
        if counter.unit.is_empty() { String::new() } else { format!(", in {}", counter.unit) };
    (name, kind, format!("{what}: {}{unit}.", counter.full_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_called_after_group_and_name() {
        let told = |counter: Counter| {
            let (name, kind, help) = family(&counter);
            format!("{name} {kind:?} {help}")
        };
        let shown = [
            told(Counter::new("tcp", "accepted")),
            told(Counter::new("tcp", "tcp_drop_paws").drop_reason()),
            told(Counter::new("queue", "rx_bytes")),
            told(Counter::new("stage", "rx").cycles()),
            told(Counter::new("pool", "frames_total").gauge().unit("frames")),
            told(Counter::new("nic", "seen_total")),
        ];
        insta::assert_snapshot!(shown.join("\n"), @r"
        abele_tcp_accepted_total Counter Counted: tcp.accepted.
        abele_tcp_paws_total Counter Dropped or refused: tcp.paws.
        abele_queue_rx_bytes_total Counter Counted: queue.rx_bytes, in bytes.
        abele_stage_rx_total Counter Counted: stage.rx, in cycles.
        abele_pool_frames_all Gauge There are now: pool.frames_total, in frames.
        abele_nic_seen_total Counter Counted: nic.seen_total.
        ");
    }
}
