//! What is sent, by whom, to whom, and how much of it at a time.

use crate::ports::names::{Names, Paper};

/// A load. Ports belong to receivers by turns: port p to receiver p modulo their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(super) ports: u32,
    pub(super) name_len: usize,
    /// Bytes of a message.
    pub(super) size: usize,
    /// Messages that are sent together.
    pub(super) batch: u32,
    pub(super) senders: u32,
    pub(super) receivers: u32,
    /// Messages under way to those that always read, at most.
    pub(super) window: u64,
}

impl Load {
    /// Who holds a port.
    pub(super) fn receiver_of(&self, port: u32) -> u32 {
        port % self.receivers
    }

    /// The receiver that may stall.
    pub(super) fn last(&self) -> u32 {
        self.receivers - 1
    }

    /// How many receivers always read: all but the last. Only their messages are in the window. One
    /// that is alone is never stalled.
    pub(super) fn others(&self) -> usize {
        index(self.last().max(1))
    }

    /// The ports of a receiver, in order.
    pub(super) fn ports_of(&self, receiver: u32) -> impl Iterator<Item = u32> + use<> {
        (receiver..self.ports).step_by(index(self.receivers))
    }

    /// The name of every port, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let names = Names::new(self.name_len);
        let mut paper = Paper::new();
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("digits and dots");
        (0..self.ports).map(|port| text(names.name(port.into(), &mut paper))).collect()
    }
}

/// A number of something as a place in a list.
pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).expect("32 bits fit a usize")
}
