//! Who echoes, and who asks and checks every byte.

use base::CoreId;
use stack::{CloseReason, Conn, Context, Data, Refuse, Service};
use wire::Address;

use crate::bed::{PORT, v4, v6};

/// Echoes; remembers whom it met.
#[derive(Debug)]
pub(crate) struct Echo {
    pub(crate) core: CoreId,
    pub(crate) peers: Vec<(Address, u16)>,
    /// Connections of our own that were opened.
    pub(crate) connected: usize,
    pub(crate) open: usize,
}

impl Echo {
    pub(crate) fn new(core: CoreId) -> Self {
        Self { core, peers: Vec::with_capacity(1 << 16), connected: 0, open: 0 }
    }
}

impl Service for Echo {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        self.open += 1;
        if cx.listener(conn).is_none() {
            self.connected += 1;
        } else if self.peers.len() < self.peers.capacity() {
            self.peers.push(cx.peer(conn).unwrap());
        }
        Ok(())
    }
    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        cx.send_data(conn, data)
    }
    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        cx.resume(conn);
    }
    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, _why: CloseReason) {
        self.open -= 1;
    }
}

/// What one asker has on its way.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    sent: usize,
    received: usize,
}

/// Keeps some connections open at once, sends a stream over each, and checks what comes back.
#[derive(Debug)]
pub(crate) struct Askers {
    pub(crate) wanted: u32,
    pub(crate) at_once: u32,
    pub(crate) stream_len: usize,
    pub(crate) opened: u32,
    pub(crate) live: u32,
    pub(crate) whole: u32,
    streams: Vec<Stream>,
    piece: Vec<u8>,
}

/// The byte at `offset` of the stream of connection `id`.
fn byte(id: u32, offset: usize) -> u8 {
    let place = (u64::from(id) << 32) + offset as u64 / 8;
    let word = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ word >> 31).to_le_bytes()[offset % 8]
}

impl Askers {
    pub(crate) fn new(wanted: u32, at_once: u32, stream_len: usize) -> Self {
        let streams = vec![Stream::default(); wanted as usize];
        let piece = Vec::with_capacity(4_096);
        Self { wanted, at_once, stream_len, opened: 0, live: 0, whole: 0, streams, piece }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.opened == self.wanted && self.live == 0
    }

    fn write(&mut self, cx: &mut Context<'_>, conn: Conn) {
        let id = cx.word(conn).unwrap();
        let stream = &mut self.streams[id as usize];
        while stream.sent < self.stream_len {
            let end = self.stream_len.min(stream.sent + 4_096);
            self.piece.clear();
            self.piece.extend((stream.sent..end).map(|offset| byte(id, offset)));
            let taken = cx.send(conn, &self.piece).unwrap();
            stream.sent += taken;
            if taken < self.piece.len() {
                return;
            }
        }
    }
}

impl Service for Askers {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        self.write(cx, conn);
        Ok(())
    }
    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let id = cx.word(conn).unwrap();
        let bytes = data.bytes(cx);
        let stream = &mut self.streams[id as usize];
        for (place, found) in bytes.iter().enumerate() {
            assert_eq!(*found, byte(id, stream.received + place), "connection {id}");
        }
        stream.received += bytes.len();
        let (len, is_whole) = (bytes.len(), stream.received == self.stream_len);
        if is_whole {
            self.whole += 1;
            cx.close(conn);
        }
        len
    }
    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        self.write(cx, conn);
    }
    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, why: CloseReason) {
        assert_eq!(why, CloseReason::Finished);
        self.live -= 1;
    }
    fn on_turn(&mut self, cx: &mut Context<'_>) {
        while self.live < self.at_once && self.opened < self.wanted {
            let to = if self.opened.is_multiple_of(2) { v4(1) } else { v6(1) };
            if cx.connect(to, PORT, self.opened).is_err() {
                return;
            }
            self.opened += 1;
            self.live += 1;
        }
    }
}
