//! A finding: how it is, what was read and where, what it costs, and what mends it.

use topology::Reading;

/// How something is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It could not be read here.
    Unknown,
    /// It works and costs speed.
    Warn,
    /// The gateway does not start, loses packets, or is slower by multiples.
    Bad,
}

impl Level {
    /// The word that is printed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Group and name: `cores.count`.
    pub(crate) rule: &'static str,
    /// The interface that it is about; none if it is about the machine.
    pub(crate) interface: Option<String>,
    pub(crate) level: Level,
    /// What was read, for people.
    pub(crate) value: String,
    /// Where it was read.
    pub(crate) sources: Vec<String>,
    /// What it costs, in plain words; empty where it costs nothing.
    pub(crate) costs: String,
    /// What mends it, as a command where there is one; empty where nothing is to be mended.
    pub(crate) mend: String,
}

impl Finding {
    fn new(rule: &'static str, level: Level, value: String) -> Self {
        let (sources, costs, mend) = Default::default();
        Self { rule, interface: None, level, value, sources, costs, mend }
    }

    /// All is well.
    pub(crate) fn ok(rule: &'static str, value: impl Into<String>) -> Self {
        Self::new(rule, Level::Ok, value.into())
    }

    /// It costs something.
    pub(crate) fn warn(rule: &'static str, value: impl Into<String>) -> Self {
        Self::new(rule, Level::Warn, value.into())
    }

    /// It does not work so.
    pub(crate) fn bad(rule: &'static str, value: impl Into<String>) -> Self {
        Self::new(rule, Level::Bad, value.into())
    }

    /// It could not be read.
    pub(crate) fn unknown(rule: &'static str, value: impl Into<String>) -> Self {
        Self::new(rule, Level::Unknown, value.into())
    }

    /// It could not be read, as the reading says.
    pub(crate) fn unread<T>(rule: &'static str, what: &str, reading: &Reading<T>) -> Self {
        let why = match &reading.value {
            Ok(_) => "it says nothing of it".to_owned(),
            Err(why) => why.to_string(),
        };
        Self::unknown(rule, format!("{what}: {why}")).from(&reading.source)
    }

    /// Where it was read.
    pub(crate) fn from(mut self, source: &str) -> Self {
        if !self.sources.iter().any(|known| known == source) {
            self.sources.push(source.to_owned());
        }
        self
    }

    /// What it costs.
    pub(crate) fn costs(mut self, costs: impl Into<String>) -> Self {
        self.costs = costs.into();
        self
    }

    /// What mends it.
    pub(crate) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = mend.into();
        self
    }
}

/// How many findings there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) ok: usize,
    pub(crate) unknown: usize,
    pub(crate) warn: usize,
    pub(crate) bad: usize,
}

impl Summary {
    /// Counts them.
    pub(crate) fn of(findings: &[Finding]) -> Self {
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        Self {
            ok: count(Level::Ok),
            unknown: count(Level::Unknown),
            warn: count(Level::Warn),
            bad: count(Level::Bad),
        }
    }
}
