//! The frames between nodes and the switch: borrowed views, writers, bounds.
//!
//! It keeps no state and takes no decision: what a request does is `switch`'s business, what an
//! answer means to a lease `owner`'s. It reads no clock and no socket.
//!
//! # Why it is built this way
//!
//! The naive design makes a value of each frame: a vector of strings for a batch of names, another
//! of structs for its answer. At ten million registrations a second that is ten million allocations
//! and as many cache lines that are touched for nothing. Here a frame stays where it was received.
//! One pass checks all of it, so that a request is done wholly or not at all; what it gives borrows
//! from the receive buffer, and reading it again cannot fail. A writer appends to a buffer that its
//! caller uses again, and patches the length when it is known. In the steady state neither
//! allocates.
//!
//! ```text
//! receive buffer --Framing::find--> frame --Request::parse---> RequestBody   (at the switch)
//!                                         --Incoming::parse--> IncomingBody  (at the client)
//!                                              |
//!                                              +-- FrameError --to_frame()--> ErrorFrame
//!
//! Hello::write, Batch, write_*  --> requests        \
//! Welcome::write, write_*_answer, PageBatch --> answers  } appended to a Vec<u8>
//! PushBuffer, Batch::events     --> pushes          /
//! ```
//!
//! The format is `docs/PROTOCOL.md`; this crate and that page change together.
#![forbid(unsafe_code)]

mod admin;
mod batch;
mod codes;
mod cursor;
mod error;
mod fault;
mod header;
mod hello;
mod ids;
mod incoming;
pub mod limits;
mod list;
mod message;
mod name_buffer;
mod names;
mod port;
mod proof;
mod push;
mod push_buffer;
mod request;
mod session;
mod shard;
mod writer;

pub use admin::{DropState, Figure, ListNodes, ListPorts, NodeEntry, Page, PageBatch, PortEntry};
pub use admin::{write_drop_node, write_drop_node_answer, write_status_answer, write_watch};
pub use batch::{Batch, Name, write_unregister, write_unregister_names};
pub use error::{ErrorCode, ErrorFrame, EvictedReason};
pub use fault::{FrameError, Malformation};
pub use header::{ANSWER, ERROR, FLAGS_MUST_UNDERSTAND, Framing, Header, PushKind, RequestKind};
pub use hello::{
    Credential, Greeting, Hello, MAGIC, Role, SignedHello, VERSION, WAITS_OUT, Welcome,
};
pub use ids::{ClusterId, Epoch, NodeId, NodeIdError, Nonce, Sequence, SessionId, Token};
pub use incoming::{Answer, Incoming, IncomingBody, Push};
pub use limits::{Limits, LimitsError};
pub use list::{Item, List, ListIter, Sequences};
pub use message::{SendAnswer, SendItem, SendItems, SendMany, write_broadcast};
pub use name_buffer::NameBuffer;
pub use names::{NameError, Names, NamesIter, check_name};
pub use port::{Grants, Holder, NodeState, NodeStatus, Outcome, Outcomes, Owner, RegisterFlags};
pub use port::{QueryPort, QueryPortAnswer, RegPort, RegPortAnswer, UnregPort, UnregPortAnswer};
pub use port::{RegisterCode, RegisterFailure, UnregisterCode, UnregisterFailure};
pub use port::{write_cancel_wait_answer, write_query_node_answer, write_query_port_answer};
pub use port::{write_reg_port_answer, write_unreg_port_answer, write_unsubscribe_answer};
pub use push::{Event, EventKind, Flush, FlushReason, Gone, GoneReason, Granted, Leaving};
pub use push::{LeavingReason, Message, Messages, Notice, messages_unsent};
pub use push_buffer::PushBuffer;
pub use request::{Request, RequestBody};
pub use session::{Ends, ReletAnswer, SessionState, WaitMsgAnswer, write_bye, write_relet};
pub use shard::{shard_of, shard_of_crc};
pub use writer::{FrameWriter, write_bare, write_bare_answer};

// A fuzzing build instruments the unit tests too, and what they then call comes with bolero.
#[cfg(all(test, fuzzing))]
use bolero as _;
