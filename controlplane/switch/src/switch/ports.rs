//! Registering, unregistering, querying, and taking wishes back.

use protocol::{
    ErrorFrame, Holder, Names, Owner, QueryPort, RegPort, RegisterFailure, Sequence, UnregPort,
    UnregisterFailure,
};

use super::{Standing, Switch};
use crate::access::AccessEntry;
use crate::connection::ConnId;
use crate::interests::Kind;
use crate::limits::ITEMS_KEPT_MAX;
use crate::refusal;
use crate::sessions::Sessions;
use crate::shard::{Asker, Wishes};
use crate::split::Entry;

type Outcome = Result<(), ErrorFrame<'static>>;

impl Switch {
    pub(super) fn handle_reg(&mut self, conn: ConnId, id: u32, reg: &RegPort<'_>) -> Outcome {
        let session = self.session_of(conn)?;
        self.require_no_grace()?;
        let held = self.held_by_node(session);
        let entry = entry_of(&self.config.access, self.connections.at(conn).access);
        let asker = Asker {
            session,
            ports_left: entry.quota.ports_max.saturating_sub(held),
            places_max: [entry.quota.subscriptions_max, entry.quota.waiting_max],
            allowed: &entry.register,
        };
        let wishes = Wishes { subscribe: reg.flags.subscribe, wait: reg.flags.wait };
        let mut failures = std::mem::take(&mut self.lists.failures);
        let mut grants = std::mem::take(&mut self.lists.grants);
        self.shards.register(reg.names, asker, wishes, &mut failures, &mut grants);
        let granted = grants.iter().map(|grant| u64::from(grant.count));
        self.counters.ports_granted += granted.sum::<u64>();
        // Whoever follows what was granted is told before the grant is.
        self.tell_events();
        self.owners.begin();
        for failure in &mut failures {
            self.counters.not_granted(failure.code);
            failure.place = failure.owner.map(|session| self.owners.place(session));
        }
        let sessions = &self.sessions;
        let named = self.owners.sessions().iter().map(|&session| owner(sessions, session));
        let listed = failures.iter().map(|failure| RegisterFailure {
            item: failure.item,
            code: failure.code,
            owner: failure.place,
            sequence: Sequence::from_bits(failure.sequence),
        });
        self.connections.answer(conn, |out| {
            protocol::write_reg_port_answer(out, id, &grants, named, listed);
        });
        keep(&mut self.lists.failures, failures);
        keep(&mut self.lists.grants, grants);
        Ok(())
    }

    pub(super) fn handle_unreg(&mut self, conn: ConnId, id: u32, unreg: &UnregPort<'_>) -> Outcome {
        let standing = self.standing(conn);
        let session = match standing {
            Standing::Without => return Err(refusal::NO_SESSION),
            Standing::Refused(error) => return Err(error),
            Standing::Live(session) | Standing::Draining(session, _) => session,
        };
        let mut failures = std::mem::take(&mut self.lists.not_released);
        let released = self.shards.unregister(unreg, session, &mut failures);
        self.counters.ports_released += u64::from(released);
        failures.iter().for_each(|failure| self.counters.not_released(failure.code));
        self.tell_events();
        self.connections.answer(conn, |out| {
            let failures = failures
                .iter()
                .map(|failure| UnregisterFailure { item: failure.item, code: failure.code });
            protocol::write_unreg_port_answer(out, id, failures);
        });
        keep(&mut self.lists.not_released, failures);
        if let Standing::Draining(session, eviction) = standing {
            self.end_if_drained(session, eviction);
        }
        Ok(())
    }

    pub(super) fn handle_query(&mut self, conn: ConnId, id: u32, query: &QueryPort<'_>) -> Outcome {
        let session = self.session_or_none(conn)?;
        let entry = entry_of(&self.config.access, self.connections.at(conn).access);
        if !entry.query.is_any() && !query.names.iter().all(|name| entry.query.allows(name)) {
            return Err(refusal::FORBIDDEN);
        }
        let mut holders = std::mem::take(&mut self.lists.holders);
        let mut ports = std::mem::take(&mut self.lists.ports);
        // Whoever held it before may hold it still.
        let nobody = if self.is_in_grace() { Holder::Unknown } else { Holder::Free };
        let owners = &mut self.owners;
        owners.begin();
        holders.resize(query.names.len() as usize, (Sequence::NONE, nobody));
        let items = (0..).map(|item| Entry { item, ..Entry::default() });
        self.shards.find(query.names.iter(), items, |entry, shard, found| {
            let Some(port) = found else { return };
            let holder = Holder::Owner(owners.place(shard.session(port.slot)));
            holders[entry.item as usize] = (Sequence::from_bits(port.sequence), holder);
            if query.subscribe {
                ports.push(port);
            }
        });
        self.counters.ports_queried += u64::from(query.names.len());
        let outcome = match (query.subscribe, session) {
            (false, _) => Ok(()),
            (true, None) => Err(refusal::NO_SESSION),
            (true, Some(session)) => {
                let subscriptions_max = entry.quota.subscriptions_max;
                let asker = Asker {
                    session,
                    ports_left: 0,
                    places_max: [subscriptions_max, 0],
                    allowed: &entry.register,
                };
                self.shards
                    .subscribe(&ports, &asker)
                    .map_err(|_full| refusal::quota(subscriptions_max, "subscriptions"))
            }
        };
        if outcome.is_ok() {
            let sessions = &self.sessions;
            let named = self.owners.sessions().iter().map(|&session| owner(sessions, session));
            self.connections.answer(conn, |out| {
                protocol::write_query_port_answer(out, id, named, &holders);
            });
        }
        keep(&mut self.lists.holders, holders);
        keep(&mut self.lists.ports, ports);
        outcome
    }

    pub(super) fn handle_cancel(&mut self, conn: ConnId, id: u32, names: Names<'_>) -> Outcome {
        let session = self.session_of(conn)?;
        let count = self.shards.unfollow(Kind::Waiter, names, session);
        self.connections.answer(conn, |out| protocol::write_cancel_wait_answer(out, id, count));
        Ok(())
    }

    pub(super) fn handle_unsubscribe(
        &mut self,
        conn: ConnId,
        id: u32,
        names: Names<'_>,
    ) -> Outcome {
        let session = self.session_of(conn)?;
        let count = self.shards.unfollow(Kind::Subscriber, names, session);
        self.connections.answer(conn, |out| protocol::write_unsubscribe_answer(out, id, count));
        Ok(())
    }

    /// Ports that the node of a session holds or waits for.
    fn held_by_node(&self, session: u32) -> u64 {
        let node = self.sessions.session(session).node;
        let waiting = self.shards.places_of(Kind::Waiter, session);
        let held = |session| self.shards.ports_of(session);
        self.sessions.of_node(node).map(held).sum::<u64>() + u64::from(waiting)
    }
}

/// The entry of the list by which a connection came in.
pub(super) fn entry_of(access: &[AccessEntry], index: u32) -> &AccessEntry {
    &access[index as usize]
}

/// A session as others know it.
fn owner(sessions: &Sessions, session: u32) -> Owner<'_> {
    let session = sessions.session(session);
    Owner { node: &sessions.node(session.node).name, address: &session.address }
}

/// Keeps a list for the next request, unless it is far longer than most need.
fn keep<T>(place: &mut Vec<T>, mut list: Vec<T>) {
    list.clear();
    if list.capacity() <= ITEMS_KEPT_MAX {
        *place = list;
    }
}
