//! Those who take part: owners, of which some die, and subscribers, of which some read late, in small
//! pieces, or never.

use base::{Duration, Rng};
use protocol::{
    Answer, Framing, Hello, Holder, Incoming, IncomingBody, Limits, RegisterFlags, RequestKind,
    SessionId,
};

use super::super::bed::{Bed, bare, hello, query, reg, relet};
use super::Size;
use super::ledger::{DIGITS, Ledger, Standing};
use crate::connection::ConnId;
use crate::switch::Switch;

/// Ports that are asked for together.
pub(super) const BLOCK: u32 = 250;
/// Bytes of a short name and of a long one; every eighth block has long ones.
const NAME_LENS: [usize; 2] = [16, 600];
/// What passes in one step of time: three of them are an exclusion.
const STEP: Duration = Duration::from_millis(1_050);

/// How a subscriber reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    AtOnce,
    /// Everything, now and then.
    Late,
    /// Some hundred bytes, now and then.
    Pieces,
    Never,
}

/// A session.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) node: String,
    id: u32,
    /// Tells all sessions apart.
    pub(super) serial: u32,
    pub(super) receiver: Option<ConnId>,
    pub(super) sender: ConnId,
    pub(super) pace: Pace,
    /// Steps of time for which it has been silent on purpose.
    pub(super) silent: u32,
}

pub(super) struct Crowd {
    pub(super) bed: Bed,
    pub(super) rng: Rng,
    pub(super) ledger: Ledger,
    pub(super) owners: Vec<Member>,
    pub(super) subscribers: Vec<Member>,
    serials: u32,
}

impl Crowd {
    pub(super) fn new(bed: Bed, seed: u64, size: &Size) -> Self {
        let ledger = Ledger::new(size.blocks * BLOCK, size.subscribers);
        let rng = Rng::seeded(seed);
        let (owners, subscribers) = (Vec::new(), Vec::new());
        let mut crowd = Self { bed, rng, ledger, owners, subscribers, serials: 0 };
        for number in 0..size.owners {
            let owner = crowd.join(format!("owner-{number}"), 1, Pace::AtOnce);
            crowd.owners.push(owner);
        }
        for number in 0..size.subscribers {
            // The first one always reads.
            let pace = match number % 20 {
                1 => Pace::Late,
                2 => Pace::Pieces,
                3 => Pace::Never,
                _ => Pace::AtOnce,
            };
            let subscriber = crowd.join(format!("subscriber-{number}"), 1, pace);
            crowd.subscribers.push(subscriber);
        }
        crowd
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("below a usize")
    }

    fn connect(&mut self, node: &str, id: u32) -> ConnId {
        let mut session = [1; 16];
        session[..4].copy_from_slice(&id.to_le_bytes());
        self.bed.connect_as(Hello { session: SessionId(session), ..hello(node, 0) })
    }

    fn join(&mut self, node: String, id: u32, pace: Pace) -> Member {
        let (sender, receiver) = (self.connect(&node, id), self.connect(&node, id));
        self.bed.say(receiver, |out| bare(out, RequestKind::WaitMsg));
        self.bed.clients[receiver.0 as usize].inbox.clear();
        self.read(receiver, pace);
        self.serials += 1;
        let (receiver, serial) = (Some(receiver), self.serials);
        Member { node, id, serial, receiver, sender, pace, silent: 0 }
    }

    fn read(&mut self, receiver: ConnId, pace: Pace) {
        let is_slow = pace != Pace::AtOnce;
        self.bed.clients[receiver.0 as usize].reads = is_slow.then_some(0);
    }

    /// A newer session of the node, which evicts the one before it; `None` if too many drain.
    fn rejoin(&mut self, node: &str, id: u32, pace: Pace) -> Option<Member> {
        let sessions = &self.bed.switch.sessions;
        let has_room = sessions.node_named(node).is_none_or(|index| sessions.has_room(index));
        has_room.then(|| self.join(node.to_owned(), id + 1, pace))
    }

