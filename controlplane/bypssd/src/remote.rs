//! A worker's side of a switch that another thread holds.
//!
//! It hands whole frames on and keeps what is to be sent. A connection has a bounded number of bytes
//! under way, and so has the lane: beyond that frames stay in the connection, whose kernel then stops
//! the other end, until the keeper has taken some.
//!
//! # Why one that does not read stops nobody else
//!
//! The bound of the lane is shared, so it counts only what is in the lane, which the keeper empties
//! whoever does what. What the keeper keeps for a connection because its answers do not leave counts
//! for that connection, which is not read meanwhile, and among the half frames, where the node that
//! has the most pays. Who waits for room in the lane gets it in turn, and what is small never waits.

mod room;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use base::{Duration, Instant};

use crate::config::Access;
use crate::lane::Sleeper;
use crate::limits::{CONN_UNDER_WAY_LEN, LANE_CAPACITY, LANE_FREE_LEN};
use crate::traffic::{Down, Spares, Up, WorkerEnds};
use crate::worker::{Figure, Peer, Service};
use room::{Room, fits};

/// One connection.
#[derive(Debug, Default)]
struct Conn {
    is_open: bool,
    generation: u32,
    /// A frame came: those that follow may be longer than a `HELLO`.
    is_begun: bool,
    /// Bytes that were handed on and not taken.
    under_way: usize,
    /// As many of those the keeper has out of the lane, until answers have left.
    kept: usize,
    /// Room in the lane that it was given and has not used.
    reserved: usize,
    /// The node that it has come in as, once the keeper has said so.
    node: Option<u32>,
    /// What is to be sent, of which so much was.
    out: Vec<u8>,
    sent: usize,
    /// So much has left, and the keeper has not been told.
    unsaid: usize,
    /// Everything was answered, after the other end had ended.
    is_whole: bool,
    is_closing: bool,
    is_dirty: bool,
    /// Bytes of frames that were not taken for want of room.
    blocked: usize,
    is_blocked: bool,
    /// It is in the list of those of which the keeper is to be told.
    is_unsaid: bool,
}

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Remote {
    ends: WorkerEnds,
    sleeper: Sleeper,
    frame_len_max: usize,
    conns: Vec<Conn>,
    room: Room,
    /// What found no room. Each connection has its end and its close here at most, because none is
    /// opened while there is something.
    waiting: VecDeque<Up>,
    /// Connections that sent something.
    unsaid: VecDeque<u32>,
    dirty: VecDeque<u32>,
    /// Connections whose frames were not taken, and those that may try again.
    blocked: VecDeque<u32>,
    unblocked: VecDeque<u32>,
    spares: Spares,
}

impl Remote {
    /// One that others wake by `sleeper`.
    pub(crate) fn new(ends: WorkerEnds, sleeper: Sleeper, frame_len_max: u32) -> Self {
        Self {
            ends,
            sleeper,
            frame_len_max: usize::try_from(frame_len_max).expect("32 bits fit"),
            conns: Vec::new(),
            room: Room::default(),
            waiting: VecDeque::new(),
            unsaid: VecDeque::new(),
            dirty: VecDeque::new(),
            blocked: VecDeque::new(),
            unblocked: VecDeque::new(),
            spares: Spares::default(),
        }
    }

    fn at(&self, conn: u32) -> &Conn {
        &self.conns[conn as usize]
    }

    fn at_mut(&mut self, conn: u32) -> &mut Conn {
        &mut self.conns[conn as usize]
    }

