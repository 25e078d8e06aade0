//! The service that connects: each slot opens a connection, has one message echoed, closes, and
//! begins anew.

use base::Duration;
use stack::{CloseReason, Conn, ConnectError, Context, Data, Refuse, Service};
use wire::Address;

use super::EXCHANGE_LEN;
use crate::ends::{Asked, Asks, PORT};
use crate::limits::DRAIN_MS_MAX;
use crate::pattern::Message;
use crate::recorder::{Phase, Recorder, Stamp};

/// The place of one connection at a time.
#[derive(Debug)]
struct Slot {
    /// The connection whose answer is awaited.
    conn: Option<Conn>,
    message: Message,
    received: usize,
    stamp: Stamp,
}

/// What was counted besides.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    bytes_lost: u64,
    bytes_sent: u64,
    connections_lost: u64,
    opened: u64,
    closed: u64,
}

/// The service of the client's end.
#[derive(Debug)]
pub(super) struct Connector {
    servers: Vec<Address>,
    server_next: usize,
    slots: Vec<Slot>,
    /// Slots without a connection, which open one at the end of the turn.
    ready: Vec<u32>,
    request: [u8; EXCHANGE_LEN],
    round: std::time::Duration,
    recorder: Option<Recorder>,
    tally: Tally,
    over_since: Option<base::Instant>,
    is_done: bool,
}

impl Connector {
    pub(super) fn new(servers: Vec<Address>, in_flight: u32, round: std::time::Duration) -> Self {
        let slot = |number| Slot {
            conn: None,
            message: Message { connection: number, sequence: 0 },
            received: 0,
            stamp: Stamp::default(),
        };
        Self {
            servers,
            server_next: 0,
            slots: (0..in_flight).map(slot).collect(),
            ready: (0..in_flight).collect(),
            request: [0; EXCHANGE_LEN],
            round,
            recorder: None,
            tally: Tally::default(),
            over_since: None,
            is_done: false,
        }
    }

    /// How many connections may be open now. The first one, and then one to each address, find the
    /// neighbours: few packets wait for an unknown neighbour, and the others would be lost.
    fn open_max(&self) -> u64 {
        let servers = self.servers.len() as u64;
        match self.tally.closed {
            0 => 1,
            closed if closed <= servers => servers,
            _ => u64::MAX,
        }
    }

    /// Opens a connection in every slot that has none, as far as there is room in this turn.
    fn open(&mut self, cx: &mut Context<'_>, recorder: &Recorder) {
        let open_max = self.open_max();
        while self.tally.opened - self.tally.closed < open_max
            && let Some(index) = self.ready.pop()
        {
            let server = self.servers[self.server_next];
            self.server_next = (self.server_next + 1) % self.servers.len();
            let slot = &mut self.slots[index as usize];
            let Message { connection, sequence } = slot.message;
            slot.stamp = recorder.stamp(connection, sequence);
            match cx.connect(server, PORT, index) {
                Ok(conn) => {
                    slot.conn = Some(conn);
                    slot.received = 0;
                    self.tally.opened += 1;
                }
                // Records come back when the last connections have ended, ports with the next
                // address.
                Err(
                    ConnectError::ResourceRecords
                    | ConnectError::ResourcePorts
                    | ConnectError::Unroutable,
                ) => {
                    self.ready.push(index);
                    return;
                }
            }
        }
    }

    /// The slot of a connection whose answer is awaited.
    fn slot_of(&self, cx: &Context<'_>, conn: Conn) -> Option<u32> {
        let index = cx.word(conn)?;
        (self.slots[index as usize].conn == Some(conn)).then_some(index)
    }

    fn is_awaited(&self) -> bool {
        self.tally.closed < self.tally.opened
    }

    /// Counts what never came.
    fn give_up(&mut self) {
        for slot in &mut self.slots {
            if slot.conn.take().is_some() {
                self.tally.bytes_lost += (EXCHANGE_LEN - slot.received) as u64;
            }
        }
        self.tally.connections_lost += self.tally.opened - self.tally.closed;
        self.tally.closed = self.tally.opened;
    }
}

impl Asks for Connector {
    fn is_done(&self) -> bool {
        self.is_done
    }

    fn into_asked(self) -> Asked {
        let Tally { bytes_lost, bytes_sent, connections_lost, opened: _, closed } = self.tally;
        let recorder = self.recorder.expect("a round has had a turn");
        Asked { recorder, bytes_lost, bytes_sent, connections_lost, closed }
    }
}

impl Service for Connector {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        let index = self.slot_of(cx, conn).ok_or(Refuse)?;
        self.slots[index as usize].message.write(&mut self.request);
        let sent = cx.send(conn, &self.request).unwrap_or(0);
        self.tally.bytes_sent += sent as u64;
        // A request always fits an empty queue: anything less is a lost one.
        self.tally.bytes_lost += (EXCHANGE_LEN - sent) as u64;
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let index = self.slot_of(cx, conn);
        let bytes = data.bytes(cx);
        let len = bytes.len();
        let Some(index) = index else {
            // Nobody asked for more.
            self.tally.bytes_lost += len as u64;
            return len;
        };
        let slot = &mut self.slots[index as usize];
        self.tally.bytes_lost += slot.message.wrong_bytes(slot.received, bytes) as u64;
        slot.received += len;
        if slot.received < EXCHANGE_LEN {
            return len;
        }
        self.tally.bytes_lost += (slot.received - EXCHANGE_LEN) as u64;
        slot.conn = None;
        slot.message.sequence = slot.message.sequence.wrapping_add(1);
        let recorder = self.recorder.as_mut().expect("what was asked was asked by a recorder");
        recorder.on_completed(slot.stamp);
        cx.close(conn);
        self.ready.push(index);
        len
    }

    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        self.tally.closed += 1;
        let awaited = self.slot_of(cx, conn);
        if why != CloseReason::Finished || awaited.is_some() {
            self.tally.connections_lost += 1;
        }
        if let Some(index) = awaited {
            let slot = &mut self.slots[index as usize];
            slot.conn = None;
            self.tally.bytes_lost += (EXCHANGE_LEN - slot.received) as u64;
            self.ready.push(index);
        }
    }

    fn on_turn(&mut self, cx: &mut Context<'_>) {
        // Made on the thread that turns.
        let mut recorder = self.recorder.take().unwrap_or_else(|| Recorder::new(self.round));
        if recorder.on_turn() == Phase::Over {
            let over_since = *self.over_since.get_or_insert(cx.now());
            if cx.now().saturating_since(over_since) > Duration::from_millis(DRAIN_MS_MAX) {
                self.give_up();
            }
            self.is_done = !self.is_awaited();
        } else {
            self.open(cx, &recorder);
        }
        self.recorder = Some(recorder);
    }
}
