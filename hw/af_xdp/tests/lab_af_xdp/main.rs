//! AF_XDP queue pairs on a veth pair, in a network namespace of the test's own.
//!
//! It needs root and a kernel with AF_XDP. Without them it says loudly that it was skipped; under
//! `ABELE_REQUIRE=af_xdp` that is a failure.
#![cfg(not(loom))]
#![allow(unsafe_code, reason = "the bpf system call, and sockets that no safe call opens")]

mod bed;
mod behaviour;
mod program;
mod refusals;

use bed::{Bed, in_namespace};
use memory::counting::CountingAllocator;
use program::Mode;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn a_queue_under_a_native_program_passes_the_suite() {
    in_namespace("a_queue_under_a_native_program_passes_the_suite", || {
        nic::conformance::run(|| Bed::new(Mode::Native));
    });
}

#[test]
fn a_queue_under_a_generic_program_passes_the_suite() {
    in_namespace("a_queue_under_a_generic_program_passes_the_suite", || {
        nic::conformance::run(|| Bed::new(Mode::Generic));
    });
}
