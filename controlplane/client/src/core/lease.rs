//! The lease: authority from the instant of sending, and its end.

use base::{Duration, Instant};
use protocol::{Ends, ReletAnswer, RequestKind, SessionId, SessionState, WaitMsgAnswer};
use protocol::{write_bare, write_bye, write_relet};

use super::Core;
use super::conn::{Conn, ConnId, Flight, Slot};
use crate::authority::{Authority, Ended};
use crate::event::Event;
use crate::limits::{RELETS_MAX, RELETS_PER_LEASE};
use crate::trouble::Trouble;

impl Core {
    /// Sends a `RELET` where one is due, and gives up a receive connection that is silent.
    pub(super) fn poll_lease(&mut self, now: Instant) {
        self.check_lease(now);
        if !self.is_attached || self.relet_at > now {
            return;
        }
        let Some(conn) = self.slots.first().and_then(|slot| slot.conn.as_ref()) else {
            return;
        };
        let id = conn.id;
        let silence = now.saturating_since(conn.heard);
        let relets = |flight: &&Flight| matches!(flight, Flight::Relet { .. });
        let open = conn.flights.values().filter(relets).count();
        if (open > 0 && silence >= self.part_of_lease(2)) || open >= RELETS_MAX {
            self.trouble = Some(Trouble::Unanswered);
            self.drop_conn(id, now, Duration::ZERO);
            return;
        }
        self.counters.relets_sent += 1;
        self.relet_at = now + self.part_of_lease(1);
        let write = |out: &mut Vec<u8>, id| write_relet(out, id, u64::from(id));
        self.fly(id, Flight::Relet { sent: now }, write);
    }

    fn part_of_lease(&self, parts: u64) -> Duration {
        // A switch that leases for no time is not asked without a pause.
        let nanos = self.lease.as_nanos() * parts / RELETS_PER_LEASE;
        Duration::from_nanos(nanos).max(Duration::from_micros(100))
    }

    /// When the lease has to be looked at again.
    pub(super) fn lease_due(&self) -> Option<Instant> {
        let relet = self.is_attached.then_some(self.relet_at);
        let deadline = self.authority.as_ref().and_then(Authority::deadline);
        relet.into_iter().chain(deadline).chain(self.outlived_due()).min()
    }

    /// Whether the deadline has passed is asked before anything else is believed.
    pub(super) fn check_lease(&mut self, now: Instant) {
        if self.closing.is_some() {
            return;
        }
        self.check_outlived(now);
        if let Some(authority) = &self.authority
            && authority.remaining(now) == Duration::ZERO
        {
            self.lapse(now);
        }
    }

    pub(super) fn on_wait_msg(&mut self, answer: WaitMsgAnswer, sent: Instant, now: Instant) {
        let deadline = sent + self.lease;
        if deadline <= now {
            self.lapse(now);
            return;
        }
        if let Some(authority) = &self.authority {
            // A switch that has forgotten a session has also forgotten its ports.
            let is_known = answer.state != SessionState::New || self.held.is_empty();
            if !is_known || !authority.extend(deadline, now) {
                self.lapse(now);
                return;
            }
        } else {
            self.authority = Some(Authority::until(deadline));
        }
        self.relet_at = sent + self.part_of_lease(1);
        self.is_attached = true;
        let expected = self.notice_next.replace(answer.notice);
        let switch = self.switch.clone();
        self.tell(Event::Connected { epoch: self.epoch, switch });
        if expected.is_none() {
            // A session begins here, and nothing of it was asked for before.
            self.wait_again(now);
        } else if expected != Some(answer.notice) || answer.state == SessionState::New {
            self.on_notices_lost(now);
        }
    }

    pub(super) fn on_relet(&mut self, answer: &ReletAnswer, sent: Instant, now: Instant) {
        self.counters.relets_answered += 1;
        self.recovery.on_relet(sent);
        if self.closing.is_some() {
            return;
        }
        let deadline = sent + Duration::from_millis(answer.lease_ms.into());
        if self.authority.as_ref().is_some_and(|authority| !authority.extend(deadline, now)) {
            self.lapse(now);
        }
    }

    /// The session is over; another begins. Nothing of the old one is an owner any more when it is
    /// said that its ports may go.
    pub(super) fn lapse(&mut self, now: Instant) {
        self.counters.sessions_lapsed += 1;
        if let Some(authority) = self.authority.take() {
            authority.end(Ended::Lapsed);
        }
        self.say_yield();
        self.say_bye();
        let ports = self.forget() + self.drop_outlived(Ended::Lapsed);
        self.tell(Event::Lapsed { ports });
        self.forget_told();
        let conns = self.slots.iter().filter_map(|slot| slot.conn.as_ref().map(|conn| conn.id));
        for id in conns.collect::<Vec<_>>() {
            self.drop_conn(id, now, Duration::ZERO);
        }
        let mut session = [0; 16];
        session[..8].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        session[8..].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        self.session = SessionId(session);
    }

    /// Gives every port back at once. `false`: there is no connection to say it on.
    pub(super) fn say_yield(&mut self) -> bool {
        let Some(id) = self.attached() else {
            return false;
        };
        self.fly(id, Flight::Yield, |out, id| write_bare(out, RequestKind::Yield, id));
        true
    }

    /// Ends the session, unless that was said.
    pub(super) fn say_bye(&mut self) {
        let is_said = |conn: &Conn| conn.flights.values().any(|each| matches!(each, Flight::Bye));
        if let Some(id) = self.attached().filter(|id| !self.conn(*id).is_some_and(is_said)) {
            self.fly(id, Flight::Bye, |out, id| write_bye(out, id, Ends::Session));
        }
    }

    /// Of a client that closes: ends the session once everything that was asked before is answered,
    /// for what comes later is refused.
    pub(super) fn poll_closing(&mut self) {
        let is_quiet = |slot: &Slot| {
            let ready = slot.conn.as_ref().filter(|conn| conn.is_ready());
            ready.is_none_or(|conn| conn.flights.is_empty() && slot.is_idle())
        };
        if self.closing.is_some() && self.slots[self.first_send()..].iter().all(is_quiet) {
            self.say_bye();
        }
    }

    /// The receive connection, where the session is.
    fn attached(&self) -> Option<ConnId> {
        let conn = self.slots.first().and_then(|slot| slot.conn.as_ref())?;
        (self.is_attached && self.has_session()).then_some(conn.id)
    }
}
