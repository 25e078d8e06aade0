//! How many connections there are: in all, of each source, and at each worker.
//!
//! All workers count in one place, because what a source may have it may have of all of them. It is
//! asked when a connection comes and when it goes, never for what moves on one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Source;

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are as many as there may be.
    Full,
    /// Its source has as many as it may have.
    Source,
}

/// See the file's first words.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    counts: Arc<Mutex<Counts>>,
    max: u32,
    per_source_max: u32,
}

#[derive(Debug)]
struct Counts {
    all: u32,
    by_worker: Vec<u32>,
    /// Of each source that has any.
    by_source: BTreeMap<Source, u32>,
}

impl Census {
    /// Of `workers` workers: so many connections in all, and so many of one source.
    pub(crate) fn new(workers: usize, max: u32, per_source_max: u32) -> Self {
        let counts = Counts { all: 0, by_worker: vec![0; workers], by_source: BTreeMap::new() };
        Self { counts: Arc::new(Mutex::new(counts)), max, per_source_max }
    }

    /// Whether there is no room for another.
    pub(super) fn is_full(&self) -> bool {
        self.counts().all >= self.max
    }

    /// A connection came: the worker that has the fewest has it.
    pub(super) fn enter(&self, source: Source) -> Result<usize, Refused> {
        let mut counts = self.counts();
        if counts.all >= self.max {
            return Err(Refused::Full);
        }
        if counts.by_source.get(&source).is_some_and(|count| *count >= self.per_source_max) {
            return Err(Refused::Source);
        }
        counts.all += 1;
        *counts.by_source.entry(source).or_default() += 1;
        let counted = counts.by_worker.iter_mut().enumerate();
        let (worker, count) = counted.min_by_key(|(_, count)| **count).expect("one at least");
        *count += 1;
        Ok(worker)
    }

    /// A connection goes to another worker than was said.
    pub(super) fn change(&self, from: usize, to: usize) {
        let mut counts = self.counts();
        counts.by_worker[from] -= 1;
        counts.by_worker[to] += 1;
    }

    /// A connection of a worker is gone.
    pub(super) fn leave(&self, source: Source, worker: usize) {
        let mut counts = self.counts();
        counts.all -= 1;
        counts.by_worker[worker] -= 1;
        if let Some(count) = counts.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                counts.by_source.remove(&source);
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // A panic of any thread has ended the process.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Census, Refused, Source};

    fn source(last: u8) -> Source {
        Source::of([192, 0, 2, last].into())
    }

    #[test]
    fn who_comes_goes_to_the_worker_with_the_fewest() {
        let census = Census::new(3, 100, 100);
        let workers: Vec<_> = (0..6).map(|_| census.enter(source(1))).collect();
        assert_eq!(workers, [0, 1, 2, 0, 1, 2].map(Ok));
        census.leave(source(1), 1);
        assert_eq!(census.enter(source(1)), Ok(1));
        census.change(2, 0);
        assert_eq!(census.enter(source(1)), Ok(2));
    }

    #[test]
    fn bounds_are_those_of_all_workers_together() {
        let census = Census::new(2, 3, 2);
        assert!(census.enter(source(1)).is_ok() && census.enter(source(1)).is_ok());
        assert_eq!(census.enter(source(1)), Err(Refused::Source));
        assert!(census.enter(source(2)).is_ok() && census.is_full());
        assert_eq!(census.enter(source(3)), Err(Refused::Full));
        census.leave(source(1), 0);
        assert!(census.enter(source(1)).is_ok());
    }
}
