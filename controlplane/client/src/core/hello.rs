//! The beginning of a connection, and what is learned of masters by it.

use std::sync::Arc;

use base::{Duration, Instant};
use protocol::write_bare;
use protocol::{ClusterId, Epoch, Greeting, Hello, RequestKind, VERSION, WAITS_OUT, Welcome};

use super::Core;
use super::batch::Kind;
use super::conn::{Action, ConnId, Flight, Phase};
use crate::authority::Ended;
use crate::config::is_endpoint;
use crate::error::Over;
use crate::event::Event;
use crate::limits::CONNECT_MAX;
use crate::trouble::Trouble;

impl Core {
    /// Dials what is due, and gives up what takes too long.
    pub(super) fn poll_dials(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if let Some(conn) = &slot.conn {
                if conn.phase != Phase::Ready && conn.since + CONNECT_MAX <= now {
                    let (id, late) = (conn.id, conn.late());
                    self.note_trouble(id, late);
                    self.drop_conn(id, now, Duration::ZERO);
                }
                continue;
            }
            if slot.retry_at <= now && self.closing.is_none() && self.may_dial(index) {
                let endpoint = self.choose_endpoint(index);
                let conn = self.slots[index].dial(index, Arc::clone(&endpoint), now);
                self.actions.push_back(Action::Connect { conn, endpoint });
            }
        }
    }

    /// The first connection finds the master; the others follow it.
    fn may_dial(&self, index: usize) -> bool {
        let first = self.slots[0].conn.as_ref();
        index == 0
            || if self.has_session() {
                self.is_attached
            } else {
                first.is_some_and(super::Conn::is_ready)
            }
    }

    fn choose_endpoint(&mut self, index: usize) -> Arc<str> {
        if index > 0
            && let Some(endpoint) = &self.endpoint_used
        {
            return Arc::clone(endpoint);
        }
        let endpoint = if let Some(hint) = self.hint.take() {
            // Ours come next, not the same again.
            self.endpoint_next %= self.endpoints.len();
            hint
        } else {
            let count = self.endpoints.len() + usize::from(self.hinted.is_some());
            let index = self.endpoint_next % count;
            self.endpoint_next = index + 1;
            let endpoint = self.endpoints.get(index).or(self.hinted.as_ref());
            Arc::clone(endpoint.expect("the index is below their count"))
        };
        self.endpoint_used = Some(Arc::clone(&endpoint));
        endpoint
    }

    /// Where the master may be, as a switch says. It may not be there yet, so the endpoint is tried again
    /// in its turn. Whoever is there proves itself as at any endpoint.
    pub(super) fn take_hint(&mut self, hint: &str) {
        if is_endpoint(hint) {
            let hint = Arc::from(hint);
            self.hinted = (!self.endpoints.contains(&hint)).then(|| Arc::clone(&hint));
            self.hint = Some(hint);
        }
    }

    pub(super) fn on_greeting(&mut self, id: ConnId, greeting: &Greeting, now: Instant) {
        let Greeting { version_min, version_max, features, cluster, epoch, nonce } = greeting;
        if self.conn(id).is_none_or(|conn| conn.phase != Phase::Greeting) {
            self.counters.frames_malformed += 1;
            self.note_nonsense(id, "it greets twice".to_owned());
            self.drop_conn(id, now, Duration::ZERO);
            return;
        }
        if !(*version_min..=*version_max).contains(&VERSION) {
            self.finish(Over::Version { min: *version_min, max: *version_max });
            return;
        }
        if self.cluster != ClusterId::ANY && *cluster != self.cluster {
            self.finish(Over::WrongCluster);
            return;
        }
        let hello = Hello {
            version: VERSION,
            role: self.config.role,
            features: features & WAITS_OUT,
            cluster: self.cluster,
            epoch_seen: self.epoch,
            session: self.session,
            index: u16::try_from(id.slot).expect("there are at most nine"),
            generation: id.generation,
            map_version: 0,
            groups: 1,
            group: 0,
            node: &self.config.node,
            address: &self.config.address,
        };
        let mut out = Vec::new();
        let secret = self.config.secret.as_deref().map(|secret| (secret, nonce));
        self.next_id += 1;
        hello.write(&mut out, self.next_id, secret);
        let hello_id = self.next_id;
        let is_receive = self.is_receive(id);
        if let Some(conn) = self.conn_mut(id) {
            conn.phase = Phase::Hello;
            conn.out.extend_from_slice(&out);
            conn.flights.insert(hello_id, Flight::Hello);
        }
        if *epoch < self.epoch {
            // It hears by that of the higher one, may go above it, and tells whoever runs it.
            self.on_stale(id, now);
            return;
        }
        if is_receive {
            // It may follow without waiting, and its instant counts as a RELET's.
            let wait = Flight::WaitMsg { sent: now };
            self.fly(id, wait, |out, id| write_bare(out, RequestKind::WaitMsg, id));
        }
    }

    fn on_stale(&mut self, id: ConnId, now: Instant) {
        self.counters.connections_stale += 1;
        self.note_trouble(id, Trouble::Stale);
        self.drop_conn(id, now, Duration::ZERO);
    }

    pub(super) fn on_welcome(&mut self, id: ConnId, welcome: &Welcome<'_>, now: Instant) {
        let Welcome { shards, cluster, epoch, lease_ms, exclusion_ms, limits, switch, .. } =
            *welcome;
        if self.cluster != ClusterId::ANY && cluster != self.cluster {
            self.finish(Over::WrongCluster);
            return;
        }
        if epoch < self.epoch {
            self.on_stale(id, now);
            return;
        }
        self.cluster = cluster;
        if epoch > self.epoch {
            self.on_epoch(id, welcome, now);
        }
        self.lease = Duration::from_millis(lease_ms.into());
        self.exclusion = Duration::from_millis(exclusion_ms.into());
        self.counters.connections_welcomed += 1;
        let Some(conn) = self.conn_mut(id) else {
            return;
        };
        conn.phase = Phase::Ready;
        conn.limits = limits;
        conn.shards = shards;
        conn.epoch = epoch;
        let endpoint = Arc::clone(&conn.endpoint);
        self.reach.on_reached(&endpoint);
        self.trouble = None;
        if id.slot == 0 && !self.has_session() {
            let connected = Event::Connected { epoch, switch: Arc::from(switch) };
            self.tell(connected);
            self.watch_again();
        } else if id.slot == 0 {
            self.switch = Arc::from(switch);
        }
    }

    /// There is a new master. What was held of the old one is not held any more, or for the rest of its
    /// lease.
    fn on_epoch(&mut self, id: ConnId, welcome: &Welcome<'_>, now: Instant) {
        let epoch = welcome.epoch;
        let old = std::mem::replace(&mut self.epoch, epoch);
        if old == Epoch::default() {
            return;
        }
        self.counters.epochs_new += 1;
        let mut ports = self.held.len();
        match self.authority.take() {
            Some(authority) if self.is_waited_out(welcome) => self.outlive(authority, old),
            None if self.is_waited_out(welcome) => {}
            authority => {
                authority.iter().for_each(|authority| authority.end(Ended::NewEpoch));
                ports += self.drop_outlived(Ended::NewEpoch);
            }
        }
        self.forget();
        self.tell(Event::NewEpoch { epoch, ports });
        self.forget_told();
        let conns = self.slots.iter().filter_map(|slot| slot.conn.as_ref().map(|conn| conn.id));
        for old in conns.filter(|old| *old != id).collect::<Vec<_>>() {
            self.drop_conn(old, now, Duration::ZERO);
            // The new master is there, so there is nothing to wait for.
            self.slots[old.slot].retry_at = now;
        }
    }

    /// Forgets what is known of a session in an epoch, and says how many ports it held. What was
    /// subscribed to is forgotten by `forget_told`.
    pub(super) fn forget(&mut self) -> usize {
        let ports = self.held.len();
        self.held.clear();
        self.recovery.clear();
        self.notice_next = None;
        self.is_attached = false;
        self.counters.messages_stale += self.early.clear();
        self.empty_cache();
        for index in 0..self.slots.len() {
            // What would be released is nobody's any more.
            let is_over =
                |kind| matches!(kind, Kind::Unregister | Kind::Unsubscribe | Kind::CancelWait);
            for batch in self.slots[index].lanes.take(is_over) {
                batch.runs().iter().for_each(|run| self.settle_run(run));
            }
        }
        ports
    }

    /// Nothing of what was subscribed to is told any more, and that is told.
    pub(super) fn forget_told(&mut self) {
        if self.told.forget() {
            self.tell(Event::SubscriptionsLost);
        }
    }

    pub(super) fn empty_cache(&mut self) {
        self.cache.flush();
        self.counters.cache_flushes += 1;
    }
}
