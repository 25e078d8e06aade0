//! The way the switch is asked: batches of `REG_PORT`, `QUERY_PORT` and `UNREG_PORT`.
//!
//! Every answer is checked: nothing may fail, the grants of a batch are as many as its names, in
//! the shards that the names belong to, and all batches together have each sequence once and leave
//! none out; what a query finds is the sequence that was granted, and this node.

pub(crate) mod daemon;
pub(crate) mod session;

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use protocol::{
    Answer, FrameError, FrameWriter, Framing, Grants, Holder, Incoming, IncomingBody,
    QueryPortAnswer, RegPortAnswer, RequestKind, Sequence, shard_of,
};

use self::session::{NODE, Session};
use super::dialect::{Batch, Dialect, Op, Pending, Ports, Wrong, nonsense};
use super::names::Paper;
use crate::error::Error;

/// The protocol between nodes and the switch, as one node speaks it.
#[derive(Debug)]
pub(super) struct Bypss {
    ports: Ports,
    pub(super) session: Session,
    /// The grant of each port, by its number; of a port that nobody holds, the one that is over.
    sequences: Vec<Sequence>,
    /// What was granted since they were looked at.
    grants: Vec<Grants>,
    wrong: Wrong,
}

impl Bypss {
    /// Begins a session at the switch.
    pub(super) fn begin(ports: Ports, address: SocketAddr) -> Result<Self, Error> {
        Self::begin_as(NODE, ports, address)
    }

    /// Begins a session of that node.
    pub(super) fn begin_as(node: &str, ports: Ports, address: SocketAddr) -> Result<Self, Error> {
        let count = usize::try_from(ports.count).expect("a table of them fits memory");
        Ok(Self {
            ports,
            session: Session::begin(address, node)?,
            sequences: vec![Sequence::NONE; count],
            grants: Vec::new(),
            wrong: Wrong::default(),
        })
    }

    /// Ends the session: `YIELD` and `BYE`.
    pub(super) fn end(self) -> Result<(), Error> {
        self.session.end()
    }

    fn on_registered(&mut self, batch: Batch, answer: RegPortAnswer<'_>) {
        let failed = answer.failures.len();
        self.wrong.refused += u64::from(failed);
        let granted: u64 = answer.grants.iter().map(|grant| u64::from(grant.count)).sum();
        if failed > 0 || granted != u64::from(batch.count) {
            // Which port has which sequence cannot be told; the queries will find them wrong.
            self.wrong.sequences += u64::from(batch.count).abs_diff(granted + u64::from(failed));
            return;
        }
        self.grants.extend(answer.grants);
        if self.session.shards == 1
            && let Some(Grants { first, .. }) = answer.grants.iter().next()
        {
            self.wrong.sequences += u64::from(first.shard() != 0);
            for (number, rank) in self.ports.numbers(batch).zip(0..) {
                self.sequences[index(number)] = first.after(rank);
            }
            return;
        }
        let mut paper = Paper::new();
        let mut next: [Option<(Sequence, u32)>; 256] = [None; 256];
        for grant in answer.grants {
            next[usize::from(grant.first.shard())] = Some((grant.first, grant.count));
        }
        for number in self.ports.numbers(batch) {
            let name = self.ports.names.name(number, &mut paper);
            let shard = usize::from(shard_of(name, self.session.shards));
            match &mut next[shard] {
                Some((sequence, left @ 1..)) => {
                    self.sequences[index(number)] = *sequence;
                    *sequence = sequence.after(1);
                    *left -= 1;
                }
                Some((_, 0)) | None => self.wrong.sequences += 1,
            }
        }
    }

