//! The way messages go through the switch: `SEND` of many, `MESSAGES`, and a lease for each receiver.
//!
//! Every `SEND` asks for its answer, so that what is dropped is told. A message must come under the
//! grant of its port. The names of the ports are written once: a client that knows whom it sends to
//! keeps them as they stand in a frame.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use protocol::{
    Answer, Batch, FrameError, FrameWriter, Framing, Grants, Incoming, IncomingBody, Limits, Name,
    Push, RegisterFlags, RequestKind, Role, SendAnswer, Sequence, SessionId, shard_of, write_bare,
    write_relet,
};

use super::dialect::{Dialect, End, One, nonsense};
use super::ledger::Ledger;
use super::load::{Load, index};
use crate::error::Error;
use crate::ports::bypss::session::{Agreed, Conn, chosen_id};
use crate::ports::engine::open;

/// The protocol between nodes and the switch, as all of them speak it.
#[derive(Debug)]
pub(super) struct Bypss {
    load: Load,
    names: Vec<String>,
    /// By port: its name and the length of a message, as they stand in a `SEND`.
    heads: Vec<Vec<u8>>,
    message: Vec<u8>,
    /// By port: its grant.
    sequences: Vec<Sequence>,
    limits: Limits,
    /// By receiver.
    leases: Vec<Lease>,
}

/// When a lease is to be renewed.
#[derive(Clone, Copy, Debug)]
struct Lease {
    every: Duration,
    due: Instant,
    relets: u64,
}

/// No number of a request is needed to tell answers to `SEND` apart, but 0 asks for none.
const SEND_ID: u32 = 1;
const PLAIN: RegisterFlags = RegisterFlags { subscribe: false, wait: false };

impl Bypss {
    pub(super) fn new(load: Load) -> Self {
        let names = load.names();
        let message = vec![0; load.size];
        let head = |name: &String| {
            // An item of a frame of its own, without the message.
            let mut frame = Vec::new();
            let mut writer = FrameWriter::begin(&mut frame, 0, 0, 0);
            writer.name(name.as_bytes()).blob(&message);
            let len = writer.len();
            frame[protocol::limits::HEADER_LEN..len - load.size].to_vec()
        };
        Self {
            heads: names.iter().map(head).collect(),
            sequences: vec![Sequence::NONE; names.len()],
            limits: Limits::DEFAULT,
            leases: Vec::new(),
            names,
            message,
            load,
        }
    }

    /// Registers the receiver's ports on its receive connection.
    fn register(&mut self, receive: &mut Conn, agreed: &Agreed, number: u32) -> Result<(), Error> {
        let ports: Vec<u32> = self.load.ports_of(number).collect();
        let mut out = Vec::new();
        let mut batch = Batch::register(&mut out, 3, PLAIN, &agreed.limits);
        for port in &ports {
            if !batch.push(Name(self.names[index(*port)].as_bytes())) {
                return Err(nonsense::<Self>(
                    "its frames are too short for all ports of a receiver",
                ));
            }
        }
        batch.finish();
        receive.say(&out)?;
        let grants: Vec<Grants> = receive.next(&agreed.limits, "REG_PORT", |body| {
            let IncomingBody::Answer(Answer::RegPort(answer)) = body else { return None };
            answer.failures.is_empty().then(|| answer.grants.iter().collect())
        })?;
        let mut next: Vec<_> = grants.iter().map(|grant| (grant.first, grant.count)).collect();
        for port in ports {
            let shard = shard_of(self.names[index(port)].as_bytes(), agreed.shards);
            let of_shard =
                next.iter_mut().find(|(first, left)| first.shard() == shard && *left > 0);
            let (first, left) =
                of_shard.ok_or_else(|| nonsense::<Self>("it granted fewer ports than it said"))?;
            self.sequences[index(port)] = *first;
            (*first, *left) = (first.after(1), *left - 1);
        }
        Ok(())
    }

