//! The thread of a capture: from the cores' blocks to who asked.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nic::CaptureReader;
use nic::pcap::file_header_cut;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;
use tracing::info;

use super::merge::Merge;
use super::request::Request;
use crate::clock::Clock;
use crate::limits::{
    ASKER_PATIENCE, CAPTURE_LAST, CAPTURE_LOOK_MS, CAPTURE_NOTED, CAPTURE_PATIENCE,
    CAPTURE_PIECE_LEN, CAPTURE_REORDER,
};
use crate::stop::Stop;

/// What ended a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Count,
    Seconds,
    /// Whoever asked wants no more.
    Asker,
    /// The gateway ends.
    Gateway,
    /// Nobody reads any more.
    Gone,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Asker => "asker",
            Self::Gateway => "gateway",
            Self::Gone => "gone",
        }
    }
}

/// One capture under way.
#[derive(Debug)]
pub(super) struct Stream {
    socket: UnixStream,
    merge: Merge,
    request: Request,
    /// The cores' clock, and the time of day at which it was zero.
    clock: Clock,
    clock_offset: base::Duration,
    begun: Instant,
    /// What was not sent yet.
    out: Vec<u8>,
    /// Records sent, or about to be.
    captured: u64,
}

impl Stream {
    pub(super) fn new(
        socket: UnixStream,
        readers: Vec<CaptureReader>,
        request: Request,
        (clock, clock_offset): (Clock, base::Duration),
    ) -> Self {
        let (merge, out, begun) = (Merge::new(readers), Vec::new(), Instant::now());
        Self { socket, merge, request, clock, clock_offset, begun, out, captured: 0 }
    }

    /// Sends packets until something ends it, and then what became of them. It says so by `is_over`
    /// before it logs it: who reads that line may begin the next capture.
    pub(super) fn run(mut self, stop: &Stop, is_over: &AtomicBool) {
        if self.socket.set_nonblocking(true).is_err() {
            return;
        }
        let snap_len = u32::try_from(self.request.snaplen).unwrap_or(u32::MAX);
        self.piece(|out, _merge| out.extend_from_slice(&file_header_cut(snap_len)));
        let mut end = loop {
            match self.step(stop) {
                None => self.rest(),
                Some(end) => break end,
            }
        };
        if end == End::Asker {
            // Whoever asks for the end may have got an answer that its core has sent and not noted.
            thread::sleep(CAPTURE_NOTED);
        }
        self.merge.end();
        if end != End::Gone {
            self.take_last();
            end = self.finish(end);
        }
        let (captured, dropped) = (self.captured, self.merge.dropped());
        is_over.store(true, Ordering::Release);
        info!(captured, dropped, ended = end.name(), "capture");
    }

    /// Takes what there is and sends what can be sent; what ends it, if something does.
    fn step(&mut self, stop: &Stop) -> Option<End> {
        if self.out.len() < CAPTURE_PIECE_LEN {
            let now = self.clock.now() + self.clock_offset;
            self.gather(now.as_nanos().saturating_sub(CAPTURE_REORDER.as_nanos()));
        }
        if self.send().is_err() {
            return Some(End::Gone);
        }
        if self.captured == self.request.count {
            return Some(End::Count);
        }
        if stop.is_raised() {
            return Some(End::Gateway);
        }
        if self.begun.elapsed() >= Duration::from_secs(self.request.seconds) {
            return Some(End::Seconds);
        }
        match self.socket.read(&mut [0; 64]) {
            Ok(0) => Some(End::Asker),
            Err(error) if !is_late(&error) => Some(End::Gone),
            Ok(_) | Err(_) => None,
        }
    }

    /// Waits until it is time to look again, or something can be sent.
    fn rest(&self) {
        // Where nothing waits to be sent there is only the time to wait for, and the end.
        let events = if self.out.is_empty() {
            PollFlags::POLLIN
        } else {
            PollFlags::POLLIN | PollFlags::POLLOUT
        };
        let mut fds = [PollFd::new(self.socket.as_fd(), events)];
        // Whatever it finds, the next step looks for itself.
        poll(&mut fds, PollTimeout::from(CAPTURE_LOOK_MS)).ok();
    }

    /// Puts the records up to a time behind what is to be sent.
    fn gather(&mut self, until: u64) {
        self.merge.fetch();
        let left = self.request.count - self.captured;
        let mut count = 0;
        self.piece(|out, merge| {
            while count < left && out.len() < CAPTURE_PIECE_LEN && merge.next(until, out) {
                count += 1;
            }
        });
        self.captured += count;
    }

    /// Appends a piece, if `fill` makes one, behind its length.
    fn piece(&mut self, fill: impl FnOnce(&mut Vec<u8>, &mut Merge)) {
        let mut piece = Vec::new();
        fill(&mut piece, &mut self.merge);
        if !piece.is_empty() {
            let len = u32::try_from(piece.len()).expect("a piece is bounded");
            self.out.extend_from_slice(&len.to_le_bytes());
            self.out.append(&mut piece);
        }
    }

    /// Sends as much as is taken now.
    fn send(&mut self) -> Result<(), std::io::Error> {
        let mut sent = 0;
        let done = loop {
            if sent == self.out.len() {
                break Ok(());
            }
            match self.socket.write(&self.out[sent..]) {
                Ok(len) => sent += len,
                Err(error) if is_late(&error) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.out.drain(..sent);
        done
    }

    /// Takes what the cores have copied and not handed over yet: they do so in their next turns.
    fn take_last(&mut self) {
        let begun = Instant::now();
        self.merge.fetch();
        while !self.merge.is_whole() && begun.elapsed() < CAPTURE_LAST {
            thread::sleep(Duration::from_millis(1));
            self.merge.fetch();
        }
    }

    /// Sends the rest and the last words, as long as they are taken.
    fn finish(&mut self, end: End) -> End {
        let patience = if end == End::Gateway { ASKER_PATIENCE } else { CAPTURE_PATIENCE };
        let mut has_told = false;
        let mut taken_at = Instant::now();
        loop {
            if self.out.len() < CAPTURE_PIECE_LEN && !has_told {
                let before = self.captured;
                self.gather(u64::MAX);
                if self.captured == before {
                    self.tell(end);
                    has_told = true;
                }
            }
            let before = self.out.len();
            if self.send().is_err() {
                return End::Gone;
            }
            if self.out.is_empty() && has_told {
                return end;
            }
            if self.out.len() < before {
                taken_at = Instant::now();
            } else if taken_at.elapsed() > patience {
                return End::Gone;
            }
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT)];
            poll(&mut fds, PollTimeout::from(CAPTURE_LOOK_MS)).ok();
        }
    }

    fn tell(&mut self, end: End) {
        let told = json!({
            "captured": self.captured,
            "dropped": self.merge.dropped(),
            "ended": end.name(),
        });
        self.out.extend_from_slice(&0_u32.to_le_bytes());
        self.out.extend_from_slice(format!("{told}\n").as_bytes());
    }
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