    /// Says something that must not be lost.
    fn say(&mut self, up: Up) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(up);
        } else if let Err(up) = self.ends.up.push(up) {
            self.waiting.push_back(up);
        }
    }

    /// Says what waits, as far as there is room.
    fn say_all(&mut self) {
        while let Some(up) = self.waiting.pop_front() {
            if let Err(up) = self.ends.up.push(up) {
                return self.waiting.push_front(up);
            }
        }
        while let Some(conn) = self.unsaid.pop_front() {
            let spare = self.spares.take();
            let Conn { unsaid, is_unsaid, .. } = &mut self.conns[conn as usize];
            let up = Up::Sent { conn, len: *unsaid, spare };
            if *unsaid > 0
                && let Err(up) = self.ends.up.push(up)
            {
                if let Up::Sent { spare, .. } = up {
                    self.spares.put(spare);
                }
                return self.unsaid.push_front(conn);
            }
            (*unsaid, *is_unsaid) = (0, false);
        }
    }

    /// Takes what the keeper has said; whether it was anything.
    fn listen(&mut self) -> bool {
        let mut has_heard = false;
        for _ in 0..LANE_CAPACITY {
            let Some(down) = self.ends.down.pop() else { break };
            has_heard = true;
            self.hear(down);
        }
        if has_heard {
            self.ends.down.rest();
        }
        has_heard
    }

    fn hear(&mut self, down: Down) {
        let Down { drained, conn, generation, taken, kept, node, bytes, spare, .. } = down;
        self.spares.put(spare);
        self.room.free(drained);
        let Self { conns, spares, dirty, .. } = self;
        let own = conns.get_mut(conn as usize);
        let Some(own) = own.filter(|own| own.is_open && own.generation == generation) else {
            // It was for one that is gone, or for nobody.
            return spares.put(bytes);
        };
        own.under_way -= taken;
        own.kept = kept;
        own.node = node;
        if own.sent == own.out.len() {
            spares.put(std::mem::replace(&mut own.out, bytes));
            own.sent = 0;
        } else {
            own.out.extend_from_slice(&bytes);
            spares.put(bytes);
        }
        own.is_whole = down.is_whole;
        own.is_closing |= down.is_closing;
        if !std::mem::replace(&mut own.is_dirty, true) {
            dirty.push_back(conn);
        }
    }

    /// Lets those try again that may have room now, which is theirs until they do.
    fn unblock(&mut self) {
        let Self { ends, conns, room, waiting, blocked, unblocked, .. } = self;
        if blocked.is_empty() {
            return room.begin_turn();
        }
        if !waiting.is_empty() || !ends.up.has_room() {
            return;
        }
        room.begin_turn();
        for _ in 0..blocked.len() {
            let Some(conn) = blocked.pop_front() else { return };
            let own = &mut conns[conn as usize];
            let len = own.blocked;
            let may_go = !own.is_open
                || len == 0
                || own.may_send(len) && (own.is_small(len) || room.reserve(len, &mut own.reserved));
            if may_go {
                own.is_blocked = false;
                unblocked.push_back(conn);
            } else {
                // All of them are put back, so their order stays.
                blocked.push_back(conn);
            }
        }
    }

    /// Leaves so many bytes of frames where they are until there is room.
    fn block(&mut self, conn: u32, len: usize) -> usize {
        let own = &mut self.conns[conn as usize];
        self.room.free(std::mem::take(&mut own.reserved));
        own.blocked = len;
        if !std::mem::replace(&mut own.is_blocked, true) {
            self.blocked.push_back(conn);
        }
        0
    }
}

impl Conn {
    /// Whether so many bytes more of it are not too many under way.
    fn may_send(&self, len: usize) -> bool {
        self.kept == 0 && fits(self.under_way, len, CONN_UNDER_WAY_LEN)
    }

    /// Whether so many bytes need not wait for room: a lease does not depend on what others send.
    fn is_small(&self, len: usize) -> bool {
        self.under_way == 0 && len <= LANE_FREE_LEN
    }
}

impl Service for Remote {
    fn handle_opened(&mut self, conn: u32, peer: Peer, _now: Instant) {
        while self.conns.len() <= conn as usize {
            self.conns.push(Conn::default());
        }
        let own = self.at_mut(conn);
        assert!(!own.is_open, "connection {conn} was closed before");
        let generation = own.generation.wrapping_add(1);
        let Conn { is_dirty, is_blocked, is_unsaid, .. } = *own;
        *own =
            Conn { is_open: true, generation, is_dirty, is_blocked, is_unsaid, ..Conn::default() };
        self.say(Up::Opened { conn, generation, peer });
    }

