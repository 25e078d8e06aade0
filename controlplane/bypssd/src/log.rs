//! The log: lines on standard error, of what happens once.
//!
//! Whoever reads it may stop to: a pipe to a program that hangs, a terminal that is held, a disk
//! that is full. A thread that writes there itself then hangs with it, and with it everybody's
//! leases. Here all put their lines before one thread that does nothing else, in a bounded queue;
//! what does not fit is counted and told when there is room. Nothing is told per connection or per
//! request: that is counted.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, OnceLock};
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::error::Error;
use crate::limits::{LOG_LINES_MAX, LOG_PATIENCE};

/// What is told, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) level: LevelFilter,
    pub(crate) format: Format,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: a JSON object, with the name of the thread that tells it.
    Json,
}

/// Where those of the process go: there is one log.
static LINES: OnceLock<Lines> = OnceLock::new();

/// How much of it there is, which a reload may change.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Sends what is logged to standard error, for the life of the process.
pub(crate) fn install(log: Log) -> Result<(), Error> {
    let Log { level, format } = log;
    let Ok(()) = LINES.set(Lines::to(io::stderr(), format)?) else { return Ok(()) };
    let lines = LINES.get().expect("it was just set");
    let (filter, handle) = reload::Layer::new(level);
    LEVEL.set(handle).expect("set together with the lines");
    // Nothing that goes wrong with a line is told by another one.
    let layer = fmt::layer().with_writer(lines).log_internal_errors(false).with_target(false);
    let layer = match format {
        Format::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => {
            let objects = layer.json().flatten_event(true).with_thread_names(true);
            objects.with_current_span(false).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(layer).init();
    Ok(())
}

/// Tells as much as `level` from now on.
pub(crate) fn set_level(level: LevelFilter) {
    // It fails only where the log is gone.
    LEVEL.get().map(|handle| handle.reload(level).ok());
}

/// Waits a little until what was told is written; not for ever, as nobody may read.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// What the thread that writes is given.
enum Item {
    Line(Vec<u8>),
    /// To say when it comes to this one.
    Mark(SyncSender<()>),
}

/// The queue before the thread that writes.
#[derive(Debug)]
struct Lines {
    to: SyncSender<Item>,
    /// Those for which there was no room, since this was told last.
    lost: Arc<AtomicU64>,
}

impl Lines {
    fn to(out: impl Write + Send + 'static, format: Format) -> Result<Self, Error> {
        let (to, from) = mpsc::sync_channel(LOG_LINES_MAX);
        let lost: Arc<AtomicU64> = Arc::default();
        let lines = Self { to, lost: Arc::clone(&lost) };
        let thread = thread::Builder::new().name("log".to_owned());
        let thread = thread.spawn(move || write(out, format, &from, &lost));
        thread.map_err(Error::io("start a thread"))?;
        Ok(lines)
    }

    fn flush(&self) {
        let (mark, reached) = mpsc::sync_channel(1);
        if self.to.try_send(Item::Mark(mark)).is_ok() {
            // Late or not: there is nothing that could be done.
            reached.recv_timeout(LOG_PATIENCE).ok();
        }
    }
}

/// Writes one line after the other, however long that takes.
fn write(mut out: impl Write, format: Format, from: &Receiver<Item>, lost: &AtomicU64) {
    while let Ok(item) = from.recv() {
        match item {
            // A disk that is full, or a reader that is gone: there is nobody to tell.
            Item::Line(line) => drop(out.write_all(&line).and_then(|()| out.flush())),
            Item::Mark(mark) => drop(mark.try_send(())),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message = format!("the log lost {lost} lines: they were not read soon enough");
            let line = match format {
                Format::Text => format!("{message}\n"),
                Format::Json => format!("{{\"level\":\"WARN\",\"message\":\"{message}\"}}\n"),
            };
            drop(out.write_all(line.as_bytes()));
        }
    }
}

/// One line a call, as `tracing_subscriber` writes them.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.to.try_send(Item::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static Lines {
    type Writer = &'static Lines;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Instant;

    use super::{Format, LOG_LINES_MAX, LOG_PATIENCE, Lines};

    /// A reader that takes a line only when it is let.
    struct Slow {
        may: Receiver<()>,
        read: Sender<String>,
    }

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.may.recv().ok();
            self.read.send(String::from_utf8_lossy(line).into_owned()).ok();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_that_hangs_and_what_is_lost_is_told() {
        let ((let_it, may), (read, reads)) = (mpsc::channel(), mpsc::channel());
        let lines = Lines::to(Slow { may, read }, Format::Text).unwrap();
        let told = LOG_LINES_MAX + 100;
        for number in 0..told {
            (&lines).write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        let begun = Instant::now();
        lines.flush();
        assert!(begun.elapsed() < 2 * LOG_PATIENCE, "and not for its end either");
        for _ in 0..2 * told {
            let_it.send(()).unwrap();
        }
        lines.flush();
        drop(lines);
        let read: String = reads.into_iter().collect();
        let written = read.lines().filter(|line| line.starts_with("line ")).count();
        // One may lie before the reader already, and is not in the queue.
        assert!((LOG_LINES_MAX..=LOG_LINES_MAX + 1).contains(&written), "{written}");
        let lost = format!("the log lost {} lines", told - written);
        assert!(read.contains(&lost), "{lost}: {}", read.lines().last().unwrap_or_default());
    }

    #[test]
    fn what_is_told_is_written_when_it_was_waited_for() {
        let ((let_it, may), (read, reads)) = (mpsc::channel(), mpsc::channel());
        let lines = Lines::to(Slow { may, read }, Format::Text).unwrap();
        let_it.send(()).unwrap();
        (&lines).write_all(b"a whole line\n").unwrap();
        lines.flush();
        assert_eq!(reads.try_recv().as_deref(), Ok("a whole line\n"));
    }
}
