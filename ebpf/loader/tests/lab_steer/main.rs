//! The XDP program in the kernel: packet by packet with its test facility, and on veth pairs in
//! network namespaces of the test's own.
//!
//! It needs root. Without, it says loudly that it was skipped; under `ABELE_REQUIRE=root` that is
//! a failure, and so is a kernel without `AF_XDP` under `ABELE_REQUIRE=af_xdp`.
#![allow(unsafe_code, reason = "AF_XDP sockets and foreign programs have no safe calls")]

mod attach;
mod budgets;
mod machine;
mod packet;
mod refusals;
mod rules;
mod socket;
mod verdicts;
