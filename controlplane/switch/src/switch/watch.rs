//! Watches: everything that happens to ports, as far as the watcher keeps up.

use protocol::{ErrorFrame, Event, EventKind, RequestKind, Role, Sequence};

use super::Switch;
use super::operate::require;
use super::ports::entry_of;
use crate::connection::{ConnId, Watch};
use crate::limits::WATCHERS_MAX;
use crate::outbox::Pushed;
use crate::refusal;
use crate::shard::{Name, Seen};

/// Bytes that an event takes beside its texts, with a frame of its own.
const EVENT_OVERHEAD: usize = 64;

impl Switch {
    pub(super) fn handle_watch(
        &mut self,
        conn: ConnId,
        id: u32,
        prefix: &str,
    ) -> Result<(), ErrorFrame<'static>> {
        self.session_or_none(conn)?;
        let connection = self.connections.at(conn);
        require(connection.role, Role::Observer)?;
        if !entry_of(&self.config.access, connection.access).query.allows(prefix.as_bytes()) {
            return Err(refusal::FORBIDDEN);
        }
        if connection.watch.is_some() {
            return Err(refusal::state("this connection watches already"));
        }
        if self.watchers.len() == WATCHERS_MAX {
            return Err(refusal::BUSY);
        }
        let prefix = prefix.as_bytes().to_vec();
        let watch = Watch { id, prefix, is_missing: false };
        self.connections.at_mut(conn).watch = Some(Box::new(watch));
        self.watchers.push(conn);
        self.shards.set_watched(true);
        let kind = RequestKind::Watch;
        self.connections.answer(conn, |out| protocol::write_bare_answer(out, kind, id));
        Ok(())
    }

    /// Shows something that happened in a shard to everybody who watches such names.
    pub(super) fn show(&mut self, at: usize, (what, node, sequence): (Seen, u32, u64), name: Name) {
        let name = self.shards.name(at, name);
        let node = self.sessions.node(node).name.as_str();
        let event = Event {
            event: match what {
                Seen::Registered => EventKind::Registered,
                Seen::Released => EventKind::Released,
                Seen::Lost => EventKind::Lost,
            },
            sequence: Sequence::from_bits(sequence),
            node,
            name,
        };
        for &conn in &self.watchers {
            let connection = self.connections.at_mut(conn);
            let waiting = connection.outbox.pushes_len();
            let Some(watch) = connection.watch.as_deref_mut() else {
                continue;
            };
            if !name.starts_with(&watch.prefix) {
                continue;
            }
            let len = node.len() + name.len() + EVENT_OVERHEAD;
            if watch.is_missing || waiting + len > connection.queue_len_max as usize {
                watch.is_missing = true;
                self.counters.events_missing += 1;
                continue;
            }
            let id = watch.id;
            self.counters.events_told += 1;
            self.connections.push(conn, Pushed::Event(id, event));
        }
    }

    /// A watcher has room again: it is told that events are missing before the next comes.
    pub(super) fn tell_of_missing(&mut self, conn: ConnId) {
        let connection = self.connections.at_mut(conn);
        if let Some(watch) = connection.watch.as_deref_mut().filter(|watch| watch.is_missing) {
            watch.is_missing = false;
            let id = watch.id;
            self.connections.push(conn, Pushed::Event(id, Event::MISSING));
        }
    }
}
