//! Holding ports, and messages to them.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;

use client::blocking::Client;
use client::{Event, PortGuard, Registered};
use protocol::{RegisterFlags, Role};
use serde_json::{Value, json};

use super::args::{Format, Target};
use super::connect::{
    code_text, connect, connect_to_ask, ended_text, failed, lost, print, token_text,
};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::{PIPED_LEN_MAX, SIGNAL_SLICE};
use crate::shown::shown;

fn hold(
    to: &Target,
    client: &Client,
    names: &[String],
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<Vec<PortGuard>, Error> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // What is granted to a process that a signal ends meanwhile is free when its lease is over.
    let ports = interrupt.at_once(|| {
        let ports = client.register(&names, RegisterFlags::default(), to.timeout);
        ports.map_err(|error| failed(to, error))
    });
    let (mut guards, mut rows, mut missing) = (Vec::new(), Vec::new(), 0);
    for (name, port) in names.iter().zip(ports?) {
        match port {
            Registered::Granted(guard) => {
                let token = json!(token_text(guard.token()));
                rows.push(vec![json!(name), json!("granted"), token, json!(null)]);
                guards.push(guard);
            }
            Registered::Failed { code, owner } => {
                let code = json!(code_text(code));
                let owner = owner.map(|owner| owner.node.to_string());
                rows.push(vec![json!(name), code, json!(null), json!(owner)]);
                missing += 1;
            }
        }
    }
    print(to.output, &["port", "state", "token", "owner"], rows, out)?;
    if missing > 0 {
        return Err(Error::NotWhole(format!(
            "{missing} of {} ports were not granted",
            names.len()
        )));
    }
    Ok(guards)
}

fn check(guards: &[PortGuard]) -> Result<(), Error> {
    match guards.iter().find(|guard| !guard.is_owner()) {
        Some(guard) => Err(Error::NotWhole(format!(
            "{} is not held any more: {}",
            guard.name(),
            ended_text(guard)
        ))),
        None => Ok(()),
    }
}

pub(super) fn register(
    to: &Target,
    names: &[String],
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let names = match names {
        [] => &interrupt.at_once(piped_names)?,
        names => names,
    };
    let client = connect(to, Role::Node, interrupt)?;
    let guards = hold(to, &client, names, interrupt, out)?;
    while interrupt.check().is_ok() {
        check(&guards)?;
        client.recv(SIGNAL_SLICE).map_err(lost)?;
    }
    Ok(())
}

pub(super) fn listen(
    to: &Target,
    names: &[String],
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let client = connect(to, Role::Node, interrupt)?;
    let guards = match names {
        [] => Vec::new(),
        names => hold(to, &client, names, interrupt, &mut io::sink())?,
    };
    while interrupt.check().is_ok() {
        check(&guards)?;
        let Some(event) = client.recv(SIGNAL_SLICE).map_err(lost)? else {
            continue;
        };
        let Event::Message { port, blob } = event else {
            continue;
        };
        let name = port.map(|(name, _token)| name.to_string());
        if to.output == Format::Table {
            let name = name.as_deref().unwrap_or("*");
            writeln!(out, "{}: {}", shown(name), shown(&String::from_utf8_lossy(&blob)))?;
        } else {
            writeln!(out, "{}", message_object(name.as_deref(), &blob))?;
        }
        out.flush()?;
    }
    Ok(())
}

/// A message for programs: bytes that are no text are told as hexadecimal digits, and whole.
fn message_object(port: Option<&str>, blob: &[u8]) -> Value {
    match str::from_utf8(blob) {
        Ok(message) => json!({ "port": port, "message": message }),
        Err(_) => {
            let digits: String = blob.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "port": port, "message": null, "message_hex": digits })
        }
    }
}

pub(super) fn send(
    to: &Target,
    name: &str,
    message: Option<&OsStr>,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let message = match message {
        Some(message) => message.as_bytes().to_vec(),
        None => piped()?,
    };
    // Who only looks may send nothing.
    let client = connect_to_ask(to, interrupt)?;
    let sent = client.send_counted(&[(name, message.as_slice())], to.timeout);
    let sent = sent.map_err(|error| failed(to, error))?;
    let row = vec![json!(sent.delivered), json!(sent.nobody), json!(sent.dropped)];
    print(to.output, &[">delivered", ">nobody", ">dropped"], vec![row], out)?;
    if sent.delivered > 0 {
        return Ok(());
    }
    Err(Error::NotWhole(if sent.dropped > 0 {
        // The protocol tells no more.
        format!(
            "the switch dropped the message: this node sends more messages a second than it may, \
             or the queue of who holds {name} is full, or its holder is not connected; the switch's \
             metrics count each"
        )
    } else {
        format!("nobody got it: nobody holds {name}; see: abelectl switch port {name}")
    }))
}

/// What standard input has, as it is: the end of its last line too.
fn piped() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(PIPED_LEN_MAX + 1).read_to_end(&mut bytes);
    let len = read.map_err(|source| Error::System { what: "read standard input", source })?;
    if u64::try_from(len).is_ok_and(|len| len <= PIPED_LEN_MAX) {
        return Ok(bytes);
    }
    let text = format!("standard input has more than {PIPED_LEN_MAX} bytes; give less at once");
    Err(Error::SwitchArguments(text))
}

/// A name of each line of standard input. Who sits at a terminal has forgotten the names instead.
fn piped_names() -> Result<Vec<String>, Error> {
    let wrong = |text: String| Error::SwitchArguments(text);
    let right = "name ports as arguments, or one in each line of standard input";
    if io::stdin().is_terminal() {
        return Err(wrong(format!("no ports are named; {right}")));
    }
    let text = String::from_utf8(piped()?);
    let text = text.map_err(|error| wrong(format!("standard input is no UTF-8: {error}")))?;
    let names: Vec<String> = text.lines().map(str::to_owned).collect();
    match names.iter().position(String::is_empty) {
        Some(line) => Err(wrong(format!("line {} of standard input is empty; {right}", line + 1))),
        None if names.is_empty() => Err(wrong(format!("standard input is empty; {right}"))),
        None => Ok(names),
    }
}
