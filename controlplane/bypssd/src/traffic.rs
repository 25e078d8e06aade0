//! What goes between a worker and the thread that holds the switch: values, and buffers that go
//! back to where they came from.
//!
//! ```text
//! worker 0 --Up--> |        | --Down--> worker 0
//! worker 1 --Up--> | keeper | --Down--> worker 1
//!                  | switch |
//! ```
//!
//! A connection is named by its number at its worker; a generation tells those apart that had the
//! number one after the other. Bytes are whole frames upwards, and downwards whatever the switch has
//! to send. Both are bounded for each connection by what the other end has taken, and what is in the
//! lane upwards for all of them together.

use crate::lane::{Receiver, Sender};
use crate::worker::Peer;

/// From a worker.
#[derive(Debug)]
pub(crate) enum Up {
    /// A connection is there.
    Opened { conn: u32, generation: u32, peer: Peer },
    /// Frames that it sent.
    Bytes { conn: u32, bytes: Vec<u8> },
    /// So much of what it was given has left. The buffer is one that is not used any more.
    Sent { conn: u32, len: usize, spare: Vec<u8> },
    /// It sends no more, and is to be told when everything is answered.
    Ended { conn: u32 },
    /// It is gone.
    Closed { conn: u32 },
}

/// The number of no connection.
pub(crate) const NOBODY: u32 = u32::MAX;

/// To a worker.
#[derive(Debug, Default)]
pub(crate) struct Down {
    /// So many bytes of frames, whoever's, were taken out of the lane.
    pub(crate) drained: usize,
    /// Whom the rest is for, or [`NOBODY`].
    pub(crate) conn: u32,
    pub(crate) generation: u32,
    /// So much of what it sent was taken.
    pub(crate) taken: usize,
    /// So much of what it sent is kept until some of its answers have left.
    pub(crate) kept: usize,
    /// The node that it has come in as.
    pub(crate) node: Option<u32>,
    /// What is to be sent.
    pub(crate) bytes: Vec<u8>,
    /// A buffer that is not used any more.
    pub(crate) spare: Vec<u8>,
    /// Everything was taken and has left.
    pub(crate) is_whole: bool,
    /// Everything has left, and the connection is to be closed.
    pub(crate) is_closing: bool,
}

/// A worker's ends.
#[derive(Debug)]
pub(crate) struct WorkerEnds {
    pub(crate) up: Sender<Up>,
    pub(crate) down: Receiver<Down>,
}

/// The keeper's ends towards one worker.
#[derive(Debug)]
pub(crate) struct KeeperEnds {
    pub(crate) up: Receiver<Up>,
    pub(crate) down: Sender<Down>,
}

/// Buffers that wait for their next use, the one used last first.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Vec<u8>>);

impl Spares {
    /// An empty buffer, if possible one with memory.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    /// Keeps a buffer, unless there are enough, or it is so large that few need it.
    pub(crate) fn put(&mut self, mut buffer: Vec<u8>) {
        use crate::limits::{SPARE_LEN_MAX, SPARES_MAX};
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= SPARE_LEN_MAX && self.0.len() < SPARES_MAX {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}
