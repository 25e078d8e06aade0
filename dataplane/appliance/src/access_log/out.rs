//! Where lines go: a file that may be renamed, filled up or deleted, or a standard stream.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nix::libc::O_NONBLOCK;
use publisher::Board;
use tracing::{info, warn};

use super::Target;
use crate::error::error_text;
use crate::limits::ACCESS_LOOK_EVERY;

/// What lines are written to.
#[derive(Debug)]
pub(super) struct Out {
    target: Target,
    board: Arc<Board>,
    file: Option<File>,
    looked_at: Option<Instant>,
    /// The last line was not written to its end.
    is_torn: bool,
    /// That the path cannot be opened was told.
    is_closed: bool,
    /// Lines that were lost since it was told that some are; `None` while none is.
    losing: Option<u64>,
}

impl Out {
    pub(super) fn new(target: Target, board: Arc<Board>) -> Self {
        Self {
            target,
            board,
            file: None,
            looked_at: None,
            is_torn: false,
            is_closed: false,
            losing: None,
        }
    }

    /// Opens the file where that is due: at the beginning, when it is asked for, and where the path
    /// does not lead to it any more, which is looked at once in a while.
    pub(super) fn poll(&mut self, is_asked: bool) {
        let Target::File(path) = &self.target else { return };
        let is_due = self.looked_at.is_none_or(|at| at.elapsed() >= ACCESS_LOOK_EVERY);
        if !(is_asked || is_due) {
            return;
        }
        self.looked_at = Some(Instant::now());
        if !is_asked && self.file.as_ref().is_some_and(|file| leads_to(path, file)) {
            return;
        }
        match open(path) {
            Ok(file) => {
                self.file = Some(file);
                (self.is_torn, self.is_closed) = (false, false);
            }
            Err(error) => {
                // One that was renamed still has its lines read; one that was deleted, nobody's.
                self.file = self.file.take().filter(has_name);
                if !std::mem::replace(&mut self.is_closed, true) {
                    self.tell(&error_text(&error));
                }
            }
        }
    }

    /// Writes lines. What cannot be written is lost, and counted.
    pub(super) fn write(&mut self, lines: &[u8]) {
        let mut rest = lines;
        if self.is_torn && self.write_some(b"\n") == Ok(1) {
            self.is_torn = false;
        }
        let mut error = None;
        while !rest.is_empty() && error.is_none() && !self.is_torn {
            match self.write_some(rest) {
                Ok(len) => rest = &rest[len..],
                Err(text) => error = Some(text),
            }
        }
        let (whole, lost) = (count(&lines[..lines.len() - rest.len()]), count(rest));
        self.board.add_access_lines(whole, lost);
        if rest.is_empty() {
            if let Some(lost) = self.losing.take() {
                info!("the access log is written again; {lost} lines were lost");
            }
            return;
        }
        let is_at_end = rest.len() == lines.len() || lines[lines.len() - rest.len() - 1] == b'\n';
        self.is_torn |= !is_at_end;
        if let Some(text) = error {
            self.tell(&text);
        }
        *self.losing.get_or_insert(0) += lost;
    }

    fn write_some(&mut self, bytes: &[u8]) -> Result<usize, String> {
        loop {
            let written = match (&self.target, &mut self.file) {
                (Target::Output, _) => write_stream(&mut io::stdout().lock(), bytes),
                (Target::Error, _) => write_stream(&mut io::stderr().lock(), bytes),
                (Target::File(_), Some(file)) => file.write(bytes),
                // That it is not there was told when it was opened.
                (Target::File(_), None) => return Err("it is not open".to_owned()),
            };
            match written {
                Ok(0) => return Err("nothing was taken".to_owned()),
                Ok(len) => return Ok(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error_text(&error)),
            }
        }
    }

    /// Says once that lines are lost, until they are not.
    fn tell(&mut self, wrong: &str) {
        if self.losing.is_some() {
            return;
        }
        self.losing = Some(0);
        let place = match &self.target {
            Target::Output => "standard output".to_owned(),
            Target::Error => "standard error".to_owned(),
            Target::File(path) => path.display().to_string(),
        };
        warn!("{place}: the access log cannot be written: {wrong}; lines are lost and counted");
    }
}

fn write_stream(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    stream.write_all(bytes)?;
    stream.flush()?;
    Ok(bytes.len())
}

/// A pipe without a reader, or one that is full, is an error and nothing to wait for.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).custom_flags(O_NONBLOCK).open(path)
}

fn leads_to(path: &Path, file: &File) -> bool {
    let same = |at: &fs::Metadata, of: &fs::Metadata| (at.dev(), at.ino()) == (of.dev(), of.ino());
    match (fs::metadata(path), file.metadata()) {
        (Ok(at), Ok(of)) => same(&at, &of),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

fn has_name(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

/// Lines that end in these bytes.
fn count(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
