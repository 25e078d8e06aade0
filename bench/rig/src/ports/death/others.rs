//! Everybody else: sessions that ask for one port at a time, at a rate that does not wait for
//! answers.
//!
//! Each registers a name of its own, asks for one of the dead node's, releases one of its own, asks
//! for one that it holds, and so on. What an answer took is counted from when its request was due,
//! so that a server that stands still is not measured once only.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use protocol::{
    Answer, Batch, Holder, IncomingBody, Name, QueryPortAnswer, RegisterFlags, Sequence,
};

use super::end::{End, Phase, Wrong};
use crate::error::Error;
use crate::limits::{DEATH_HELD_MAX, DEATH_PENDING_MAX, LATENCY_NS_MAX};
use crate::ports::bypss::Bypss;
use crate::ports::bypss::session::{Conn, NODE, Session};
use crate::ports::dialect::nonsense;
use crate::ports::names::{Names, Paper};

/// Numbers of names of one of the others begin so far from those of the next.
const NUMBERS_EACH: u64 = 1 << 32;
/// Names of the dead node's are asked for in steps of so many: no two neighbours.
const STRIDE: u64 = 7_919;

/// What the others waited, by phase.
pub(super) type Latencies = [Histogram<u64>; 3];

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Others {
    callers: Vec<Caller>,
    interval: Duration,
    due: Instant,
    turns: usize,
    ports: u64,
    doomed: u64,
    pub(super) latencies: Latencies,
    pub(super) wrong: Wrong,
    pub(super) answered: u64,
}

/// One of the others.
#[derive(Debug)]
struct Caller {
    session: Session,
    conn: Conn,
    pending: VecDeque<Asked>,
    /// Ports that it holds, the oldest first.
    held: VecDeque<(u64, Sequence)>,
    name_next: u64,
    step: u32,
    id: u32,
    out: Vec<u8>,
}

/// A request whose answer is awaited.
#[derive(Clone, Copy, Debug)]
struct Asked {
    id: u32,
    due: Instant,
    sent: Instant,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Register(u64),
    Release,
    Own(Sequence),
    Doomed,
}

impl Others {
    /// Begins all sessions. `ports` is how many names the dead node holds.
    pub(super) fn begin(
        address: SocketAddr,
        (count, rate): (u32, u32),
        ports: u64,
    ) -> Result<Self, Error> {
        let mut callers = Vec::new();
        for number in 1..=u64::from(count) {
            let mut session = Session::begin(address, &format!("other-{number}"))?;
            callers.push(Caller {
                conn: session.open(address)?,
                session,
                pending: VecDeque::new(),
                held: VecDeque::new(),
                name_next: number * NUMBERS_EACH,
                step: 0,
                id: 0,
                out: Vec::new(),
            });
        }
        let new = || {
            Histogram::new_with_max(LATENCY_NS_MAX, 3)
                .expect("three digits up to a minute are in its range")
        };
        Ok(Self {
            callers,
            interval: Duration::from_secs(1) / rate,
            due: Instant::now(),
            turns: 0,
            ports,
            doomed: 0,
            latencies: [new(), new(), new()],
            wrong: Wrong::default(),
            answered: 0,
        })
    }

    /// Sends what is due, takes what came, renews leases.
    pub(super) fn turn(&mut self, end: &End) -> Result<(), Error> {
        while self.due <= Instant::now() {
            let due = self.due;
            self.due += self.interval;
            let index = self.turns % self.callers.len();
            self.turns += 1;
            let doomed = self.doomed;
            self.doomed = (doomed + STRIDE) % self.ports;
            self.callers[index].ask(due, doomed)?;
        }
        for index in 0..self.callers.len() {
            self.hear(index, end)?;
            self.callers[index].session.keep(Instant::now())?;
        }
        Ok(())
    }

    /// Forgets what was measured so far.
    pub(super) fn forget(&mut self) {
        self.latencies.iter_mut().for_each(Histogram::reset);
        self.due = Instant::now();
    }

    /// Waits for what is under way.
    pub(super) fn finish(&mut self, end: &End) -> Result<(), Error> {
        let deadline = Instant::now() + crate::limits::PORTS_SILENCE_MAX;
        while self.callers.iter().any(|caller| !caller.pending.is_empty()) {
            for index in 0..self.callers.len() {
                self.hear(index, end)?;
            }
            if Instant::now() > deadline {
                return Err(nonsense::<Bypss>("the others' requests have no answer"));
            }
        }
        Ok(())
    }

