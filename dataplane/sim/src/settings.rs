//! How large the hosts of a run are, drawn from the seed.

use base::{Duration, Instant, Rng};
use ip::Cidr;
use memory::{FrameGeometry, PageChoice};
use wire::{Address, MacAddress};

use crate::scenario::{Scenario, below_u32};

/// What a run is made of, besides its plans and its faults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tcp: [tcp::Config; 2],
    /// Cores of each host.
    pub(crate) cores: (usize, usize),
    pub(crate) frames: FrameGeometry,
    /// Slots of the rings between the hosts.
    pub(crate) depth: usize,
    /// When the run begins; clocks of 32 bits wrap soon after in half of the runs.
    pub(crate) start: Instant,
    /// While nothing passes: from and to, from the start.
    pub(crate) cuts: Vec<(Duration, Duration)>,
}

/// The MTU of the wire.
pub(crate) const MTU: u16 = 1_500;

/// Draws the settings of a run.
pub(crate) fn draw(rng: &mut Rng, scenario: Scenario) -> Settings {
    let is_tiny = scenario == Scenario::Tiny;
    let tcp = [draw_tcp(rng, is_tiny), draw_tcp(rng, is_tiny)];
    let is_shared = scenario == Scenario::Cores;
    let cores = if is_shared { draw_cores(rng) } else { (1, 1) };
    let count = u16::try_from(cores.0 + cores.1).expect("a few cores");
    let frames = if is_tiny {
        400 + below_u32(rng, 200)
    } else if is_shared {
        1_024 * u32::from(count)
    } else {
        3_072
    };
    let wrap_ns = [u64::from(u32::MAX) * 1_000, u64::from(u32::MAX) * 1_000_000];
    let start_ns = match rng.below(4) {
        0 => wrap_ns[0] - rng.below(60_000_000_000),
        1 => wrap_ns[1] - rng.below(60_000_000_000),
        _ => rng.below(1 << 55),
    };
    let cuts = if scenario == Scenario::Partition { draw_cuts(rng) } else { Vec::new() };
    Settings {
        tcp,
        cores,
        frames: FrameGeometry {
            frames,
            frame_len: 2_048,
            headroom: 256,
            cores: count,
            reserve_per_core: 16,
        },
        // Of several cores each has a wire to each.
        depth: if is_tiny || is_shared { 16 } else { 1 << (4 + rng.below(5)) },
        start: Instant::from_nanos(start_ns),
        cuts,
    }
}

/// Two or three cores for one of the hosts, and one to three for the other.
fn draw_cores(rng: &mut Rng) -> (usize, usize) {
    let (many, any) = (2 + rng.below(2), 1 + rng.below(3));
    let [many, any] = [many, any].map(|count| usize::try_from(count).expect("at most three"));
    if rng.below(2) == 0 { (many, any) } else { (any, many) }
}

fn draw_tcp(rng: &mut Rng, is_tiny: bool) -> tcp::Config {
    let window_len = 4_096 << rng.below(8);
    let send_len_max = 4_096 << rng.below(9);
    let mtu = [MTU, 1_280, 1_400][usize::try_from(rng.below(3)).expect("below 3")];
    let base = tcp::Config {
        window_len,
        send_len_max,
        mtu,
        pages: PageChoice::Base,
        ..tcp::Config::default()
    };
    if is_tiny {
        tcp::Config {
            records: 4 + below_u32(rng, 12),
            extensions: 3 + below_u32(rng, 6),
            nodes: 24 + below_u32(rng, 40),
            half_open: 1 + below_u32(rng, 4),
            time_wait: 1 + below_u32(rng, 4),
            frames_free_min: 8,
            frames_short: 24,
            frames_scarce: 12,
            extensions_free_min: 1,
            ..base
        }
    } else {
        tcp::Config {
            records: 128,
            extensions: 64,
            nodes: 4_096,
            half_open: 64,
            time_wait: 64,
            frames_free_min: 64,
            extensions_free_min: 1 + below_u32(rng, 8),
            ..base
        }
    }
}

/// One to three cuts of up to 30 seconds.
fn draw_cuts(rng: &mut Rng) -> Vec<(Duration, Duration)> {
    let mut cuts = Vec::new();
    let mut at = Duration::ZERO;
    for _ in 0..=rng.below(3) {
        let from = at + Duration::from_millis(rng.below(5_000));
        let to = from + Duration::from_millis(rng.below(30_000));
        cuts.push((from, to));
        at = to;
    }
    cuts
}

/// The address of a host.
pub(crate) fn address(host: usize, is_v6: bool) -> Address {
    let text = match (host, is_v6) {
        (0, false) => "10.0.0.1",
        (0, true) => "fd00::1",
        (_, false) => "10.0.0.2",
        (_, true) => "fd00::2",
    };
    text.parse().expect("a literal address")
}

/// The Ethernet address of a host.
pub(crate) fn mac(host: usize) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, if host == 0 { 1 } else { 2 }])
}

/// The IP configuration of a host.
pub(crate) fn ip_config(host: usize) -> ip::Config {
    let network =
        |is_v6, len| Cidr::new(address(host, is_v6), len).expect("the prefix fits the family");
    ip::Config {
        mac: mac(host),
        mtu: MTU,
        addresses: vec![network(false, 24), network(true, 64)],
        ..ip::Config::default()
    }
}

/// The secrets of a host.
pub(crate) fn keys(rng: &mut Rng) -> tcp::Keys {
    fn key<const LEN: usize>(rng: &mut Rng) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        for chunk in bytes.as_chunks_mut::<8>().0 {
            *chunk = rng.next_u64().to_le_bytes();
        }
        bytes
    }
    tcp::Keys {
        index: key(rng),
        sequence: key(rng),
        timestamp: key(rng),
        port: key(rng),
        cookie: key(rng),
    }
}
