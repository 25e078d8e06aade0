//! Nodes and their sessions: who is live, who was evicted, and whose session is over.
//!
//! A node has at most one live session and a few that drain. What a connection keeps of its session
//! is its index and generation, so that it notices an end without being told. The ids of sessions
//! that ended are kept for a while: whoever comes back with one is told what became of it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use base::{Duration, Instant};

use crate::connection::ConnId;
use crate::lease::Leases;
use crate::limits::{DRAINING_PER_NODE_MAX, ENDED_MAX, NIL};
use crate::pool::Pool;
use crate::quota::Bucket;

/// The 128 bits that a library chooses for its session.
pub(crate) type Id = [u8; 16];

/// Why a session is evicted; the number of `Evicted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// Another session of the node came.
    Replaced,
    /// An operator dropped the node.
    Dropped,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was silent for the whole exclusion.
    Lapsed,
    /// It was evicted, and has no ports any more.
    Evicted(Eviction),
    /// It said so.
    Said,
}

/// What a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is over, or was never there.
    Free,
    /// It may do everything.
    Live,
    /// It may only give its ports back.
    Draining(Eviction),
}

/// Why notices of a session are lost; the reason of `FLUSH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// They did not fit the queue.
    Overflow,
    /// It had no receive connection.
    Away,
}

/// A session, in a way that shows whether it is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionRef {
    pub(crate) index: u32,
    generation: u32,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: Id,
    pub(crate) state: State,
    pub(crate) node: u32,
    /// Its receive connection.
    pub(crate) conn: Option<ConnId>,
    /// All of its connections.
    pub(crate) pool: Pool,
    /// Where other nodes reach it.
    pub(crate) address: String,
    /// The number of the next notice.
    pub(crate) notice: u64,
    /// Notices that no connection carried, and of which it has not been told.
    pub(crate) lost: Option<Lost>,
    /// A notice was put on the present receive connection.
    pub(crate) is_noticed: bool,
    generation: u32,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Its messages.
    pub(crate) bucket: Bucket,
    live: u32,
    draining: Vec<u32>,
    /// Connections, and slots whose ports are being swept or held.
    holds: u32,
}

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Sessions {
    nodes: Vec<Option<Node>>,
    nodes_free: Vec<u32>,
    by_name: BTreeMap<String, u32>,
    sessions: Vec<Session>,
    sessions_free: Vec<u32>,
    sessions_max: u32,
    leases: Leases,
    ended: BTreeMap<(Id, String), End>,
    ended_order: VecDeque<(Id, String)>,
}

impl Sessions {
    /// Room for `sessions_max` sessions, each of whose ports are kept for `exclusion` of silence.
    pub(crate) fn new(sessions_max: u32, exclusion: Duration) -> Self {
        Self {
            nodes: Vec::new(),
            nodes_free: Vec::new(),
            by_name: BTreeMap::new(),
            sessions: Vec::new(),
            sessions_free: Vec::new(),
            sessions_max,
            leases: Leases::new(sessions_max, exclusion),
            ended: BTreeMap::new(),
            ended_order: VecDeque::new(),
        }
    }

    /// A connection of node `name` came. Its node stays as long as one of its connections or
    /// sessions does, so there are no more nodes than those together.
    pub(crate) fn enter(&mut self, name: &str) -> u32 {
        let index = match self.by_name.get(name) {
            Some(&index) => index,
            None => self.add_node(name),
        };
        self.hold(index);
        index
    }

    /// Somebody else names the node by its index.
    pub(crate) fn hold(&mut self, node: u32) {
        self.node_mut(node).holds += 1;
    }

    /// A connection of the node, or somebody else who named it, is gone.
    pub(crate) fn leave(&mut self, node: u32) {
        self.node_mut(node).holds -= 1;
        self.forget_if_unused(node);
    }

