//! Ports: registering, unregistering, querying, and what waits and subscribes.

use crate::codes::open_codes;
use crate::cursor::Cursor;
use crate::fault::{FrameError, Malformation};
use crate::header::RequestKind;
use crate::ids::Sequence;
use crate::list::{Item, List, ListIter, Sequences};
use crate::names::{self, Names};
use crate::shard::shard_of;
use crate::writer::FrameWriter;

open_codes! {
    /// Why a port was not granted.
    RegisterCode: u8 {
        /// Another session holds it.
        Held = 1,
        /// This session holds it already.
        Mine = 2,
        /// Its holder was evicted and may still act.
        Draining = 3,
        /// As `Held` or `Draining`, and this session is in the queue of its waiters.
        Waiting = 4,
        /// The node holds as many ports as it may.
        Quota = 5,
        /// This credential may not register names with this prefix.
        Forbidden = 6,
        /// The switch has no room.
        Full = 7,
        /// As `Held` or `Draining`, and what was asked for besides was not given.
        Subscriptions = 8,
    }
}

open_codes! {
    /// Why a port was not released.
    UnregisterCode: u8 {
        /// Nobody holds it.
        Free = 1,
        /// Another session does.
        NotMine = 2,
        /// This session holds it under another sequence.
        Stale = 3,
    }
}

open_codes! {
    /// What a node is to the switch.
    NodeState: u8 {
        /// It is not known.
        Unknown = 0,
        /// It has a session that lives.
        Live = 1,
        /// Its session was evicted, and may still act.
        Draining = 2,
    }
}

/// What is asked for besides the grant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RegisterFlags {
    /// To be told when a port that was not granted goes away.
    pub subscribe: bool,
    /// To be queued for a port that was not granted.
    pub wait: bool,
}

impl RegisterFlags {
    /// As they are in the header.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        (self.subscribe as u8) | (self.wait as u8) << 1
    }

    /// As they are in the header; others are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self { subscribe: bits & 1 != 0, wait: bits & 2 != 0 }
    }
}

/// Whose a port is, in an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner<'a> {
    /// The id of the node.
    pub node: &'a str,
    /// Where other nodes reach it.
    pub address: &'a str,
}

impl<'a> Item<'a> for Owner<'a> {
    fn read(cursor: &mut Cursor<'a>, _item: u32) -> Result<Self, FrameError> {
        Ok(Self { node: cursor.node()?, address: cursor.address()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { node, address } = self;
        names::write_name(out, node.as_bytes());
        names::write_len(out, address.len());
        out.extend_from_slice(address.as_bytes());
    }
}

/// Consecutive grants of one shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grants {
    /// The first, with the shard.
    pub first: Sequence,
    /// How many.
    pub count: u32,
}

impl Item<'_> for Grants {
    fn read(cursor: &mut Cursor<'_>, _item: u32) -> Result<Self, FrameError> {
        Ok(Self { first: Sequence::from_bits(cursor.u64()?), count: cursor.u32()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { first, count } = self;
        out.extend_from_slice(&first.to_bits().to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
    }
}

/// An item of a `REG_PORT` that was not granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RegisterFailure {
    /// Its place in the request.
    pub item: u32,
    /// Why.
    pub code: RegisterCode,
    /// Whose the port is: a place in the answer's owners.
    pub owner: Option<u32>,
    /// The grant whose end will be told, if that was asked for and given; else none.
    pub sequence: Sequence,
}

/// The owner index that is none; in a query: the port is free.
const NO_OWNER: u32 = u32::MAX;
/// The owner index of a query that is not known.
const UNKNOWN_OWNER: u32 = u32::MAX - 1;

impl Item<'_> for RegisterFailure {
    #[inline]
    fn read(cursor: &mut Cursor<'_>, _item: u32) -> Result<Self, FrameError> {
        let item = cursor.u32()?;
        let code = cursor.u8()?.into();
        let owner = Some(cursor.u32()?).filter(|owner| *owner != NO_OWNER);
        Ok(Self { item, code, owner, sequence: Sequence::from_bits(cursor.u64()?) })
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        let Self { item, code, owner, sequence } = self;
        let [a, b, c, d] = item.to_le_bytes();
        let [e, f, g, h] = owner.unwrap_or(NO_OWNER).to_le_bytes();
        out.extend_from_slice(&[a, b, c, d, u8::from(*code), e, f, g, h]);
        out.extend_from_slice(&sequence.to_bits().to_le_bytes());
    }
}

