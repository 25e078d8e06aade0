//! The suite that every queue pair passes, whatever lies behind it.
//!
//! A backend gives a [`Rig`]: the queue pair under test, its arena, and a far side that sends and
//! receives raw packets without it. [`run`] calls every check on a rig of its own; a check panics
//! with what it saw.
//!
//! The suite's packets are Ethernet frames of type 0x88b5 (for local experiments) whose source
//! address carries a number. Anything else that comes out of the device is let pass: a kernel's
//! interface talks by itself.

mod bed;
mod checks;

use memory::CoreArena;

use crate::queue::QueuePair;

/// The type of the suite's packets, in bytes 12 and 13.
pub const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// Free frames that the rig's arena must have for the suite itself, beyond what the device takes.
pub const FRAMES_MIN: u32 = 256;

/// A queue pair under test and what is needed to see both its sides.
pub trait Rig {
    /// The queue pair under test.
    type Queue: QueuePair;

    /// The queue pair, and the arena for all calls.
    fn near(&mut self) -> (&mut Self::Queue, &mut CoreArena);

    /// Sends one packet from the far side; false if it cannot be sent now.
    fn far_send(&mut self, packet: &[u8]) -> bool;

    /// The next packet of type [`ETHERTYPE`] that the far side got, waiting for it as long as the
    /// device may reasonably take.
    fn far_receive(&mut self) -> Option<Vec<u8>>;

    /// Waits as long as a packet from the far side may reasonably take to come in.
    fn settle(&mut self) {}

    /// Whether the device drops what comes in while no frame is there for it. One that has a
    /// queue of its own does not.
    fn drops_when_starved(&self) -> bool {
        false
    }

    /// Takes everything down and says how many frames are missing from the arena then.
    fn dismantle(self) -> u32;
}

type Check<R> = (&'static str, fn(&mut R));

/// Runs every check, each on a rig that `make` made for it.
///
/// # Panics
/// If the queue pair fails a check.
pub fn run<R: Rig>(mut make: impl FnMut() -> R) {
    let checks: [Check<R>; 11] = [
        ("empty calls do nothing", checks::empty_calls_do_nothing),
        ("sent packets arrive whole and in order", checks::sent_packets_arrive_whole_and_in_order),
        (
            "received packets are whole and in order",
            checks::received_packets_are_whole_and_in_order,
        ),
        ("a large burst is taken in parts", checks::a_large_burst_is_taken_in_parts),
        ("shared frames stay readable", checks::shared_frames_are_sent_unchanged_and_stay),
        ("no more is received than fits", checks::no_more_is_received_than_fits),
        ("gathered packets arrive as one", checks::gathered_packets_arrive_as_one),
        ("impossible packets are dropped by name", checks::impossible_packets_are_dropped_by_name),
        ("received frames belong to the caller", checks::received_frames_belong_to_the_caller),
        ("an exhausted arena delays and recovers", checks::an_exhausted_arena_delays_and_recovers),
        ("both directions run at once", checks::both_directions_run_at_once),
    ];
    for (name, check) in checks {
        let mut rig = make();
        check(&mut rig);
        bed::assert_at_rest(&mut rig, name);
        let lost = rig.dismantle();
        assert_eq!(lost, 0, "{name}: frames are missing after it");
    }
}