    /// Another session of an owner; gives the one before it.
    pub(super) fn replace_owner(&mut self, index: usize) -> Option<Member> {
        let Member { ref node, id, pace, .. } = self.owners[index];
        let (node, pace) = (node.clone(), pace);
        let later = self.rejoin(&node, id, pace)?;
        Some(std::mem::replace(&mut self.owners[index], later))
    }

    /// Another session of a subscriber.
    pub(super) fn replace_subscriber(&mut self, index: usize) -> Result<(), String> {
        self.hear_unread(index)?;
        let Member { ref node, id, pace, .. } = self.subscribers[index];
        let (node, pace) = (node.clone(), pace);
        if let Some(later) = self.rejoin(&node, id, pace) {
            self.ledger.on_ended(index)?;
            self.subscribers[index] = later;
        }
        Ok(())
    }

    /// The subscriber's receive connection breaks, and what it has not read is lost.
    pub(super) fn break_off(&mut self, index: usize) -> Result<(), String> {
        self.hear_unread(index)?;
        if let Some(conn) = self.subscribers[index].receiver.take() {
            self.bed.break_off(conn);
            self.ledger.on_broken(index)?;
        }
        Ok(())
    }

    /// The subscriber comes back on another connection.
    pub(super) fn resume(&mut self, index: usize) -> Result<(), String> {
        let Member { ref node, id, pace, .. } = self.subscribers[index];
        let node = node.clone();
        let conn = self.connect(&node, id);
        self.bed.say(conn, |out| bare(out, RequestKind::WaitMsg));
        let inbox = self.bed.clients[conn.0 as usize].inbox.clone();
        let Some(Answer::WaitMsg(answer)) = first_answer(&inbox) else {
            // It was away for too long.
            return self.replace_subscriber(index);
        };
        self.ledger.on_resumed(index, answer.notice)?;
        self.read(conn, pace);
        self.subscribers[index].receiver = Some(conn);
        Ok(())
    }

    /// Hears of what waits for a subscriber, read or not.
    fn hear_unread(&mut self, index: usize) -> Result<(), String> {
        let Some(conn) = self.subscribers[index].receiver else { return Ok(()) };
        let mut stream = std::mem::take(&mut self.bed.clients[conn.0 as usize].inbox);
        self.bed.switch.connections.at_mut(conn).outbox.peek(&mut stream);
        let used = self.ledger.on_heard(index, &stream, &mut Vec::new())?;
        assert!(used == stream.len(), "a stream is whole frames");
        Ok(())
    }

    /// Everybody hears what came.
    pub(super) fn listen(&mut self) -> Result<(), String> {
        let mut granted = Vec::new();
        for index in 0..self.subscribers.len() {
            let Some(conn) = self.subscribers[index].receiver else { continue };
            let inbox = &mut self.bed.clients[conn.0 as usize].inbox;
            if inbox.is_empty() {
                continue;
            }
            let used = self.ledger.on_heard(index, inbox, &mut granted)?;
            inbox.drain(..used);
            let serial = self.subscribers[index].serial;
            self.on_granted(&mut granted, serial);
        }
        for index in 0..self.owners.len() {
            let Some(conn) = self.owners[index].receiver else { continue };
            let bytes = std::mem::take(&mut self.bed.clients[conn.0 as usize].inbox);
            grants_in(&bytes, &mut granted);
            let serial = self.owners[index].serial;
            self.on_granted(&mut granted, serial);
        }
        Ok(())
    }

    fn on_granted(&mut self, granted: &mut Vec<(u32, u64)>, serial: u32) {
        let Self { bed, ledger, subscribers, .. } = self;
        for grant in granted.drain(..) {
            ledger.on_granted(grant, serial, standing(&bed.switch, subscribers));
        }
    }

    /// The names of a block, the first so many of them.
    pub(super) fn names(block: u32, count: u32) -> Vec<String> {
        let len = NAME_LENS[usize::from(is_long(block))];
        let ports = block * BLOCK..block * BLOCK + count;
        ports.map(|port| format!("{port:0DIGITS$}{:-<1$}", "", len - DIGITS)).collect()
    }

    /// Sends a request of a member's and gives what is answered.
    pub(super) fn ask(&mut self, sender: ConnId, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        self.bed.clients[sender.0 as usize].inbox.clear();
        self.bed.say(sender, write);
        std::mem::take(&mut self.bed.clients[sender.0 as usize].inbox)
    }

