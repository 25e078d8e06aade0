//! The application protocols that a core speaks to its users: one [`stack::Service`] for all of
//! its listeners.
//!
//! It opens no socket, reads no file and no clock, and allocates nothing once it is made: the
//! documents come in at the start, the time of day by [`Gateway::set_wall_time`].
//!
//! The naive design gives each connection a task with a read buffer and a write buffer. Ten
//! million idle keep-alive connections are then ten million tasks and tens of gigabytes that hold
//! nothing. Here an idle connection holds only the stack's own record: its word is zero. A request
//! that arrives in one segment and whose answer fits the send queue is parsed where it lies and
//! answered at once, and still holds nothing. Only what is under way between two calls (half a
//! head, an answer that waits for room, a connection that lingers) takes a session from a bounded
//! pool, and gives it back.
//!
//! ```text
//!   stack --on_data--> Gateway --by listener--> proto/echo.rs
//!                                               proto/http.rs
//!                                                 ingress.rs   bytes -> what they bring
//!                                                 request.rs   head -> Request, or a refusal
//!                                                 framing.rs   fields -> where it ends
//!                                                 host.rs      what can be a host
//!                                                 path.rs      target -> name of a document
//!                                                 documents.rs name -> document
//!                                                 stored.rs    the fields that it is sent with
//!                                                 select.rs    Request -> Answer
//!                                                 condition.rs If-Match and its like
//!                                                 range.rs     Range
//!                                                 parts.rs     multipart/byteranges
//!                                                 push.rs      an answer -> the send queue
//!                                                 date.rs      a date, read and written
//!                                                 body.rs      content, chunked or not, to its end
//!                                                 answer.rs    what is to be sent, from any byte
//!                                                 session.rs   what is under way, by age
//!                                                 drain.rs     the end of serving
//!                                                 access.rs    what the access log is told
//! ```
//!
//! A protocol is a [`stack::Service`] in a file under `proto/`, a variant of [`Protocol`] and an
//! arm in `gateway.rs`.
#![forbid(unsafe_code)]

mod access;
mod config;
mod counters;
mod gateway;
pub mod limits;
mod proto;
mod timer;

pub use crate::access::{
    AccessLog, AccessRecord, AccessSizes, AccessTerms, Cause, Ending, Place, RequestLine,
};
pub use crate::config::{GatewayConfig, GatewayError, HttpLimits};
pub use crate::counters::{Counters, EchoCounters, HttpCounters, Refusal, Status};
pub use crate::gateway::{Gateway, Protocol};
pub use crate::proto::http::{Document, Documents, DocumentsError};
