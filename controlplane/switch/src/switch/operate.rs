//! What operators ask: figures, lists, a node's end.

use protocol::{
    DropState, ErrorFrame, Figure, Limits, ListNodes, ListPorts, Names, NodeEntry, NodeState,
    NodeStatus, PageBatch, PortEntry, RequestKind, Role, Sequence, SessionId,
};

use super::ports::entry_of;
use super::{Standing, Switch};
use crate::connection::ConnId;
use crate::counters::Counters;
use crate::limits::{LIST_ENTRY_LEN_MAX, LIST_NODES_LOOKS_MAX};
use crate::refusal;
use crate::sessions::{Eviction, State};

/// The figures that are no counters, and what they are.
pub(super) const GAUGES: [(&str, &str); 13] = [
    ("connections", "Connections that the switch knows."),
    ("nodes", "Nodes of which a connection or a session is there."),
    ("sessions", "Sessions that are not over, those that drain included."),
    ("shards", "Tables that names are spread among."),
    ("ports", "Ports that are held, or kept for who waits."),
    ("ports_dead", "Ports of dead sessions that the sweep has not come to: free already."),
    ("ports_swept", "Ports of dead sessions that the sweep has taken out, since the start."),
    ("places", "Subscribers and waiters of all ports together."),
    ("watchers", "Watches of prefixes that there are."),
    ("table_cells", "Cells of the tables in use: more than ports where names are long."),
    ("table_buckets", "Buckets of the tables' indices that are there."),
    ("table_spilled", "Entries of the indices that found no room near their home."),
    ("table_moves", "Home buckets that growing has moved, since the start."),
];

type Outcome = Result<(), ErrorFrame<'static>>;

/// Refuses a role that is too low.
pub(super) fn require(role: Role, least: Role) -> Outcome {
    if role >= least { Ok(()) } else { Err(refusal::FORBIDDEN) }
}

