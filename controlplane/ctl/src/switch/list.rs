//! What a switch knows: figures, nodes, ports, and what happens to them.

use std::io::Write;
use std::time::Duration;

use client::blocking::Client;
use client::{Event, Holder};
use protocol::{DropState, EventKind, NodeState, Role};
use serde_json::{Value, json};

use super::args::Format;
use super::args::Target;
use super::connect::{
    connect, connect_to_ask, failed, lost, print, sequence_text, text, token_text,
};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::SIGNAL_SLICE;
use crate::shown::shown;

pub(super) fn status(to: &Target, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Error> {
    let client = connect(to, Role::Observer, interrupt)?;
    let figures = client.status(to.timeout).map_err(|error| failed(to, error))?;
    let figures = figures.into_iter().map(|(key, value)| (key, json!(value)));
    let figures = who_answers(&client)?.into_iter().chain(figures);
    if to.output != Format::Table {
        writeln!(out, "{}", Value::Object(figures.collect()))?;
        return Ok(());
    }
    let rows = figures.map(|(key, value)| vec![json!(key), value]).collect();
    print(to.output, &["figure", ">value"], rows, out)
}

/// Which of several switches it is, and its epoch, as it has said when it let this client in.
fn who_answers(client: &Client) -> Result<Vec<(String, Value)>, Error> {
    let mut told = Vec::new();
    while let Some(event) = client.recv(Duration::ZERO).map_err(lost)? {
        if let Event::Connected { epoch, switch } = event {
            told =
                vec![("switch".to_owned(), json!(*switch)), ("epoch".to_owned(), json!(epoch.0))];
        }
    }
    Ok(told)
}

pub(super) fn nodes(to: &Target, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Error> {
    let client = connect(to, Role::Observer, interrupt)?;
    let nodes = client.nodes(to.timeout).map_err(|error| failed(to, error))?;
    let row = |node: client::NodeInfo| {
        let state = match node.state {
            NodeState::Unknown => json!("unknown"),
            NodeState::Live => json!("live"),
            NodeState::Draining => json!("draining"),
            NodeState::Other(code) => json!(code),
        };
        let client::NodeInfo { node, address, lease_ms, ports, queued_bytes, .. } = node;
        [json!(node), json!(address), state, json!(lease_ms), json!(ports), json!(queued_bytes)]
            .to_vec()
    };
    let head = ["node", "address", "state", ">lease_ms", ">ports", ">queued_bytes"];
    print(to.output, &head, nodes.into_iter().map(row).collect(), out)
}

pub(super) fn ports(
    to: &Target,
    prefix: &str,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let client = connect(to, Role::Observer, interrupt)?;
    let mut rows = Vec::new();
    let mut cursor = 0;
    loop {
        // Whole lines, also where a signal ends it in between.
        out.flush()?;
        let page = interrupt.at_once(|| {
            client.ports(prefix, cursor, to.timeout).map_err(|error| failed(to, error))
        });
        let (page, next) = page?;
        rows.extend(page.into_iter().map(|port| {
            [json!(port.name), json!(port.node), json!(sequence_text(port.sequence))].to_vec()
        }));
        if to.output == Format::Jsonl {
            print(to.output, &["port", "node", "sequence"], std::mem::take(&mut rows), out)?;
        }
        if next == 0 {
            break;
        }
        cursor = next;
    }
    if to.output == Format::Jsonl {
        return Ok(());
    }
    print(to.output, &["port", "node", "sequence"], rows, out)
}

pub(super) fn port(
    to: &Target,
    name: &str,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    // Whatever a credential is for, it may ask so.
    let client = connect_to_ask(to, interrupt)?;
    let holders = client.query(&[name], to.timeout).map_err(|error| failed(to, error))?;
    let (state, owner) = match holders.into_iter().next() {
        Some(Holder::Owner(owner)) => ("held", Some(owner)),
        Some(Holder::Free) => ("free", None),
        Some(Holder::Unknown) | None => ("unknown", None),
    };
    let is_held = owner.is_some();
    let row = match owner {
        Some(owner) => {
            [json!(&*owner.node), json!(&*owner.address), json!(token_text(owner.token))]
        }
        None => [Value::Null, Value::Null, Value::Null],
    };
    let row = [json!(name), json!(state)].into_iter().chain(row).collect();
    print(to.output, &["port", "state", "node", "address", "token"], vec![row], out)?;
    if is_held { Ok(()) } else { Err(Error::NotWhole(format!("{name} is {state}"))) }
}

pub(super) fn watch(
    to: &Target,
    prefix: &str,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let client = connect(to, Role::Observer, interrupt)?;
    interrupt.at_once(|| client.watch(prefix, to.timeout).map_err(|error| failed(to, error)))?;
    while interrupt.check().is_ok() {
        let Some(event) = client.recv(SIGNAL_SLICE).map_err(lost)? else {
            continue;
        };
        let Event::Watched { kind, sequence, node, name } = event else {
            continue;
        };
        let kind = match kind {
            EventKind::Missing => json!("missing"),
            EventKind::Registered => json!("registered"),
            EventKind::Released => json!("released"),
            EventKind::Lost => json!("lost"),
            EventKind::Other(code) => json!(code),
        };
        let (node, sequence) = (json!(node), json!(sequence_text(sequence)));
        if to.output == Format::Table {
            let (kind, node, sequence) = (text(&kind), text(&node), text(&sequence));
            writeln!(out, "{kind:<10} {} {} {sequence}", shown(&name), shown(&node))?;
        } else {
            let event = json!({ "event": kind, "port": name, "node": node, "sequence": sequence });
            writeln!(out, "{event}")?;
        }
        out.flush()?;
    }
    Ok(())
}

pub(super) fn drop_node(
    to: &Target,
    node: &str,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let client = connect(to, Role::Operator, interrupt)?;
    let state = client.drop_node(node, to.timeout).map_err(|error| failed(to, error))?;
    if state == DropState::None {
        return Err(Error::NotWhole(format!(
            "there is no node {node:?}; abelectl switch nodes lists them"
        )));
    }
    print(to.output, &["node", "state"], vec![vec![json!(node), json!("draining")]], out)
}
