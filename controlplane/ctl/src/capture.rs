//! `abelectl capture`: packets of a running gateway, as a pcap file.
//!
//! The gateway sends pieces of the file, each behind its length (32 bits, little-endian), and after a
//! length of zero a line of JSON on what became of it. Shutting down our own direction asks it to
//! end, so that Ctrl-C loses nothing that was seen before.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::args::CaptureArgs;
use crate::control::{is_late, place};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::{
    CAPTURE_PATIENCE, CAPTURE_REST, LAST_WORDS_MAX, PIECE_LEN_MAX, REPLY_LEN_MAX, REQUEST_LEN_MAX,
    SIGNAL_SLICE,
};

const REQUEST: &str = "capture";

/// Captures until the gateway says that it is over, and tells what became of it.
pub(crate) fn run(
    args: &CaptureArgs,
    interrupt: &Interrupt,
    is_terminal: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let file = args.write.as_deref().filter(|path| *path != Path::new("-"));
    if file.is_none() && is_terminal {
        return Err(Error::ToTerminal);
    }
    let mut source = Source::begin(args, interrupt)?;
    let told = match file {
        None => source.copy(|bytes| {
            out.write_all(bytes)?;
            Ok(out.flush()?)
        })?,
        Some(path) => {
            let failed = |source| Error::OutputFile { path: path.to_owned(), source };
            // Only now, so that a request that is refused leaves an older capture as it is.
            let mut file = File::create(path).map_err(failed)?;
            let told = source.copy(|bytes| file.write_all(bytes).map_err(failed))?;
            // A disk over a network says only here that it is full.
            file.sync_all().or_else(only_devices_do_not).map_err(failed)?;
            told
        }
    };
    summarize(&told)
}

/// A pipe or a device is no file that could be brought to a disk.
fn only_devices_do_not(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) }
}

/// Tells people, beside the packets.
fn summarize(told: &Value) -> Result<(), Error> {
    let [captured, dropped] = ["captured", "dropped"].map(|key| told[key].as_u64().unwrap_or(0));
    let why = match told["ended"].as_str().unwrap_or_default() {
        "count" => ": so many were wanted (--count)",
        "seconds" => ": its time is over (--seconds)",
        "gateway" => ": the gateway ends",
        _asked => "",
    };
    let line = format!("{captured} captured, {dropped} dropped{why}");
    if dropped > 0 {
        let mend = "the reader was too slow; a narrower filter or a smaller --snaplen loses less";
        return Err(Error::NotWhole(format!("{line}; {mend}")));
    }
    // With standard error gone there is nobody left to tell.
    writeln!(std::io::stderr(), "{line}").ok();
    Ok(())
}

/// The gateway, as it sends.
struct Source<'a> {
    stream: UnixStream,
    path: std::path::PathBuf,
    interrupt: &'a Interrupt,
    /// Since when it was asked to end.
    ending: Option<Instant>,
}

impl<'a> Source<'a> {
    /// Asks, and returns once the gateway has begun.
    fn begin(args: &CaptureArgs, interrupt: &'a Interrupt) -> Result<Self, Error> {
        let request = request(args)?;
        let (path, _view) = place(&args.target)?;
        let failed =
            |source| Error::Unreachable { path: path.clone(), request: REQUEST.to_owned(), source };
        let mut stream = UnixStream::connect(&path).map_err(failed)?;
        stream.set_read_timeout(Some(SIGNAL_SLICE)).map_err(failed)?;
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut source = Self { stream, path, interrupt, ending: None };
        let mut code = [0; 2];
        source.fill(&mut code, Some(CAPTURE_PATIENCE))?;
        if code == *b"0\n" {
            return Ok(source);
        }
        let mut text = String::new();
        let mut rest = source.stream.take(REPLY_LEN_MAX as u64);
        rest.read_to_string(&mut text).map_err(|error| Error::Unreachable {
            path: source.path,
            request: REQUEST.to_owned(),
            source: error,
        })?;
        let code = (code[0] as char).to_digit(10).and_then(|code| u8::try_from(code).ok());
        Err(Error::Refused { code: code.unwrap_or(1).max(1), text: text.trim_end().to_owned() })
    }

    /// Gives each piece to `write`; the last words.
    fn copy(&mut self, mut write: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<Value, Error> {
        let mut piece = Vec::new();
        loop {
            let mut len = [0; 4];
            self.fill(&mut len, None)?;
            let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
            if len == 0 {
                return self.last_words();
            }
            if len > PIECE_LEN_MAX {
                return Err(self.broken());
            }
            piece.resize(len, 0);
            self.fill(&mut piece, None)?;
            write(&piece)?;
        }
    }

    fn last_words(&mut self) -> Result<Value, Error> {
        let mut words = Vec::new();
        let mut byte = [0];
        while words.len() < LAST_WORDS_MAX && byte != *b"\n" {
            self.fill(&mut byte, Some(CAPTURE_REST))?;
            words.push(byte[0]);
        }
        serde_json::from_slice(&words).map_err(|_not_json| self.broken())
    }

    /// Reads so many bytes, and asks the gateway to end once a signal has come. Before it has begun
    /// a signal ends everything.
    fn fill(&mut self, bytes: &mut [u8], patience: Option<Duration>) -> Result<(), Error> {
        let begun = Instant::now();
        let mut filled = 0;
        while filled < bytes.len() {
            if let Err(interrupted) = self.interrupt.check() {
                let has_begun = patience.is_none() || self.ending.is_some();
                if !has_begun {
                    return Err(interrupted);
                }
                if self.ending.is_none() {
                    self.ending = Some(Instant::now());
                    // Where it is gone already, reading says so.
                    self.stream.shutdown(Shutdown::Write).ok();
                }
            }
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return Err(self.broken()),
                Ok(len) => filled += len,
                Err(error) if is_late(&error) => {
                    let is_over = patience.is_some_and(|patience| begun.elapsed() > patience)
                        || self.ending.is_some_and(|since| since.elapsed() > CAPTURE_REST);
                    if is_over {
                        return Err(Error::NoAnswer {
                            path: self.path.clone(),
                            request: REQUEST.to_owned(),
                        });
                    }
                }
                Err(source) => {
                    let path = self.path.clone();
                    return Err(Error::Unreachable { path, request: REQUEST.to_owned(), source });
                }
            }
        }
        Ok(())
    }

    fn broken(&self) -> Error {
        let path = self.path.display();
        Error::NotWhole(format!(
            "{path}: the gateway has ended the capture without a word; its log says why"
        ))
    }
}

/// The line that is sent.
fn request(args: &CaptureArgs) -> Result<String, Error> {
    let CaptureArgs { count, seconds, snaplen, core, direction, filter, .. } = args;
    let core = core.map(|core| format!(" core={core}")).unwrap_or_default();
    // Whatever stands for a space in a shell's word is one.
    let filter = filter.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    let direction = direction.word();
    let line = format!(
        "{REQUEST} count={count} seconds={seconds} snaplen={snaplen}{core} \
         direction={direction} filter {filter}\n"
    );
    if line.len() > REQUEST_LEN_MAX {
        let text =
            format!("the filter has {} letters; at most {REQUEST_LEN_MAX} are read", filter.len());
        return Err(Error::Refused { code: 2, text });
    }
    Ok(line)
}
