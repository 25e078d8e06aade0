//! The sweep: a slow walk over all records for what needs no timer of its own.
//!
//! Keep-alive, the end of FIN-WAIT-2, idle connections and those that wait for an extension
//! are looked after once a walk. A turn looks at a bounded number of records, and the whole walk is paced so that
//! ten million idle records cost a fraction of a core.

use base::{Duration, Instant};

use crate::connections::{CloseReason, Tcp};
use crate::extension::Busy;
use crate::limits::{FIN_WAIT_2_S, SWEEP_NANOS_PER_RECORD, SWEEP_STEP, SWEEP_STRETCHES};
use crate::listener::KeepAlive;
use crate::record::Flags;
use crate::state::State;
use crate::timer::Due;
use crate::{Cx, Reply};

/// How long one walk over `slots` records takes: a second, or what keeps the walk below one
/// hundredth of a core. A record costs some 15 ns (a cache line that is prefetched), so ten
/// million are walked over in 15 seconds, and the sweep's deadlines are at most that late.
fn period(slots: u32) -> Duration {
    Duration::from_nanos((u64::from(slots) * SWEEP_NANOS_PER_RECORD).max(1_000_000_000))
}

/// Where the walk stands.
#[derive(Debug)]
pub(crate) struct Sweep {
    next: u32,
    /// When the walk began.
    began_at: Instant,
}

impl Sweep {
    pub(crate) fn new(now: Instant) -> Self {
        Self { next: 0, began_at: now }
    }
}

impl Tcp {
    pub(crate) fn sweep_deadline(&self) -> Option<Instant> {
        let slots = self.records.high_water();
        (slots > 0).then(|| {
            // An idle core wakes up for a stretch of the walk, not for every record, and not before
            // there is one to look at.
            let (next, slots) = (u64::from(self.sweep.next), u64::from(slots));
            let stretch = next * SWEEP_STRETCHES / slots + 1;
            let target = (slots * stretch).div_ceil(SWEEP_STRETCHES).max(next + 1).min(slots);
            let period = u128::from(period(self.records.high_water()).as_nanos());
            let nanos = (period * u128::from(target)).div_ceil(u128::from(slots));
            self.sweep.began_at
                + Duration::from_nanos(u64::try_from(nanos).expect("at most one period"))
        })
    }

    /// Walks on as far as the time allows; stops at the first record that asks for something.
    pub(crate) fn poll_sweep(&mut self, cx: &mut Cx<'_>) -> Option<Due> {
        let slots = self.records.high_water();
        let elapsed = cx.now.saturating_since(self.sweep.began_at).as_nanos();
        let period = period(slots).as_nanos();
        let share = u128::from(elapsed.min(period)) * u128::from(slots) / u128::from(period);
        let until = u32::try_from(share).expect("at most all slots");
        for _ in 0..SWEEP_STEP {
            if self.sweep.next >= until {
                break;
            }
            let index = self.sweep.next;
            self.sweep.next += 1;
            let ahead = index + 8;
            if ahead < slots {
                self.records.prefetch(ahead);
            }
            let due = self.look_after(cx, index);
            if due.is_some() {
                return due;
            }
        }
        if self.sweep.next >= slots && elapsed >= period {
            self.sweep = Sweep { next: 0, began_at: cx.now };
        }
        (self.sweep.next < until).then_some(Due::Handled)
    }

