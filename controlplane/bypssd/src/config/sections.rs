//! `[cluster]`, `[ports]`, `[lease]`, `[limits]`, `[worker]`, `[metrics]`, `[stop]`, `[log]` and
//! the keys above all sections.

use std::net::{Ipv4Addr, SocketAddr};

use base::{Duration, IdlePolicy};
use logging::{FORMATS, Format, LEVELS, Log};
use settings::{At, Ledger, Place, Section};
use tracing::level_filters::LevelFilter;

use super::network::{self, Listener};
use crate::identity;
use crate::limits::{
    CONNECTIONS, CONNECTIONS_MAX, ID_LEN_MAX, LEASE_MS, LEASE_MS_MAX, LEASE_MS_MIN, METRICS_PORT,
    PARTIAL_LEN, PARTIAL_MS, PARTIAL_MS_MAX, PARTIAL_MS_MIN, PLACES, PLACES_MAX, PORTS_MAX,
    PORTS_PLANNED, RHO_PPM, RHO_PPM_MAX, SPIN_US, SPIN_US_MAX, STOP_MS, STOP_MS_MAX, WORKERS_MAX,
};

/// The group of switches that this one belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// What clients tell clusters apart by.
    pub(crate) incarnation: [u8; 16],
}

/// How many ports there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// So many have their memory from the start.
    pub(crate) planned: u64,
    pub(crate) max: u64,
    /// Tables among which the names are spread.
    pub(crate) shards: u8,
}

/// What a switch that begins does about those who may still own what an earlier one gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grace {
    /// It gives nothing until every earlier lease is over.
    Wait,
    /// It gives at once: two may own one port.
    None,
}

/// How long a session is alive without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) lease_ms: u32,
    pub(crate) rho_ppm: u32,
    pub(crate) grace: Grace,
}

impl Default for Lease {
    fn default() -> Self {
        Self { lease_ms: LEASE_MS, rho_ppm: RHO_PPM, grace: Grace::Wait }
    }
}

impl Lease {
    /// How long the switch keeps a silent session's ports, in milliseconds: the lease on the slowest
    /// clock that is allowed, as the fastest one counts it, rounded up.
    pub(crate) fn exclusion_ms(&self) -> u32 {
        let (lease, rho) = (u64::from(self.lease_ms), u64::from(self.rho_ppm));
        let exclusion = (lease * (1_000_000 + rho)).div_ceil(1_000_000 - rho);
        u32::try_from(exclusion).expect("the bounds of both keep it in 32 bits")
    }

    /// How long a switch that begins gives nothing.
    pub(crate) fn grace(&self) -> Duration {
        match self.grace {
            Grace::Wait => Duration::from_millis(self.exclusion_ms().into()),
            Grace::None => Duration::ZERO,
        }
    }
}

const _: () = assert!(
    LEASE_MS_MAX as u64 * (1_000_000 + RHO_PPM_MAX as u64) / (1_000_000 - RHO_PPM_MAX as u64)
        < u32::MAX as u64
);

/// Bounds of tables and frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) connections: u32,
    /// From one address of IPv4, or one /64 of IPv6.
    pub(crate) connections_per_source: u32,
    pub(crate) sessions: u32,
    /// Of subscribers and waiters together.
    pub(crate) places: u32,
    pub(crate) items: u32,
    pub(crate) frame_len: u32,
    pub(crate) message_len: u32,
    /// Bytes of partial frames of all connections together.
    pub(crate) partial_len: u64,
    /// Milliseconds that one of them may make no progress.
    pub(crate) partial_ms: u32,
}

/// The threads that serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    /// The core that the switch is kept on; any that the process may use if there is none.
    pub(crate) core: Option<usize>,
    /// Threads that move bytes: one does both.
    pub(crate) count: u8,
    /// The cores of several, one each; none: any.
    pub(crate) cores: Vec<usize>,
    pub(crate) idle: IdlePolicy,
    pub(crate) spin_us: u32,
}

impl Default for Worker {
    fn default() -> Self {
        let (idle, spin_us) = (IdlePolicy::Adaptive, SPIN_US);
        Self { core: None, count: 1, cores: Vec::new(), idle, spin_us }
    }
}

/// How the switch ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// How long the last words may take.
    pub(crate) timeout: Duration,
    /// Where clients are sent, as `host:port`; empty: nowhere.
    pub(crate) hint: String,
}

impl Default for Ending {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(STOP_MS.into()), hint: String::new() }
    }
}

/// The switch's own name, as clients are told it.
pub(crate) fn name(root: Section<'_>, ledger: &mut Ledger<'_>) -> Option<String> {
    short_text(root, "name", "bypssd", ledger)
}