    fn on_queried(&mut self, batch: Batch, answer: QueryPortAnswer<'_>) {
        let is_one = answer.owners.len() == 1
            && answer.owners.iter().all(|owner| owner.node == self.session.node());
        if !is_one || answer.sequences.len() != index(u64::from(batch.count)) {
            self.wrong.mismatched += u64::from(batch.count);
            return;
        }
        let expected = self.ports.numbers(batch).map(|number| self.sequences[index(number)]);
        let wrong = expected
            .zip(answer.iter())
            .filter(|&(expected, (found, holder))| found != expected || holder != Holder::Owner(0));
        self.wrong.mismatched += wrong.count() as u64;
    }

    fn take_frame(&mut self, frame: &[u8], pending: &mut Pending) -> Result<(), Error> {
        let incoming = Incoming::parse(frame, &self.session.limits).map_err(bad_frame)?;
        let id = incoming.header.id;
        let answer = match incoming.body {
            IncomingBody::Answer(answer) => answer,
            IncomingBody::Push(_) => return Err(nonsense::<Self>("a push on a send connection")),
            IncomingBody::Error(error) => return Err(nonsense::<Self>(error.message)),
        };
        let place = pending.iter().position(|asked| asked.id == id);
        let asked = place.and_then(|place| pending.remove(place));
        let batch = asked.map(|asked| asked.batch);
        let batch = batch.ok_or_else(|| nonsense::<Self>(format!("request {id} is not open")))?;
        match (batch.op, answer) {
            (Op::Register, Answer::RegPort(answer)) => self.on_registered(batch, answer),
            (Op::Query, Answer::QueryPort(answer)) => self.on_queried(batch, answer),
            (Op::Unregister, Answer::UnregPort(answer)) => {
                self.wrong.refused += u64::from(answer.failures.len());
            }
            (op, _) => return Err(nonsense::<Self>(format!("another answer than to {op:?}"))),
        }
        Ok(())
    }
}

impl Dialect for Bypss {
    const SIDE: &'static str = "bypssd";

    fn greet(&mut self, stream: &mut TcpStream) -> Result<(), Error> {
        self.session.greet(stream).map(|_welcome| ())
    }

    fn write(&self, id: u32, batch: Batch, out: &mut Vec<u8>) {
        let kind = match batch.op {
            Op::Register => RequestKind::RegPort,
            Op::Query => RequestKind::QueryPort,
            Op::Unregister => RequestKind::UnregPort,
        };
        let mut paper = Paper::new();
        let mut frame = FrameWriter::begin(out, kind.into(), 0, id);
        frame.u32(batch.count);
        if batch.op == Op::Unregister {
            for number in self.ports.numbers(batch) {
                frame.u64(self.sequences[index(number)].to_bits());
            }
        }
        for number in self.ports.numbers(batch) {
            frame.name(self.ports.names.name(number, &mut paper));
        }
        frame.finish();
    }

    fn take(
        &mut self,
        bytes: &[u8],
        pending: &mut Pending,
        _replies: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut left = bytes;
        let frame_len_max = self.session.limits.incoming_len_max();
        while let Framing::Whole { frame, rest, .. } =
            Framing::find(left, frame_len_max).map_err(bad_frame)?
        {
            self.take_frame(frame, pending)?;
            left = rest;
        }
        Ok(bytes.len() - left.len())
    }

    /// All grants since the last look: those of each shard are consecutive, none is twice and none
    /// is left out, for nobody else registers.
    fn on_pass(&mut self) {
        self.grants.sort_unstable_by_key(|grant| grant.first.to_bits());
        for pair in self.grants.windows(2) {
            let [before, after] = pair else { continue };
            let is_same_shard = before.first.shard() == after.first.shard();
            if is_same_shard && before.first.after(before.count) != after.first {
                self.wrong.sequences += 1;
            }
        }
        self.grants.clear();
    }

    fn keep(&mut self, now: Instant) -> Result<(), Error> {
        self.session.keep(now)
    }

    fn wrong(&self) -> Wrong {
        self.wrong
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a table of them fits memory")
}

fn bad_frame(error: FrameError) -> Error {
    nonsense::<Bypss>(error.to_string())
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
