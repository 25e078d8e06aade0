//! What was forwarded, dropped and done to it, by direction: one JSON object on the last line.

use std::io::{self, Write};

use nic::QueuePair;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::args::WireArgs;
use super::core::{Direction, Forwarder};
use crate::error::Error;
use crate::machine::COMMIT;
use crate::report::{Checks, Number};

/// The object.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    bench: &'static str,
    args: &'a WireArgs,
    seconds: Number,
    a_to_b: Counts,
    b_to_a: Counts,
    checks: Checks,
    commit: &'static str,
}

/// One direction's counts by name.
#[derive(Debug)]
struct Counts(Direction);

impl<'a> Summary<'a> {
    /// A packet that is in no count is a wrong result.
    pub(super) fn of<A: QueuePair, B: QueuePair>(
        args: &'a WireArgs,
        forwarder: &Forwarder<A, B>,
        seconds: f64,
    ) -> Self {
        let [there, back] = forwarder.directions();
        let checks = Checks::default()
            .must_be_zero("unaccounted_a_to_b", there.unaccounted())
            .must_be_zero("unaccounted_b_to_a", back.unaccounted())
            .note("super_frames", there.super_frames + back.super_frames);
        Self {
            bench: "wire",
            args,
            seconds: Number(seconds),
            a_to_b: Counts(there),
            b_to_a: Counts(back),
            checks,
            commit: COMMIT,
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.checks.is_ok()
    }

    /// On standard output; what an end should have done otherwise on standard error.
    pub(super) fn print(&self) -> Result<(), Error> {
        let super_frames = self.a_to_b.0.super_frames + self.b_to_a.0.super_frames;
        if super_frames > 0 {
            let warning = format!(
                "wire: {super_frames} packets were longer than the wire's MTU allows and were \
                 dropped: an end leaves the cutting to its device; there: ethtool -K END tso off \
                 gso off gro off\n"
            );
            // With standard error gone there is nobody left to warn.
            io::stderr().write_all(warning.as_bytes()).ok();
        }
        let object = serde_json::to_string(self).expect("every key is a string");
        writeln!(io::stdout(), "{object}").map_err(Error::io("print the summary"))
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Direction {
            rx_packets,
            rx_bytes,
            rx_dropped,
            tx_packets,
            tx_bytes,
            super_frames,
            tx_dropped,
            ref faults,
            held,
        } = self.0;
        let own = [
            ("rx_packets", rx_packets),
            ("rx_bytes", rx_bytes),
            ("rx_dropped", rx_dropped),
            ("tx_packets", tx_packets),
            ("tx_bytes", tx_bytes),
            ("tx_dropped", tx_dropped),
            ("super_frames", super_frames),
            ("held", held),
        ];
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in own.into_iter().chain(faults.rows()) {
            map.serialize_entry(name, &count)?;
        }
        map.end()
    }
}