/// An item of an `UNREG_PORT` that was not released.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnregisterFailure {
    /// Its place in the request.
    pub item: u32,
    /// Why.
    pub code: UnregisterCode,
}

impl Item<'_> for UnregisterFailure {
    #[inline]
    fn read(cursor: &mut Cursor<'_>, _item: u32) -> Result<Self, FrameError> {
        Ok(Self { item: cursor.u32()?, code: cursor.u8()?.into() })
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        let Self { item, code } = self;
        let [a, b, c, d] = item.to_le_bytes();
        out.extend_from_slice(&[a, b, c, d, u8::from(*code)]);
    }
}

/// A `REG_PORT`.
#[derive(Clone, Copy, Debug)]
pub struct RegPort<'a> {
    /// What is asked for besides the grant.
    pub flags: RegisterFlags,
    /// The ports.
    pub names: Names<'a>,
}

/// The answer to `REG_PORT`.
#[derive(Clone, Copy, Debug)]
pub struct RegPortAnswer<'a> {
    /// What was granted: one entry for each shard that granted something.
    pub grants: List<'a, Grants>,
    /// Who holds what was not.
    pub owners: List<'a, Owner<'a>>,
    /// What was not granted, by rising item.
    pub failures: List<'a, RegisterFailure>,
}

impl<'a> RegPortAnswer<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let shards = u32::from(cursor.u8()?);
        let mut is_seen = [false; 256];
        let grants = List::read_each(cursor, shards, |at, grants: &Grants| {
            let is_again = std::mem::replace(&mut is_seen[usize::from(grants.first.shard())], true);
            if is_again { Err(at.malformed(Malformation::Value)) } else { Ok(()) }
        })?;
        let owners = List::read_counted(cursor)?;
        let count = cursor.u32()?;
        let mut next = 0;
        let failures = List::read_each(cursor, count, |at, failure: &RegisterFailure| {
            check_rising(at, failure.item, &mut next)?;
            match failure.owner {
                Some(owner) if owner >= owners.len() => Err(at.malformed(Malformation::Value)),
                Some(_) | None => Ok(()),
            }
        })?;
        Ok(Self { grants, owners, failures })
    }
}

impl<'a> RegPortAnswer<'a> {
    /// What became of each port, where `names` are those of the request and `shards` is the count
    /// of the `WELCOME`.
    #[must_use]
    pub fn outcomes<'n, N>(&self, names: N, shards: u8) -> Outcomes<'a, N::IntoIter>
    where
        N: IntoIterator<Item = &'n [u8]>,
    {
        let mut next = [(Sequence::NONE, 0); 256];
        for Grants { first, count } in self.grants.iter() {
            next[usize::from(first.shard())] = (first, count);
        }
        let mut failures = self.failures.iter();
        let failure = failures.next();
        Outcomes { names: names.into_iter(), shards, item: 0, next, failure, failures }
    }
}

/// What became of a port that was to be registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was granted.
    Granted(Sequence),
    /// It was not.
    Failed(RegisterFailure),
    /// The answer speaks of another request: it neither grants the port nor says why not.
    Unanswered,
}

/// The outcomes of a registration, in the order of its items.
#[derive(Clone, Debug)]
pub struct Outcomes<'a, N> {
    names: N,
    shards: u8,
    item: u32,
    /// The next grant of each shard, and how many are left.
    next: [(Sequence, u32); 256],
    failure: Option<RegisterFailure>,
    failures: ListIter<'a, RegisterFailure>,
}

impl<N> Outcomes<'_, N> {
    /// Whether every grant and every failure belonged to an item; asked when there is none left.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.failure.is_none() && self.next.iter().all(|(_next, left)| *left == 0)
    }
}

