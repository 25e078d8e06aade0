//! The service of a run: it acts out its half of every plan, and checks each byte and each call.

mod read;
mod side;
mod write;

use std::collections::BTreeMap;

use base::{CoreId, Duration, Rng};
use memory::Frame;
use stack::{CloseReason, Conn, ConnectError, Context, Data, Refuse, Service};
use wire::Address;

use crate::limits::PIECE_MAX;
use crate::plan::{Ending, Plan};
use crate::run::Sabotage;
use crate::stream;

pub(crate) use side::{Side, Stage};

/// What a timer is for; the rest of its key is the connection.
#[derive(Clone, Copy, Debug)]
enum Timer {
    Write = 0,
    Read = 1,
    End = 2,
    Hoard = 3,
}

/// The service of one core of a host.
#[derive(Debug)]
pub(crate) struct Player {
    host: usize,
    rng: Rng,
    /// By the number of the connection.
    sides: Vec<Side>,
    /// Which connection comes from a peer's address and port to one of our listeners.
    expected: BTreeMap<(Address, u16, u16), u32>,
    /// Frames that are kept for a while.
    hoard: Vec<Frame>,
    /// What went wrong, as it was seen.
    complaints: Vec<String>,
    bytes_checked: u64,
    /// Of every call, in order.
    calls_hash: u64,
    sabotage: Option<Sabotage>,
    piece: Box<[u8]>,
}

impl Player {
    /// The service of one core of a host. All cores of it know of all connections, and each acts
    /// out those that it has.
    pub(crate) fn new(
        (host, core): (usize, CoreId),
        seed: u64,
        plans: &[Plan],
        sabotage: Option<Sabotage>,
    ) -> Self {
        let sides = (0..).zip(plans).map(|(id, plan)| {
            let peer = &plan.sides[1 - host];
            // An echo is the stream that it was sent.
            let from_peer = if peer.is_echo { host } else { 1 - host };
            let keys = [stream::key(seed, id, host), stream::key(seed, id, from_peer)];
            Side::new(plan.sides[host].clone(), plan.opener == host, keys)
        });
        Self {
            host,
            rng: Rng::seeded(stream::mix(seed ^ (host as u64 + 1) ^ u64::from(core.0) << 8)),
            sides: sides.collect(),
            expected: BTreeMap::new(),
            hoard: Vec::new(),
            complaints: Vec::new(),
            bytes_checked: 0,
            calls_hash: 0,
            sabotage,
            piece: vec![0; PIECE_MAX].into_boxed_slice(),
        }
    }

    pub(crate) fn side(&self, id: u32) -> &Side {
        &self.sides[id as usize]
    }

    /// Every side with the number of its connection.
    pub(crate) fn sides(&self) -> impl Iterator<Item = (u32, &Side)> {
        (0..).zip(&self.sides)
    }

    fn side_mut(&mut self, id: u32) -> &mut Side {
        &mut self.sides[id as usize]
    }

    pub(crate) fn bytes_checked(&self) -> u64 {
        self.bytes_checked
    }

    pub(crate) fn calls_hash(&self) -> u64 {
        self.calls_hash
    }

    pub(crate) fn take_complaints(&mut self) -> Vec<String> {
        core::mem::take(&mut self.complaints)
    }

    /// Opens connection `id`, and writes at once if the plan says so.
    pub(crate) fn connect(
        &mut self,
        cx: &mut Context<'_>,
        id: u32,
        remote: (Address, u16),
    ) -> Result<Conn, ConnectError> {
        let conn = cx.connect(remote.0, remote.1, id + 1)?;
        let side = self.side_mut(id);
        side.stage = Stage::Asked;
        side.conn = Some(conn);
        if side.plan.is_eager {
            self.write(cx, id);
        }
        Ok(conn)
    }

    /// The peer has opened connection `id` from this address and port to that listener of ours.
    pub(crate) fn expect(&mut self, from: (Address, u16), listener: u16, id: u32) {
        self.expected.insert((from.0, from.1, listener), id);
    }

    /// Ends a side whose peer is gone without a word.
    pub(crate) fn reap(&mut self, cx: &mut Context<'_>, id: u32) {
        let side = self.side_mut(id);
        side.is_reaped = true;
        if let Some(conn) = side.conn {
            cx.abort(conn);
        }
    }

    /// Notes that connection `id` was reset by a forged RST with the exact number.
    pub(crate) fn note_forged(&mut self, id: u32) {
        self.side_mut(id).is_forged = true;
    }

    /// Gives up connection `id`, for which `connect` found no room.
    pub(crate) fn skip(&mut self, id: u32) {
        self.side_mut(id).stage = Stage::Skipped;
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(format!("host {}: {what}", self.host));
    }

    fn note_call(&mut self, cx: &Context<'_>, kind: u64, id: u32, value: u64) {
        let call = kind << 56 ^ u64::from(id) << 40 ^ value;
        self.calls_hash = stream::mix(self.calls_hash ^ call ^ cx.now().as_nanos());
    }

    /// The connection that a call is about; one that we know nothing of is a fault.
    fn id_of(&mut self, cx: &Context<'_>, conn: Conn, call: &str) -> Option<u32> {
        let id = cx.word(conn).and_then(|word| word.checked_sub(1));
        if id.is_none() {
            self.complain(format!("{call} for {conn:?}, which no service knows"));
        }
        id
    }

