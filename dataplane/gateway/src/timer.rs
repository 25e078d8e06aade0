//! Every timer of the gateway, by its key.

/// Runs while HTTP has a session: looks at the oldest of each kind ([`crate::limits::SWEEP_EVERY`]).
pub(crate) const HTTP_SWEEP: u64 = 1;