impl<'n, N: Iterator<Item = &'n [u8]>> Iterator for Outcomes<'_, N> {
    type Item = Outcome;

    #[inline]
    fn next(&mut self) -> Option<Outcome> {
        let name = self.names.next()?;
        let item = self.item;
        self.item = item.wrapping_add(1);
        if let Some(failure) = self.failure.filter(|failure| failure.item == item) {
            self.failure = self.failures.next();
            return Some(Outcome::Failed(failure));
        }
        let shard = if self.shards == 1 { 0 } else { shard_of(name, self.shards) };
        let (next, left) = &mut self.next[usize::from(shard)];
        if *left == 0 {
            return Some(Outcome::Unanswered);
        }
        *left -= 1;
        let sequence = *next;
        *next = sequence.after(1);
        Some(Outcome::Granted(sequence))
    }
}

/// `next` is the lowest item that may come.
#[inline]
fn check_rising(at: &Cursor<'_>, item: u32, next: &mut u32) -> Result<(), FrameError> {
    if item < *next || item == u32::MAX {
        return Err(at.malformed(Malformation::Order));
    }
    *next = item + 1;
    Ok(())
}

/// Appends the answer to a `REG_PORT`.
///
/// # Panics
///
/// If there are more than 255 grants, or a text has not the length that it may have.
pub fn write_reg_port_answer<'a>(
    out: &mut Vec<u8>,
    id: u32,
    grants: &[Grants],
    owners: impl IntoIterator<Item = Owner<'a>>,
    failures: impl IntoIterator<Item = RegisterFailure>,
) {
    let mut frame = FrameWriter::answer(out, RequestKind::RegPort, id);
    frame.u8(u8::try_from(grants.len()).expect("a switch has at most 255 shards"));
    for grant in grants {
        grant.write(frame.out());
    }
    frame.list(owners).list(failures);
    frame.finish();
}

/// An `UNREG_PORT`.
#[derive(Clone, Copy, Debug)]
pub struct UnregPort<'a> {
    /// The grants of the ports, in their order.
    pub sequences: Sequences<'a>,
    /// The ports.
    pub names: Names<'a>,
}

impl<'a> UnregPort<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let count = cursor.count()?;
        let sequences = Sequences::read(cursor, count)?;
        Ok(Self { sequences, names: Names::read(cursor, count)? })
    }

    /// The grants and their ports.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Sequence, &'a [u8])> + Clone + use<'a> {
        self.sequences.iter().zip(self.names.iter())
    }
}

/// The answer to `UNREG_PORT`.
#[derive(Clone, Copy, Debug)]
pub struct UnregPortAnswer<'a> {
    /// What was not released, by rising item.
    pub failures: List<'a, UnregisterFailure>,
}

impl<'a> UnregPortAnswer<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let count = cursor.u32()?;
        let mut next = 0;
        let failures = List::read_each(cursor, count, |at, failure: &UnregisterFailure| {
            check_rising(at, failure.item, &mut next)
        })?;
        Ok(Self { failures })
    }
}

/// Appends the answer to an `UNREG_PORT`.
pub fn write_unreg_port_answer(
    out: &mut Vec<u8>,
    id: u32,
    failures: impl IntoIterator<Item = UnregisterFailure>,
) {
    let mut frame = FrameWriter::answer(out, RequestKind::UnregPort, id);
    frame.list(failures);
    frame.finish();
}

/// A `QUERY_PORT`.
#[derive(Clone, Copy, Debug)]
pub struct QueryPort<'a> {
    /// To be told when a port that is held goes away from its owner.
    pub subscribe: bool,
    /// The ports.
    pub names: Names<'a>,
}

/// Whose a port is, as a query is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holder {
    /// A place in the answer's owners.
    Owner(u32),
    /// Nobody's.
    Free,
    /// The switch does not know yet.
    Unknown,
}

impl Holder {
    const fn from_wire(index: u32) -> Self {
        match index {
            NO_OWNER => Self::Free,
            UNKNOWN_OWNER => Self::Unknown,
            index => Self::Owner(index),
        }
    }

    const fn to_wire(self) -> u32 {
        match self {
            Self::Owner(index) => index,
            Self::Free => NO_OWNER,
            Self::Unknown => UNKNOWN_OWNER,
        }
    }
}

