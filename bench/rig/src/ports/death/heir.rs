//! The node that wants the dead one's ports: it tries names until one is granted, and takes a sample
//! of all at the instant from which they must be free.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::{Answer, Batch, FrameWriter, IncomingBody, RegisterFlags, RequestKind};

use super::end::{End, Wrong};
use super::others::one;
use crate::error::Error;
use crate::limits::{DEATH_SAMPLE, DEATH_TRY_AT_ONCE_US, DEATH_TRY_EVERY_US};
use crate::ports::bypss::session::{Conn, Session};
use crate::ports::names::{Names, Paper};

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Heir {
    session: Session,
    conn: Conn,
    /// The distance of two names of the sample; a name that is tried is behind one of it.
    stride: u64,
    under_way: Option<(Asked, Instant)>,
    id: u32,
    tried: u64,
    tried_at: Instant,
    /// When the last name that was refused was asked for.
    pub(super) refused_at: Option<Instant>,
    /// When the first grant was heard of.
    pub(super) granted_at: Option<Instant>,
    /// How long the sample took.
    pub(super) sample: Option<Duration>,
    pub(super) wrong: Wrong,
    out: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Name,
    Sample,
}

impl Heir {
    pub(super) fn begin(address: SocketAddr, ports: u64) -> Result<Self, Error> {
        let mut session = Session::begin(address, "heir")?;
        Ok(Self {
            conn: session.open(address)?,
            session,
            stride: ports / DEATH_SAMPLE,
            under_way: None,
            id: 0,
            tried: 0,
            tried_at: Instant::now(),
            refused_at: None,
            granted_at: None,
            sample: None,
            wrong: Wrong::default(),
            out: Vec::new(),
        })
    }

    /// Renews its own lease.
    pub(super) fn keep(&mut self) -> Result<(), Error> {
        self.session.keep(Instant::now())
    }

    /// Asks for what is due, and takes what came.
    pub(super) fn turn(&mut self, end: &End) -> Result<(), Error> {
        if self.under_way.is_some() {
            return self.hear(end);
        }
        let now = Instant::now();
        if self.sample.is_none() && end.is_over(now) {
            return self.ask_sample();
        }
        let soon = now + Duration::from_micros(DEATH_TRY_AT_ONCE_US);
        let pause = Duration::from_micros(DEATH_TRY_EVERY_US);
        if self.granted_at.is_none() && (end.may_be_over(soon) || now >= self.tried_at + pause) {
            return self.try_name();
        }
        Ok(())
    }

    /// Whether it has all that it wanted.
    pub(super) fn is_done(&self) -> bool {
        self.granted_at.is_some() && self.sample.is_some() && self.under_way.is_none()
    }

    /// Gives back what it has.
    pub(super) fn end(self) -> Result<(), Error> {
        self.session.end()
    }

    fn try_name(&mut self) -> Result<(), Error> {
        self.id += 1;
        let number = (self.tried % DEATH_SAMPLE) * self.stride + 1;
        self.tried += 1;
        self.out.clear();
        let mut paper = Paper::new();
        let name = Names::new(super::NAME_LEN).name(number, &mut paper);
        let (flags, limits) = (RegisterFlags::default(), self.session.limits);
        one(Batch::register(&mut self.out, self.id, flags, &limits), name);
        self.send(Asked::Name)
    }

    fn ask_sample(&mut self) -> Result<(), Error> {
        self.id += 1;
        self.out.clear();
        let names = Names::new(super::NAME_LEN);
        let mut paper = Paper::new();
        let mut frame = FrameWriter::begin(&mut self.out, RequestKind::RegPort.into(), 0, self.id);
        frame.u32(u32::try_from(DEATH_SAMPLE).expect("a thousand"));
        for index in 0..DEATH_SAMPLE {
            frame.name(names.name(index * self.stride, &mut paper));
        }
        frame.finish();
        self.send(Asked::Sample)
    }

    fn send(&mut self, asked: Asked) -> Result<(), Error> {
        self.tried_at = Instant::now();
        self.under_way = Some((asked, self.tried_at));
        self.conn.say(&self.out)
    }

    fn hear(&mut self, end: &End) -> Result<(), Error> {
        self.conn.read()?;
        let Some((asked, sent)) = self.under_way else { return Ok(()) };
        if !self.conn.has_frame(&self.session.limits)? {
            return Ok(());
        }
        let (now, id) = (Instant::now(), self.id);
        let granted = self.conn.use_frame(&self.session.limits, "a try", |answered, body| {
            let IncomingBody::Answer(Answer::RegPort(answer)) = body else { return None };
            let granted = answer.grants.iter().map(|grant| u64::from(grant.count)).sum::<u64>();
            (answered == id).then_some(granted)
        })?;
        self.under_way = None;
        let wanted = if asked == Asked::Name { 1 } else { DEATH_SAMPLE };
        if end.is_over(sent) {
            self.wrong.dead_late += wanted - granted;
        }
        if !end.may_be_over(now) {
            self.wrong.granted_early += granted;
        }
        match asked {
            Asked::Sample => self.sample = Some(now - sent),
            Asked::Name if granted == 0 => self.refused_at = Some(sent),
            Asked::Name => {}
        }
        if granted > 0 {
            self.granted_at.get_or_insert(now);
        }
        Ok(())
    }
}
