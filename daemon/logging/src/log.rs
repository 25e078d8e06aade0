//! The one log of the process: who may tell, and what may change while it does.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, OnceLock};
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use crate::limits::{LINES_MAX, PATIENCE};

/// What is told, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least urgent that is told.
    pub level: LevelFilter,
    /// What a line of it looks like.
    pub format: Format,
}

/// The words for how much is told.
pub const LEVELS: &[(&str, LevelFilter)] = &[
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
];

/// The words for what a line looks like.
pub const FORMATS: &[(&str, Format)] = &[("text", Format::Text), ("json", Format::Json)];

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: a JSON object, with the name of the thread that tells it.
    Json,
}

impl Format {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Where those of the process go: there is one log.
static LINES: OnceLock<Lines> = OnceLock::new();

/// What can be changed of it.
static HANDLES: OnceLock<Handles> = OnceLock::new();

type LineLayer = Box<dyn Layer<Registry> + Send + Sync>;
type LineRegistry = Layered<reload::Layer<LineLayer, Registry>, Registry>;

struct Handles {
    level: reload::Handle<LevelFilter, LineRegistry>,
    lines: reload::Handle<LineLayer, Registry>,
}

/// There is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The kernel gave no thread that would write it.
    #[error("cannot start a thread: {0}")]
    ResourceThread(io::Error),
}

/// Sends what is logged to standard error, for the life of the process. Once is enough: a second
/// call changes nothing.
///
/// # Errors
/// There is no thread that would write it.
pub fn install(log: Log) -> Result<(), LogError> {
    let Log { level, format } = log;
    let Ok(()) = LINES.set(Lines::to(io::stderr(), format)?) else { return Ok(()) };
    let lines = LINES.get().expect("it was just set");
    let (layer, lines) = reload::Layer::new(layer(lines, format));
    let (filter, level) = reload::Layer::new(level);
    tracing_subscriber::registry().with(layer).with(filter).init();
    HANDLES.set(Handles { level, lines }).ok();
    Ok(())
}

/// Logs like this from the next line on.
pub fn change(log: Log) {
    let Log { level, format } = log;
    let (Some(lines), Some(handles)) = (LINES.get(), HANDLES.get()) else { return };
    if lines.is_json.swap(format == Format::Json, Ordering::Relaxed) != (format == Format::Json) {
        // The subscriber lives as long as the process.
        handles.lines.reload(layer(lines, format)).ok();
    }
    handles.level.reload(level).ok();
}

/// What makes lines of what is told.
fn layer(lines: &'static Lines, format: Format) -> LineLayer {
    // Nothing that goes wrong with a line is told by another one.
    let layer = fmt::layer().with_writer(lines).log_internal_errors(false).with_target(false);
    match format {
        Format::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => {
            let objects = layer.json().flatten_event(true).with_thread_names(true);
            objects.with_current_span(false).with_span_list(false).boxed()
        }
    }
}

/// Waits a little until what was told is written; not for ever, as nobody may read.
pub fn flush() {
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
    /// What a line looks like now, for what is told of those that were lost.
    is_json: Arc<AtomicBool>,
}

impl Lines {
    fn to(out: impl Write + Send + 'static, format: Format) -> Result<Self, LogError> {
        let (to, from) = mpsc::sync_channel(LINES_MAX);
        let lost: Arc<AtomicU64> = Arc::default();
        let is_json = Arc::new(AtomicBool::new(format == Format::Json));
        let lines = Self { to, lost: Arc::clone(&lost), is_json: Arc::clone(&is_json) };
        let thread = thread::Builder::new().name("log".to_owned());
        let thread = thread.spawn(move || write(out, &is_json, &from, &lost));
        thread.map_err(LogError::ResourceThread)?;
        Ok(lines)
    }

    fn flush(&self) {
        let (mark, reached) = mpsc::sync_channel(1);
        if self.to.try_send(Item::Mark(mark)).is_ok() {
            // Late or not: there is nothing that could be done.
            reached.recv_timeout(PATIENCE).ok();
        }
    }
}

/// Writes one line after the other, however long that takes.
fn write(mut out: impl Write, is_json: &AtomicBool, from: &Receiver<Item>, lost: &AtomicU64) {
    while let Ok(item) = from.recv() {
        match item {
            // A disk that is full, or a reader that is gone: there is nobody to tell.
            Item::Line(line) => drop(out.write_all(&line).and_then(|()| out.flush())),
            Item::Mark(mark) => drop(mark.try_send(())),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message = format!("the log lost {lost} lines: they were not read soon enough");
            let line = if is_json.load(Ordering::Relaxed) {
                format!("{{\"level\":\"WARN\",\"message\":\"{message}\"}}\n")
            } else {
                format!("{message}\n")
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
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Instant;

    use super::{FORMATS, Format, LINES_MAX, Lines, PATIENCE};

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
        let told = LINES_MAX + 100;
        for number in 0..told {
            (&lines).write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        let begun = Instant::now();
        lines.flush();
        assert!(begun.elapsed() < 2 * PATIENCE, "and not for its end either");
        for _ in 0..2 * told {
            let_it.send(()).unwrap();
        }
        lines.flush();
        drop(lines);
        let read: String = reads.into_iter().collect();
        let written = read.lines().filter(|line| line.starts_with("line ")).count();
        // One may lie before the reader already, and is not in the queue.
        assert!((LINES_MAX..=LINES_MAX + 1).contains(&written), "{written}");
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

    #[test]
    fn what_is_lost_is_told_as_lines_look_now() {
        let ((let_it, may), (read, reads)) = (mpsc::channel(), mpsc::channel());
        let lines = Lines::to(Slow { may, read }, Format::Text).unwrap();
        lines.is_json.store(true, Ordering::Relaxed);
        for _ in 0..LINES_MAX + 100 {
            (&lines).write_all(b"{}\n").unwrap();
        }
        drop(lines);
        drop(let_it);
        let read: String = reads.into_iter().collect();
        let told = read.lines().find(|line| *line != "{}").unwrap_or_default();
        assert!(told.starts_with("{\"level\":\"WARN\",\"message\":\"the log lost "), "{told}");
        assert!(told.ends_with("soon enough\"}"), "{told}");
    }

    #[test]
    fn a_format_has_the_word_that_it_is_chosen_by() {
        for (word, format) in FORMATS {
            assert_eq!(format.name(), *word);
        }
    }
}
