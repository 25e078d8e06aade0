//! One worker as the keeper sees it: its connections, what of them is under way, and who is next.

use std::collections::VecDeque;

use base::Instant;

use crate::limits::HANDED_LEN_MAX;
use crate::traffic::{Down, KeeperEnds, NOBODY, Spares};
use crate::worker::Service;

/// The numbers under which the switch knows connections, and whose they are.
#[derive(Debug)]
pub(super) struct Numbers {
    owners: Vec<Option<(usize, u32)>>,
    free: Vec<u32>,
    max: u32,
}

impl Numbers {
    /// Numbers below `max`.
    pub(super) fn new(max: u32) -> Self {
        Self { owners: Vec::new(), free: Vec::new(), max }
    }

    /// A number for the connection of a worker. There is none where one has been let in for another
    /// that is gone, whose own worker has not been heard yet.
    pub(super) fn take(&mut self, worker: usize, conn: u32) -> Option<u32> {
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.owners.len()).ok().filter(|it| *it < self.max)?;
                self.owners.push(None);
                number
            }
        };
        self.owners[number as usize] = Some((worker, conn));
        Some(number)
    }

    /// Whose number it is.
    pub(super) fn find(&self, number: u32) -> Option<(usize, u32)> {
        self.owners[number as usize]
    }

    /// The connection is gone.
    pub(super) fn put_back(&mut self, number: u32) {
        self.owners[number as usize] = None;
        self.free.push(number);
    }
}

#[derive(Debug)]
struct Conn {
    is_open: bool,
    /// Under which the switch knows it. None: it is refused.
    number: Option<u32>,
    generation: u32,
    /// Frames that the switch has not taken.
    waiting: Vec<u8>,
    /// Bytes that were taken and of which the worker was not told.
    taken: usize,
    /// How much the worker was told to be waiting.
    kept_told: usize,
    /// Bytes of what is outgoing that the worker has.
    handed: usize,
    /// The other end sends no more: the worker is told when all is answered.
    has_ended: bool,
    /// The worker was told to close it.
    is_closing_told: bool,
    is_touched: bool,
}

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) ends: KeeperEnds,
    conns: Vec<Conn>,
    /// Connections of which the worker may have to be told something.
    touched: VecDeque<u32>,
    /// Bytes of frames that came out of the lane and of which the worker was not told.
    drained: usize,
    spares: Spares,
}

impl Line {
    /// A worker without connections.
    pub(super) fn new(ends: KeeperEnds) -> Self {
        let (conns, touched) = (Vec::new(), VecDeque::new());
        Self { ends, conns, touched, drained: 0, spares: Spares::default() }
    }

    /// A connection is there. Without a number it is to be closed.
    pub(super) fn open(&mut self, conn: u32, number: Option<u32>, generation: u32) {
        while self.conns.len() <= conn as usize {
            self.conns.push(Conn::none());
        }
        let own = &mut self.conns[conn as usize];
        assert!(!own.is_open, "connection {conn} is open");
        let is_touched = own.is_touched;
        *own = Conn { is_open: true, number, generation, is_touched, ..Conn::none() };
        if number.is_none() {
            self.touch(conn);
        }
    }

    /// The connection is gone; its number.
    pub(super) fn close(&mut self, conn: u32) -> Option<u32> {
        let own = &mut self.conns[conn as usize];
        assert!(own.is_open, "connection {conn} is closed");
        let is_touched = own.is_touched;
        std::mem::replace(own, Conn { is_touched, ..Conn::none() }).number
    }

    /// Frames came: the switch takes what it takes now. True: the rest waits for answers to leave.
    pub(super) fn take(
        &mut self,
        conn: u32,
        bytes: Vec<u8>,
        service: &mut impl Service,
        now: Instant,
    ) -> bool {
        self.drained += bytes.len();
        let own = &mut self.conns[conn as usize];
        let Some(number) = own.number else {
            self.spares.put(bytes);
            return false;
        };
        let is_next = own.waiting.is_empty();
        let used = if is_next { service.handle_bytes(number, &bytes, now) } else { 0 };
        own.taken += used;
        if is_next && used == 0 {
            // A long frame is not copied to wait.
            own.waiting = bytes;
        } else {
            own.waiting.extend_from_slice(&bytes[used..]);
            self.spares.put(bytes);
        }
        let is_waiting = !own.waiting.is_empty();
        self.touch(conn);
        is_waiting
    }

