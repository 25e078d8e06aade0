//! What kind of world a run takes place in.

use core::fmt;
use core::str::FromStr;

use base::{Duration, Rng};
use nic::Impairments;

/// A kind of world. Each draws its own measure of it from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing goes wrong on the wire.
    Clean,
    /// Packets disappear.
    Loss,
    /// Packets overtake each other.
    Reorder,
    /// Packets arrive twice.
    Duplicate,
    /// Bits flip.
    Corrupt,
    /// Packets take long, and not always equally long.
    Delay,
    /// The link is narrow and its queue short.
    Rate,
    /// Some of all that.
    Mixed,
    /// The tables are so small that they are always full.
    Tiny,
    /// Nothing passes for a while.
    Partition,
    /// Somebody forges packets who knows everything but the exact numbers.
    Spoof,
    /// Hosts have several cores, and every packet comes in at any of them.
    Cores,
}

/// There is no such scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownScenario(String);

impl fmt::Display for UnknownScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Scenario::ALL.iter().map(|scenario| scenario.name()).collect();
        write!(f, "there is no scenario `{}`; use one of {}", self.0, names.join(", "))
    }
}

impl core::error::Error for UnknownScenario {}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(text: &str) -> Result<Self, UnknownScenario> {
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == text);
        found.ok_or_else(|| UnknownScenario(text.to_owned()))
    }
}

impl Scenario {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Clean,
        Self::Loss,
        Self::Reorder,
        Self::Duplicate,
        Self::Corrupt,
        Self::Delay,
        Self::Rate,
        Self::Mixed,
        Self::Tiny,
        Self::Partition,
        Self::Spoof,
        Self::Cores,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Loss => "loss",
            Self::Reorder => "reorder",
            Self::Duplicate => "duplicate",
            Self::Corrupt => "corrupt",
            Self::Delay => "delay",
            Self::Rate => "rate",
            Self::Mixed => "mixed",
            Self::Tiny => "tiny",
            Self::Partition => "partition",
            Self::Spoof => "spoof",
            Self::Cores => "cores",
        }
    }

    /// The scenario of a seed that names none: each in its turn, so that any run of twelve seeds
    /// meets all of them.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let count = Self::ALL.len() as u64;
        Self::ALL[usize::try_from(seed % count).expect("below 12")]
    }

    /// Whether packets go missing, so that a RST may never arrive.
    pub(crate) fn is_lossy(self) -> bool {
        match self {
            Self::Loss
            | Self::Corrupt
            | Self::Rate
            | Self::Mixed
            | Self::Partition
            | Self::Cores => true,
            Self::Clean
            | Self::Reorder
            | Self::Duplicate
            | Self::Delay
            | Self::Tiny
            | Self::Spoof => false,
        }
    }

    /// What happens to the packets that one host sends.
    pub(crate) fn impairments(self, rng: &mut Rng) -> Impairments {
        let mut faults = Impairments { seed: rng.next_u64(), ..Impairments::default() };
        // A real wire takes its time in every scenario but some.
        if rng.below(4) > 0 {
            faults.delay = Duration::from_micros(rng.below(20_000));
        }
        match self {
            Self::Clean | Self::Tiny | Self::Partition | Self::Spoof => {}
            Self::Loss => lose(&mut faults, rng),
            Self::Reorder => reorder(&mut faults, rng),
            Self::Duplicate => faults.duplicate_ppm = 1_000 + below_u32(rng, 300_000),
            Self::Corrupt => faults.corrupt_ppm = 1_000 + below_u32(rng, 150_000),
            Self::Delay => delay(&mut faults, rng),
            Self::Rate => narrow(&mut faults, rng),
            Self::Mixed => mix(&mut faults, rng),
            // In half of the runs nothing else goes wrong.
            Self::Cores if faults.seed.is_multiple_of(2) => {}
            Self::Cores => mix(&mut faults, rng),
        }
        faults
    }
}

fn lose(faults: &mut Impairments, rng: &mut Rng) {
    faults.loss_ppm = 1_000 + below_u32(rng, 200_000);
}

fn reorder(faults: &mut Impairments, rng: &mut Rng) {
    faults.reorder_ppm = 5_000 + below_u32(rng, 300_000);
    faults.reorder_packets = 1 + u16::try_from(rng.below(20)).expect("below 20");
    faults.reorder_hold_max = Duration::from_millis(1 + rng.below(60));
}

fn delay(faults: &mut Impairments, rng: &mut Rng) {
    // Above one second every first SYN is sent again for nothing.
    faults.delay = Duration::from_millis(rng.below(1_500));
    faults.jitter = Duration::from_millis(rng.below(500));
}

fn narrow(faults: &mut Impairments, rng: &mut Rng) {
    faults.rate_bits_per_s = 500_000 << rng.below(8);
    faults.queue_bytes_max = 4_000 << rng.below(6);
}

fn mix(faults: &mut Impairments, rng: &mut Rng) {
    if rng.below(2) == 0 {
        faults.loss_ppm = below_u32(rng, 60_000);
    }
    if rng.below(2) == 0 {
        reorder(faults, rng);
    }
    if rng.below(2) == 0 {
        faults.duplicate_ppm = below_u32(rng, 100_000);
    }
    if rng.below(2) == 0 {
        faults.corrupt_ppm = below_u32(rng, 40_000);
    }
    if rng.below(3) == 0 {
        delay(faults, rng);
    }
    if rng.below(3) == 0 {
        narrow(faults, rng);
    }
}

/// A number below `bound`.
pub(crate) fn below_u32(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(u64::from(bound))).expect("below a number of 32 bits")
}
