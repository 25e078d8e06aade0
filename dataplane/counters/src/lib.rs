//! The tools' file: the versioned shared-memory layout that gateway and tools agree on.
//!
//! It is no protocol between processes that wait for each other, and it counts nothing itself:
//! every crate of the dataplane has its own counters, and whoever owns a core publishes them here.
//!
//! # Why it is built this way
//!
//! The naive design answers tools on a socket of the gateway. It works on a quiet day and fails
//! when it is needed: with all frames in use there is no answer, a stuck core answers nobody, and
//! after a crash the figures are gone with the process. The next idea is counters that tools read
//! where the core counts; then the lines move between processors, and what is read is of several
//! moments. So there is one file of words, which describes itself:
//!
//! - each core copies its counters into its own section, some hundred relaxed stores every
//!   [`PUBLISH_INTERVAL`], under a sequence lock: the core never waits, and a reader gets the values
//!   of one moment or is told that it did not;
//! - each section says when it was written, so that a stuck core is seen; and a lock that the
//!   kernel takes back tells a dead gateway from a living one, whatever its process id;
//! - names, groups, kinds and units stand in the file. A tool of another minor version prints what
//!   it finds; one of another major version is refused, with both versions named;
//! - connections, which are too many to publish, are listed on request: [`Walk`] on the core's
//!   side, [`Listing`] on the tool's.
//!
//! ```text
//! core 0 --publish--> | section 0 |            header, names
//! core 1 --publish--> | section 1 |   file     (written once)  <--View-- abelectl stats, top, drops
//! core 0 <------------| request   |<-------------------------- Listing-- abelectl connections
//! core 0 --Walk-----> | rows 0    |-------------------------->
//! ```
//!
//! Nothing that a tool writes can harm a core: what a core reads of it is a filter, an id and a
//! cursor, and any words are valid.
#![forbid(unsafe_code)]
// Under loom only the protocols over words are built: see `sync`.
#![cfg_attr(loom, allow(dead_code, unused_imports, reason = "loom's atomics map no file"))]

mod error;
pub mod known;
mod layout;
pub mod limits;
#[cfg(not(loom))]
mod listing;
mod place;
mod row;
mod rows;
mod schema;
mod section;
mod source;
mod sync;
mod text;
#[cfg(not(loom))]
mod view;
mod walk;
#[cfg(not(loom))]
mod writer;

pub use error::{LayoutError, ListingError, OpenError, WriterError};
pub use layout::{VERSION_MAJOR, VERSION_MINOR};
pub use limits::PUBLISH_INTERVAL;
#[cfg(not(loom))]
pub use listing::{Listing, Part};
pub use place::{CONTROL_NAME, FILE_NAME, SYSTEM_FOLDER, folders, path};
pub use row::{Filter, Row, State};
pub use schema::{Counter, Kind, Schema};
pub use source::Source;
#[cfg(not(loom))]
pub use view::{About, CoreState, Snapshot, View};
pub use walk::Look;
#[cfg(not(loom))]
pub use walk::Walk;
#[cfg(not(loom))]
pub use writer::{CoreWriter, Description, Values, Writer};
