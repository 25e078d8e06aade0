//! The access log beside the cores: records that cores put into rings become lines of a file.
//!
//! One thread a log takes the records, so that no core waits for a disk, and a disk that is full, a
//! path that vanished or a pipe that nobody reads costs lines and nothing else. Lines that are lost
//! are counted, and the log of the gateway says so once.
//!
//! ```text
//! core --AccessRecord--> ring --\
//! core --AccessRecord--> ring ---+--> writer: line.rs makes lines --> out.rs: the file
//!                     SIGHUP, abelectl reload: look at the path again -^
//! ```
//!
//! A reload that changes the section makes new rings and a new thread; the old one ends when the
//! cores have given their ends back and all that lay in them is written.

mod line;
mod out;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use gateway::{AccessLog, AccessRecord, AccessSizes, AccessTerms};
use logging::Format;
use memory::{Consumer, ring};
use publisher::Board;

use crate::clock::Clock;
use crate::error::Error;
use crate::limits::{ACCESS_BATCH, ACCESS_EVERY, ACCESS_PATIENCE};
use crate::plan::Plan;
use line::Wall;
use out::Out;

/// What the file says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) target: Target,
    pub(crate) terms: AccessTerms,
    pub(crate) format: Format,
    /// Records of each core that wait to be written at most.
    pub(crate) queue: u32,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
    /// A file, which is made if it is not there.
    File(PathBuf),
}

/// Each core's end of the log; `None` where there is no log.
pub(crate) type Ends = Vec<Option<Box<AccessLog>>>;

/// Who lets it be written.
#[derive(Debug)]
pub(crate) struct Scribe {
    clock: Clock,
    board: Arc<Board>,
    thread: Option<Thread>,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Thread {
    /// Tells it to look at the path again.
    reopen: Arc<AtomicBool>,
    /// Tells that it has ended.
    is_over: Receiver<()>,
}

impl Scribe {
    /// Nobody yet.
    pub(crate) fn new(clock: Clock, board: Arc<Board>) -> Self {
        Self { clock, board, thread: None }
    }

    /// A log by these settings, for the cores of this plan: their ends, and who writes. It is this
    /// scribe's once it is taken on.
    pub(crate) fn begin(
        &self,
        plan: &Plan,
        settings: Option<&Settings>,
    ) -> Result<(Ends, Option<Thread>), Error> {
        let count = usize::from(plan.workers.count);
        let Some(settings) = settings else {
            return Ok(((0..count).map(|_| None).collect(), None));
        };
        let sizes = AccessSizes {
            sessions_max: plan.service.sessions,
            connections_max: plan.stack.tcp.records,
            pages: plan.memory.pages,
        };
        let (mut ends, mut records) = (Vec::new(), Vec::new());
        for _core in 0..count {
            let (producer, consumer) = ring(settings.queue as usize);
            ends.push(Some(AccessLog::new(settings.terms, sizes, producer)?));
            records.push(consumer);
        }
        let reopen = Arc::new(AtomicBool::new(false));
        let (ended, is_over) = mpsc::sync_channel(1);
        let out = Out::new(settings.target.clone(), Arc::clone(&self.board));
        let (asked, clock, format) = (Arc::clone(&reopen), self.clock, settings.format);
        let thread = thread::Builder::new().name("access log".to_owned());
        let thread = thread.spawn(move || write(records, out, &asked, (clock, format), &ended));
        thread.map_err(Error::io("start a thread"))?;
        Ok((ends, Some(Thread { reopen, is_over })))
    }

    /// The cores write to this one now, or to none.
    pub(crate) fn take_on(&mut self, thread: Option<Thread>) {
        self.thread = thread;
    }

    /// Looks at the path again: the file may have been renamed.
    pub(crate) fn reopen(&self) {
        if let Some(Thread { reopen, is_over: _ }) = &self.thread {
            reopen.store(true, Ordering::Release);
        }
    }
}

impl Drop for Scribe {
    /// Waits a little until all is written; not for ever, as nobody may read.
    fn drop(&mut self) {
        if let Some(Thread { reopen: _, is_over }) = &self.thread {
            is_over.recv_timeout(ACCESS_PATIENCE).ok();
        }
    }
}

/// Takes records and writes their lines until no core has its end any more.
fn write(
    mut records: Vec<Consumer<AccessRecord>>,
    mut out: Out,
    reopen: &AtomicBool,
    (clock, format): (Clock, Format),
    ended: &SyncSender<()>,
) {
    let mut lines = Vec::new();
    loop {
        // Before it looks: what is put in before the end goes is seen.
        let is_over = records.iter().all(Consumer::is_abandoned);
        out.poll(reopen.swap(false, Ordering::AcqRel));
        let wall = Wall::now(clock);
        let mut count = 0;
        for ring in &mut records {
            count += ring.pop_into(ACCESS_BATCH, |record| {
                line::write(&record, wall, format, &mut lines);
            });
        }
        if count > 0 {
            out.write(&lines);
            lines.clear();
        } else if is_over {
            break;
        } else {
            thread::sleep(ACCESS_EVERY);
        }
    }
    // Nobody may wait for it.
    ended.try_send(()).ok();
}

#[cfg(test)]
mod tests;
