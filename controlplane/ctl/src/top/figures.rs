//! What `top` computes of two looks: shares of the time, and rates.

use counters::{Snapshot, View, known};
use memory::SharedView;
use serde_json::{Map, Value, json};

use crate::limits::STAGES_MAX;
use crate::sample::{Sample, growth};
use crate::table::short;

/// The figures of all cores between two looks.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) seconds: f64,
    /// The names of the stages, idle left out.
    stages: Vec<String>,
    pub(super) cores: Vec<Core>,
    pub(super) total: Core,
}

/// The figures of one core, or of all together. `None` where the gateway does not count it.
#[derive(Clone, Debug, Default)]
pub(super) struct Core {
    /// The part of its cycles that it was not idle in.
    busy: Option<f64>,
    /// The part of its cycles in each stage.
    stages: Vec<Option<f64>>,
    rx_packets_per_s: Option<f64>,
    tx_packets_per_s: Option<f64>,
    opens_per_s: Option<f64>,
    drops_per_s: Option<f64>,
    connections: Option<u64>,
    frames_free: Option<u64>,
    frames: Option<u64>,
}

impl Figures {
    pub(super) fn of(view: &View<SharedView>, before: &Sample, after: &Sample) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a time for people")]
        let seconds = after.taken_at.saturating_sub(before.taken_at).max(1) as f64 / 1e9;
        let pairs: Vec<_> = before.cores.iter().zip(&after.cores).collect();
        let places = Places::of(view);
        let cores = pairs.iter().map(|&pair| places.figures(view, &[pair], seconds)).collect();
        let total = places.figures(view, &pairs, seconds);
        let named = places.stages.iter().map(|&index| view.counters()[index].name.clone());
        Self { seconds, stages: named.collect(), cores, total }
    }

    pub(super) fn head(&self) -> Vec<String> {
        let mut head = ["core", "state", ">busy"].map(str::to_owned).to_vec();
        head.extend(self.stages.iter().take(STAGES_MAX).map(|stage| format!(">{stage}")));
        head.extend(
            [">in/s", ">out/s", ">opens/s", ">drops/s", ">connections", ">frames free"]
                .map(str::to_owned),
        );
        head
    }

    pub(super) fn row(&self, core: String, state: &str, of: &Core) -> Vec<String> {
        let share = |part: &Option<f64>| {
            part.map_or_else(|| "-".to_owned(), |part| format!("{:.1}%", part * 100.0))
        };
        let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), short);
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let frames = match (of.frames_free, of.frames) {
            (Some(free), Some(all)) => format!("{free}/{all}"),
            (free, _) => number(free),
        };
        let mut row = vec![core, state.to_owned(), share(&of.busy)];
        row.extend(of.stages.iter().take(STAGES_MAX).map(share));
        row.extend([
            rate(of.rx_packets_per_s),
            rate(of.tx_packets_per_s),
            rate(of.opens_per_s),
            rate(of.drops_per_s),
            number(of.connections),
            frames,
        ]);
        row
    }
}

impl Core {
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let Self {
            busy,
            stages: _,
            rx_packets_per_s,
            tx_packets_per_s,
            opens_per_s,
            drops_per_s,
            connections,
            frames_free,
            frames,
        } = self;
        let Value::Object(object) = json!({
            "busy": busy,
            "rx_packets_per_s": rx_packets_per_s,
            "tx_packets_per_s": tx_packets_per_s,
            "opens_per_s": opens_per_s,
            "drops_per_s": drops_per_s,
            "connections": connections,
            "frames_free": frames_free,
            "frames": frames,
        }) else {
            return Map::new();
        };
        object
    }
}

/// Where among the values the counters stand that are computed with.
struct Places {
    idle: Option<usize>,
    stages: Vec<usize>,
    rx_packets: Vec<usize>,
    tx_packets: Vec<usize>,
    opens: Vec<usize>,
    drops: Vec<usize>,
    connections: Option<usize>,
    frames_free: Option<usize>,
    frames: Option<usize>,
}

impl Places {
    fn of(view: &View<SharedView>) -> Self {
        let idle = view.find(known::STAGE_IDLE);
        let all = |is_meant: &dyn Fn(&counters::Counter) -> bool| {
            let counters = view.counters().iter().enumerate();
            counters
                .filter(|(_, counter)| is_meant(counter))
                .map(|(index, _)| index)
                .collect::<Vec<_>>()
        };
        let mut stages = all(&|counter| counter.group == known::STAGE);
        stages.retain(|index| Some(*index) != idle);
        Self {
            idle,
            stages,
            rx_packets: view.find(known::RX_PACKETS).into_iter().collect(),
            tx_packets: view.find(known::TX_PACKETS).into_iter().collect(),
            opens: known::OPENS.into_iter().filter_map(|name| view.find(name)).collect(),
            drops: all(&|counter| counter.is_drop),
            connections: view.find(known::CONNECTIONS),
            frames_free: view.find(known::FRAMES_FREE),
            frames: view.find(known::FRAMES),
        }
    }

    /// The figures of these cores together.
    #[expect(clippy::cast_precision_loss, reason = "shares and rates for people")]
    fn figures(
        &self,
        view: &View<SharedView>,
        cores: &[(&Snapshot, &Snapshot)],
        seconds: f64,
    ) -> Core {
        let grown = |index: usize| {
            let counter = &view.counters()[index];
            let of = |(before, after): &(&Snapshot, &Snapshot)| {
                growth(counter, before.values[index], after.values[index])
            };
            cores.iter().map(of).sum::<u64>()
        };
        let rate = |indices: &[usize]| {
            let count: u64 = indices.iter().map(|&index| grown(index)).sum();
            (!indices.is_empty()).then(|| count as f64 / seconds)
        };
        let gauge = |place: Option<usize>| {
            let sum =
                |index| cores.iter().map(|(_, after): &(_, &Snapshot)| after.values[index]).sum();
            place.map(sum)
        };
        let cycles: u64 = self.stages.iter().chain(&self.idle).map(|&index| grown(index)).sum();
        let share = |count: u64| (cycles > 0).then(|| count as f64 / cycles as f64);
        Core {
            busy: self.idle.and_then(|idle| share(cycles - grown(idle))),
            stages: self.stages.iter().map(|&index| share(grown(index))).collect(),
            rx_packets_per_s: rate(&self.rx_packets),
            tx_packets_per_s: rate(&self.tx_packets),
            opens_per_s: rate(&self.opens),
            drops_per_s: rate(&self.drops),
            connections: gauge(self.connections),
            frames_free: gauge(self.frames_free),
            frames: gauge(self.frames),
        }
    }
}