    /// Registers names; gives the ports that were not granted.
    pub(super) fn register(
        &mut self,
        (sender, serial): (ConnId, u32),
        block: u32,
        flags: RegisterFlags,
    ) -> Vec<u32> {
        let names = Self::names(block, BLOCK);
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let bytes = self.ask(sender, reg(&texts, flags));
        let Some(Answer::RegPort(answer)) = first_answer(&bytes) else {
            panic!("a registration is answered")
        };
        let (mut granted, mut failed) = (Vec::new(), Vec::new());
        let outcomes = answer.outcomes(texts.iter().map(|text| text.as_bytes()), 1);
        for (port, outcome) in (block * BLOCK..).zip(outcomes) {
            match outcome {
                protocol::Outcome::Granted(sequence) => granted.push((port, sequence.to_bits())),
                protocol::Outcome::Failed(_) => failed.push(port),
                protocol::Outcome::Unanswered => panic!("port {port} is not answered"),
            }
        }
        self.on_granted(&mut granted, serial);
        failed
    }

    /// A subscriber asks who has the first ports of a block, and believes what it hears.
    pub(super) fn believe(&mut self, index: usize, block: u32, count: u32) -> Result<(), String> {
        let names = Self::names(block, count);
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let bytes = self.ask(self.subscribers[index].sender, query(&texts, true));
        let Some(Answer::QueryPort(answer)) = first_answer(&bytes) else {
            // It was away for too long.
            return self.replace_subscriber(index);
        };
        let Self { bed, ledger, subscribers, .. } = self;
        for (port, (sequence, holder)) in (block * BLOCK..).zip(answer.iter()) {
            if matches!(holder, Holder::Owner(_)) {
                let standing = standing(&bed.switch, subscribers);
                ledger.on_answered(index, (port, sequence.to_bits()), standing);
            }
        }
        Ok(())
    }

    /// A part of the exclusion passes, in which everybody who lives renews the lease.
    pub(super) fn pass(&mut self) {
        for index in 0..self.owners.len() + self.subscribers.len() {
            let own = self.owners.len();
            let member = if index < own {
                &mut self.owners[index]
            } else {
                &mut self.subscribers[index - own]
            };
            if member.silent > 0 {
                member.silent += 1;
            } else if let Some(conn) = member.receiver {
                self.bed.say(conn, relet(1));
            }
        }
        self.bed.now += STEP;
    }
}

/// Whether a block's names are long.
pub(super) fn is_long(block: u32) -> bool {
    block.is_multiple_of(8)
}

/// Where the notices of subscribers stand.
fn standing(switch: &Switch, subscribers: &[Member]) -> impl Fn(usize) -> Option<Standing> {
    move |index| {
        let Member { sender, id, .. } = subscribers[index];
        let node = switch.connections.at(sender).node;
        let session = switch.sessions.session(switch.sessions.live(node)?);
        let is_own = session.id[..4] == id.to_le_bytes();
        is_own.then_some(Standing { next: session.notice, is_owed: session.lost.is_some() })
    }
}

fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Incoming<'_>> {
    std::iter::from_fn(move || {
        let Ok(Framing::Whole { frame, rest, .. }) = Framing::find(bytes, u32::MAX) else {
            return None;
        };
        bytes = rest;
        Some(Incoming::parse(frame, &Limits::DEFAULT).expect("a switch writes frames"))
    })
}

fn first_answer(bytes: &[u8]) -> Option<Answer<'_>> {
    frames(bytes).find_map(|incoming| match incoming.body {
        IncomingBody::Answer(answer) => Some(answer),
        IncomingBody::Push(_) | IncomingBody::Error(_) => None,
    })
}

fn grants_in(bytes: &[u8], granted: &mut Vec<(u32, u64)>) {
    for incoming in frames(bytes) {
        if let IncomingBody::Push(protocol::Push::Grant(grant)) = incoming.body {
            let items = grant.items.iter();
            let port = |name| super::ledger::port_of(name);
            granted.extend(items.map(|item| (port(item.name), item.sequence.to_bits())));
        }
    }
}
