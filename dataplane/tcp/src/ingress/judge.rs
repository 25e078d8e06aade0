//! The first five checks of RFC 9293 section 3.10.7.4, as one pure function.

use wire::SeqNum;
use wire::tcp::{Flags as Bits, Repr};

use crate::counters::DropReason;

/// What a connection knows of both streams, whichever form it is held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variables {
    pub(super) rcv_nxt: SeqNum,
    /// The right edge of the receive window.
    pub(super) rcv_edge: SeqNum,
    pub(super) snd_una: SeqNum,
    pub(super) snd_nxt: SeqNum,
    /// The largest window the peer has had.
    pub(super) snd_wnd_max: u32,
    /// The peer's last timestamp: `None` if timestamps are not used.
    pub(super) timestamps: Option<Recent>,
}

/// The peer's last timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) value: u32,
    /// It has outlived its 24 days and rejects nothing.
    pub(super) is_expired: bool,
}

/// What is to be done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on to acknowledgement, data and FIN.
    Accept,
    /// It is dropped.
    Drop(DropReason),
    /// It is dropped, and the peer is told where we stand.
    Acknowledge(DropReason),
    /// It is dropped, and the peer is told where we stand if the budget allows.
    Challenge(DropReason),
    /// The connection is over.
    Reset,
}

pub(super) fn judge(known: &Variables, repr: &Repr, payload_len: u32) -> Verdict {
    let flags = repr.flags;
    let len = repr.sequence_len(payload_len);
    if let Some(verdict) = timestamp_verdict(known, repr, payload_len) {
        return verdict;
    }
    // A peer that has filled the window speaks from its edge (`docs/rfc/rfc9293.md`). Unheard, its
    // acknowledgements would be lost, and its answers to keep-alive probes.
    let is_at_edge = len == 0 && repr.seq == known.rcv_edge && !flags.contains(Bits::RST);
    if !is_at_edge && !is_acceptable(known, repr.seq, len) {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# an acknowledgment should be sent in reply (unless the RST bit is set)
        return if flags.contains(Bits::RST) {
            Verdict::Drop(DropReason::RstInexact)
        } else if payload_len > 0 || flags.contains(Bits::FIN) {
            Verdict::Acknowledge(DropReason::OutOfWindow)
        } else {
            // Two ends that each believe the other wrong must not answer each other for ever.
            Verdict::Challenge(DropReason::OutOfWindow)
        };
    }
    if flags.contains(Bits::RST) {
        //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
        //# If the RST bit is set and the sequence number exactly matches the next expected
        //# sequence number (RCV.NXT), then TCP MUST reset the connection
        return if repr.seq == known.rcv_nxt {
            Verdict::Reset
        } else {
            Verdict::Challenge(DropReason::RstInexact)
        };
    }
    if flags.contains(Bits::SYN) {
        //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
        //# If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK
        return Verdict::Challenge(DropReason::SynInConnection);
    }
    if !flags.contains(Bits::ACK) {
        //# if the ACK bit is off, drop the segment and return
        return Verdict::Drop(DropReason::AckMissing);
    }
    ack_verdict(known, repr.ack)
}

//= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
//# ((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT) ... MUST be discarded and an ACK sent back
fn ack_verdict(known: &Variables, ack: SeqNum) -> Verdict {
    let age = known.snd_una.since(ack).cast_signed();
    if ack.is_after(known.snd_nxt) || age > known.snd_wnd_max.cast_signed() {
        return Verdict::Challenge(DropReason::AckUnacceptable);
    }
    Verdict::Accept
}

