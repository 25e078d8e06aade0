//! What the worker counts: each of its refusals and ends by its reason.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// One worker's counters, since its start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Counters {
            $($(#[doc = $doc])+ pub(crate) $name: u64,)+
        }

        impl Counters {
            /// Adds what another worker has counted.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }

            /// Each with its name and what it counts.
            pub(crate) fn each(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+), self.$name),)+]
            }
        }
    };
}

counters! {
    /// Rounds of the worker.
    rounds,
    /// Connections that were taken.
    accepted,
    /// Connections that were refused because there were as many as there may be.
    refused_full,
    /// Connections that were refused because their address had as many as it may have.
    refused_source,
    /// Connections that could not be taken for want of descriptors or memory.
    refused_resource,
    /// Connections that are gone, for whatever reason.
    closed,
    /// Connections that the other end closed.
    closed_by_peer,
    /// Connections that were reset or failed otherwise.
    closed_by_error,
    /// Connections that did not take their last words in time.
    closed_late,
    /// Handshakes of TLS that were not finished in time.
    handshakes_late,
    /// Connections that ended by an error of TLS.
    tls_failed,
    /// Connections that ended because half frames were too many bytes, of which their node had the most.
    closed_partial_full,
    /// Connections that ended because the rest of a half frame did not come in time.
    closed_partial_late,
    /// Calls that received something.
    receives,
    /// Bytes that were received.
    received_bytes,
    /// Calls that sent something.
    sends,
    /// Bytes that were sent.
    sent_bytes,
    /// Times that a connection was not read because its answers were not taken.
    blocked,
    /// Times that the worker stood still for half a second or more.
    stalls,
    /// Times that the machine slept or its clocks disagreed.
    clock_jumps,
}

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn every_counter_has_a_name_and_says_what_it_counts() {
        let counters = Counters { accepted: 7, ..Counters::default() };
        let each = counters.each();
        assert!(each.iter().all(|(name, help, _)| !name.is_empty() && help.ends_with('.')));
        assert!(each.contains(&("accepted", " Connections that were taken.", 7)));
    }
}