    fn hear(&mut self, index: usize, end: &End) -> Result<(), Error> {
        let caller = &mut self.callers[index];
        if caller.pending.is_empty() {
            return Ok(());
        }
        caller.conn.read()?;
        let limits = caller.session.limits;
        while caller.conn.has_frame(&limits)? {
            let now = Instant::now();
            let asked = caller.pending.pop_front();
            let asked = asked.ok_or_else(|| nonsense::<Bypss>("an answer that nobody awaits"))?;
            let (held, wrong) = (&mut caller.held, &mut self.wrong);
            caller.conn.use_frame(&limits, "a request of the others", |id, body| {
                (id == asked.id).then(|| judge(asked, now, body, end, (held, wrong)))?
            })?;
            let nanos = u64::try_from((now - asked.due).as_nanos()).unwrap_or(u64::MAX);
            let phase = end.phase(asked.due, now);
            self.latencies[phase as usize].saturating_record(nanos);
            self.answered += 1;
        }
        Ok(())
    }
}

impl Caller {
    fn ask(&mut self, due: Instant, doomed: u64) -> Result<(), Error> {
        if self.pending.len() == DEATH_PENDING_MAX {
            return Err(nonsense::<Bypss>("it is too slow for the rate that was asked for"));
        }
        self.id += 1;
        self.step = self.step.wrapping_add(1);
        let (id, limits) = (self.id, self.session.limits);
        let names = Names::new(super::NAME_LEN);
        let mut paper = Paper::new();
        self.out.clear();
        let what = match (self.step % 4, self.held.front().copied()) {
            (0, _) if self.held.len() < DEATH_HELD_MAX => {
                let number = self.name_next;
                self.name_next += 1;
                let name = names.name(number, &mut paper);
                let flags = RegisterFlags::default();
                one(Batch::register(&mut self.out, id, flags, &limits), name);
                What::Register(number)
            }
            (1, Some((number, sequence))) => {
                let name = names.name(number, &mut paper);
                one(Batch::query(&mut self.out, id, false, &limits), name);
                What::Own(sequence)
            }
            (2, Some((number, sequence))) => {
                self.held.pop_front();
                let item = (sequence, names.name(number, &mut paper));
                protocol::write_unregister(&mut self.out, id, std::iter::once(item), &limits);
                What::Release
            }
            _ => {
                let name = names.name(doomed, &mut paper);
                one(Batch::query(&mut self.out, id, false, &limits), name);
                What::Doomed
            }
        };
        let sent = Instant::now();
        self.pending.push_back(Asked { id, due, sent, what });
        self.conn.say(&self.out)
    }
}

/// Writes a batch of one name.
pub(super) fn one<'a>(mut batch: Batch<'_, Name<'a>>, name: &'a [u8]) {
    let is_in = batch.push(Name(name));
    assert!(is_in, "one name fits any frame");
    batch.finish();
}

/// Looks at an answer. `None`: it is none to that request.
fn judge(
    asked: Asked,
    now: Instant,
    body: &IncomingBody<'_>,
    end: &End,
    (held, wrong): (&mut VecDeque<(u64, Sequence)>, &mut Wrong),
) -> Option<()> {
    match (asked.what, body) {
        (What::Register(number), IncomingBody::Answer(Answer::RegPort(answer))) => {
            match answer.grants.iter().next() {
                Some(grant) => held.push_back((number, grant.first)),
                None => wrong.refused += 1,
            }
        }
        (What::Release, IncomingBody::Answer(Answer::UnregPort(answer))) => {
            wrong.refused += u64::from(answer.failures.len());
        }
        (What::Own(sequence), IncomingBody::Answer(Answer::QueryPort(answer))) => {
            let is_found = answer.iter().any(|(found, _)| found == sequence);
            wrong.mismatched += u64::from(!is_found);
        }
        (What::Doomed, IncomingBody::Answer(Answer::QueryPort(answer))) => {
            let is_dead = is_held_by_the_dead(answer);
            wrong.dead_late += u64::from(is_dead && end.is_over(asked.sent));
            wrong.granted_early += u64::from(!is_dead && !end.may_be_over(now));
        }
        _ => return None,
    }
    Some(())
}

fn is_held_by_the_dead(answer: &QueryPortAnswer<'_>) -> bool {
    let holders = answer.iter().map(|(_, holder)| holder);
    let owner = |index: u32| answer.owners.iter().nth(index as usize);
    holders
        .filter_map(|holder| match holder {
            Holder::Owner(index) => owner(index),
            Holder::Free | Holder::Unknown => None,
        })
        .any(|owner| owner.node == NODE)
}

/// The names of the phases' figures: p50, p99, the longest.
pub(super) fn figures_of(phase: Phase) -> [&'static str; 3] {
    match phase {
        Phase::Before => ["before_p50_ns", "before_p99_ns", "before_max_ns"],
        Phase::Sweep => ["sweep_p50_ns", "sweep_p99_ns", "sweep_max_ns"],
        Phase::After => ["after_p50_ns", "after_p99_ns", "after_max_ns"],
    }
}
