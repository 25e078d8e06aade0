//! Whole conversations with a switch, in virtual time.

mod bed;
mod beginning;
mod changing;
mod following;
mod life;
mod messages;
mod model;
mod noticed;
mod operating;
mod pool;
mod ports;
mod sharded;
mod shown;

/// A number that the environment gives.
#[expect(clippy::disallowed_methods, reason = "a knob of a test, not of the switch")]
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}
