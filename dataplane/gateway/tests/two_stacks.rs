//! The gateway on a stack, a client on another, one in-memory wire between: whole conversations
//! in virtual time, and no allocation on the gateway's side.
#![forbid(unsafe_code)]

#[path = "two_stacks/access.rs"]
mod access;
#[path = "two_stacks/bed.rs"]
mod bed;
#[path = "two_stacks/conformance.rs"]
mod conformance;
#[path = "two_stacks/cuts.rs"]
mod cuts;
#[path = "two_stacks/echo.rs"]
mod echo;
#[path = "two_stacks/ends.rs"]
mod ends;
#[path = "two_stacks/http.rs"]
mod http;
#[path = "two_stacks/pressure.rs"]
mod pressure;
#[path = "two_stacks/reference.rs"]
mod reference;
#[path = "two_stacks/smuggling.rs"]
mod smuggling;
#[path = "conformance/table.rs"]
mod table;
#[path = "two_stacks/timeouts.rs"]
mod timeouts;

#[global_allocator]
static ALLOCATOR: memory::counting::CountingAllocator = memory::counting::CountingAllocator;
