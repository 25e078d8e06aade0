//! Grants of which this session was not told, as the switch says that it has them.
//!
//! The answer that grants a port may be lost with its connection, and so may the push. The sequence is then
//! asked for, once for each port: who holds one port twice releases it under its own feet. What a call has
//! asked for again, because it waits, is no other question than its own. A push that was not lost after all
//! may come behind the answer, and is none any more. And only a grant that was never
//! known is taken for a lost one: what is released while questions are under way is noted, for its number
//! may be what they are answered.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use base::Instant;
use protocol::{RegisterCode, RegisterFlags, Sequence};

use super::Core;
use super::answers::is_followed;
use super::batch::{Kind, Tag};
use crate::event::{Event, Grant, Holder, Registered};
use crate::limits::RELEASES_NOTED_MAX;
use crate::numbers::Numbers;

/// What is asked for, and what was found so.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Questions of this session that are under way.
    asked: BTreeMap<Arc<str>, Asked>,
    /// Grants that were found, whose push may be on the way yet, and when that was.
    found: BTreeMap<Arc<str>, (Sequence, Instant)>,
    /// What was released while something was asked for.
    released: HashSet<Sequence, BuildHasherDefault<Numbers>>,
    /// Whether not all of it had a place.
    is_full: bool,
}

#[derive(Debug)]
struct Asked {
    /// Whose question it is.
    tag: Tag,
    /// The latest grant that was told meanwhile.
    told: Option<Sequence>,
}

impl Recovery {
    /// A question is not under way any more. `None`: it is one of an earlier session, or another took its
    /// place; else the latest grant that was told since.
    fn on_ended(&mut self, name: &str, tag: Tag) -> Option<Option<Sequence>> {
        let told = self.asked.get(name).filter(|asked| asked.tag == tag)?.told;
        self.asked.remove(name);
        if self.asked.is_empty() {
            self.released.clear();
            self.is_full = false;
        }
        Some(told)
    }

    /// Whether a question was asked for what a call waits for, and the call itself has asked since.
    fn is_left_to_call(&self, name: &str, tag: Tag) -> bool {
        let by_call = |asked: &Asked| matches!(asked.tag, Tag::Recover { .. });
        let asked =
            self.asked.get(name).filter(|asked| by_call(asked) && tag.is_wait_of(asked.tag));
        asked.is_some()
    }

    /// Whether a question is under way.
    #[inline]
    pub(super) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// A port was released.
    #[inline]
    pub(super) fn on_released(&mut self, sequence: Sequence) {
        if self.is_asking() {
            self.is_full |= self.released.len() >= RELEASES_NOTED_MAX;
            if !self.is_full {
                self.released.insert(sequence);
            }
        }
    }

    /// Whether a grant was, or may have been, released while something was asked for.
    fn is_released(&self, sequence: Sequence) -> bool {
        self.is_full || self.released.contains(&sequence)
    }

    /// A port is granted.
    pub(super) fn on_granted(&mut self, name: &str, sequence: Sequence) {
        if let Some(asked) = self.asked.get_mut(name) {
            asked.told = asked.told.max(Some(sequence));
        }
    }

    /// Whether a push tells of a grant that was found before.
    pub(super) fn is_found(&self, name: &str, sequence: Sequence) -> bool {
        self.found.get(name).is_some_and(|(found, _at)| *found >= sequence)
    }

    /// A `RELET` that was sent then is answered, and so every push from before it has come.
    pub(super) fn on_relet(&mut self, sent: Instant) {
        self.found.retain(|_name, (_sequence, at)| *at >= sent);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.found.len()
    }
}

impl Asked {
    const fn of(tag: Tag) -> Self {
        Self { tag, told: None }
    }

    /// Whether no call waits for what is found.
    fn is_for_nobody(&self) -> bool {
        self.tag == NOBODY
    }
}

impl Tag {
    /// Whether it asks for what another one's call waits for, and not for the call itself.
    fn is_wait_of(self, other: Self) -> bool {
        matches!(self, Self::RecoverWait { .. }) && self.call() == other.call()
    }
}

/// A question that no call asks.
const NOBODY: Tag = Tag::RecoverWait { request: 0 };

const fn mine() -> Registered<Grant> {
    Registered::Failed { code: RegisterCode::Mine, owner: None }
}

impl Core {
    /// A port that is held already, by a grant that was not told: its sequence is asked for.
    pub(super) fn recover(&mut self, name: &str, tag: Tag, now: Instant) {
        let asking = match tag {
            Tag::Call { request, item } => Tag::Recover { request, item },
            Tag::Wait { request } => Tag::RecoverWait { request },
            Tag::Recover { .. } | Tag::RecoverWait { .. } | Tag::Nobody => return,
        };
        let asked = self.recovery.asked.get(name).filter(|asked| !asked.is_for_nobody());
        match asked.map(|asked| asked.tag) {
            // What the call asks is answered for its wait too.
            Some(before) if asking.is_wait_of(before) => {}
            Some(before) if !before.is_wait_of(asking) => {
                self.untell(name, tag, false);
                self.on_outcome(name, tag, mine(), now);
            }
            Some(_) | None => {
                self.recovery.asked.insert(Arc::from(name), Asked::of(asking));
                self.ask_for_grant(name, asking, now);
            }
        }
    }

