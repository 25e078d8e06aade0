//! What a registration brought: ports that are held from now on, and those that are not.

use std::sync::Arc;

use base::Instant;
use protocol::{Outcome, RegPortAnswer, RegisterCode, RegisterFailure, RegisterFlags};
use protocol::{Sequence, Token};

use super::Core;
use super::answers::owner_of;
use super::batch::{Batch, Call, Kind, Tag, text_of};
use super::conn::ConnId;
use super::send::Deferred;
use crate::authority::Ended;
use crate::event::{Grant, Owner, Registered};
use crate::lot::{Lot, LotBuilder, PortName};

/// Ports of one call that an answer grants.
struct Granted {
    lot: LotBuilder,
    /// In the order of the lot.
    items: Vec<(Tag, Sequence)>,
}

impl Granted {
    /// One port needs no list.
    fn for_call(call: &Call<'_>) -> Self {
        let (count, len) = if call.count() > 1 { (call.count(), call.len()) } else { (0, 0) };
        Self { lot: LotBuilder::for_names(count, len), items: Vec::with_capacity(count) }
    }
}

impl Core {
    pub(super) fn on_registered(
        &mut self,
        id: ConnId,
        batch: &Batch,
        answer: &RegPortAnswer<'_>,
        now: Instant,
    ) {
        let shards = self.conn(id).map_or(1, |conn| conn.shards);
        let owners: Vec<Owner> =
            answer.owners.iter().map(|owner| owner_of(owner, Token::default())).collect();
        let names = batch.names();
        let mut outcomes = names.clone().zip(answer.outcomes(names, shards));
        for call in batch.calls() {
            let mut granted = Granted::for_call(&call);
            for (tag, (name, outcome)) in call.tags().zip(outcomes.by_ref()) {
                let mut followed = Sequence::NONE;
                let port = match outcome {
                    Outcome::Granted(sequence) if call.count() == 1 => {
                        match self.grant(text_of(name), sequence) {
                            Some(grant) => Registered::Granted(grant),
                            None => continue,
                        }
                    }
                    Outcome::Granted(sequence) => {
                        granted.lot.push(name);
                        granted.items.push((tag, sequence));
                        continue;
                    }
                    Outcome::Failed(failure) if self.is_lost(text_of(name), tag, failure) => {
                        self.recover(text_of(name), tag, now);
                        continue;
                    }
                    Outcome::Failed(failure) => {
                        let index = failure.owner.and_then(|owner| usize::try_from(owner).ok());
                        let owner = index.and_then(|index| owners.get(index)).cloned();
                        followed = failure.sequence;
                        Registered::Failed { code: failure.code, owner }
                    }
                    Outcome::Unanswered => {
                        self.counters.frames_malformed += 1;
                        Registered::Failed { code: RegisterCode::Other(0), owner: None }
                    }
                };
                let name = text_of(name);
                self.on_outcome(name, tag, port, now);
                if batch.kind.subscribes() && !followed.is_none() {
                    self.on_followed(name, tag.call(), followed);
                } else if batch.kind.subscribes() {
                    self.told.on_unfollowed(name, tag.call());
                }
            }
            self.on_granted(batch.kind, granted, now);
        }
    }

    /// Whether a port may be this session's by a grant that was not told. What another call waits for
    /// comes to that by a push.
    fn is_lost(&self, name: &str, tag: Tag, failure: RegisterFailure) -> bool {
        let is_awaited = self.waits.call_of(name).is_some_and(|call| call != tag.call());
        failure.code == RegisterCode::Mine && !is_awaited
    }

    /// Whether the session may hold a port of which it does not know yet, and will come to know other than
    /// by a push: the answer is under way, or was lost and is asked for.
    pub(super) fn may_hold_more(&self) -> bool {
        self.registrations > 0
            || self.recovery.is_asking()
            || self.waits.is_any_queued()
            || self.slots.iter().any(|slot| slot.lanes.may_have_granted())
            || self.deferred.iter().any(Deferred::may_have_granted)
    }

    /// Messages for grants of which the session will not come to know any more are stale.
    pub(super) fn settle_early(&mut self) {
        if !self.early.is_empty() && !self.may_hold_more() {
            self.counters.messages_stale += self.early.clear();
        }
    }

    /// This session holds a port from now on.
    pub(super) fn grant(&mut self, name: &str, sequence: Sequence) -> Option<Grant> {
        let lot = Lot::of_one(name, self.authority.clone()?);
        self.hold(&lot, [sequence].into_iter());
        let token = Token { epoch: self.epoch, sequence };
        Some(Grant { name: PortName::new(lot, 0), token })
    }

    /// This session holds ports of a call from now on.
    fn on_granted(&mut self, kind: Kind, granted: Granted, now: Instant) {
        let Granted { lot, items } = granted;
        let (Some((first, _)), Some(authority)) = (items.first(), self.authority.clone()) else {
            return;
        };
        let lot = lot.finish(authority);
        self.hold(&lot, items.iter().map(|(_tag, sequence)| *sequence));
        if let Kind::Register(flags) = kind
            && flags != RegisterFlags::default()
        {
            for ((tag, _sequence), name) in items.iter().zip(Lot::names(&lot)) {
                if flags.wait {
                    self.waits.remove_of(tag.call(), &name);
                }
                if flags.subscribe {
                    self.told.on_unfollowed(&name, tag.call());
                }
            }
        }
        let (request, epoch) = (first.call(), self.epoch);
        let grants = items.iter().zip(Lot::names(&lot)).map(|((tag, sequence), name)| {
            (*tag, Grant { name, token: Token { epoch, sequence: *sequence } })
        });
        let Some(ports) = self.ports_of(request) else {
            grants.for_each(|(_tag, grant)| self.hand_over(grant, now));
            return;
        };
        for (tag, grant) in grants {
            ports[tag.item()] = Some(Registered::Granted(grant));
        }
        self.on_parts(request, items.len());
    }

    /// The ports of a lot are held, by these grants.
    fn hold(&mut self, lot: &Arc<Lot>, sequences: impl ExactSizeIterator<Item = Sequence> + Clone) {
        // Something is granted, so every lease of before is over as the switch counts them.
        self.end_outlived(Ended::Lapsed);
        self.counters.grants += u64::try_from(sequences.len()).unwrap_or(0);
        self.held.insert(lot, sequences.clone());
        if self.cache.is_idle() && self.early.is_empty() && !self.recovery.is_asking() {
            return;
        }
        for (sequence, name) in sequences.zip(Lot::names(lot)) {
            self.recovery.on_granted(&name, sequence);
            // Whoever had it before has it no more; the notice of it may come later than this answer.
            let before = Sequence::from_bits(sequence.to_bits().saturating_sub(1));
            if self.cache.on_gone(&name, before) {
                self.counters.cache_gone += 1;
            }
            let token = Token { epoch: self.epoch, sequence };
            for blob in self.early.take(sequence) {
                self.on_message(Some((name.clone(), token)), blob);
            }
        }
    }
}
