//! `abelectl reload`: the gateway reads its configuration again; what came of it.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use counters::CONTROL_NAME;

use crate::args::ReloadArgs;
use crate::error::Error;
use crate::instance;
use crate::interrupt::Interrupt;
use crate::limits::{RELOAD_PATIENCE, REPLY_LEN_MAX, SIGNAL_SLICE};

/// Asks, waits, and prints what the gateway says.
pub(crate) fn run(
    args: &ReloadArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let (tools, view) = instance::open(&args.target)?;
    let path = tools.with_file_name(CONTROL_NAME);
    if !view.is_alive().unwrap_or(true) {
        return Err(Error::ReloadDead { pid: view.about().pid });
    }
    let reply = ask(&path, interrupt)?;
    let (code, text) = reply.split_once('\n').unwrap_or((reply.as_str(), ""));
    match code.parse::<u8>() {
        Ok(0) => Ok(write!(out, "{text}")?),
        Ok(code) => Err(Error::ReloadRefused { code, text: text.trim_end().to_owned() }),
        Err(_malformed) => Err(Error::ReloadNoAnswer { path }),
    }
}

/// Sends the request and reads to the end.
fn ask(path: &Path, interrupt: &Interrupt) -> Result<String, Error> {
    let failed = |source| Error::ReloadUnreachable { path: PathBuf::from(path), source };
    let mut stream = UnixStream::connect(path).map_err(failed)?;
    stream.set_read_timeout(Some(SIGNAL_SLICE)).map_err(failed)?;
    stream.write_all(b"reload\n").map_err(failed)?;
    let begun = Instant::now();
    let mut reply = Vec::new();
    let mut part = [0; 4096];
    while reply.len() < REPLY_LEN_MAX {
        interrupt.check()?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(len) => reply.extend_from_slice(&part[..len]),
            Err(error) if is_late(&error) && begun.elapsed() < RELOAD_PATIENCE => {}
            Err(error) if is_late(&error) => {
                return Err(Error::ReloadNoAnswer { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
