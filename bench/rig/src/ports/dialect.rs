//! What every server's way to speak has to offer, so that one client asks them all.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::Instant;

use super::names::{Names, Order};
use crate::error::Error;

/// What is done to ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Register,
    Query,
    Unregister,
}

impl Op {
    /// In the order of a cycle.
    pub(super) const ALL: [Self; 3] = [Self::Register, Self::Query, Self::Unregister];
}

/// Ports that are asked for together: `count` of them from the place `first` of the order in which
/// that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) op: Op,
    pub(super) first: u64,
    pub(super) count: u32,
}

/// The ports of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(super) names: Names,
    pub(super) count: u64,
    scattered: Order,
}

impl Ports {
    /// `count` ports with names of `name_len` bytes.
    pub(crate) fn new(count: u64, name_len: usize) -> Self {
        Self { names: Names::new(name_len), count, scattered: Order::scattered(count) }
    }

    /// The numbers of a batch's ports.
    #[inline]
    pub(super) fn numbers(&self, batch: Batch) -> impl Iterator<Item = u64> + use<> {
        let order = match batch.op {
            Op::Register => Order::straight(self.count),
            Op::Query | Op::Unregister => self.scattered,
        };
        let count = usize::try_from(batch.count).expect("32 bits fit a usize");
        order.from(batch.first).take(count)
    }
}

/// A request whose answer is awaited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The number that it has on its connection, above 0.
    pub(super) id: u32,
    pub(super) batch: Batch,
    /// How many of its ports were answered.
    pub(super) answered: u32,
}

/// The requests of one connection, the oldest first.
pub(super) type Pending = VecDeque<Asked>;

/// Ports that were not answered as they must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Registrations, unregistrations and queries that failed, where none may.
    pub(super) refused: u64,
    /// Ports that were found with another owner or sequence than they were given, or not found.
    pub(super) mismatched: u64,
    /// Sequences that were given twice, or left out, or belong to another shard.
    pub(super) sequences: u64,
}

impl Wrong {
    pub(super) fn add(&mut self, other: Self) {
        let Self { refused, mismatched, sequences } = other;
        self.refused += refused;
        self.mismatched += mismatched;
        self.sequences += sequences;
    }
}

/// How a server is asked, and what its answers must be.
pub(super) trait Dialect {
    /// What errors call the server.
    const SIDE: &'static str;

    /// What is said on a new connection before anything else; the stream still blocks.
    fn greet(&mut self, stream: &mut TcpStream) -> Result<(), Error>;

    /// Appends the request for `batch`.
    fn write(&self, id: u32, batch: Batch, out: &mut Vec<u8>);

    /// Takes the answers at the front of `bytes`, as far as they are whole, and their requests from
    /// `pending`; how many bytes those were. What the connection itself must say to them is appended
    /// to `replies`.
    fn take(
        &mut self,
        bytes: &[u8],
        pending: &mut Pending,
        replies: &mut Vec<u8>,
    ) -> Result<usize, Error>;

    /// Looks at what a pass over all ports gave, as a whole.
    fn on_pass(&mut self) {}

    /// Does what is due beside all that.
    fn keep(&mut self, now: Instant) -> Result<(), Error>;

    /// What was wrong so far.
    fn wrong(&self) -> Wrong;
}

/// The error of an answer that is no answer.
pub(super) fn nonsense<D: Dialect>(what: impl Into<String>) -> Error {
    Error::Child { side: D::SIDE, what: what.into() }
}
