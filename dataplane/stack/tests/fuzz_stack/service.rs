//! A service that does what the first bytes of the data tell it, and checks that it is called by
//! the rules.

use base::Duration;
use memory::Frame;
use stack::{CloseReason, Conn, Context, Data, Datagram, Refuse, Service};

use crate::frame::{HOSTS, address_of};

/// TCP ports that are listened on; what a connection to each begins with is in `on_open`.
pub(crate) const PORTS: [u16; 8] = [80, 81, 82, 83, 84, 85, 86, 87];
/// UDP ports that are bound.
pub(crate) const UDP_PORTS: [u16; 2] = [7, 53];

/// Bytes that the service sends in one run at most, beyond what it echoes.
const BUDGET: usize = 96 << 10;
/// Frames that it keeps.
pub(crate) const HOARD_MAX: usize = 6;
/// Connections that it opens in one run.
const CONNECTS_MAX: u32 = 12;
/// Times that it leaves the data of one connection lying.
const REFUSALS_MAX: u32 = 3;

/// The low bits of a connection's word: what `on_end` does.
const AT_END: u32 = 3;
/// The word counts above this bit how often data was left lying.
const REFUSAL: u32 = 1 << 8;
/// The service sends more whenever there is room.
const STREAMS: u32 = 1 << 2;

/// The service.
#[derive(Debug)]
pub(crate) struct Puppet {
    /// Connections whose `on_close` has not come.
    pub(crate) live: Vec<Conn>,
    /// Those of them that have not been opened yet.
    connecting: Vec<Conn>,
    pub(crate) hoard: Vec<Frame>,
    /// Calls that may have sent something.
    pub(crate) calls: u64,
    budget: usize,
    connects: u32,
    /// Refuses everything, and sends nothing: the run is over.
    pub(crate) is_over: bool,
    /// Timers that were refused because all were set.
    pub(crate) timers_full: u64,
    /// How often connections ended for each reason.
    pub(crate) ended: [u64; 9],
    filler: Vec<u8>,
}

impl Puppet {
    pub(crate) fn new() -> Self {
        Self {
            live: Vec::new(),
            connecting: Vec::new(),
            hoard: Vec::new(),
            calls: 0,
            budget: BUDGET,
            connects: CONNECTS_MAX,
            is_over: false,
            timers_full: 0,
            ended: [0; 9],
            filler: vec![0x5a; 16 << 10],
        }
    }

    /// Opens a connection to a host.
    pub(crate) fn connect(&mut self, cx: &mut Context<'_>, to: u8, port: u16, word: u32) {
        if self.connects == 0 || self.is_over {
            return;
        }
        self.connects -= 1;
        let remote = address_of(to % HOSTS, to & 0x80 != 0);
        self.calls += 1;
        if let Ok(conn) = cx.connect(remote, port, word) {
            assert!(!self.live.contains(&conn), "{conn:?} is handed out twice");
            self.live.push(conn);
            self.connecting.push(conn);
        }
    }

    /// Sends `len` bytes of filler, as far as the budget goes.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>, conn: Conn, len: usize) {
        let len = len.min(self.budget).min(self.filler.len());
        if len == 0 {
            return;
        }
        self.calls += 1;
        let room = cx.send_room(conn);
        if let Ok(taken) = cx.send(conn, &self.filler[..len]) {
            assert!(taken <= len && taken <= room, "{taken} of {len} bytes taken, {room} fit");
            self.budget -= taken;
        }
    }

    fn echo(&mut self, cx: &mut Context<'_>, conn: Conn, data: &Data) {
        self.calls += 1;
        let bytes = data.bytes(cx).to_vec();
        if let Ok(taken) = cx.send(conn, &bytes) {
            assert!(taken <= bytes.len());
        }
    }

    /// One of the calls that a service may make at any time.
    pub(crate) fn act(&mut self, cx: &mut Context<'_>, conn: Conn, what: u8, argument: u8) {
        self.calls += 1;
        match what % 10 {
            0 => cx.close(conn),
            1 => cx.finish(conn),
            2 => cx.abort(conn),
            3 => cx.resume(conn),
            4 => self.send(cx, conn, 1 + 64 * usize::from(argument)),
            5 => {
                let key = timer_key(conn, argument);
                let delay = Duration::from_millis(u64::from(argument) * 37);
                self.timers_full += u64::from(cx.set_timer(delay, key).is_err());
            }
            6 => {
                if let Some(frame) = self.hoard.pop()
                    && let Err((_, frame)) = cx.send_frame(conn, frame)
                {
                    cx.free(frame);
                }
            }
            7 => cx.set_word(conn, u32::from(argument) & (AT_END | STREAMS)),
            8 => self.connect(cx, argument, PORTS[usize::from(argument) % PORTS.len()], 2),
            _ => self.free_hoard(cx),
        }
    }

    pub(crate) fn free_hoard(&mut self, cx: &mut Context<'_>) {
        for frame in self.hoard.drain(..) {
            cx.free(frame);
        }
    }

    fn keep(&mut self, cx: &mut Context<'_>, data: &mut Data) {
        if let Some(frame) = data.take() {
            if self.hoard.len() < HOARD_MAX {
                self.hoard.push(frame);
            } else {
                cx.free(frame);
            }
        }
    }

    /// Leaves `taken` of `len` bytes lying, unless it has done so too often.
    fn leave(cx: &mut Context<'_>, conn: Conn, taken: usize, len: usize) -> usize {
        let word = cx.word(conn).unwrap_or(0);
        if word >= REFUSALS_MAX * REFUSAL {
            return len;
        }
        cx.set_word(conn, word + REFUSAL);
        taken
    }

    fn assert_open(&self, conn: Conn) {
        let is_open = self.live.contains(&conn) && !self.connecting.contains(&conn);
        assert!(is_open, "a call for {conn:?}, which is not open");
    }
}