/// Reads `[cluster]`.
pub(crate) fn cluster(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Cluster> {
    const KEY: &str = "incarnation";
    let name = short_text(section, "name", "bypss", ledger);
    let is_given = section.find(KEY, ledger).is_some();
    let given = section.text(KEY, ledger);
    let parsed = given.map(|At { value: text, place }| {
        let parsed = identity::parse_incarnation(text);
        if parsed.is_none() {
            let wrong = format!("\"{text}\" is no incarnation");
            let right = "use 32 hexadecimal digits, not all zero: `openssl rand -hex 16`";
            ledger.refuse(place, &section.path(KEY), wrong, right);
        }
        parsed
    });
    let name = name?;
    let incarnation = match parsed {
        Some(parsed) => parsed?,
        None if is_given => return None,
        None => identity::incarnation_of(&name),
    };
    Some(Cluster { name, incarnation })
}

fn short_text(
    section: Section<'_>,
    key: &str,
    default: &str,
    ledger: &mut Ledger<'_>,
) -> Option<String> {
    if section.find(key, ledger).is_none() {
        return Some(default.to_owned());
    }
    let At { value, place } = section.text(key, ledger)?;
    if value.is_empty() || value.len() > ID_LEN_MAX || value.chars().any(char::is_control) {
        let right = format!("use 1 to {ID_LEN_MAX} bytes, none of them a control character");
        ledger.refuse(place, &section.path(key), format!("{value:?} is no name"), right);
        return None;
    }
    Some(value.to_owned())
}

/// Reads `[ports]`.
pub(crate) fn ports(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<At<Ports>> {
    let planned = section.number("planned", PORTS_PLANNED, 1_024..=PORTS_MAX, ledger);
    // Four times what was planned is a surprise and not an accident.
    let max_default = planned.as_ref().map_or(PORTS_MAX, |at| at.value.saturating_mul(4));
    let max = section.number("max", max_default.min(PORTS_MAX), 1_024..=PORTS_MAX, ledger);
    let shards = section.number("shards", 1, 1..=u8::MAX, ledger);
    let (planned, max) = (planned?, max?);
    if max.value < planned.value {
        let wrong = format!("{} are planned, and only {} allowed", planned.value, max.value);
        ledger.refuse(max.place, &section.path("max"), wrong, "allow at least those planned");
        return None;
    }
    let ports = Ports { planned: planned.value, max: max.value, shards: shards?.value };
    Some(At { value: ports, place: planned.place })
}

const GRACES: &[(&str, Grace)] = &[("wait", Grace::Wait), ("none", Grace::None)];

/// Reads `[lease]`.
pub(crate) fn lease(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Lease> {
    let lease = section.number("lease_ms", LEASE_MS, LEASE_MS_MIN..=LEASE_MS_MAX, ledger);
    let rho = section.number("rho_ppm", RHO_PPM, 0..=RHO_PPM_MAX, ledger);
    let grace = section.choice("grace", Grace::Wait, GRACES, ledger);
    Some(Lease { lease_ms: lease?.value, rho_ppm: rho?.value, grace: grace?.value })
}

/// Reads `[limits]`.
pub(crate) fn bounds(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<At<Bounds>> {
    let default = protocol::Limits::DEFAULT;
    let frame_len_max = u64::from(protocol::limits::FRAME_LEN_MAX);
    let connections = section.number("connections", CONNECTIONS, 1..=CONNECTIONS_MAX, ledger);
    let connections_at = connections.as_ref().map_or(section.place, |at| at.place);
    // Each session has one connection of its own at least.
    let most = connections.as_ref().map_or(CONNECTIONS_MAX, |at| at.value);
    let per_source = section.number("connections_per_source", most, 1..=CONNECTIONS_MAX, ledger);
    let sessions = section.number("sessions", most, 1..=CONNECTIONS_MAX, ledger);
    let places = section.number("places", PLACES, 0..=PLACES_MAX, ledger);
    let items =
        section.number("items", default.items_max(), 1..=protocol::limits::ITEMS_MAX, ledger);
    let frame_len =
        section.size("frame_len", default.frame_len_max().into(), 4_096..=frame_len_max, ledger);
    let message_len =
        section.size("message_len", default.message_len_max().into(), 0..=frame_len_max, ledger);
    let partial_len = section.size("partial_len", PARTIAL_LEN, 1 << 20..=1 << 44, ledger);
    let partial_ms =
        section.number("partial_ms", PARTIAL_MS, PARTIAL_MS_MIN..=PARTIAL_MS_MAX, ledger);
    let (frame, message, partial) = (frame_len?, message_len?, partial_len?);
    let (frame_len, message_len) = (narrow(frame.value), narrow(message.value));
    let items = items?.value;
    if protocol::Limits::new(frame_len, items, message_len).is_err() {
        let beside = protocol::limits::MESSAGE_OVERHEAD;
        let wrong = format!(
            "{message_len} bytes and {beside} more do not fit the {frame_len} of frame_len"
        );
        let right = "make frame_len larger, or this smaller";
        ledger.refuse(message.place, &section.path("message_len"), wrong, right);
        return None;
    }
    if partial.value < frame.value {
        let wrong = format!("the longest frame has {} bytes", frame.value);
        let right = "let at least one fit, better eight";
        ledger.refuse(partial.place, &section.path("partial_len"), wrong, right);
        return None;
    }
    let bounds = Bounds {
        connections: connections?.value,
        connections_per_source: per_source?.value,
        sessions: sessions?.value,
        places: places?.value,
        items,
        frame_len,
        message_len,
        partial_len: partial.value,
        partial_ms: partial_ms?.value,
    };
    Some(At { value: bounds, place: connections_at })
}

fn narrow(len: u64) -> u32 {
    u32::try_from(len).expect("its range ends below")
}

/// The kernel's own bound, `NR_CPUS` of x86-64.
const CORE_MAX: usize = 8_191;

const IDLE: &[(&str, IdlePolicy)] = &IdlePolicy::NAMED;

/// Reads `[worker]`; the places are that of the core, and that of the list of cores.
pub(crate) fn worker(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<(At<Worker>, Place)> {
    let place = section.find("core", ledger).map_or(section.place, |at| at.place);
    let core = section.maybe_number("core", 0..=CORE_MAX, ledger);
    let idle = section.choice("idle", IdlePolicy::Adaptive, IDLE, ledger);
    let spin = section.number("spin_us", SPIN_US, 0..=SPIN_US_MAX, ledger);
    let workers = workers(section, ledger);
    let ((count, cores), idle, spin_us) = (workers?, idle?.value, spin?.value);
    let cores_place = section.find("cores", ledger).map_or(section.place, |at| at.place);
    Some((At { value: Worker { core: core?, count, cores, idle, spin_us }, place }, cores_place))
}

/// How many workers there are, and on which cores.
fn workers(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<(u8, Vec<usize>)> {
    const KEY: &str = "cores";
    let place = section.find(KEY, ledger).map_or(section.place, |at| at.place);
    let found_before = ledger.found.len();
    let cores: Vec<usize> =
        section.numbers(KEY, 0..=CORE_MAX, ledger).into_iter().map(|at| at.value).collect();
    let is_read = ledger.found.len() == found_before;
    let listed = u8::try_from(cores.len()).unwrap_or(u8::MAX);
    let count = section.number("count", listed.clamp(1, WORKERS_MAX), 1..=WORKERS_MAX, ledger);
    let count = count.map(|at| at.value);
    let wrong = if !is_read {
        return None;
    } else if listed == 0 {
        return Some((count?, Vec::new()));
    } else if listed > WORKERS_MAX {
        format!("{} cores", cores.len())
    } else if let Some(count) = count.filter(|count| *count != listed) {
        format!("{listed} cores for {count} workers")
    } else if (1..cores.len()).any(|at| cores[..at].contains(&cores[at])) {
        "a core is named twice".to_owned()
    } else if listed == 1 {
        "one core".to_owned()
    } else {
        return Some((count?, cores));
    };
    let right = format!("name one for each worker, 2 to {WORKERS_MAX}; a single one has `core`");
    ledger.refuse(place, &section.path(KEY), wrong, right);
    None
}

/// Reads `[metrics]`; `Some(None)` where there are to be none. The switch's own listeners have their
/// addresses already.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: switched off")]
pub(crate) fn metrics(
    section: Section<'_>,
    listeners: &[At<Listener>],
    ledger: &mut Ledger<'_>,
) -> Option<Option<SocketAddr>> {
    let is_enabled = section.flag("enabled", true, ledger);
    let address = network::address(section, "address", METRICS_PORT, ledger);
    let own = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), METRICS_PORT);
    let (is_enabled, address) = (is_enabled?, address?);
    let address = address.unwrap_or(At { value: own, place: section.place });
    if !is_enabled {
        return Some(None);
    }
    if let Some(other) = listeners.iter().find(|at| at.value.overlaps(address.value)) {
        let wrong = format!("the switch listens on {} itself", other.value.address);
        ledger.refuse(address.place, &section.path("address"), wrong, "use another port");
        return None;
    }
    Some(Some(address.value))
}

/// Reads `[stop]`.
pub(crate) fn stop(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Ending> {
    let timeout = section.number("timeout_ms", STOP_MS, 0..=STOP_MS_MAX, ledger);
    let hint = network::endpoint(section, "hint", ledger);
    let timeout = Duration::from_millis(timeout?.value.into());
    Some(Ending { timeout, hint: hint?.unwrap_or_default() })
}

/// Reads `[log]`.
pub(crate) fn log(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Log> {
    let level = section.choice("level", LevelFilter::INFO, LEVELS, ledger);
    let format = section.choice("format", Format::Text, FORMATS, ledger);
    Some(Log { level: level?.value, format: format?.value })
}