impl Switch {
    /// Every figure of the switch by its name, counters last.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let table = self.shards.statistics();
        [
            ("connections", u64::from(self.connections.count())),
            ("nodes", self.sessions.nodes_count() as u64),
            ("sessions", self.sessions.count() as u64),
            ("shards", u64::from(self.shards.count())),
            ("ports", table.ports - table.ports_dead),
            ("ports_dead", table.ports_dead),
            ("ports_swept", self.shards.swept()),
            ("places", self.shards.places_used()),
            ("watchers", self.watchers.len() as u64),
            ("table_cells", table.cells),
            ("table_buckets", table.buckets),
            ("table_spilled", table.spilled),
            ("table_moves", table.moves),
        ]
        .into_iter()
        .chain(self.counters.iter())
    }

    /// What a figure is, if there is one of this name.
    pub fn meaning(figure: &str) -> Option<&'static str> {
        let mut all = GAUGES.into_iter().chain(Counters::meanings());
        all.find(|(name, _meaning)| *name == figure).map(|(_name, meaning)| meaning.trim())
    }

    pub(super) fn handle_query_node(&mut self, conn: ConnId, id: u32, names: Names<'_>) -> Outcome {
        self.session_or_none(conn)?;
        let (sessions, shards, now) = (&self.sessions, &self.shards, self.now);
        let statuses = names.texts().map(|name| {
            let first = |node| sessions.of_node(node).next();
            let Some(index) = sessions.node_named(name).and_then(first) else {
                return NodeStatus {
                    state: NodeState::Unknown,
                    address: "",
                    lease_ms: 0,
                    ports: 0,
                };
            };
            let session = sessions.session(index);
            let ports = sessions.of_node(session.node).map(|each| shards.ports_of(each));
            NodeStatus {
                state: state_of(session.state),
                address: &session.address,
                lease_ms: millis(sessions.left(index, now)),
                ports: ports.sum(),
            }
        });
        self.connections.answer(conn, |out| protocol::write_query_node_answer(out, id, statuses));
        Ok(())
    }

    pub(super) fn handle_ping(&mut self, conn: ConnId, id: u32) -> Outcome {
        match self.standing(conn) {
            Standing::Without | Standing::Live(_) | Standing::Draining(..) => {}
            Standing::Refused(error) => return Err(error),
        }
        let kind = RequestKind::Ping;
        self.connections.answer(conn, |out| protocol::write_bare_answer(out, kind, id));
        Ok(())
    }

    pub(super) fn handle_status(&mut self, conn: ConnId, id: u32) -> Outcome {
        self.session_or_none(conn)?;
        require(self.connections.at(conn).role, Role::Observer)?;
        let figures: Vec<_> = self.figures().collect();
        let figures = figures.iter().map(|&(key, value)| Figure { key, value });
        self.connections.answer(conn, |out| protocol::write_status_answer(out, id, figures));
        Ok(())
    }

    pub(super) fn handle_list_nodes(&mut self, conn: ConnId, id: u32, list: &ListNodes) -> Outcome {
        self.session_or_none(conn)?;
        let connection = self.connections.at(conn);
        require(connection.role, Role::Observer)?;
        let limits = connection.limits;
        let end = self.sessions.index_end();
        let begin = u32::try_from(list.cursor).unwrap_or(end).min(end);
        let last = end.min(begin.saturating_add(LIST_NODES_LOOKS_MAX));
        let count_max = page_len(list.count_max, &limits);
        let indices: Vec<u32> = (begin..last)
            .filter(|&index| self.sessions.session(index).state != State::Free)
            .take(count_max as usize)
            .collect();
        let is_full = indices.len() == count_max as usize;
        let next = indices.last().filter(|_| is_full).map_or(last, |&index| index + 1);
        let cursor = if next < end { u64::from(next) } else { 0 };
        let queued: Vec<u64> = indices.iter().map(|&index| self.queued(index)).collect();
        let (sessions, shards, now) = (&self.sessions, &self.shards, self.now);
        self.connections.answer(conn, |out| {
            let mut page = PageBatch::nodes(out, id, &limits);
            for (&index, &queued_bytes) in indices.iter().zip(&queued) {
                let session = sessions.session(index);
                let is_in = page.push(NodeEntry {
                    node: &sessions.node(session.node).name,
                    address: &session.address,
                    session: SessionId(session.id),
                    state: state_of(session.state),
                    lease_ms: millis(sessions.left(index, now)),
                    ports: shards.ports_of(index),
                    queued_bytes,
                });
                assert!(is_in, "{count_max} entries fit the frame");
            }
            page.finish(cursor);
        });
        Ok(())
    }

    pub(super) fn handle_list_ports(
        &mut self,
        conn: ConnId,
        id: u32,
        list: &ListPorts<'_>,
    ) -> Outcome {
        self.session_or_none(conn)?;
        let connection = self.connections.at(conn);
        require(connection.role, Role::Observer)?;
        let prefix = list.prefix.as_bytes();
        if !entry_of(&self.config.access, connection.access).query.allows(prefix) {
            return Err(refusal::FORBIDDEN);
        }
        let limits = connection.limits;
        let count_max = page_len(list.count_max, &limits);
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        let listed = self.shards.list(list.cursor, count_max, prefix, &mut |port, name| {
            names.extend_from_slice(name);
            ports.push((port, names.len()));
        });
        let (sessions, shards) = (&self.sessions, &self.shards);
        self.connections.answer(conn, |out| {
            let mut page = PageBatch::ports(out, id, &limits);
            let mut start = 0;
            for &(port, end) in &ports {
                let is_in = page.push(PortEntry {
                    sequence: Sequence::from_bits(port.sequence),
                    node: &sessions.node(shards.node_of(port)).name,
                    name: &names[start..end],
                });
                assert!(is_in, "{count_max} entries fit the frame");
                start = end;
            }
            page.finish(listed.cursor);
        });
        Ok(())
    }

    pub(super) fn handle_drop_node(&mut self, conn: ConnId, id: u32, node: &str) -> Outcome {
        self.session_or_none(conn)?;
        require(self.connections.at(conn).role, Role::Operator)?;
        let node = self.sessions.node_named(node);
        let node = node.filter(|&node| self.sessions.of_node(node).next().is_some());
        if let Some(live) = node.and_then(|node| self.sessions.live(node)) {
            self.evict(live, Eviction::Dropped);
        }
        let state = if node.is_some() { DropState::Drains } else { DropState::None };
        self.connections.answer(conn, |out| protocol::write_drop_node_answer(out, id, state));
        Ok(())
    }

    /// Bytes of pushes that wait for a session.
    fn queued(&self, index: u32) -> u64 {
        let conn = self.sessions.session(index).conn;
        conn.map_or(0, |conn| self.connections.at(conn).outbox.pushes_len() as u64)
    }
}

/// Entries of a page where so many are asked for; 0: as many as there may be.
fn page_len(count_max: u32, limits: &Limits) -> u32 {
    let fitting = (limits.frame_len_max() / LIST_ENTRY_LEN_MAX).min(limits.items_max());
    if count_max == 0 { fitting } else { count_max.min(fitting) }
}

fn state_of(state: State) -> NodeState {
    match state {
        State::Free => NodeState::Unknown,
        State::Live => NodeState::Live,
        State::Draining(_) => NodeState::Draining,
    }
}

fn millis(duration: base::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