/// The answer to `QUERY_PORT`.
#[derive(Clone, Copy, Debug)]
pub struct QueryPortAnswer<'a> {
    /// Who holds the ports.
    pub owners: List<'a, Owner<'a>>,
    /// The grants, in the order asked; `NONE` where there is none.
    pub sequences: Sequences<'a>,
    indices: &'a [[u8; 4]],
}

impl<'a> QueryPortAnswer<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let owners = List::read_counted(cursor)?;
        let count = cursor.u32()?;
        let sequences = Sequences::read(cursor, count)?;
        let before = *cursor;
        let (indices, _rest) = cursor.take(sequences.len() * 4)?.as_chunks();
        let answer = Self { owners, sequences, indices };
        let is_beyond = |holder| matches!(holder, Holder::Owner(index) if index >= owners.len());
        if answer.iter().any(|(_sequence, holder)| is_beyond(holder)) {
            return Err(before.malformed(Malformation::Value));
        }
        Ok(answer)
    }

    /// The grant and the holder of each port, in the order asked.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Sequence, Holder)> + Clone + use<'a> {
        let holders =
            self.indices.iter().map(|index| Holder::from_wire(u32::from_le_bytes(*index)));
        self.sequences.iter().zip(holders)
    }
}

/// Appends the answer to a `QUERY_PORT`: who holds the ports, and each port's grant and holder in
/// the order asked.
///
/// # Panics
///
/// If a text has not the length that it may have.
pub fn write_query_port_answer<'a>(
    out: &mut Vec<u8>,
    id: u32,
    owners: impl IntoIterator<Item = Owner<'a>>,
    ports: &[(Sequence, Holder)],
) {
    let mut frame = FrameWriter::answer(out, RequestKind::QueryPort, id);
    frame.list(owners);
    frame.u32(u32::try_from(ports.len()).expect("a request has at most a million items"));
    for (sequence, _holder) in ports {
        frame.u64(sequence.to_bits());
    }
    for (_sequence, holder) in ports {
        frame.u32(holder.to_wire());
    }
    frame.finish();
}

/// Appends the answer to a `CANCEL_WAIT`: how many were waiting.
pub fn write_cancel_wait_answer(out: &mut Vec<u8>, id: u32, count: u32) {
    write_count(out, RequestKind::CancelWait, id, count);
}

/// Appends the answer to an `UNSUBSCRIBE`: how many were subscribed.
pub fn write_unsubscribe_answer(out: &mut Vec<u8>, id: u32, count: u32) {
    write_count(out, RequestKind::Unsubscribe, id, count);
}

fn write_count(out: &mut Vec<u8>, kind: RequestKind, id: u32, count: u32) {
    let mut frame = FrameWriter::answer(out, kind, id);
    frame.u32(count);
    frame.finish();
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NodeStatus<'a> {
    /// What it is.
    pub state: NodeState,
    /// Where other nodes reach it.
    pub address: &'a str,
    /// What is left of its session's exclusion.
    pub lease_ms: u32,
    /// Ports that it holds.
    pub ports: u64,
}

impl<'a> Item<'a> for NodeStatus<'a> {
    fn read(cursor: &mut Cursor<'a>, _item: u32) -> Result<Self, FrameError> {
        Ok(Self {
            state: cursor.u8()?.into(),
            address: cursor.address()?,
            lease_ms: cursor.u32()?,
            ports: cursor.u64()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { state, address, lease_ms, ports } = self;
        out.push(u8::from(*state));
        names::write_len(out, address.len());
        out.extend_from_slice(address.as_bytes());
        out.extend_from_slice(&lease_ms.to_le_bytes());
        out.extend_from_slice(&ports.to_le_bytes());
    }
}

/// Appends the answer to a `QUERY_NODE`, in the order asked.
///
/// # Panics
///
/// If an address is too long.
pub fn write_query_node_answer<'a>(
    out: &mut Vec<u8>,
    id: u32,
    nodes: impl IntoIterator<Item = NodeStatus<'a>>,
) {
    let mut frame = FrameWriter::answer(out, RequestKind::QueryNode, id);
    frame.list(nodes);
    frame.finish();
}