fn timer_key(conn: Conn, what: u8) -> u64 {
    u64::from(conn.generation) << 32 | u64::from(conn.index) << 8 | u64::from(what)
}

fn conn_of(key: u64) -> Conn {
    let generation = u32::try_from(key >> 32).expect("the upper half");
    let index = u32::try_from(key >> 8 & 0x00ff_ffff).expect("24 bits");
    Conn { index, generation }
}

impl Service for Puppet {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        let was_connecting = self.connecting.iter().position(|&other| other == conn);
        match was_connecting {
            Some(at) => {
                self.connecting.swap_remove(at);
            }
            None => {
                assert!(!self.live.contains(&conn), "{conn:?} is opened twice");
                self.live.push(conn);
                cx.set_idle(conn);
            }
        }
        let port = cx.listener(conn).map_or(0, |listener| listener.0);
        let is_refused = port == 1 || cx.word(conn).is_some_and(|word| word & 0x80 != 0);
        if self.is_over || is_refused {
            self.calls += 1;
            self.live.retain(|&other| other != conn);
            return Err(Refuse);
        }
        match port {
            2 => cx.set_word(conn, 2),
            3 => {
                cx.set_word(conn, STREAMS | 2);
                self.send(cx, conn, 3_000);
            }
            4 => self.act(cx, conn, 0, 0),
            5 => self.act(cx, conn, 2, 0),
            6 => self.act(cx, conn, 1, 0),
            7 => cx.set_word(conn, 1),
            _ => {}
        }
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        self.assert_open(conn);
        let bytes = data.bytes(cx);
        let len = bytes.len();
        assert!(len > 0, "no data for {conn:?}");
        let (what, argument) = (bytes[0], bytes.get(1).copied().unwrap_or(0));
        if self.is_over {
            return len;
        }
        match what % 16 {
            0 => self.echo(cx, conn, data),
            1 => {
                self.calls += 1;
                let taken = cx.send_data(conn, data);
                assert!(taken == len || taken == 0);
                return if taken == len { len } else { Self::leave(cx, conn, 0, len) };
            }
            2 => return Self::leave(cx, conn, 0, len),
            3 => {
                self.act(cx, conn, 5, argument);
                return Self::leave(cx, conn, len / 2, len);
            }
            4 => self.keep(cx, data),
            5 => {
                self.echo(cx, conn, data);
                self.act(cx, conn, 0, argument);
            }
            _ => self.act(cx, conn, what % 16 - 6, argument),
        }
        len
    }

    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        self.assert_open(conn);
        self.calls += 1;
        match cx.word(conn).unwrap_or(0) & AT_END {
            0 => cx.close(conn),
            1 => cx.finish(conn),
            2 => {}
            _ => cx.abort(conn),
        }
    }

    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        // Data may be queued before the connection is open.
        assert!(self.live.contains(&conn), "there is no {conn:?} to write to");
        if cx.word(conn).is_some_and(|word| word & STREAMS != 0) {
            self.send(cx, conn, 4_000);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        let at = self.live.iter().position(|&other| other == conn);
        let at = at.unwrap_or_else(|| panic!("{conn:?} has ended without having been ({why:?})"));
        self.live.swap_remove(at);
        self.connecting.retain(|&other| other != conn);
        self.ended[why as usize] += 1;
        assert!(cx.word(conn).is_some(), "the word is there until on_close has returned");
        assert!(cx.send(conn, b"late").is_err(), "an ended connection takes no data");
        cx.close(conn);
        cx.abort(conn);
        cx.resume(conn);
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, key: u64) {
        let what = u8::try_from(key & 0xff).expect("8 bits");
        if self.is_over {
            return;
        }
        self.act(cx, conn_of(key), what / 8, what);
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, from: Datagram, data: &mut Data) {
        self.calls += 1;
        let bytes = data.bytes(cx).to_vec();
        let is_answered = match bytes.first().map_or(0, |first| first % 6) {
            0 => cx.answer(&from, &bytes).is_ok(),
            1 => cx.answer_data(&from, data).is_ok(),
            2 => cx.answer(&from, &self.filler[..3_000]).is_ok(),
            3 => cx.answer(&from, &self.filler[..1_400]).is_ok(),
            4 => {
                self.keep(cx, data);
                false
            }
            _ => false,
        };
        assert!(!(is_answered && bytes.first().is_some_and(|first| first % 6 == 2)), "too long");
    }
}