    fn look_after(&mut self, cx: &mut Cx<'_>, index: u32) -> Option<Due> {
        // Slots on the free list have an even generation.
        let record = self.records.get(index)?;
        if !record.is_live() || record.state() == State::Closed {
            return None;
        }
        if record.has(Flags::WANTS_WRITE) || record.has(Flags::WANTS_CLOSE) {
            return self.retry(cx, index);
        }
        let idle_s = self.idle_s(index, cx.now)?;
        if record.state() == State::FinWait2 && record.has(Flags::RECEIVE_CLOSED) {
            if idle_s >= FIN_WAIT_2_S {
                self.counters.finished += 1;
                self.end(cx.arena, index, CloseReason::Finished);
                return Some(Due::Handled);
            }
            return None;
        }
        let options = &self.listeners.entry(record.listener)?.options;
        let keep_alive = options.keep_alive;
        if let Some(most_s) = options.idle_s
            && record.is_idle()
            && !record.has(Flags::RECEIVE_CLOSED)
        {
            // A peer's own keep-alive probes are no work: a quiet record tells them apart.
            let is_busy = record.has(Flags::BUSY);
            let since_s = if is_busy { idle_s } else { record.idle_word_s(cx.now) };
            if since_s >= most_s {
                return Some(Due::Idle(self.conn(index)));
            }
        }
        if !record.has(Flags::KEEP_ALIVE) {
            return None;
        }
        self.keep_alive(cx, index, keep_alive?, idle_s)
    }

    /// Seconds since the connection was last active; `None` while a timer of its own runs, which
    /// gives the peer up sooner. What waits behind a hole, or for the service, keeps a connection
    /// busy without one.
    fn idle_s(&self, index: u32, now: Instant) -> Option<u32> {
        let record = &self.records[index];
        if !record.has(Flags::BUSY) {
            return Some(now.as_secs_wrapped().wrapping_sub(record.extension));
        }
        let extension = &self.extensions[record.extension];
        let is_timed = extension.rto_at != 0 || extension.probe_at != 0;
        let busy_s = Instant::from_nanos(extension.busy_at).as_secs_wrapped();
        // Once both directions have ended, only the service is waited for: nobody is left to ask.
        let is_over = extension.has(Busy::REST_OWED);
        let is_idle = record.state().may_be_quiet() && !is_timed && !is_over;
        is_idle.then(|| now.as_secs_wrapped().wrapping_sub(busy_s))
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //# MUST-26 ... Keep-alive packets MUST only be sent when no sent data is outstanding, and no
    //# data or acknowledgment packets have been received for the connection within an interval
    fn keep_alive(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        keep_alive: KeepAlive,
        idle_s: u32,
    ) -> Option<Due> {
        let KeepAlive { idle_s: first_s, interval_s, probes_max } = keep_alive;
        let record = &self.records[index];
        let sent = record.probes_sent();
        let due_s = first_s.saturating_add(interval_s.saturating_mul(u32::from(sent)));
        if idle_s < due_s {
            return None;
        }
        let (tuple, hop) = (record.tuple(), record.hop);
        self.counters.segments_out += 1;
        if sent >= probes_max {
            let repr = self.reset(index);
            self.counters.timed_out += 1;
            self.counters.resets_sent += 1;
            self.end(cx.arena, index, CloseReason::KeepAlive);
            return Some(Due::Reply(Reply { tuple, hop, repr }));
        }
        self.counters.keep_alive_probes += 1;
        let mut repr = self.acknowledgement(cx, index);
        //# Such a segment generally contains SEG.SEQ = SND.NXT-1
        repr.seq = wire::SeqNum(repr.seq.0.wrapping_sub(1));
        self.records[index].set_probes_sent(sent + 1);
        Some(Due::Reply(Reply { tuple, hop, repr }))
    }

    /// A connection that was refused an extension, or room, tries again.
    fn retry(&mut self, cx: &mut Cx<'_>, index: u32) -> Option<Due> {
        if !self.records[index].has(Flags::BUSY)
            && self.extensions.used() == self.extensions.capacity()
        {
            return None;
        }
        let conn = self.conn(index);
        if self.records[index].has(Flags::WANTS_CLOSE) {
            self.close_send(cx, conn);
            return Some(Due::Handled);
        }
        if !cx.arena.has_free(self.config.frames_free_min) || self.send_room(conn) == 0 {
            return None;
        }
        self.records[index].set(Flags::WANTS_WRITE, false);
        Some(Due::Writable(conn))
    }
}