fn timestamp_verdict(known: &Variables, repr: &Repr, payload_len: u32) -> Option<Verdict> {
    let recent = known.timestamps?;
    let Some(timestamps) = repr.options.timestamps else {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //# If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop it
        let is_reset = repr.flags.contains(Bits::RST);
        return (!is_reset).then_some(Verdict::Drop(DropReason::TimestampMissing));
    };
    //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
    //# R1) If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent,
    //# TS.Recent is valid, and if the RST bit is not set, then treat the segment as not acceptable
    let is_old = SeqNum(timestamps.value).is_before(SeqNum(recent.value));
    if !is_old || recent.is_expired || repr.flags.contains(Bits::RST) {
        return None;
    }
    Some(if payload_len > 0 || repr.flags.contains(Bits::FIN) {
        Verdict::Acknowledge(DropReason::Paws)
    } else {
        Verdict::Challenge(DropReason::Paws)
    })
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//# There are four cases for the acceptability test for an incoming segment
fn is_acceptable(known: &Variables, seq: SeqNum, len: u32) -> bool {
    let window = known.rcv_edge.since(known.rcv_nxt);
    match (len, window) {
        (0, 0) => seq == known.rcv_nxt,
        (0, _) => seq.in_window(known.rcv_nxt, window),
        //# If the RCV.WND is zero, no segments will be acceptable, but special allowance should be
        //# made to accept valid ACKs, URGs, and RSTs.
        // The data of such a segment, a probe, is cut off where it is taken in.
        (_, 0) => seq == known.rcv_nxt,
        (_, _) => {
            seq.in_window(known.rcv_nxt, window)
                || (seq + (len - 1)).in_window(known.rcv_nxt, window)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Recent, Variables, Verdict, judge};
    use crate::counters::DropReason;
    use wire::SeqNum;
    use wire::tcp::{Flags as Bits, Repr, Timestamps};

    const KNOWN: Variables = Variables {
        rcv_nxt: SeqNum(1_000),
        rcv_edge: SeqNum(3_000),
        snd_una: SeqNum(500),
        snd_nxt: SeqNum(700),
        snd_wnd_max: 400,
        timestamps: None,
    };

    fn segment(seq: u32, ack: u32, flags: Bits) -> Repr {
        Repr { seq: SeqNum(seq), ack: SeqNum(ack), flags, ..Repr::default() }
    }

    #[test]
    fn window_decides_by_both_ends_of_the_segment() {
        let cases = [
            (1_000, 100, Verdict::Accept),
            (999, 2, Verdict::Accept),
            (2_999, 100, Verdict::Accept),
            (3_000, 1, Verdict::Acknowledge(DropReason::OutOfWindow)),
            (900, 100, Verdict::Acknowledge(DropReason::OutOfWindow)),
            (999, 0, Verdict::Challenge(DropReason::OutOfWindow)),
            (1_000, 0, Verdict::Accept),
            (3_000, 0, Verdict::Accept),
            (3_001, 0, Verdict::Challenge(DropReason::OutOfWindow)),
        ];
        for (seq, len, verdict) in cases {
            assert_eq!(judge(&KNOWN, &segment(seq, 600, Bits::ACK), len), verdict, "{seq}+{len}");
        }
    }

    #[test]
    fn closed_window_takes_only_the_next_number_without_data() {
        let closed = Variables { rcv_edge: KNOWN.rcv_nxt, ..KNOWN };
        assert_eq!(judge(&closed, &segment(1_000, 600, Bits::ACK), 0), Verdict::Accept);
        assert_eq!(
            judge(&closed, &segment(1_000, 600, Bits::ACK), 1),
            Verdict::Accept,
            "a probe may carry an acknowledgement; its data is cut off later"
        );
        assert_eq!(
            judge(&closed, &segment(1_001, 600, Bits::ACK), 1),
            Verdict::Acknowledge(DropReason::OutOfWindow)
        );
    }

    #[test]
    fn only_the_exact_reset_resets() {
        let reset = |seq| judge(&KNOWN, &segment(seq, 0, Bits::RST), 0);
        assert_eq!(reset(1_000), Verdict::Reset);
        assert_eq!(reset(1_001), Verdict::Challenge(DropReason::RstInexact));
        assert_eq!(reset(999), Verdict::Drop(DropReason::RstInexact));
    }

    #[test]
    fn syn_in_a_connection_is_challenged() {
        let verdict = judge(&KNOWN, &segment(1_000, 0, Bits::SYN), 0);
        assert_eq!(verdict, Verdict::Challenge(DropReason::SynInConnection));
    }

    #[test]
    fn acknowledgements_outside_of_what_was_sent_are_challenged() {
        for (ack, verdict) in [
            (700, Verdict::Accept),
            (701, Verdict::Challenge(DropReason::AckUnacceptable)),
            (100, Verdict::Accept),
            (99, Verdict::Challenge(DropReason::AckUnacceptable)),
        ] {
            assert_eq!(judge(&KNOWN, &segment(1_000, ack, Bits::ACK), 0), verdict, "{ack}");
        }
        let bare = judge(&KNOWN, &segment(1_000, 0, Bits::PSH), 1);
        assert_eq!(bare, Verdict::Drop(DropReason::AckMissing));
    }

    #[test]
    fn old_timestamps_reject_until_they_expire() {
        let recent =
            |is_expired| Variables { timestamps: Some(Recent { value: 50, is_expired }), ..KNOWN };
        let mut old = segment(1_000, 600, Bits::ACK);
        assert_eq!(
            judge(&recent(false), &old, 1),
            Verdict::Drop(DropReason::TimestampMissing),
            "an option once agreed on must be there"
        );
        old.options.timestamps = Some(Timestamps { value: 49, echo: 0 });
        assert_eq!(judge(&recent(false), &old, 1), Verdict::Acknowledge(DropReason::Paws));
        assert_eq!(judge(&recent(true), &old, 1), Verdict::Accept);
        old.flags = Bits::RST;
        assert_eq!(judge(&recent(false), &old, 0), Verdict::Reset, "a RST is not judged by time");
    }
}
