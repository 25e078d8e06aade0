//! Holding ports, and messages to them.

use std::io::Write;

use client::blocking::Client;
use client::{Event, PortGuard, Registered};
use protocol::{RegisterFlags, Role};
use serde_json::json;

use super::args::{Format, Target};
use super::connect::{connect, connect_to_ask, ended_text, failed, lost, print, token_text};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::SIGNAL_SLICE;
use crate::shown::shown;

fn hold(
    to: &Target,
    client: &Client,
    names: &[String],
    out: &mut dyn Write,
) -> Result<Vec<PortGuard>, Error> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ports = client.register(&names, RegisterFlags::default(), to.timeout);
    let (mut guards, mut rows, mut missing) = (Vec::new(), Vec::new(), 0);
    for (name, port) in names.iter().zip(ports.map_err(|error| failed(to, error))?) {
        match port {
            Registered::Granted(guard) => {
                let token = json!(token_text(guard.token()));
                rows.push(vec![json!(name), json!("granted"), token, json!(null)]);
                guards.push(guard);
            }
            Registered::Failed { code, owner } => {
                let code = json!(format!("{code:?}").to_lowercase());
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
            ended_text(guard.ended())
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
    let client = connect(to, Role::Node)?;
    let guards = hold(to, &client, names, out)?;
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
    let client = connect(to, Role::Node)?;
    let guards =
        if names.is_empty() { Vec::new() } else { hold(to, &client, names, &mut std::io::sink())? };
    while interrupt.check().is_ok() {
        check(&guards)?;
        let Some(event) = client.recv(SIGNAL_SLICE).map_err(lost)? else {
            continue;
        };
        let Event::Message { port, blob } = event else {
            continue;
        };
        let name = port.map(|(name, _token)| name.to_string());
        let message = String::from_utf8_lossy(&blob);
        if to.output == Format::Table {
            let name = name.as_deref().unwrap_or("*");
            writeln!(out, "{}: {}", shown(name), shown(&message))?;
        } else {
            writeln!(out, "{}", json!({ "port": name, "message": message }))?;
        }
        out.flush()?;
    }
    Ok(())
}

pub(super) fn send(
    to: &Target,
    name: &str,
    message: &str,
    out: &mut dyn Write,
) -> Result<(), Error> {
    // Who only looks may send nothing.
    let client = connect_to_ask(to)?;
    let sent = client.send_counted(&[(name, message.as_bytes())], to.timeout);
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
