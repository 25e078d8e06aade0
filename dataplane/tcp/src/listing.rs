//! The tables as a tool walks them: one entry at a time, from a cursor that no change makes wrong.
//!
//! A walk sees every connection that lives from its beginning to its end exactly once. What moves
//! from one table to the next meanwhile (a handshake that ends, a connection that comes to rest)
//! may be seen twice or not at all; no table is ever copied or held still for it.

use base::Instant;

use crate::connections::Tcp;
use crate::extension::{Busy, Extension};
use crate::limits::TIME_WAIT;
use crate::record::{Estimates, Flags, Record};
use crate::state::State;
use crate::{Tuple, congestion};

/// What lies at a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A connection, and the next cursor.
    Connection(u64, Listed),
    /// Nothing, and the next cursor.
    Nothing(u64),
    /// There is no more.
    End,
}

/// A connection as a tool shows it. A zero where an estimate is meant says that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its state; [`Phase`] tells half-open and resting ones apart.
    pub phase: Phase,
    /// Its four addresses.
    pub tuple: Tuple,
    /// The listener that accepted it; `u16::MAX` where it was none.
    pub listener: u16,
    /// Whether we opened it.
    pub is_active: bool,
    /// Whether it has an extension.
    pub is_busy: bool,
    /// The entry of its table.
    pub index: u32,
    /// Which user of that entry; zero where nobody asks.
    pub generation: u32,
    /// Seconds since something happened.
    pub idle_s: u32,
    /// The smoothed round-trip time, and its variation, in microseconds.
    pub srtt_us: u32,
    /// See above.
    pub rttvar_us: u32,
    /// The congestion window in bytes.
    pub cwnd: u32,
    /// The slow-start threshold in bytes; `u32::MAX` where there is none.
    pub ssthresh: u32,
    /// The peer's window in bytes.
    pub snd_wnd: u32,
    /// Bytes sent and not acknowledged.
    pub bytes_in_flight: u32,
    /// Bytes queued and not sent.
    pub bytes_queued: u32,
    /// Bytes received and not taken by the service.
    pub bytes_unread: u32,
}

/// In which table a connection lies, and its state there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A SYN has come, our SYN-ACK is out.
    HalfOpen,
    /// A connection.
    Record(State),
    /// Both directions have ended and we were first: the tuple rests.
    TimeWait,
}

/// The upper half of a cursor says the table, the lower half the entry.
const RECORDS: u64 = 0;
const HALF_OPEN: u64 = 1;
const TIME_WAITS: u64 = 2;

/// Entries that are asked for ahead: a dependent miss is longer than a look.
const AHEAD: u32 = 8;

impl Tcp {
    /// What lies at `cursor`; a walk begins at 0 and goes on with what it is given. Any number is
    /// a cursor.
    #[must_use]
    pub fn look(&self, cursor: u64, now: Instant) -> Seen {
        let Ok(index) = u32::try_from(cursor & u64::from(u32::MAX)) else { return Seen::End };
        let (slots, found) = match cursor >> 32 {
            RECORDS => {
                let slots = self.records.high_water();
                if index.saturating_add(AHEAD) < slots {
                    self.records.prefetch(index + AHEAD);
                }
                (slots, (index < slots).then(|| self.listed(index, now)).flatten())
            }
            HALF_OPEN => {
                let slots = self.half_open.high_water();
                (slots, (index < slots).then(|| self.half_open_listed(index, now)).flatten())
            }
            TIME_WAITS => {
                let slots = self.time_wait.capacity();
                (slots, (index < slots).then(|| self.resting_listed(index, now)).flatten())
            }
            _ => return Seen::End,
        };
        if index >= slots {
            return Seen::Nothing(((cursor >> 32) + 1) << 32);
        }
        match found {
            Some(listed) => Seen::Connection(cursor + 1, listed),
            None => Seen::Nothing(cursor + 1),
        }
    }

    fn listed(&self, index: u32, now: Instant) -> Option<Listed> {
        let record = self.records.get(index).filter(|record| record.is_live())?;
        if record.state() == State::Closed {
            return None;
        }
        let listed = quiet(record, index, now);
        Some(match self.extension_of(index) {
            Some(at) => busy(listed, record, self.extensions[at], now),
            None => listed,
        })
    }

    fn half_open_listed(&self, index: u32, now: Instant) -> Option<Listed> {
        let entry = self.half_open.live(index)?;
        Some(Listed {
            listener: entry.listener,
            idle_s: entry.handshake_us(now) / 1_000_000,
            snd_wnd: entry.snd_wnd.into(),
            ..unknown(Phase::HalfOpen, entry.tuple(), index)
        })
    }

    fn resting_listed(&self, index: u32, now: Instant) -> Option<Listed> {
        let entry = self.time_wait.live(index)?;
        let left_ms = entry.deadline_ms().wrapping_sub(now.as_millis_wrapped());
        let whole_ms = u32::try_from(TIME_WAIT.as_nanos() / 1_000_000).unwrap_or(u32::MAX);
        let idle_s = whole_ms.saturating_sub(left_ms) / 1_000;
        Some(Listed { idle_s, ..unknown(Phase::TimeWait, entry.tuple(), index) })
    }
}

fn unknown(phase: Phase, tuple: Tuple, index: u32) -> Listed {
    Listed {
        phase,
        tuple,
        listener: u16::MAX,
        is_active: false,
        is_busy: false,
        index,
        generation: 0,
        idle_s: 0,
        srtt_us: 0,
        rttvar_us: 0,
        cwnd: 0,
        ssthresh: u32::MAX,
        snd_wnd: 0,
        bytes_in_flight: 0,
        bytes_queued: 0,
        bytes_unread: 0,
    }
}

/// What the record says; of a busy one only what both do not hold.
fn quiet(record: &Record, index: u32, now: Instant) -> Listed {
    let Estimates { srtt_us, rttvar_us, ssthresh, cwnd } = record.estimates();
    Listed {
        listener: record.listener,
        is_active: record.has(Flags::ACTIVE),
        generation: record.generation,
        idle_s: now.as_secs_wrapped().wrapping_sub(record.extension),
        srtt_us,
        rttvar_us,
        cwnd,
        ssthresh,
        snd_wnd: u32::from(record.snd_wnd) << record.send_scale(),
        ..unknown(Phase::Record(record.state()), record.tuple(), index)
    }
}

fn busy(listed: Listed, record: &Record, mut extension: Extension, now: Instant) -> Listed {
    let busy_s = Instant::from_nanos(extension.busy_at).as_secs_wrapped();
    let fin = u32::from(extension.has(Busy::FIN_SENT));
    let controller = congestion::controller(&mut extension);
    let (cwnd, ssthresh) = (controller.window(), controller.threshold());
    Listed {
        is_busy: true,
        idle_s: now.as_secs_wrapped().wrapping_sub(busy_s),
        srtt_us: extension.srtt_us,
        rttvar_us: extension.rttvar_us,
        cwnd,
        ssthresh,
        snd_wnd: extension.snd_wnd,
        // A FIN takes a number and is no byte.
        bytes_in_flight: record.snd_nxt.wrapping_sub(extension.snd_una).saturating_sub(fin),
        bytes_queued: extension.snd_end.wrapping_sub(record.snd_nxt.wrapping_sub(fin)),
        bytes_unread: extension.backlog_len,
        ..listed
    }
}