    /// The end of a wait came too late, for it had ended by a grant, the push of which may be lost.
    pub(super) fn recover_for_nobody(&mut self, name: &str, now: Instant) {
        if !self.recovery.asked.contains_key(name) {
            self.recovery.asked.insert(Arc::from(name), Asked::of(NOBODY));
            self.ask_for_grant(name, NOBODY, now);
        }
    }

    fn ask_for_grant(&mut self, name: &str, tag: Tag, now: Instant) {
        self.push(Kind::Query { subscribe: false }, (name, tag, Sequence::NONE, &[]), now);
    }

    pub(super) fn on_recovered(&mut self, name: &str, tag: Tag, holder: Holder, now: Instant) {
        let is_released = match &holder {
            Holder::Owner(owner) => self.recovery.is_released(owner.token.sequence),
            Holder::Free | Holder::Unknown => false,
        };
        if self.recovery.is_left_to_call(name, tag) {
            return;
        }
        let Some(told) = self.recovery.on_ended(name, tag) else {
            // What the session before held is not this one's, though the node's id is the same.
            self.register_again(name, tag, now);
            return;
        };
        let is_known = |sequence| {
            is_released || self.held.contains(sequence) || told.is_some_and(|told| told >= sequence)
        };
        let is_own = matches!(&holder, Holder::Owner(owner) if *owner.node == *self.config.node);
        if !is_own && self.waits.call_of(name) == Some(tag.call()) {
            // This session released it meanwhile, so there is a queue to wait in.
            self.register_again(name, tag, now);
            return;
        }
        let port = match holder {
            Holder::Owner(owner) if is_own => {
                let sequence = owner.token.sequence;
                if is_known(sequence) {
                    mine()
                } else if tag == NOBODY {
                    self.release_found(name, sequence, now);
                    return;
                } else {
                    self.recovery.found.insert(Arc::from(name), (sequence, now));
                    let Some(grant) = self.grant(name, sequence) else {
                        return;
                    };
                    Registered::Granted(grant)
                }
            }
            Holder::Owner(owner) => {
                Registered::Failed { code: RegisterCode::Held, owner: Some(owner) }
            }
            Holder::Free | Holder::Unknown => mine(),
        };
        self.untell(name, tag, is_followed(&port));
        self.on_outcome(name, tag, port, now);
    }

    /// A grant that nobody awaits is released. Whoever waits for the port now is granted it by a push, or is
    /// answered that the session has it, and asks then.
    fn release_found(&mut self, name: &str, sequence: Sequence, now: Instant) {
        if self.waits.call_of(name).is_none() {
            self.recovery.found.insert(Arc::from(name), (sequence, now));
            // If it is an earlier session's of the node, the switch knows that.
            self.push(Kind::Unregister, (name, Tag::Nobody, sequence, &[]), now);
        }
    }

    /// A question is refused; says who is to be told.
    pub(super) fn end_recovery(&mut self, name: &str, tag: Tag) -> Tag {
        if self.recovery.is_left_to_call(name, tag) {
            return Tag::Nobody;
        }
        self.recovery.on_ended(name, tag);
        tag
    }

    /// Whether the registration has left a subscription is not known. What is only waited for again asks for
    /// none, and that of its call may be under way yet.
    fn untell(&mut self, name: &str, tag: Tag, may_be_followed: bool) {
        if let Tag::Wait { .. } | Tag::RecoverWait { .. } = tag {
            return;
        }
        if self.told.on_unfollowed(name, tag.call()) && may_be_followed {
            match self.requests.get_mut(&tag.call()) {
                Some(pending) => pending.is_untold = true,
                None => self.tell(Event::SubscriptionsLost),
            }
        }
    }

    fn register_again(&mut self, name: &str, tag: Tag, now: Instant) {
        self.untell(name, tag, true);
        let is_waiting = self.waits.call_of(name) == Some(tag.call());
        let tag = match tag {
            Tag::Recover { request, item } if self.requests.contains_key(&request) => {
                Tag::Call { request, item }
            }
            Tag::RecoverWait { request } if is_waiting => Tag::Wait { request },
            Tag::Recover { .. }
            | Tag::RecoverWait { .. }
            | Tag::Call { .. }
            | Tag::Wait { .. }
            | Tag::Nobody => return,
        };
        let flags = RegisterFlags { subscribe: false, wait: is_waiting };
        self.push(Kind::Register(flags), (name, tag, Sequence::NONE, &[]), now);
    }
}
