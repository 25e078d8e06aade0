//! Counters that tools know by name, because they compute with them.
//!
//! A gateway that has none of some name is shown without the figure that needs it.

/// Group and name of one counter.
pub type Name = (&'static str, &'static str);

/// The group of cycles by stage of a turn; every counter of it is a stage.
pub const STAGE: &str = "stage";

/// The stage in which a core finds nothing to do, sleep included: all others together are busy.
pub const STAGE_IDLE: Name = (STAGE, "idle");

/// Packets received.
pub const RX_PACKETS: Name = ("queue", "rx_packets");

/// Packets sent.
pub const TX_PACKETS: Name = ("queue", "tx_packets");

/// Bytes received.
pub const RX_BYTES: Name = ("queue", "rx_bytes");

/// Bytes sent.
pub const TX_BYTES: Name = ("queue", "tx_bytes");

/// Connections there are now.
pub const CONNECTIONS: Name = ("tcp", "connections");

/// Connections that were opened, by either side.
pub const OPENS: [Name; 2] = [("tcp", "accepted"), ("tcp", "connected")];

/// Frames of the core's pool that are free.
pub const FRAMES_FREE: Name = ("pool", "frames_free");

/// Frames of the core's pool.
pub const FRAMES: Name = ("pool", "frames");
