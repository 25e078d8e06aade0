//! The bounds of UDP.

/// Ports that may be bound at once.
pub const PORTS_MAX: usize = 1_024;
