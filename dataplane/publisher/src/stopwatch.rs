//! Where the cycles of a turn went.

use engine::{Meter, Stage};

/// Cycles of each stage, in the order of [`Stage::ALL`].
pub(crate) type Stages = [u64; Stage::ALL.len()];

/// The stages of one turn.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    marked_at: u64,
    spent: Stages,
}

impl Stopwatch {
    /// The meter of the turn that begins.
    #[inline]
    pub(crate) fn start() -> Self {
        Self { marked_at: topology::cycles(), spent: [0; Stage::ALL.len()] }
    }

    /// When the last stage ended, in cycles, and what each took.
    #[inline]
    pub(crate) fn read(&self) -> (u64, &Stages) {
        (self.marked_at, &self.spent)
    }
}

impl Meter for Stopwatch {
    #[inline]
    fn mark(&mut self, stage: Stage) {
        let now = topology::cycles();
        self.spent[stage as usize] += now.saturating_sub(self.marked_at);
        self.marked_at = now;
    }
}
