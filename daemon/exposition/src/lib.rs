//! What a program counts, as Prometheus fetches it, and pages for whoever starts it again.
//!
//! It counts nothing itself, and is no server of anything else: no encryption, no body, no
//! connection that stays.
//!
//! # Why it is built this way
//!
//! The naive endpoint is a crate that serves HTTP, with a runtime, for a page that is fetched every
//! few seconds by a stranger. Here there are few connections at once, on threads of their own; each
//! has little time and one short request, and what is answered is the same for all.
//!
//! ```text
//! Listener --at most ASKERS_MAX--> a thread each: head --path--> Page --> answer, and the end
//!                                                                 |
//!                                     Exposition: families of samples, each told once
//! ```
#![forbid(unsafe_code)]

mod exposition;
mod http;
mod limits;
mod listener;

pub use exposition::Exposition;
pub use exposition::Type;
pub use exposition::word;
pub use http::Page;
pub use limits::ASKERS_MAX;
pub use listener::Listener;
pub use listener::ServeError;