    fn handle_bytes(&mut self, conn: u32, bytes: &[u8], _now: Instant) -> usize {
        let own = self.at(conn);
        if own.is_closing {
            return bytes.len();
        }
        let len = whole_len(bytes, own.is_begun, self.frame_len_max);
        if len == 0 {
            return 0;
        }
        let (may_send, has_room) = (own.may_send(len), own.is_small(len) || own.reserved >= len);
        if !may_send || !self.waiting.is_empty() || !(has_room || self.room.has(len)) {
            return self.block(conn, len);
        }
        let mut buffer = self.spares.take();
        buffer.extend_from_slice(&bytes[..len]);
        if let Err(up) = self.ends.up.push(Up::Bytes { conn, bytes: buffer }) {
            if let Up::Bytes { bytes, .. } = up {
                self.spares.put(bytes);
            }
            return self.block(conn, len);
        }
        let own = &mut self.conns[conn as usize];
        own.is_begun = true;
        // It may have tried before its turn, which is to bring it no room then.
        own.blocked = 0;
        own.under_way += len;
        self.room.free(std::mem::take(&mut own.reserved));
        self.room.take(len);
        len
    }

    fn handle_closed(&mut self, conn: u32, _now: Instant) {
        let own = &mut self.conns[conn as usize];
        assert!(own.is_open, "connection {conn} is closed twice");
        own.is_open = false;
        self.room.free(std::mem::take(&mut own.reserved));
        self.spares.put(std::mem::take(&mut own.out));
        (own.sent, own.unsaid, own.under_way, own.kept) = (0, 0, 0, 0);
        self.say(Up::Closed { conn });
    }

    fn poll(&mut self, _now: Instant) -> Option<Instant> {
        self.listen();
        self.say_all();
        self.unblock();
        None
    }

    fn has_room(&self) -> bool {
        self.waiting.is_empty()
    }

    fn handle_end(&mut self, conn: u32) {
        self.say(Up::Ended { conn });
    }

    fn has_more(&self, conn: u32) -> bool {
        let own = self.at(conn);
        own.sent < own.out.len() || !(own.is_whole || own.is_closing)
    }

    fn kept_len(&self, conn: u32) -> usize {
        self.at(conn).kept
    }

    fn next_unblocked(&mut self) -> Option<u32> {
        self.unblocked.pop_front()
    }

    fn lie_down(&mut self) -> bool {
        self.say_all();
        self.sleeper.lie_down();
        let may_sleep = self.ends.down.is_empty() && self.unblocked.is_empty();
        if !may_sleep {
            self.sleeper.rise();
        }
        may_sleep
    }

    fn rise(&mut self) {
        self.sleeper.rise();
    }

    fn next_dirty(&mut self) -> Option<u32> {
        loop {
            let conn = self.dirty.pop_front()?;
            let own = self.at_mut(conn);
            own.is_dirty = false;
            if own.is_open {
                return Some(conn);
            }
        }
    }

    fn outgoing(&self, conn: u32) -> &[u8] {
        let own = self.at(conn);
        &own.out[own.sent..]
    }

    fn handle_sent(&mut self, conn: u32, len: usize, _now: Instant) {
        let own = &mut self.conns[conn as usize];
        own.sent += len;
        own.unsaid += len;
        if own.sent == own.out.len() {
            own.sent = 0;
            self.spares.put(std::mem::take(&mut own.out));
        }
        if !std::mem::replace(&mut own.is_unsaid, true) {
            self.unsaid.push_back(conn);
        }
    }

    fn is_closing(&self, conn: u32) -> bool {
        self.at(conn).is_closing
    }

    fn node(&self, conn: u32) -> Option<u32> {
        self.at(conn).node
    }

    /// The keeper tells everybody.
    fn leave(&mut self, _hint: &str, _now: Instant) {}

    /// The keeper has the list.
    fn handle_access(&mut self, _access: &[Access], _now: Instant) {}

    fn epoch(&self) -> u64 {
        0
    }

    fn figures(&self, _now: Instant) -> Vec<Figure> {
        Vec::new()
    }

    fn grace_left(&self, _now: Instant) -> Duration {
        Duration::ZERO
    }
}

/// How much of `bytes` is whole frames, or follows a frame whose length the switch refuses.
fn whole_len(bytes: &[u8], is_begun: bool, frame_len_max: usize) -> usize {
    let mut len_max =
        if is_begun { frame_len_max } else { protocol::limits::FRAME_LEN_BEFORE_WELCOME as usize };
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + protocol::limits::HEADER_LEN) {
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if len < protocol::limits::HEADER_LEN || len > len_max {
            return bytes.len();
        }
        if at + len > bytes.len() {
            break;
        }
        at += len;
        len_max = frame_len_max;
    }
    at
}
