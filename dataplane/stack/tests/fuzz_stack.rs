//! No frame, in no order and at no time, makes the stack panic, grow, leak or shout.
//!
//! An input is a list of actions against one stack that serves connections in all states: frames
//! built from the true sequence numbers and bent, with their checksums repaired; bytes of any kind;
//! time; calls of the service. After every action the tables and the frames are counted; in the end
//! every connection is ended, and nothing may be left.
//!
//! ```text
//!  input -> action -> frame, tamper, repair -> Wire -> Stack<Wire> -> Puppet (the service)
//!                                               |  ^
//!                     judge, Peers (numbers) <--+  +-- answers of neighbours
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the table of what was reached")]

#[path = "fuzz_stack/action.rs"]
mod action;
#[path = "fuzz_stack/bed.rs"]
mod bed;
#[path = "fuzz_stack/coverage.rs"]
mod coverage;
#[path = "fuzz_stack/frame.rs"]
mod frame;
#[path = "fuzz_stack/input.rs"]
mod input;
#[path = "fuzz_stack/judge.rs"]
mod judge;
#[path = "fuzz_stack/peer.rs"]
mod peer;
#[path = "fuzz_stack/prelude.rs"]
mod prelude;
#[path = "fuzz_stack/service.rs"]
mod service;

use base::Instant;

use bed::{Bed, Terms};
use input::Input;

/// Actions of one input.
const ACTIONS_MAX: usize = 120;
/// Bytes of one input that are random in the ordinary test run.
const INPUT_LEN_MAX: usize = 400;
/// Random inputs of the ordinary test run, beside the corpus.
const INPUTS: usize = 3_000;

#[test]
fn fuzz_stack() {
    bolero::check!().with_max_len(INPUT_LEN_MAX).with_iterations(INPUTS).for_each(run);
    // The fuzzer never comes here.
    coverage::report();
}

fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let terms = input.byte();
    let (states, variant) = (input.word(), input.byte());
    let start = match terms >> 4 & 3 {
        0 => 1_000_000_000,
        // A second before microseconds, and half a minute before milliseconds, wrap at 32 bits.
        1 => (1 << 32) * 1_000 - 1_000_000_000,
        2 => (1 << 32) * 1_000_000 - 30_000_000_000,
        _ => 77,
    };
    let start = Instant::from_nanos(start);
    let mut bed = Bed::new(Terms { is_tiny: terms & 1 != 0, is_unscaled: terms & 2 != 0, start });
    bed.rest();
    if terms & 0x40 == 0 {
        prelude::meet(&mut bed);
    }
    prelude::open(&mut bed, states, variant);
    for _ in 0..ACTIONS_MAX {
        let Some(code) = input.next() else { break };
        action::apply(&mut bed, code, &mut input);
    }
    bed.finish(terms & 0x0c == 0x0c);
    if cfg!(not(fuzzing)) {
        // The fuzzer would take the names of the counters for part of what it looks for.
        coverage::take(&bed);
    }
    bed.put_away();
}
