//! What differs from seed to seed: who takes part, how fast, and what goes wrong.

use base::{Duration, Rng};
use switch::Quota;

use super::clock::Clock;
use super::network::Weather;
use super::server::Shape;
use super::{BULK, HOT};
use crate::config::Config;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Reset,
    Dark,
    Stall,
    PauseClient,
    PauseSwitch,
    Kill,
    Leave,
    Refuse,
    DropNode,
    Evict,
    SetBack,
}

/// Each with the name under which it is counted.
pub(super) const FAULTS: [(Fault, &str); 11] = [
    (Fault::Reset, "resets"),
    (Fault::Dark, "connections that went dark"),
    (Fault::Stall, "stalls"),
    (Fault::PauseClient, "pauses of clients"),
    (Fault::PauseSwitch, "pauses of switches"),
    (Fault::Kill, "switches that were killed"),
    (Fault::Leave, "switches that left"),
    (Fault::Refuse, "times without dials"),
    (Fault::DropNode, "nodes that were dropped"),
    (Fault::Evict, "evictions"),
    (Fault::SetBack, "switches that were set back"),
];

/// See the file's first words.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    pub(super) server_clock: Clock,
    pub(super) nodes: usize,
    /// The mean time between two actions of users, and between two faults.
    pub(super) pace: Duration,
    pub(super) trouble: Duration,
    pub(super) faults: Vec<(Fault, &'static str)>,
    /// What one direction of a connection takes: less than a storm of notices, or than a long message, so
    /// that the switch's own bounds are reached.
    pub(super) pipe_len: usize,
    /// Whether many long names change hands at once.
    pub(super) is_stormy: bool,
    drift_ppm: i32,
}

impl Plan {
    pub(super) fn new(weather: &mut Weather) -> Self {
        let pick = |weather: &mut Weather, from: &[u64]| from[weather.below(from.len())];
        let drift_ppm = i32::try_from(pick(weather, &[0, 1_000, 50_000])).expect("small");
        let mut quota = Quota::default();
        if weather.below(4) == 0 {
            quota.subscriptions_max = 3;
        }
        if weather.below(6) == 0 {
            quota.waiting_max = 1;
        }
        if weather.below(8) == 0 {
            quota.ports_max = 4;
        }
        let is_stormy = weather.below(4) == 0 && quota == Quota::default();
        // Less than a storm of notices takes, beside what they have of their own.
        quota.queue_len_max = 4_096;
        let shape = Shape {
            lease: Duration::from_millis(pick(weather, &[300, 700, 2_000])),
            drift_ppm: drift_ppm.unsigned_abs(),
            shards: u8::try_from(pick(weather, &[1, 1, 3])).expect("small"),
            quota,
        };
        let mut faults: Vec<_> = FAULTS.into_iter().filter(|_| weather.below(2) == 0).collect();
        if faults.is_empty() {
            faults.push(FAULTS[0]);
        }
        Self {
            server_clock: clock(&mut weather.rng, drift_ppm),
            nodes: 3 + weather.below(4),
            pace: Duration::from_micros(pick(weather, &[300, 1_000, 4_000, 10_000])),
            trouble: Duration::from_millis(pick(weather, &[20, 100, 500])),
            faults,
            pipe_len: if is_stormy || weather.below(3) > 0 { 64 << 10 } else { 1 << 10 },
            is_stormy,
            shape,
            drift_ppm,
        }
    }

    pub(super) fn clock(&self, rng: &mut Rng) -> Clock {
        clock(rng, self.drift_ppm)
    }

    /// The configuration of the next client of a node.
    pub(super) fn config(&self, node: usize, start: u64, weather: &mut Weather) -> Config {
        let mut config = Config::new("switch:7400", &format!("n{node}"));
        config.address = format!("10.0.0.{node}:{start}");
        config.send_connections = u8::try_from(1 + weather.below(2)).expect("small");
        config.cache_entries = [2, 6, 1_000][weather.below(3)];
        config.has_session = weather.below(20) > 0;
        config
    }
}

/// As fast or as slow as may be, or anything between.
fn clock(rng: &mut Rng, drift_ppm: i32) -> Clock {
    let ppm = match rng.below(3) {
        0 => drift_ppm,
        1 => -drift_ppm,
        _ => 0,
    };
    Clock { offset: 1 + rng.below(1 << 40), ppm }
}

/// Ports that are looked at all the time, and behind them many with long names.
pub(super) fn names() -> Vec<String> {
    let hot = (0..HOT).map(|index| match index % 4 {
        0 => format!("{index}"),
        1 => format!("port-{index}"),
        2 => format!("local:a name longer than sixteen bytes/{index}"),
        _ => format!("{}/{index}", "x".repeat(200)),
    });
    let bulk = (0..BULK).map(|index| format!("bulk/{}/{index}", "y".repeat(900)));
    hot.chain(bulk).collect()
}
