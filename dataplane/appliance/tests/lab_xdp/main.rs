//! The gateway on AF_XDP queues of a veth pair, with real programs of the kernel's at the other end.
//!
//! It needs what `scripts/lab veth` needs, and a kernel with AF_XDP. Without them it says loudly that
//! it was skipped; under `ABELE_REQUIRE=af_xdp` that is a failure.

mod access_log;
mod captures;
mod connections;
mod cores;
mod drains;
mod flood;
mod frames;
mod inquiries;
mod lab;
mod lacks;
mod logs;
mod pings;
mod reloads;
mod rights;
mod slow;
mod tools;
