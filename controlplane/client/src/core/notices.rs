//! What the switch says unasked: messages, grants, what went away.

use std::sync::Arc;

use base::{Duration, Instant};
use protocol::{Gone, GoneReason, Granted, Message, Push, RegisterFlags, Sequence, Token};

use super::Core;
use super::batch::{Kind, Tag};
use super::conn::ConnId;
use super::inbox::watched;
use super::told::Overtaken;
use crate::event::{Event, Grant};
use crate::lot::PortName;

impl Core {
    pub(super) fn handle_push(&mut self, id: ConnId, push: &Push<'_>, now: Instant) {
        match push {
            Push::Greeting(greeting) => self.on_greeting(id, greeting, now),
            Push::Messages(messages) => {
                for Message { sequence, blob } in messages.iter() {
                    self.on_message_of(sequence, blob);
                }
            }
            Push::Grant(notice) => {
                self.on_notice(notice.notice, notice.next(), now);
                for Granted { sequence, name } in notice.items.iter() {
                    // The parser has seen that it is text.
                    let name = str::from_utf8(name).unwrap_or_default();
                    self.on_grant_pushed(name, sequence, now);
                }
            }
            Push::PortGone(notice) => {
                self.on_notice(notice.notice, notice.next(), now);
                notice.items.iter().for_each(|gone| self.on_gone(&gone));
            }
            Push::Flush(flush) => {
                let next = flush.notice.wrapping_add(1);
                if self.notice_next.replace(next) != Some(flush.notice) {
                    self.counters.notice_gaps += 1;
                }
                self.on_notices_lost(now);
            }
            Push::Leaving(leaving) => self.take_hint(leaving.hint),
            Push::Events(events) => events.iter().for_each(|event| self.on_watched(&event)),
            Push::Unknown => self.counters.pushes_unknown += 1,
        }
        let is_early = self.conn(id).is_some_and(|conn| !conn.is_ready());
        if is_early && !matches!(push, Push::Greeting(_) | Push::Leaving(_) | Push::Unknown) {
            self.counters.frames_malformed += 1;
            self.note_nonsense(id, "it pushes before the welcome".to_owned());
            self.drop_conn(id, now, Duration::ZERO);
        }
    }

    /// Notices are counted, so that one which is missing is missed.
    fn on_notice(&mut self, notice: u64, next: u64, now: Instant) {
        if self.notice_next.replace(next) != Some(notice) {
            self.counters.notice_gaps += 1;
            self.on_notices_lost(now);
        }
    }

    /// Whatever is known of others may be wrong, and a grant or a place in a queue may be among what
    /// was lost.
    pub(super) fn on_notices_lost(&mut self, now: Instant) {
        self.empty_cache();
        if self.told.on_flush() {
            self.tell(Event::SubscriptionsLost);
        }
        self.wait_again(now);
    }

    /// Asks again for what is waited for.
    pub(super) fn wait_again(&mut self, now: Instant) {
        let kind = Kind::Register(RegisterFlags { subscribe: false, wait: true });
        for (name, request) in self.waits.ask_again() {
            self.push(kind, (&name, Tag::Wait { request }, Sequence::NONE, &[]), now);
        }
    }

    fn on_grant_pushed(&mut self, name: &str, sequence: Sequence, now: Instant) {
        // It may have been asked for, and then it is known, and perhaps released again.
        if self.held.contains(sequence) || self.recovery.is_found(name, sequence) {
            return;
        }
        if let Some(grant) = self.grant(name, sequence) {
            self.hand_over(grant, now);
        }
    }

    /// A grant is for the call that waits for its port. One that nobody awaits is released.
    pub(super) fn hand_over(&mut self, grant: Grant, now: Instant) {
        match self.waits.remove(&grant.name) {
            Some(request) => self.waited.push_back((request, Event::Granted(grant))),
            None => self.give_up(&grant, now),
        }
    }

    fn on_gone(&mut self, gone: &Gone<'_>) {
        let Gone { reason, sequence, name } = *gone;
        let name = str::from_utf8(name).unwrap_or_default();
        if self.cache.on_gone(name, sequence) {
            self.counters.cache_gone += 1;
        }
        if let Some(name) = self.told.on_gone(name, sequence, reason) {
            self.tell_gone(name, sequence, reason);
        }
    }

    fn tell_gone(&mut self, name: Arc<str>, sequence: Sequence, reason: GoneReason) {
        let token = Token { epoch: self.epoch, sequence };
        // One that does not fit must not be missed in silence.
        if self.inbox.push(Event::Gone { name, token, reason }).is_err() {
            self.counters.events_dropped += 1;
            self.told.forget();
            self.tell(Event::SubscriptionsLost);
        }
    }

    /// The switch tells of this grant from now on, if nothing has overtaken its answer.
    pub(super) fn on_followed(&mut self, name: &str, call: u64, sequence: Sequence) {
        let Some(followed) = self.told.on_followed(name, call, sequence) else {
            return;
        };
        if let Err(Overtaken::Gone(sequence, reason)) = followed {
            self.tell_gone(Arc::from(name), sequence, reason);
        }
        match (followed, self.requests.get_mut(&call)) {
            (Ok(()), Some(pending)) => {
                let token = Token { epoch: self.epoch, sequence };
                pending.followed.push((Arc::from(name), token));
            }
            (Err(_overtaken), Some(pending)) => pending.is_untold = true,
            (Err(Overtaken::Flush), None) => self.tell(Event::SubscriptionsLost),
            (Ok(()) | Err(Overtaken::Gone(..)), None) => {}
        }
    }

    fn on_message_of(&mut self, sequence: Sequence, blob: &[u8]) {
        self.counters.messages_received += 1;
        if sequence.is_none() {
            self.on_message(None, blob.to_vec());
        } else if let Some(name) = self.held.name(sequence) {
            let token = Token { epoch: self.epoch, sequence };
            self.on_message(Some((name, token)), blob.to_vec());
        } else if !self.may_hold_more() {
            // A push that grants would have come before, and no answer that grants is to come.
            self.counters.messages_stale += 1;
        } else if self.early.push(sequence, blob) {
            self.counters.messages_early += 1;
        } else {
            self.counters.messages_early_dropped += 1;
        }
    }

    pub(super) fn on_message(&mut self, port: Option<(PortName, Token)>, blob: Vec<u8>) {
        if let Err(event) = self.inbox.push(Event::Message { port, blob }) {
            self.on_untold(&event);
        }
    }

    pub(super) fn on_watched(&mut self, event: &protocol::Event<'_>) {
        // What is missing is told in its place, as soon as there is one.
        if self.is_watch_missing {
            self.is_watch_missing = self.inbox.push(watched(&protocol::Event::MISSING)).is_err();
        }
        if self.is_watch_missing {
            self.counters.events_dropped += 1;
        } else if let Err(event) = self.inbox.push(watched(event)) {
            self.is_watch_missing = true;
            self.on_untold(&event);
        }
    }
}