    /// The node of that name, if anybody of it is there.
    pub(crate) fn node_named(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The node at `index`.
    pub(crate) fn node(&self, index: u32) -> &Node {
        self.nodes[index as usize].as_ref().expect("whoever names a node keeps it")
    }

    /// The node at `index`.
    pub(crate) fn node_mut(&mut self, index: u32) -> &mut Node {
        self.nodes[index as usize].as_mut().expect("whoever names a node keeps it")
    }

    /// The session at `index`.
    #[inline]
    pub(crate) fn session(&self, index: u32) -> &Session {
        &self.sessions[index as usize]
    }

    /// The session at `index`.
    #[inline]
    pub(crate) fn session_mut(&mut self, index: u32) -> &mut Session {
        &mut self.sessions[index as usize]
    }

    /// Indices of sessions lie below it.
    pub(crate) fn index_end(&self) -> u32 {
        u32::try_from(self.sessions.len()).expect("bounded by a u32")
    }

    /// How to find the session again.
    pub(crate) fn refer(&self, index: u32) -> SessionRef {
        SessionRef { index, generation: self.sessions[index as usize].generation }
    }

    /// Whether it is still that session.
    #[inline]
    pub(crate) fn is_same(&self, reference: SessionRef) -> bool {
        self.sessions[reference.index as usize].generation == reference.generation
    }

    /// The session of that node with that id, live or draining.
    pub(crate) fn find(&self, node: u32, id: &Id) -> Option<u32> {
        self.of_node(node).find(|&session| self.sessions[session as usize].id == *id)
    }

    /// The live session of the node.
    pub(crate) fn live(&self, node: u32) -> Option<u32> {
        let live = self.node(node).live;
        (live != NIL).then_some(live)
    }

    /// The sessions of the node, the live one first.
    pub(crate) fn of_node(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let node = self.node(node);
        let live = (node.live != NIL).then_some(node.live);
        live.into_iter().chain(node.draining.iter().copied())
    }

    /// What became of a session that is not there any more, as far as that is known.
    pub(crate) fn ended(&self, node: u32, id: &Id) -> Option<End> {
        self.ended.get(&(*id, self.node(node).name.clone())).copied()
    }

    /// Whether another session of the node would find room.
    pub(crate) fn has_room(&self, node: u32) -> bool {
        let has_index = !self.sessions_free.is_empty() || self.index_end() < self.sessions_max;
        has_index && self.node(node).draining.len() < DRAINING_PER_NODE_MAX
    }

    /// Begins the live session of a node that has none.
    pub(crate) fn begin(&mut self, node: u32, id: Id, address: &str) -> u32 {
        assert!(self.node(node).live == NIL, "node {node} has a live session");
        let index = match self.sessions_free.pop() {
            Some(index) => index,
            None => self.add_session(),
        };
        let session = &mut self.sessions[index as usize];
        session.id = id;
        session.state = State::Live;
        session.node = node;
        session.conn = None;
        session.pool.clear();
        session.address.clear();
        session.address.push_str(address);
        session.notice = 1;
        session.lost = None;
        session.is_noticed = false;
        self.node_mut(node).live = index;
        index
    }

    /// The session was heard at `now`.
    #[inline]
    pub(crate) fn renew(&mut self, session: u32, now: Instant) {
        self.leases.renew(session, now);
    }

    /// A session that is over by now.
    #[inline]
    pub(crate) fn due(&self, now: Instant) -> Option<u32> {
        self.leases.due(now)
    }

    /// When the next session will be over.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.leases.next_end()
    }

    /// How long the session's ports are kept if it stays silent.
    pub(crate) fn left(&self, session: u32, now: Instant) -> Duration {
        self.leases.ends_at(session).saturating_since(now)
    }

    /// A live session becomes one that drains. Its lease runs on.
    pub(crate) fn evict(&mut self, index: u32, eviction: Eviction) {
        let session = &mut self.sessions[index as usize];
        assert!(session.state == State::Live, "session {index} is {:?}", session.state);
        session.state = State::Draining(eviction);
        let node = session.node;
        let node = self.node_mut(node);
        node.live = NIL;
        node.draining.push(index);
    }

    /// The session is over, and its index will be another's.
    pub(crate) fn end(&mut self, index: u32, end: End) {
        self.leases.end(index);
        let session = &mut self.sessions[index as usize];
        let (id, node) = (session.id, session.node);
        session.state = State::Free;
        session.conn = None;
        session.generation = session.generation.wrapping_add(1);
        self.sessions_free.push(index);
        let name = self.node(node).name.clone();
        self.remember(id, name, end);
        let node_record = self.node_mut(node);
        if node_record.live == index {
            node_record.live = NIL;
        } else {
            node_record.draining.retain(|&draining| draining != index);
        }
        self.forget_if_unused(node);
    }

    /// Sessions that are not over.
    pub(crate) fn count(&self) -> usize {
        self.sessions.len() - self.sessions_free.len()
    }

    /// Nodes of which a connection or a session is there.
    pub(crate) fn nodes_count(&self) -> usize {
        self.by_name.len()
    }

    fn add_node(&mut self, name: &str) -> u32 {
        let node = Node {
            name: name.to_owned(),
            bucket: Bucket::new(),
            live: NIL,
            draining: Vec::new(),
            holds: 0,
        };
        let index = self.nodes_free.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            u32::try_from(self.nodes.len() - 1).expect("bounded by connections and sessions")
        });
        self.nodes[index as usize] = Some(node);
        self.by_name.insert(name.to_owned(), index);
        index
    }

    fn add_session(&mut self) -> u32 {
        let index = self.index_end();
        assert!(index < self.sessions_max, "the caller saw that there is room");
        self.sessions.push(Session {
            id: [0; 16],
            state: State::Free,
            node: NIL,
            conn: None,
            pool: Pool::default(),
            address: String::new(),
            notice: 1,
            lost: None,
            is_noticed: false,
            generation: 0,
        });
        index
    }

    fn forget_if_unused(&mut self, index: u32) {
        let node = self.node(index);
        if node.holds > 0 || node.live != NIL || !node.draining.is_empty() {
            return;
        }
        let node = self.nodes[index as usize].take().expect("it was there a line ago");
        self.by_name.remove(&node.name);
        self.nodes_free.push(index);
    }

    fn remember(&mut self, id: Id, name: String, end: End) {
        let key = (id, name);
        if self.ended.insert(key.clone(), end).is_none() {
            self.ended_order.push_back(key);
        }
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}
