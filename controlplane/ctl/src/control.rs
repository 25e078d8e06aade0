//! The gateway is asked itself, over the socket beside its tools' file.
//!
//! One line goes there; an exit code and a text come back. The gateway answers on a thread beside
//! its cores, so that asking works while every packet buffer is in use.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use counters::{CONTROL_NAME, View};
use memory::SharedView;
use serde_json::Value;

use crate::args::{InquiryArgs, Target};
use crate::error::Error;
use crate::instance;
use crate::interrupt::Interrupt;
use crate::limits::{INQUIRY_PATIENCE, REPLY_LEN_MAX, SIGNAL_SLICE};
use crate::sample::about_json;
use crate::table::Table;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The exit code that it asks for.
    pub(crate) code: u8,
    pub(crate) text: String,
    /// Of whom it came.
    pub(crate) view: View<SharedView>,
}

/// Asks the gateway that is meant.
pub(crate) fn ask(
    target: &Target,
    request: &str,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<Reply, Error> {
    let (path, view) = place(target)?;
    let reply = exchange(&path, request, patience, interrupt)?;
    let (code, text) = reply.split_once('\n').unwrap_or((reply.as_str(), ""));
    let Ok(code) = code.parse::<u8>() else {
        return Err(Error::NoAnswer { path, request: word(request) });
    };
    Ok(Reply { code, text: text.to_owned(), view })
}

/// The socket of the gateway that is meant, which lives; and what it shows.
pub(crate) fn place(target: &Target) -> Result<(PathBuf, View<SharedView>), Error> {
    let (tools, view) = instance::open(target)?;
    if !view.is_alive().unwrap_or(true) {
        return Err(Error::AskedDead { pid: view.about().pid });
    }
    Ok((tools.with_file_name(CONTROL_NAME), view))
}

/// Sends the request and reads to the end.
fn exchange(
    path: &Path,
    request: &str,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<String, Error> {
    let failed =
        |source| Error::Unreachable { path: PathBuf::from(path), request: word(request), source };
    let mut stream = UnixStream::connect(path).map_err(failed)?;
    stream.set_read_timeout(Some(SIGNAL_SLICE)).map_err(failed)?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(failed)?;
    let begun = Instant::now();
    let mut reply = Vec::new();
    let mut part = [0; 4096];
    while reply.len() < REPLY_LEN_MAX {
        interrupt.check()?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(len) => reply.extend_from_slice(&part[..len]),
            Err(error) if is_late(&error) && begun.elapsed() < patience => {}
            Err(error) if is_late(&error) => {
                return Err(Error::NoAnswer { path: path.to_owned(), request: word(request) });
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

/// The word that a request begins with.
fn word(request: &str) -> String {
    request.split(' ').next().unwrap_or_default().to_owned()
}

pub(crate) fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Asks what the gateway has, and prints it: as one JSON object, or as `show` has it for people.
pub(crate) fn inquire(
    args: &InquiryArgs,
    request: &'static str,
    interrupt: &Interrupt,
    out: &mut dyn Write,
    show: impl FnOnce(&Value, &mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let Reply { code, text, view } = ask(&args.target, request, INQUIRY_PATIENCE, interrupt)?;
    let told = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
    let Some(mut told) = told.filter(|_told| code <= 1) else {
        return Err(Error::Refused { code: code.max(1), text: text.trim_end().to_owned() });
    };
    let missing: Vec<_> = list(&told, "missing_cores").iter().map(Value::to_string).collect();
    if args.json {
        let mut object = about_json(&view, true);
        if let Value::Object(told) = &mut told {
            object.append(told);
        }
        writeln!(out, "{}", Value::Object(object))?;
    } else {
        show(&told, out)?;
    }
    out.flush()?;
    match missing.as_slice() {
        [] => Ok(()),
        [core] => Err(Error::NotWhole(format!("core {core} has not answered: it hangs"))),
        cores => {
            let cores = cores.join(", ");
            Err(Error::NotWhole(format!("cores {cores} have not answered: they hang")))
        }
    }
}

/// The rows under a key.
pub(crate) fn list<'a>(told: &'a Value, key: &str) -> &'a [Value] {
    told[key].as_array().map_or(&[], Vec::as_slice)
}

/// A value for people: text without quotes, and `-` for what there is not.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Prints rows under a head, or `nothing` where there is none.
pub(crate) fn print_table(
    head: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    nothing: &str,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut table = Table::new(head.iter().map(|name| (*name).to_owned()));
    rows.for_each(|row| table.row(row));
    if table.is_empty() {
        writeln!(out, "{nothing}")?;
    } else {
        table.print(out, "\n")?;
    }
    Ok(())
}
