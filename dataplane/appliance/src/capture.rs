//! Packets of the running gateway for who asks at the control socket, beside the cores.
//!
//! A core copies what is meant into memory that comes with the order (see `nic::Captured`); a thread
//! of its own puts the cores' copies into the order of their times and sends them to who asked. One
//! who reads slowly, or not at all, loses copies, which are counted, and holds up nobody.
//!
//! # What is sent
//!
//! `capture KEY=VALUE ... filter TEXT`, with the keys of [`Request`]. After the first line, which is
//! the exit code as ever, comes a pcap file in pieces, each behind its length (32 bits,
//! little-endian); a length of zero ends it, and a line of JSON says what became of it. Whoever asked
//! ends it sooner by shutting down his direction.

mod merge;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Instant;

use nic::Tap;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::control::Answer;
use crate::error::Error;
use crate::limits::CORE_PATIENCE;
use crate::order::{Order, carry_out};
use crate::reload::Reloader;
use crate::stop::Stop;

pub(crate) use request::{REQUEST, Request};
use stream::Stream;

/// The one capture that there may be.
#[derive(Debug, Default)]
pub(crate) struct Captures<'scope> {
    running: Option<Running<'scope>>,
    /// Whether cores may have a tap, also one that nobody reads any more.
    has_taps: bool,
}

#[derive(Debug)]
struct Running<'scope> {
    thread: ScopedJoinHandle<'scope, ()>,
    begun: Instant,
    request: Request,
    /// It has nothing left to do, and its thread is about to end.
    is_over: Arc<AtomicBool>,
}

/// What each core is told to begin with, or to end; and what it had.
type Taps = Vec<Option<Box<Tap>>>;

impl<'scope> Captures<'scope> {
    /// Whether [`Captures::collect`] is to be called once in a while.
    pub(crate) fn has_taps(&self) -> bool {
        self.has_taps
    }

    /// Begins a capture for who asks by `text` over `stream`; an answer if it cannot begin.
    pub(crate) fn start<'env: 'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        reloader: &mut Reloader<'_>,
        (clock, stop): (Clock, &'env Stop),
        (text, mut stream): (String, UnixStream),
    ) -> Option<(UnixStream, Answer)> {
        let refuse = |stream, code, text| Some((stream, Answer { code, text }));
        let request = match Request::parse(&text, reloader.clerks.len()) {
            Ok(request) => request,
            Err(error) => return refuse(stream, 2, error.to_string()),
        };
        self.collect(reloader);
        if let Some(Running { begun, request, .. }) = &self.running {
            return refuse(stream, 1, busy(*begun, request));
        }
        let clock_offset = clock.zero_of_day();
        let (taps, readers) = request.taps(clock_offset, reloader.clerks.len());
        self.has_taps = true;
        if let Err(core) = exchange(reloader, taps) {
            drop(readers);
            return refuse(stream, 1, silent(core));
        }
        if writeln!(stream, "0").is_err() {
            // He has gone meanwhile.
            return None;
        }
        let begun = Instant::now();
        let work = Stream::new(stream, readers, request.clone(), (clock, clock_offset));
        let thread = thread::Builder::new().name("capture".to_owned());
        let is_over: Arc<AtomicBool> = Arc::default();
        let over = Arc::clone(&is_over);
        match thread.spawn_scoped(scope, move || work.run(stop, &over)) {
            Ok(thread) => {
                info!(filter = request.filter_text, "capture");
                self.running = Some(Running { thread, begun, request, is_over });
            }
            Err(error) => warn!("{}", Error::io("start a thread")(error)),
        }
        None
    }

    /// Takes the cores' memory back once a capture has ended.
    pub(crate) fn collect(&mut self, reloader: &mut Reloader<'_>) {
        let is_done = |running: &mut Running<'_>| {
            running.is_over.load(Ordering::Acquire) || running.thread.is_finished()
        };
        if let Some(running) = self.running.take_if(is_done) {
            // One that panicked has ended the process.
            running.thread.join().ok();
        }
        if self.has_taps && self.running.is_none() {
            let none = reloader.clerks.iter().map(|_| None).collect();
            // A core that hangs is told of by who watches it; its memory is taken back later.
            self.has_taps = exchange(reloader, none).is_err();
        }
    }
}

fn busy(begun: Instant, request: &Request) -> String {
    let (age, of) = (begun.elapsed().as_secs(), request.seconds);
    format!(
        "there is a capture already, for {age} s, and there may be one; end it, or wait: it ends \
         after {of} s at the latest"
    )
}

fn silent(core: usize) -> String {
    let patience = CORE_PATIENCE.as_secs();
    format!("core {core} has not answered within {patience} s: it hangs; without it: --core N")
}

/// Gives each core its tap and drops what they had. The core that does not answer, if there is one.
fn exchange(reloader: &mut Reloader<'_>, taps: Taps) -> Result<(), usize> {
    let limits = reloader.plan.http;
    let orders = taps.into_iter().map(|tap| Some(Order::tap(tap, limits))).collect();
    let done = carry_out(&mut reloader.clerks, reloader.bells, orders);
    done.iter().position(Option::is_none).map_or(Ok(()), Err)
}
