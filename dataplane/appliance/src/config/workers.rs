//! `[workers]`, `[drain]` and `[log]`: how many cores poll, where, how they idle and end, and what
//! is told.

use base::{CoreSet, Duration, IdlePolicy};
use logging::{FORMATS, Format, LEVELS, Log};
use settings::{At, Ledger, Section};
use tracing::level_filters::LevelFilter;

use crate::limits::{DRAIN_S, DRAIN_S_MAX, SPIN_US, SPIN_US_MAX};

/// The threads that poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    pub(crate) count: u16,
    /// The number of each one's core; the last ones that the process may use if there are none.
    pub(crate) cores: Option<Vec<usize>>,
    pub(crate) idle: IdlePolicy,
    /// Microseconds without work before an adaptive one sleeps.
    pub(crate) spin_us: u32,
}

impl Default for Workers {
    fn default() -> Self {
        Self { count: 1, cores: None, idle: IdlePolicy::Adaptive, spin_us: SPIN_US }
    }
}

impl Workers {
    /// What one worker has of `total` that all of them share, rounded up.
    pub(crate) fn share(&self, total: u32) -> u32 {
        total.div_ceil(self.count.into())
    }
}

/// The kernel's own bound, `NR_CPUS` of x86-64.
const CORE_MAX: usize = 8_191;

/// Reads `[workers]`.
pub(crate) fn read(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Workers> {
    let default = Workers::default();
    let cores = cores(section, ledger);
    // Named cores need not be counted.
    let named = match &cores {
        Some(Some(At { value: cores, .. })) => u16::try_from(cores.len()).ok(),
        Some(None) | None => None,
    };
    let count_default = named.unwrap_or(default.count);
    let count = section.number("count", count_default, 1..=CoreSet::CORES_MAX, ledger);
    let idle = section.choice("idle", default.idle, &IdlePolicy::NAMED, ledger);
    let spin = section.number("spin_us", default.spin_us, 0..=SPIN_US_MAX, ledger);
    let (count, cores) = (count?.value, cores?);
    if let Some(At { value: cores, place }) = &cores
        && cores.len() != usize::from(count)
    {
        let wrong = format!("{count} workers and {} named cores", cores.len());
        ledger.refuse(*place, &section.path("cores"), wrong, "name one core for each worker");
        return None;
    }
    let cores = cores.map(|at| at.value);
    Some(Workers { count, cores, idle: idle?.value, spin_us: spin?.value })
}

/// `Some(None)` is a file that names none.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: the default")]
fn cores(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Option<At<Vec<usize>>>> {
    const KEY: &str = "cores";
    let Some(At { place, .. }) = section.find(KEY, ledger) else { return Some(None) };
    let found_before = ledger.found.len();
    let mut cores: Vec<usize> = Vec::new();
    for At { value: core, place } in section.numbers(KEY, 0..=CORE_MAX, ledger) {
        if cores.contains(&core) {
            let wrong = format!("core {core} is there twice");
            ledger.refuse(place, &section.path(KEY), wrong, "give each worker a core of its own");
        }
        cores.push(core);
    }
    if cores.is_empty() && ledger.found.len() == found_before {
        let right = "name one for each worker, or leave the key out";
        ledger.refuse(place, &section.path(KEY), "there is no core", right);
    }
    (ledger.found.len() == found_before).then_some(Some(At { value: cores, place }))
}

/// Reads `[log]`.
pub(crate) fn log(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Log> {
    let level = section.choice("level", LevelFilter::INFO, LEVELS, ledger);
    let format = section.choice("format", Format::Text, FORMATS, ledger);
    Some(Log { level: level?.value, format: format?.value })
}

/// Reads `[drain]`: how long connections have to end once a signal asks for it.
pub(crate) fn drain(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Duration> {
    let seconds = section.number("timeout_s", DRAIN_S, 0..=DRAIN_S_MAX, ledger);
    seconds.map(|at| Duration::from_secs(at.value))
}