    fn take_frame(&mut self, from: End, frame: &[u8], ledger: &mut Ledger) -> Result<(), Error> {
        let incoming = Incoming::parse(frame, &self.limits).map_err(bad_frame)?;
        match (from, incoming.body) {
            (End::Receiver(number), IncomingBody::Push(Push::Messages(messages))) => {
                for message in messages {
                    let port = ledger.receive(number, message.blob);
                    let is_its =
                        port.is_some_and(|port| self.sequences[index(port)] == message.sequence);
                    ledger.wrong.misrouted += u64::from(port.is_some() && !is_its);
                }
            }
            (End::Receiver(_), IncomingBody::Answer(Answer::Relet(_))) => {}
            (End::Sender(_), IncomingBody::Answer(Answer::Send(answer))) => {
                let SendAnswer { delivered, nobody, dropped } = answer;
                ledger.told.messages +=
                    u64::from(delivered) + u64::from(nobody) + u64::from(dropped);
                ledger.told.nobody += u64::from(nobody);
                ledger.told.dropped += u64::from(dropped);
            }
            (_, IncomingBody::Error(error)) => return Err(nonsense::<Self>(error.message)),
            (_, other) => return Err(nonsense::<Self>(format!("it said {other:?}"))),
        }
        Ok(())
    }
}

impl Dialect for Bypss {
    const SIDE: &'static str = "bypssd";
    const TELLS: bool = true;

    fn open_sender(&mut self, address: SocketAddr, number: u32) -> Result<TcpStream, Error> {
        let mut receive = Conn::new(open(address, None)?);
        receive.greet(&format!("sender-{number}"), (SessionId::NONE, 0, 0), Role::Node)?;
        receive.into_stream()
    }

    fn open_receiver(&mut self, address: SocketAddr, number: u32) -> Result<TcpStream, Error> {
        let mut receive = Conn::new(open(address, None)?);
        let begin = Instant::now();
        let agreed =
            receive.greet(&format!("receiver-{number}"), (chosen_id()?, 0, 1), Role::Node)?;
        let mut out = Vec::new();
        write_bare(&mut out, RequestKind::WaitMsg, 2);
        receive.say(&out)?;
        receive.next(&agreed.limits, "WAIT_MSG", |body| {
            matches!(body, IncomingBody::Answer(Answer::WaitMsg(_))).then_some(())
        })?;
        self.register(&mut receive, &agreed, number)?;
        let every = agreed.lease / 3;
        self.limits = agreed.limits;
        self.leases.push(Lease { every, due: begin + every, relets: 0 });
        receive.into_stream()
    }

    fn write(&mut self, sender: u32, ledger: &mut Ledger, out: &mut Vec<u8>) {
        let mut frame = FrameWriter::begin(out, RequestKind::Send.into(), 0, SEND_ID);
        frame.u32(self.load.batch);
        for _message in 0..self.load.batch {
            let stamp = ledger.send(sender);
            stamp.write(&mut self.message);
            frame.bytes(&self.heads[index(stamp.port)]).bytes(&self.message);
        }
        frame.finish();
    }

    fn write_one(&mut self, one: One, ledger: &mut Ledger, out: &mut Vec<u8>) {
        // Where the reply goes is the application's word, which the stamp stands for.
        let mut frame = FrameWriter::begin(out, RequestKind::Send.into(), 0, 0);
        let stamp = ledger.send_to(one.sender, one.to);
        stamp.write(&mut self.message);
        frame.u32(1).bytes(&self.heads[index(one.to)]).bytes(&self.message);
        frame.finish();
    }

    fn take(
        &mut self,
        from: End,
        bytes: &[u8],
        ledger: &mut Ledger,
        _replies: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut left = bytes;
        let frame_len_max = self.limits.incoming_len_max();
        while let Framing::Whole { frame, rest, .. } =
            Framing::find(left, frame_len_max).map_err(bad_frame)?
        {
            self.take_frame(from, frame, ledger)?;
            left = rest;
        }
        Ok(bytes.len() - left.len())
    }

    fn keep(&mut self, receiver: u32, now: Instant, out: &mut Vec<u8>) {
        let lease = &mut self.leases[index(receiver)];
        if now >= lease.due {
            lease.due = now + lease.every;
            lease.relets += 1;
            write_relet(out, 4, lease.relets);
        }
    }
}

fn bad_frame(error: FrameError) -> Error {
    nonsense::<Bypss>(error.to_string())
}

#[cfg(test)]
mod tests;
