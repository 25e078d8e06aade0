//! Every bound of this program, with its derivation.

use std::time::Duration;

/// Seconds between two looks at least: a gateway publishes twenty times per second.
pub(crate) const INTERVAL_S_MIN: f64 = 0.1;

/// Seconds between two looks at most: an hour.
pub(crate) const INTERVAL_S_MAX: f64 = 3_600.0;

/// How often a section is read again that its core was writing whenever it was looked at, and how
/// long is waited in between: a core that was interrupted in the middle goes on within a slice of
/// the scheduler.
pub(crate) const WHOLE_TRIES: usize = 20;
/// See [`WHOLE_TRIES`].
pub(crate) const WHOLE_PAUSE: Duration = Duration::from_millis(1);

/// How long a signal may go unnoticed.
pub(crate) const SIGNAL_SLICE: Duration = Duration::from_millis(50);

/// How long a listing rests when there was no row: a core fills its rows in 16 ms.
pub(crate) const DRAIN_PAUSE: Duration = Duration::from_millis(2);

/// How long a core may take to see a request. One that sleeps wakes up at least every ten seconds.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(12);

/// How often a listing looks whether the cores that it waits for are alive.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Near names that an unknown one is answered with.
pub(crate) const NEAR_MAX: usize = 5;

/// Stages that have a column of their own in `top`; more of them would not fit a line of 120.
pub(crate) const STAGES_MAX: usize = 6;
