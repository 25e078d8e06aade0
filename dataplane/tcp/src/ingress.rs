//! What arrives: a segment finds its flow, is judged, and changes it.
//!
//! The order is that of RFC 9293 section 3.10.7: for listeners `ingress/listen.rs`, for SYN-SENT
//! `ingress/syn_sent.rs`, for all synchronized states `ingress/judge.rs` (may it be accepted?),
//! then `ingress/ack.rs`, `ingress/data.rs`.

mod ack;
mod data;
mod judge;
mod listen;
mod syn_sent;
mod synchronized;
mod time_wait;

use memory::Frame;
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Repr, Timestamps};

use crate::connections::Found;
use crate::counters::DropReason;
use crate::record::Flags;
use crate::{Conn, Cx, Reply, Tcp, Tuple};

/// A segment as the layers below have found it: checksum verified, addresses named.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Whose it is.
    pub tuple: Tuple,
    /// [`Tcp::flow_hash`] of the tuple.
    pub hash: u64,
    /// The neighbour it came through, for answers.
    pub hop: u16,
    /// The header.
    pub repr: Repr,
}

/// What a segment has brought about, for the layers above to act on in this order: `opened`,
/// `data`, [`Tcp::take_backlog`] while `has_backlog`, [`Tcp::take_end`], `is_writable`; `reply` is
/// sent in any case.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The connection, where there is one.
    pub conn: Option<Conn>,
    /// The connection has just been established.
    pub opened: bool,
    /// Data in order, for the service; the caller owns the frame now, and hands what the service
    /// leaves of it to [`Tcp::put_back`].
    pub data: Option<Frame>,
    /// More data in order waits in the backlog.
    pub has_backlog: bool,
    /// The peer will send no more ([`Tcp::take_end`] says when the service may be told).
    pub has_end: bool,
    /// Room to send has opened for a service that was refused some.
    pub is_writable: bool,
    /// New data was acknowledged: the way to the peer works in both directions.
    pub has_progress: bool,
    /// A segment to send at once.
    pub reply: Option<Reply>,
}

/// A busy connection: its record and its extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) index: u32,
    pub(crate) at: u32,
}

impl Tcp {
    /// Takes in one segment; `payload` is the data alone, and is owned by TCP from here on.
    pub fn handle_segment(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        self.counters.segments_in += 1;
        match self.find(&arrival.tuple, arrival.hash) {
            Some(Found::Record(index)) => self.handle_known(cx, index, arrival, payload),
            Some(Found::HalfOpen(index)) => self.handle_half_open(cx, index, arrival, payload),
            Some(Found::TimeWait(index)) => self.handle_time_wait(cx, index, arrival, payload),
            None => self.handle_unknown(cx, arrival, payload),
        }
    }

    /// Drops a segment for `reason`.
    pub(crate) fn discard(
        &mut self,
        cx: &mut Cx<'_>,
        payload: Frame,
        reason: DropReason,
    ) -> Outcome {
        cx.arena.free(payload);
        self.drop_for(reason);
        Outcome::default()
    }

    /// Drops a segment for `reason` and answers with `repr`.
    pub(crate) fn refuse(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: &Arrival,
        payload: Frame,
        reason: DropReason,
        repr: Repr,
    ) -> Outcome {
        let mut outcome = self.discard(cx, payload, reason);
        outcome.reply = Some(self.reply(arrival, repr));
        outcome
    }

    pub(crate) fn reply(&mut self, arrival: &Arrival, repr: Repr) -> Reply {
        self.counters.segments_out += 1;
        if repr.flags.contains(Bits::RST) {
            self.counters.resets_sent += 1;
        }
        Reply { tuple: arrival.tuple, hop: arrival.hop, repr }
    }

    /// The RST that answers a segment for which there is no connection; none answers a RST.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
    //# If the ACK bit is off, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
    //# If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>
    pub(crate) fn reset_for(arrival: &Arrival, payload_len: u32) -> Repr {
        let Repr { src_port, dst_port, seq, ack, flags, .. } = arrival.repr;
        let base = Repr { src_port: dst_port, dst_port: src_port, ..Repr::default() };
        if flags.contains(Bits::ACK) {
            Repr { seq: ack, flags: Bits::RST, ..base }
        } else {
            let len = arrival.repr.sequence_len(payload_len);
            Repr { ack: seq + len, flags: Bits::RST | Bits::ACK, ..base }
        }
    }

    /// An acknowledgement of what a record has received, as it stands.
    pub(crate) fn acknowledgement(&self, cx: &Cx<'_>, index: u32) -> Repr {
        let record = &self.records[index];
        let tuple = record.tuple();
        let (edge, offset) = match self.extension_of(index) {
            Some(at) => (self.extensions[at].rcv_edge, Some(self.extensions[at].ts_offset)),
            None => (record.quiet_edge().0, None),
        };
        let ahead = SeqNum(edge).since(SeqNum(record.rcv_nxt));
        let units = (ahead >> record.receive_scale()).min(u32::from(u16::MAX));
        let mut repr = Repr {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq: SeqNum(record.snd_nxt),
            ack: SeqNum(record.rcv_nxt),
            flags: Bits::ACK,
            window: u16::try_from(units).expect("just clamped"),
            ..Repr::default()
        };
        if record.has(Flags::TIMESTAMPS) {
            let offset = offset.unwrap_or_else(|| self.hashes.timestamp_offset(&tuple));
            let value = cx.now.as_millis_wrapped().wrapping_add(offset);
            repr.options.timestamps = Some(Timestamps { value, echo: record.ts_recent });
        }
        repr
    }
}
