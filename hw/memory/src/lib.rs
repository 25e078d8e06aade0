//! The memory of the machine, made safe to use: mappings, shared files, frames, records, rings,
//! prefetch, lanes, a keyed hash and a counting allocator.
//!
//! It is not an allocator for general use: everything is taken once, at start, and nothing here
//! grows on the packet path.
//!
//! # Why it is built this way
//!
//! The naive design keeps every packet in a `Vec<u8>` behind an `Arc` and every connection in a
//! `Box`. It fails three times at ten million connections: the allocator's own headers and
//! size classes cost as much as the records; 4 KiB pages make every access a TLB miss as well as
//! a cache miss; and a reference count that two cores write moves its cache line between them
//! for every packet. So:
//!
//! - memory is *mapped*, in huge pages where the machine has them, and touched at start;
//! - records are plain integers in an [`Array`] or a [`Slab`] and refer to each other by index;
//! - packets are fixed-size frames of one arena. Every core has its own view of it
//!   ([`CoreArena`]) with its own pool and its own counts; a frame crosses to another core only
//!   while it has exactly one reference, so no count is ever written by two cores.
//!
//! ```text
//!              FrameArena: one mapping, frame 0 | frame 1 | frame 2 | ...
//!                          home pool: batches of free indices
//!                 exchange /                    \ exchange
//!      CoreArena 0: pool, counts            CoreArena 1: pool, counts
//!         Frame --- detach --> DetachedFrame --- attach --> Frame
//!         Frame <-- unstow --- Stowed (8 bytes inside a record)
//! ```
//!
//! # Soundness
//!
//! No sequence of safe calls is undefined behaviour. For frames this rests on one invariant: *for
//! each frame at most one core counts references to it*. Bytes are reached only through a borrow
//! of that core's [`CoreArena`], after the count and the range are checked, so handles may be
//! copied into integers ([`Stowed`]), forged or mixed up: the worst outcome is a panic.
#![allow(unsafe_code, reason = "mappings, frames in shared memory, rings, prefetch and AES")]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("memory is written for 64-bit Linux");

mod arena;
mod array;
pub mod counting;
mod doze;
mod frame;
mod hash;
mod lanes;
mod limits;
mod prefetch;
mod ring;
#[cfg(test)]
mod seeded;
#[cfg(not(miri))]
mod shared;
mod slab;
mod sync;

pub use arena::{Arena, ArenaError, PageChoice, Pages, len_on_pages};
pub use array::{Array, Plain};
pub use doze::Doze;
pub use frame::{
    CoreArena, DetachedFrame, Frame, FrameArena, FrameGeometry, GeometryError, Lent, Stowed,
};
pub use hash::KeyedHash;
pub use lanes::equal_lanes;
pub use prefetch::prefetch;
pub use ring::{Consumer, Producer, ring};
#[cfg(not(miri))]
pub use shared::{SharedError, SharedFile, SharedGuest, SharedView, remove_orphans};
pub use slab::{LINK_NONE, Linked, Reuse, Slab};
