//! What every dataplane crate counts in: time, chance, identities, timers, and how long a worker
//! has been idle.
//!
//! It holds no protocol, reads no clock and draws no entropy: time comes in as [`Instant`], chance
//! as a seeded [`Rng`].
//!
//! The naive design takes `std::time::Instant` and a global random generator. A test then has to
//! start from a real "now" and can never replay a run; a simulated hour costs an hour. Here the
//! zero of time is arbitrary and one seed is one run, on every machine.
//!
//! ```text
//! appliance (clock, entropy) --now, seed--> engine -> stack -> tcp, ip      sim --now, seed--> ...
//! ```
#![forbid(unsafe_code)]

mod idle;
mod ids;
mod rng;
mod time;
mod wheel;

pub use idle::Idle;
pub use idle::IdlePolicy;
pub use ids::CoreId;
pub use ids::CoreSet;
pub use ids::QueueId;
pub use rng::Rng;
pub use time::Duration;
pub use time::Instant;
pub use wheel::NIL;
pub use wheel::Wheel;
pub use wheel::WheelLinks;
pub use wheel::WheelStore;
