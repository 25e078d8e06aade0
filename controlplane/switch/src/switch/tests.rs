//! Whole conversations with a switch, in virtual time.

mod bed;
mod beginning;
mod following;
mod life;
mod messages;
mod model;
mod noticed;
mod operating;
mod ports;
mod sharded;
mod shown;
