//! The switch: which session holds which port, in memory only.
//!
//! It is no database and no server: it reads no clock and no socket, starts no thread, and takes
//! its memory at the start. Whoever turns it brings the bytes of the connections and the time.
//!
//! # Why it is built this way
//!
//! The naive design is a `HashMap<String, Port>` and, for each session, a list of what it holds. It
//! costs some 120 bytes a port; its growth stops the world for seconds at a hundred million ports;
//! names chosen by a client can make it a list; and a session that dies holding ten million ports
//! stops everybody else while they are taken apart. So here, for each shard, there is one
//! [`PortTable`]:
//!
//! ```text
//! names --hash--> index: one cache line a bucket, 10 tags + 10 cell numbers, filled to 84 %
//!                   |
//!                 cells: 32 bytes each: name, sequence, slot of the session, length, flags
//!                        a name over 16 bytes goes on in further cells
//! ```
//!
//! A port belongs to its session's *slot*. A session that dies is dead in the view of the slots
//! that every call is given, so its ports are free at once; a sweep takes them out afterwards, a
//! few cells at a time, and no slot has a new session before none of its ports is left.
//!
//! Around the table a [`Switch`] speaks the protocol:
//!
//! ```text
//! handle_bytes --> Request --> sessions: who is it, does its lease run
//!                                 |
//!                             shards: table, slots, who follows which grant --> events
//!                                                                                |
//! outgoing <-- outbox of each connection <-- answers <-- notices, messages <-----+
//! ```
//!
//! Every entry first ends what is over at the `now` that it is given, so that no request is done
//! for a session whose time has passed. There may be several shards; names are spread over them as
//! the protocol says, and each stamps its own sequences.
#![forbid(unsafe_code)]

mod access;
mod config;
mod connection;
mod counters;
mod interests;
mod key_index;
mod lease;
pub mod limits;
mod outbox;
mod owners;
mod pool;
mod quota;
mod refusal;
mod sessions;
mod shard;
mod shards;
mod slots;
mod split;
mod switch;
mod table;

pub use access::{AccessEntry, NodePattern, Peer, Prefixes, Proof};
pub use config::{Identity, SwitchConfig, SwitchError};
pub use connection::ConnId;
pub use counters::Counters;
pub use quota::Quota;
pub use shards::{LenAtMost, tables_len_at_most, tables_len_at_start};
pub use switch::Switch;
pub use table::{
    Deaths, Flags, Found, Gone, Grants, Handle, Listed, Plan, PlanError, Port, PortTable,
    Registered, Registrant, Slot, Statistics, Swept, Unregistered, Visit,
};
