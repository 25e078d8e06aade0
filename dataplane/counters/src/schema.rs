//! What is counted: every counter with its group, kind and unit, and the facts of a core.

use crate::{
    error::WriterError,
    limits::{COUNTERS_MAX, FACTS_MAX, NAME_LEN_MAX, WORD_LEN_MAX},
};

/// How a value behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows: rates are of interest.
    Counter,
    /// It goes up and down: the value itself is of interest.
    Gauge,
    /// It only grows, in cycles of the core: shares are of interest.
    Cycles,
    /// A kind of a later version.
    Unknown,
}

impl Kind {
    /// The word that tools print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Cycles => "cycles",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) const fn to_bits(self) -> u64 {
        match self {
            Self::Counter => 0,
            Self::Gauge => 1,
            Self::Cycles => 2,
            Self::Unknown => 255,
        }
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        match bits & 255 {
            0 => Self::Counter,
            1 => Self::Gauge,
            2 => Self::Cycles,
            _ => Self::Unknown,
        }
    }
}

/// One counter's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The part of the gateway that counts: `queue`, `ip`, `tcp`, `pool`, `stage` and so on.
    pub group: String,
    /// The name within the group.
    pub name: String,
    /// How it behaves.
    pub kind: Kind,
    /// What is counted; empty for events that have no other name than the counter's.
    pub unit: String,
    /// Whether it counts what was dropped or refused.
    pub is_drop: bool,
}

/// Words of names that are units.
const UNITS: [&str; 6] = ["bytes", "packets", "segments", "frames", "bursts", "datagrams"];

impl Counter {
    /// A counter of that group. A name that begins with its group loses it (`tcp_paws` of `tcp` is
    /// `paws`), and a unit that stands in the name as a word (`bytes`, `packets`, ...) is its unit.
    #[must_use]
    pub fn new(group: &str, name: &str) -> Self {
        let name = name.strip_prefix(group).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name);
        let unit = name.split('_').find(|word| UNITS.contains(word)).unwrap_or_default();
        Self {
            group: group.to_owned(),
            name: name.to_owned(),
            kind: Kind::Counter,
            unit: unit.to_owned(),
            is_drop: false,
        }
    }

    /// It goes up and down.
    #[must_use]
    pub fn gauge(self) -> Self {
        Self { kind: Kind::Gauge, ..self }
    }

    /// It counts cycles of the core.
    #[must_use]
    pub fn cycles(self) -> Self {
        Self { kind: Kind::Cycles, unit: "cycles".to_owned(), ..self }
    }

    /// It counts what was dropped or refused. `drop_` at the beginning of the name is then said
    /// twice and is taken off.
    #[must_use]
    pub fn drop_reason(self) -> Self {
        let name = self.name.strip_prefix("drop_").unwrap_or(&self.name).to_owned();
        Self { name, is_drop: true, ..self }
    }

    /// The unit, where the name does not say it.
    #[must_use]
    pub fn unit(self, unit: &str) -> Self {
        Self { unit: unit.to_owned(), ..self }
    }

    /// `group.name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.group, self.name)
    }
}

/// Everything a core publishes, in the order in which it is published.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    counters: Vec<Counter>,
    facts: Vec<String>,
}

impl Schema {
    /// One that is empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One counter more.
    pub fn counter(&mut self, counter: Counter) -> &mut Self {
        self.counters.push(counter);
        self
    }

    /// The rows of a crate's `Counters`, in their order; `is_drop` tells which are drop reasons.
    pub fn rows<'a>(
        &mut self,
        group: &str,
        names: impl IntoIterator<Item = &'a str>,
        is_drop: impl Fn(&str) -> bool,
    ) -> &mut Self {
        for name in names {
            let counter = Counter::new(group, name);
            let counter = if is_drop(name) { counter.drop_reason() } else { counter };
            self.counters.push(counter);
        }
        self
    }

    /// One fact more: a short text that a core tells of itself, such as its device. Facts are set
    /// by their place, the first one's being 0.
    pub fn fact(&mut self, name: &str) -> &mut Self {
        self.facts.push(name.to_owned());
        self
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// The names of the facts.
    #[must_use]
    pub fn facts(&self) -> &[String] {
        &self.facts
    }

    /// Refuses what does not fit or would be ambiguous.
    pub(crate) fn judge(&self) -> Result<(), WriterError> {
        let Self { counters, facts } = self;
        for (what, count, max) in
            [("counters", counters.len(), COUNTERS_MAX), ("facts", facts.len(), FACTS_MAX)]
        {
            if count > max {
                return Err(WriterError::ConfigCount { what, count, max });
            }
        }
        let mut names: Vec<String> = counters.iter().map(Counter::full_name).collect();
        names.extend(facts.iter().map(|fact| format!("fact {fact}")));
        let words = counters.iter().flat_map(|counter| [&counter.group, &counter.unit]);
        let long = counters.iter().map(|counter| &counter.name).find(|n| n.len() > NAME_LEN_MAX);
        let long = long.or(words.chain(facts).find(|word| word.len() > WORD_LEN_MAX));
        if let Some(name) = long {
            return Err(WriterError::ConfigNameLen { name: name.clone() });
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(WriterError::ConfigNameTwice { name: pair[0].clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_their_group_and_their_kind_say_already() {
        let mut schema = Schema::new();
        schema.rows("ip", ["delivered", "ip_drop_nd_malformed"], |name| name.contains("drop"));
        schema.rows("queue", ["rx_bytes", "tx_drop_too_long"], |name| name.contains("drop"));
        schema.counter(Counter::new("pool", "frames_free").gauge());
        schema.counter(Counter::new("stage", "rx").cycles());
        let shown: Vec<_> = schema
            .counters()
            .iter()
            .map(|c| format!("{} {} {:?} {}", c.full_name(), c.kind.name(), c.unit, c.is_drop))
            .collect();
        assert_eq!(
            shown,
            [
                "ip.delivered counter \"\" false",
                "ip.nd_malformed counter \"\" true",
                "queue.rx_bytes counter \"bytes\" false",
                "queue.tx_drop_too_long counter \"\" true",
                "pool.frames_free gauge \"frames\" false",
                "stage.rx cycles \"cycles\" false",
            ]
        );
        schema.judge().unwrap();
    }

    #[test]
    fn what_is_ambiguous_or_too_long_is_refused() {
        let mut twice = Schema::new();
        twice.counter(Counter::new("tcp", "paws")).counter(Counter::new("tcp", "tcp_paws"));
        assert!(
            matches!(twice.judge(), Err(WriterError::ConfigNameTwice { name }) if name == "tcp.paws")
        );
        let mut long = Schema::new();
        long.counter(Counter::new("tcp", &"x".repeat(65)));
        assert!(matches!(long.judge(), Err(WriterError::ConfigNameLen { .. })));
        let mut many = Schema::new();
        for number in 0..=FACTS_MAX {
            many.fact(&number.to_string());
        }
        assert!(matches!(many.judge(), Err(WriterError::ConfigCount { what: "facts", .. })));
    }
}
