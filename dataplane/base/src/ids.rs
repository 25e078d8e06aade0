//! Identities that two functions could confuse, each a type of its own.

/// A worker core of the appliance, counted from 0 (not the machine's CPU number).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u16);

/// A receive and transmit queue of a NIC, as the driver counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u16);
