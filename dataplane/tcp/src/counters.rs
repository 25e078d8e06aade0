//! Every counter of TCP and every reason for which a segment is dropped.

macro_rules! counted {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }
        impl $name {
            /// Every one, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The name that tools print.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

counted! {
    /// Why a segment was dropped or a connection refused.
    DropReason {
        /// No listener on that address and port; answered with RST.
        NoListener => "tcp_no_listener",
        /// Not a SYN, and no connection; answered with RST.
        NoConnection => "tcp_no_connection",
        /// A segment to a listener that no listener can take (RST, ACK, or data without SYN).
        ListenerUnfit => "tcp_listener_unfit",
        /// The half-open table is full, and the number of our SYN-ACK is not ours to choose
        /// (RFC 6191), so that it can be no cookie.
        HalfOpenFull => "tcp_half_open_full",
        /// An acknowledgement to a listener that no cookie of ours vouches for, while some are out.
        CookieUnfit => "tcp_cookie_unfit",
        /// A SYN while frames stand below the watermark.
        SynNoFrames => "tcp_syn_no_frames",
        /// No free record for a completed handshake.
        NoRecord => "tcp_no_record",
        /// The listener's limit of connections is reached.
        ListenerLimit => "tcp_listener_limit",
        /// The service refused the connection.
        ServiceRefused => "tcp_service_refused",
        /// The flow index has no room.
        IndexFull => "tcp_index_full",
        /// No extension for a segment that needs one; the peer sends it again.
        NoExtension => "tcp_no_extension",
        /// No segment node for data out of order or not taken; the peer sends it again.
        NoNode => "tcp_no_node",
        /// Data that would have to be kept while frames stand below the watermark.
        DataNoFrames => "tcp_data_no_frames",
        /// More out-of-order segments than one connection may hold; the peer sends it again.
        OutOfOrderLimit => "tcp_out_of_order_limit",
        /// Outside the receive window; answered with an ACK.
        OutOfWindow => "tcp_out_of_window",
        /// A timestamp from the past (PAWS); answered with an ACK.
        Paws => "tcp_paws",
        /// No timestamp although the connection uses them.
        TimestampMissing => "tcp_timestamp_missing",
        /// An acknowledgement of something never sent, or too old.
        AckUnacceptable => "tcp_ack_unacceptable",
        /// No ACK bit in a synchronized state.
        AckMissing => "tcp_ack_missing",
        /// A SYN inside a connection; answered with a challenge ACK.
        SynInConnection => "tcp_syn_in_connection",
        /// A RST that does not hit the exact number; answered with a challenge ACK if in window.
        RstInexact => "tcp_rst_inexact",
        /// A RST for a connection in TIME-WAIT (RFC 1337).
        RstInTimeWait => "tcp_rst_in_time_wait",
        /// Data already received.
        Duplicate => "tcp_duplicate",
        /// Data after the peer's FIN.
        AfterFin => "tcp_after_fin",
        /// A challenge ACK that the budget refused.
        ChallengeBudget => "tcp_challenge_budget",
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// What TCP has counted since it started.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)*
            drops: [u64; DropReason::ALL.len()],
        }
        impl Counters {
            /// Each counter's name and value, drops last.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                [$((stringify!($field), self.$field),)*]
                    .into_iter()
                    .chain(DropReason::ALL.iter().map(|&r| (r.name(), self.dropped(r))))
            }
        }
    };
}

counters! {
    /// Segments handed in.
    segments_in,
    /// Segments handed out, replies included.
    segments_out,
    /// Payload bytes accepted in order.
    bytes_in,
    /// Payload bytes sent, retransmissions included.
    bytes_out,
    /// Payload bytes that were copied into frames by `send`.
    bytes_copied,
    /// Payload bytes that were copied again because a frame could not be sent in place.
    bytes_copied_again,
    /// Connections accepted.
    accepted,
    /// Connections that our `connect` established.
    connected,
    /// Connections that ended with both FINs.
    finished,
    /// Connections that a peer's RST ended.
    resets_received,
    /// RST segments sent.
    resets_sent,
    /// Connections given up after too many retransmissions or keep-alive probes.
    timed_out,
    /// Connections reset because the peer took too little in its time.
    user_timeouts,
    /// Connections reset because they held frames, and took nothing, while hardly any were free.
    frames_reclaimed,
    /// Segments sent again.
    retransmits,
    /// Retransmission time-outs.
    timeouts,
    /// Fast retransmits entered.
    fast_retransmits,
    /// SYN-ACKs sent again.
    syn_ack_retransmits,
    /// Half-open connections that expired.
    half_open_expired,
    /// SYNs that were answered with a cookie because the half-open table was full.
    syn_cookies_sent,
    /// Connections accepted by the cookie that their acknowledgement brought back.
    syn_cookies_accepted,
    /// Zero-window probes sent.
    window_probes,
    /// Keep-alive probes sent.
    keep_alive_probes,
    /// Challenge ACKs sent.
    challenge_acks,
    /// Duplicate ACKs received.
    duplicate_acks,
    /// Segments that arrived before an earlier one.
    out_of_order,
    /// Extensions borrowed.
    extensions_borrowed,
    /// Extensions given back after their quiet time.
    extensions_returned,
    /// Extensions taken back early because the pool was low.
    extensions_reclaimed,
    /// TIME-WAIT records recycled before their time because the table was full.
    time_wait_recycled,
    /// Connections opened from TIME-WAIT (RFC 6191).
    time_wait_reopened,
}

impl Counters {
    /// How often `reason` dropped something.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Counts one drop for `reason`.
    pub(crate) fn drop_for(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, DropReason};

    #[test]
    fn every_reason_has_a_counter_and_a_name_of_its_own() {
        let mut counters = Counters::default();
        for &reason in DropReason::ALL {
            counters.drop_for(reason);
            assert_eq!(counters.dropped(reason), 1);
        }
        let mut names: Vec<_> = counters.iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "two counters share a name");
    }
}
