//! Frames there and back without any protocol: what a queue itself can do, as a limit for whatever
//! speaks over it.
//!
//! One end keeps a window of minimal frames on their way, the other swaps the stations and sends
//! each back in the frame that it came in. Every frame carries a number, and they must come home in
//! order and whole: a frame that is lost, doubled or overtaken is a wrong result.

pub(crate) mod veth;

use memory::{CoreArena, Frame};
use nic::{BURST_FRAMES_MAX, Burst, QueuePair};

use crate::limits::L2_WINDOW;

/// The shortest frame that Ethernet has, without its checksum.
const FRAME_LEN: usize = 60;
/// Where the number is: behind Ethernet, IPv4 and UDP.
const NUMBER_AT: usize = 42;

/// Between 10.77.0.1 and 10.77.0.2, because the XDP program gives a queue what is for its
/// addresses: IPv4 with a right header checksum, and UDP to port 9 without one.
const TEMPLATE: [u8; NUMBER_AT] = [
    2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, // Ethernet
    0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0x66, 0x23, 10, 77, 0, 1, 10, 77, 0, 2, // IPv4
    0, 9, 0, 9, 0, 26, 0, 0, // UDP
];

/// What the asking end counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    /// Frames that came home as the next and whole.
    pub(crate) returned: u64,
    /// Frames that came otherwise.
    pub(crate) wrong: u64,
}

/// The asking end.
#[derive(Debug)]
pub(crate) struct Asker {
    rx: Burst,
    tx: Burst,
    tally: Tally,
}

/// The end that sends everything back.
#[derive(Debug)]
pub(crate) struct Echo {
    rx: Burst,
    tx: Burst,
    returned: u64,
}

impl Asker {
    pub(crate) fn new() -> Self {
        let (rx, tx) = (Burst::with_capacity(BURST_FRAMES_MAX), Burst::with_capacity(L2_WINDOW));
        Self { rx, tx, tally: Tally::default() }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Frames on their way.
    pub(crate) fn outstanding(&self) -> u64 {
        self.tally.sent.saturating_sub(self.tally.returned + self.tally.wrong)
    }

    /// Takes what has come home and, unless the end is near, sends as many again.
    pub(crate) fn turn<Q: QueuePair>(
        &mut self,
        queue: &mut Q,
        arena: &mut CoreArena,
        is_over: bool,
    ) {
        queue.rx_burst(arena, &mut self.rx);
        while let Some(frame) = self.rx.pop_front() {
            self.judge(arena.bytes(&frame));
            if is_over {
                arena.free(frame);
            } else {
                self.send(arena, frame);
            }
        }
        while !is_over
            && self.outstanding() < L2_WINDOW as u64
            && let Some(frame) = arena.allocate()
        {
            self.send(arena, frame);
        }
        // With nothing to send too: it collects completions.
        queue.tx_burst(arena, &mut self.tx);
    }

    fn judge(&mut self, bytes: &[u8]) {
        let next = frame_of(self.tally.returned + self.tally.wrong, true);
        if *bytes == next {
            self.tally.returned += 1;
        } else {
            self.tally.wrong += 1;
        }
    }

    fn send(&mut self, arena: &mut CoreArena, mut frame: Frame) {
        arena.set_len(&mut frame, FRAME_LEN);
        arena.bytes_mut(&mut frame).copy_from_slice(&frame_of(self.tally.sent, false));
        match self.tx.push(frame) {
            Ok(()) => self.tally.sent += 1,
            Err(frame) => arena.free(frame),
        }
    }
}

impl Echo {
    pub(crate) fn new() -> Self {
        // What is received finds room to be sent: no more is taken than the window has.
        let (rx, tx) = (Burst::with_capacity(BURST_FRAMES_MAX), Burst::with_capacity(L2_WINDOW));
        Self { rx, tx, returned: 0 }
    }

    /// Frames sent back.
    pub(crate) fn returned(&self) -> u64 {
        self.returned
    }

    /// Sends back what has come.
    pub(crate) fn turn<Q: QueuePair>(&mut self, queue: &mut Q, arena: &mut CoreArena) {
        queue.rx_burst(arena, &mut self.rx);
        while let Some(mut frame) = self.rx.pop_front() {
            let bytes = arena.bytes_mut(&mut frame);
            if let Some((there, rest)) = bytes.split_first_chunk_mut::<6>()
                && let Some(here) = rest.first_chunk_mut::<6>()
            {
                std::mem::swap(there, here);
            }
            match self.tx.push(frame) {
                Ok(()) => self.returned += 1,
                Err(frame) => arena.free(frame),
            }
        }
        queue.tx_burst(arena, &mut self.tx);
    }
}

/// The frame of a number, as it goes out or as it comes home.
fn frame_of(number: u64, is_home: bool) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    frame[..NUMBER_AT].copy_from_slice(&TEMPLATE);
    if is_home {
        frame[..6].copy_from_slice(&TEMPLATE[6..12]);
        frame[6..12].copy_from_slice(&TEMPLATE[..6]);
    }
    frame[NUMBER_AT..NUMBER_AT + 8].copy_from_slice(&number.to_le_bytes());
    frame[NUMBER_AT + 8..NUMBER_AT + 16].copy_from_slice(&(!number).to_le_bytes());
    frame
}

#[cfg(test)]
mod tests;