    /// The same for calls that only an open connection gets.
    fn open_id(&mut self, cx: &Context<'_>, conn: Conn, call: &str) -> Option<u32> {
        let id = self.id_of(cx, conn, call)?;
        let stage = self.side(id).stage;
        if stage != Stage::Open {
            self.complain(format!("{call} on connection {id}, which is {stage:?}"));
            return None;
        }
        Some(id)
    }

    fn set_timer(&mut self, cx: &mut Context<'_>, id: u32, timer: Timer, delay: Duration) {
        let key = u64::from(id) << 8 | timer as u64;
        if cx.set_timer(delay, key).is_err() {
            self.complain(format!("no {timer:?} timer for connection {id}"));
        }
    }

    /// A length of time up to `max`.
    fn pause(&mut self, max: Duration) -> Duration {
        Duration::from_nanos(self.rng.below(max.as_nanos().max(1)))
    }

    /// Who comes in by this listener from there.
    fn identify(&self, cx: &Context<'_>, conn: Conn) -> Option<u32> {
        if let Some(word) = cx.word(conn)
            && word > 0
        {
            return Some(word - 1);
        }
        let (address, port) = cx.peer(conn)?;
        let listener = cx.listener(conn)?;
        self.expected.get(&(address, port, listener.0)).copied()
    }

    fn end_early(&mut self, cx: &mut Context<'_>, id: u32) {
        let side = self.side_mut(id);
        let (Stage::Open, Some(conn)) = (side.stage, side.conn) else { return };
        match side.plan.ending {
            Ending::Abort(_) => {
                side.has_aborted = true;
                cx.abort(conn);
            }
            Ending::CloseEarly(_) => {
                side.has_closed = true;
                side.has_finished = true;
                cx.close(conn);
            }
            Ending::Finish | Ending::Close | Ending::CloseAtEnd | Ending::Refuse => {}
        }
    }
}

impl Service for Player {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        let Some(id) = self.identify(cx, conn) else {
            self.complain(format!("on_open for {conn:?}, which nobody opened"));
            return Err(Refuse);
        };
        self.note_call(cx, 1, id, 0);
        let side = &self.sides[id as usize];
        let expected = if side.is_opener { Stage::Asked } else { Stage::Waiting };
        if side.stage != expected {
            let stage = side.stage;
            self.complain(format!("on_open on connection {id}, which is {stage:?}"));
            return Err(Refuse);
        }
        let side = self.side_mut(id);
        side.conn = Some(conn);
        if side.plan.ending == Ending::Refuse {
            side.stage = Stage::Refused;
            return Err(Refuse);
        }
        side.stage = Stage::Open;
        let ending = side.plan.ending;
        cx.set_word(conn, id + 1);
        if let Ending::Abort(delay) | Ending::CloseEarly(delay) = ending {
            self.set_timer(cx, id, Timer::End, delay);
        }
        self.write(cx, id);
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let Some(id) = self.open_id(cx, conn, "on_data") else { return 0 };
        let taken = self.read(cx, id, conn, data);
        self.note_call(cx, 2, id, taken as u64);
        taken
    }

    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        let Some(id) = self.open_id(cx, conn, "on_end") else { return };
        self.note_call(cx, 3, id, 0);
        let side = self.side_mut(id);
        let was_ended = core::mem::replace(&mut side.has_end, true);
        if was_ended || side.has_closed {
            self.complain(format!("on_end on connection {id}, which is not awaited"));
            return;
        }
        let side = self.side_mut(id);
        let closes = side.plan.ending == Ending::CloseAtEnd;
        let is_done = side.plan.is_echo;
        if closes && !side.has_finished {
            side.has_finished = true;
            side.has_closed = true;
            cx.close(conn);
        } else if is_done {
            side.has_finished = true;
            cx.finish(conn);
        } else {
            self.close_if_done(cx, id);
        }
    }

    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        let Some(id) = self.id_of(cx, conn, "on_writable") else { return };
        self.note_call(cx, 4, id, 0);
        let side = self.side_mut(id);
        let was_blocked = core::mem::replace(&mut side.is_blocked, false);
        // An echo tries again with each packet that arrives, and may find room before it is told.
        if !was_blocked && !side.plan.is_echo {
            self.complain(format!("on_writable on connection {id}, which had room"));
            return;
        }
        if side.plan.is_echo {
            cx.resume(conn);
        } else {
            self.write(cx, id);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        let Some(id) = self.id_of(cx, conn, "on_close") else { return };
        self.note_call(cx, 5, id, why as u64);
        let side = self.side_mut(id);
        let is_asked = side.stage == Stage::Asked;
        if side.stage != Stage::Open && !is_asked {
            let stage = side.stage;
            self.complain(format!("on_close ({why:?}) on connection {id}, which is {stage:?}"));
            return;
        }
        side.stage = Stage::Ended(why);
        side.ended_at = Some(cx.now());
        side.was_opened = !is_asked;
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, key: u64) {
        let id = u32::try_from(key >> 8).expect("a connection has 32 bits");
        match key & 0xff {
            0 => {
                self.side_mut(id).is_write_paused = false;
                self.write(cx, id);
            }
            1 => {
                let side = self.side_mut(id);
                side.is_read_paused = false;
                if let (Stage::Open, Some(conn)) = (side.stage, side.conn)
                    && self.sabotage != Some(Sabotage::SleepyReader)
                {
                    cx.resume(conn);
                }
            }
            2 => self.end_early(cx, id),
            _ => {
                for frame in self.hoard.drain(..) {
                    cx.free(frame);
                }
            }
        }
    }
}