    /// Some of what the worker has has left.
    pub(super) fn handle_sent(
        &mut self,
        conn: u32,
        (len, spare): (usize, Vec<u8>),
        service: &mut impl Service,
        now: Instant,
    ) {
        self.spares.put(spare);
        let own = &mut self.conns[conn as usize];
        let Some(number) = own.number else { return };
        // Of one that took its time the switch has dropped what was outgoing.
        let len = len.min(own.handed).min(service.outgoing(number).len());
        if len > 0 {
            own.handed -= len;
            service.handle_sent(number, len, now);
        }
        if !own.waiting.is_empty() {
            let used = service.handle_bytes(number, &own.waiting, now);
            own.waiting.drain(..used);
            own.taken += used;
            if own.waiting.is_empty() {
                own.waiting = Vec::new();
            }
        }
        self.touch(conn);
    }

    /// The other end sends no more.
    pub(super) fn end(&mut self, conn: u32) {
        self.conns[conn as usize].has_ended = true;
        self.touch(conn);
    }

    /// The worker may have to be told something of a connection.
    pub(super) fn touch(&mut self, conn: u32) {
        let own = &mut self.conns[conn as usize];
        if !std::mem::replace(&mut own.is_touched, true) {
            self.touched.push_back(conn);
        }
    }

    /// Tells the worker what there is to tell, as far as there is room in its lane.
    pub(super) fn hand_all(&mut self, service: &impl Service) {
        while let Some(conn) = self.touched.pop_front() {
            if !self.hand(conn, service) {
                return self.touched.push_front(conn);
            }
            self.conns[conn as usize].is_touched = false;
        }
        if self.drained > 0 {
            // Those that they were of are gone. Without room it is said in a later round.
            let down = Down { drained: self.drained, conn: NOBODY, ..Down::default() };
            if self.ends.down.push(down).is_ok() {
                self.drained = 0;
            }
        }
    }

    /// Tells the worker of one connection; false: there was no room.
    fn hand(&mut self, conn: u32, service: &impl Service) -> bool {
        let own = &mut self.conns[conn as usize];
        if !own.is_open {
            return true;
        }
        let outgoing = own.number.map_or(&[][..], |number| service.outgoing(number));
        let rest = outgoing.get(own.handed..).unwrap_or_default();
        let part = &rest[..rest.len().min(HANDED_LEN_MAX.saturating_sub(own.handed))];
        let has_left = outgoing.is_empty();
        let is_closing = has_left && own.number.is_none_or(|number| service.is_closing(number));
        let is_whole = own.has_ended && has_left && own.waiting.is_empty();
        let is_news = is_closing && !own.is_closing_told || is_whole;
        let kept = own.waiting.len();
        if part.is_empty() && own.taken == 0 && kept == own.kept_told && !is_news {
            return true;
        }
        let mut bytes = self.spares.take();
        bytes.extend_from_slice(part);
        let spare = self.spares.take();
        let Conn { generation, taken, .. } = *own;
        let down = Down {
            drained: self.drained,
            conn,
            generation,
            taken,
            kept,
            node: own.number.and_then(|number| service.node(number)),
            bytes,
            spare,
            is_whole,
            is_closing,
        };
        let len = part.len();
        if let Err(Down { bytes, spare, .. }) = self.ends.down.push(down) {
            self.spares.put(bytes);
            self.spares.put(spare);
            return false;
        }
        self.drained = 0;
        own.handed += len;
        (own.taken, own.kept_told) = (0, kept);
        own.is_closing_told = is_closing;
        true
    }
}

impl Conn {
    fn none() -> Self {
        Self {
            is_open: false,
            number: None,
            generation: 0,
            waiting: Vec::new(),
            taken: 0,
            kept_told: 0,
            handed: 0,
            has_ended: false,
            is_closing_told: false,
            is_touched: false,
        }
    }
}
