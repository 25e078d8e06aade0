//! A reader's end: what the file says, checked once, and one core's values at a time.

use std::path::Path;

use base::{Duration, Instant};
use memory::{SharedError, SharedView};

use crate::{
    error::{LayoutError, OpenError},
    known,
    layout::{Layout, at, counter_at, halves, section_at},
    limits::{ASLEEP_LATE, FILE_LEN_MAX, RUNNING_LATE, TEXT_LEN_MAX, WORD_LEN_MAX},
    schema::{Counter, Kind},
    section,
    source::Source,
    text,
};

/// What a core last said that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreState {
    /// It has not published yet.
    Starting = 0,
    /// It turns.
    Running = 1,
    /// It has nothing to do and sleeps.
    Asleep = 2,
    /// It has left its loop.
    Ended = 3,
    /// Something of a later version.
    Unknown = 255,
}

impl CoreState {
    /// The word that tools print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Asleep => "asleep",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
    }

    fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::Starting,
            1 => Self::Running,
            2 => Self::Asleep,
            3 => Self::Ended,
            _ => Self::Unknown,
        }
    }
}

/// What the gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The name of the instance.
    pub instance: String,
    /// The gateway's version.
    pub version: String,
    /// Version of the layout: major, minor.
    pub layout: [u32; 2],
    /// The process, as it is numbered where it runs.
    pub pid: u64,
    /// Counts gateways of this instance that followed on one that had died.
    pub generation: u64,
    /// Nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// What `CLOCK_MONOTONIC` shows at the zero of heartbeats.
    pub clock_zero_ns: u64,
    /// Cycles per second of counters of cycles; 0 if it is not known.
    pub cycles_per_s: u64,
    /// How many cores there are.
    pub cores: usize,
}

/// What one core published last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether the values belong to one moment. If not, the core was writing whenever it was
    /// looked at: it was interrupted in the middle, or died there.
    pub is_whole: bool,
    /// What it last said that it does.
    pub state: CoreState,
    /// When it published.
    pub heartbeat: Instant,
    /// How many turns it had made.
    pub turns: u64,
    /// The values, in the order of [`View::counters`].
    pub values: Vec<u64>,
    /// The facts, in the order of [`View::facts`].
    pub facts: Vec<String>,
}

impl Snapshot {
    /// How old the sign of life is, at `monotonic_ns` of the machine's monotonic clock. `None` if
    /// there was none yet.
    #[must_use]
    pub fn age(&self, about: &About, monotonic_ns: u64) -> Option<Duration> {
        let now = Instant::from_nanos(monotonic_ns.saturating_sub(about.clock_zero_ns));
        let has_published = self.turns > 0 || self.heartbeat > Instant::ZERO;
        has_published.then(|| now.saturating_since(self.heartbeat))
    }

    /// Whether the core should have published since.
    #[must_use]
    pub fn is_stuck(&self, about: &About, monotonic_ns: u64) -> bool {
        let late = match self.state {
            CoreState::Running | CoreState::Unknown => RUNNING_LATE,
            CoreState::Asleep => ASLEEP_LATE,
            CoreState::Starting | CoreState::Ended => return false,
        };
        self.age(about, monotonic_ns).is_some_and(|age| age > late)
    }
}

/// The tools' file, as a reader sees it.
#[derive(Debug)]
pub struct View<S> {
    source: S,
    layout: Layout,
    about: About,
    counters: Vec<Counter>,
    facts: Vec<String>,
}

impl View<SharedView> {
    /// Opens the file at `path`, of a gateway that lives or has died.
    ///
    /// # Errors
    ///
    /// There is none, it cannot be read, or it is no tools' file of this major version.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::new(SharedView::open(path, FILE_LEN_MAX)?)?)
    }

    /// Whether the gateway lives: it holds its lock. A gateway that ended well is not alive either,
    /// but leaves no file.
    ///
    /// # Errors
    ///
    /// The lock cannot be looked at.
    pub fn is_alive(&self) -> Result<bool, SharedError> {
        Ok(self.source.is_held()? && !self.has_ended())
    }

    /// Whether the path still leads to this file: after a restart another one is there.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.source.is_current()
    }
}

impl<S: Source> View<S> {
    /// Reads and checks what the words say of themselves. Any words are safe to read.
    ///
    /// # Errors
    ///
    /// They are no tools' file, one of another major version, or damaged.
    pub fn new(source: S) -> Result<Self, LayoutError> {
        let layout = Layout::parse(&source)?;
        let about = about(&source, &layout);
        let counters = (0..layout.counters.count).map(|i| counter(&source, layout.counters.at(i)));
        let counters = counters.collect();
        let name = |i| text::load(&source, layout.facts.at(i), text::words(WORD_LEN_MAX));
        let facts = (0..layout.facts.count).map(name).collect();
        Ok(Self { source, layout, about, counters, facts })
    }

    /// What the gateway says of itself.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// The names of the facts.
    #[must_use]
    pub fn facts(&self) -> &[String] {
        &self.facts
    }

    /// The place of a counter among the values, if this gateway has it.
    #[must_use]
    pub fn find(&self, (group, name): known::Name) -> Option<usize> {
        self.counters.iter().position(|counter| counter.group == group && counter.name == name)
    }

    /// Whether the gateway has said that it ends.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.source.load(at::ENDED) != 0
    }

    /// Reads what one core published last.
    ///
    /// # Panics
    ///
    /// If there is no such core.
    #[must_use]
    pub fn core(&self, core: usize) -> Snapshot {
        let Layout { cores, sections, counters, facts, values_at, facts_at, fact_text, .. } =
            self.layout;
        assert!(core < cores, "core {core} of {cores}");
        let first = sections.at(core);
        let guarded = section_at::HEARTBEAT;
        let mut words = vec![0; facts_at + facts.count * fact_text - guarded];
        let is_whole = section::read(&self.source, first, &mut words);
        let part = |from: usize, len: usize| &words[from - guarded..][..len];
        let fact = |i: usize| text::from_words(part(facts_at + i * fact_text, fact_text));
        Snapshot {
            is_whole,
            state: CoreState::from_bits(self.source.load(first + section_at::STATE)),
            heartbeat: Instant::from_nanos(part(section_at::HEARTBEAT, 1)[0]),
            turns: part(section_at::TURNS, 1)[0],
            values: part(values_at, counters.count).to_vec(),
            facts: (0..facts.count).map(fact).collect(),
        }
    }
}

fn about<S: Source>(source: &S, layout: &Layout) -> About {
    About {
        instance: text::load(source, at::INSTANCE, text::words(TEXT_LEN_MAX)),
        version: text::load(source, at::GATEWAY_VERSION, text::words(WORD_LEN_MAX)),
        layout: halves(source.load(at::VERSION)),
        pid: source.load(at::PID),
        generation: source.load(at::GENERATION),
        started_unix_ns: source.load(at::STARTED_UNIX_NS),
        clock_zero_ns: source.load(at::CLOCK_ZERO_NS),
        cycles_per_s: source.load(at::CYCLES_PER_S),
        cores: layout.cores,
    }
}

fn counter<S: Source>(source: &S, first: usize) -> Counter {
    let part = |from: usize, count: usize| text::load(source, first + from, count);
    let flags = source.load(first + counter_at::FLAGS);
    Counter {
        group: part(counter_at::GROUP, counter_at::FLAGS - counter_at::GROUP),
        name: part(counter_at::NAME, counter_at::GROUP),
        kind: Kind::from_bits(flags),
        unit: part(counter_at::UNIT, counter_at::UNIT_WORDS),
        is_drop: flags & counter_at::IS_DROP != 0,
    }
}
