//! Frames of the switch as one line of text each.

use std::fmt::Write as _;

use protocol::{
    Answer, Framing, Holder, Incoming, IncomingBody, Limits, List, NodeStatus, Push,
    QueryPortAnswer, RegPortAnswer, Sequence,
};

/// Cuts a stream into frames and shows each.
pub(super) fn show_all(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let Ok(Framing::Whole { frame, rest, .. }) = Framing::find(bytes, u32::MAX) else {
            panic!("{} bytes that are no whole frame", bytes.len());
        };
        let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch writes frames");
        lines.push(show(&incoming));
        bytes = rest;
    }
    lines
}

/// One frame.
pub(super) fn show(incoming: &Incoming<'_>) -> String {
    match incoming.body {
        IncomingBody::Answer(answer) => show_answer(answer),
        IncomingBody::Push(push) => show_push(push),
        IncomingBody::Error(error) => {
            let closes = if error.closes { " closes" } else { "" };
            let hint = if error.hint.is_empty() { "" } else { " " };
            format!("error {:?} {}{hint}{}{closes}", error.code, error.number, error.hint)
        }
    }
}

fn show_answer(answer: Answer<'_>) -> String {
    match answer {
        Answer::Welcome(welcome) => {
            format!("welcome {:?} lease {}", welcome.role, welcome.lease_ms)
        }
        Answer::WaitMsg(wait) => format!("wait_msg {:?} next {}", wait.state, wait.notice),
        Answer::Relet(relet) => format!("relet {} {}", relet.relet, relet.lease_ms),
        Answer::RegPort(reg) => show_reg(reg),
        Answer::UnregPort(unreg) => {
            let mut text = "unreg".to_owned();
            for failure in unreg.failures {
                write!(text, " {}:{:?}", failure.item, failure.code).unwrap();
            }
            text
        }
        Answer::QueryPort(query) => show_query(query),
        Answer::Send(sent) | Answer::SendMany(sent) | Answer::Broadcast(sent) => {
            format!("sent {} nobody {} dropped {}", sent.delivered, sent.nobody, sent.dropped)
        }
        Answer::CancelWait { count } => format!("cancelled {count}"),
        Answer::Unsubscribe { count } => format!("unsubscribed {count}"),
        Answer::Yield => "yielded".to_owned(),
        Answer::Bye => "bye".to_owned(),
        Answer::QueryNode(nodes) => show_nodes(nodes),
        Answer::Ping => "pong".to_owned(),
        Answer::Status(figures) => {
            let mut text = "status".to_owned();
            for figure in figures.iter().filter(|figure| figure.value > 0) {
                write!(text, " {}={}", figure.key, figure.value).unwrap();
            }
            text
        }
        Answer::ListNodes(page) => {
            let mut text = format!("nodes next {}", page.cursor);
            for node in page.entries {
                write!(
                    text,
                    " {}({}) {:?} {} ports {} queued",
                    node.node, node.address, node.state, node.ports, node.queued_bytes
                )
                .unwrap();
            }
            text
        }
        Answer::ListPorts(page) => {
            let mut text = format!("ports next {}", page.cursor);
            for port in page.entries {
                write!(text, " {}={}@{}", number(port.sequence), text_of(port.name), port.node)
                    .unwrap();
            }
            text
        }
        Answer::DropNode { state } => format!("dropped {state:?}"),
        Answer::Watch => "watching".to_owned(),
    }
}

fn show_query(query: QueryPortAnswer<'_>) -> String {
    let owners: Vec<_> = query.owners.iter().collect();
    let mut text = "query".to_owned();
    for (sequence, holder) in query.iter() {
        match holder {
            Holder::Owner(at) => {
                let owner = owners[at as usize];
                write!(text, " {}@{}", number(sequence), owner.node).unwrap();
                if !owner.address.is_empty() {
                    write!(text, "({})", owner.address).unwrap();
                }
            }
            Holder::Free => text.push_str(" free"),
            Holder::Unknown => text.push_str(" unknown"),
        }
    }
    text
}

fn show_nodes(nodes: List<'_, NodeStatus<'_>>) -> String {
    let mut text = "nodes".to_owned();
    for NodeStatus { state, address, lease_ms, ports } in nodes {
        write!(text, " {state:?}({address}) {lease_ms} ms {ports} ports").unwrap();
    }
    text
}

fn show_reg(reg: RegPortAnswer<'_>) -> String {
    let owners: Vec<_> = reg.owners.iter().collect();
    let mut text = "reg".to_owned();
    for grants in reg.grants {
        write!(text, " {}*{}", number(grants.first), grants.count).unwrap();
    }
    for failure in reg.failures {
        write!(text, " {}:{:?}", failure.item, failure.code).unwrap();
        if let Some(at) = failure.owner {
            let node = owners[at as usize].node;
            match failure.sequence {
                Sequence::NONE => write!(text, "({node})").unwrap(),
                sequence => write!(text, "({node} {})", number(sequence)).unwrap(),
            }
        }
    }
    text
}

fn show_push(push: Push<'_>) -> String {
    match push {
        Push::Greeting(greeting) => format!("greeting {}", greeting.version_max),
        Push::Messages(messages) => {
            let mut text = "messages".to_owned();
            for message in messages {
                write!(text, " {}:{}", number(message.sequence), text_of(message.blob)).unwrap();
            }
            text
        }
        Push::Grant(grant) => {
            let mut text = format!("grant #{}", grant.notice);
            for item in grant.items {
                write!(text, " {}={}", number(item.sequence), text_of(item.name)).unwrap();
            }
            text
        }
        Push::PortGone(gone) => {
            let mut text = format!("gone #{}", gone.notice);
            for item in gone.items {
                let (sequence, name) = (number(item.sequence), text_of(item.name));
                write!(text, " {sequence}={name} {:?}", item.reason).unwrap();
            }
            text
        }
        Push::Flush(flush) => format!("flush #{} {:?}", flush.notice, flush.reason),
        Push::Leaving(leaving) => format!("leaving {:?} {}", leaving.reason, leaving.hint),
        Push::Events(events) => {
            let mut text = "events".to_owned();
            for event in events {
                let (sequence, name) = (number(event.sequence), text_of(event.name));
                write!(text, " {:?} {sequence}={name}@{}", event.event, event.node).unwrap();
            }
            text
        }
        Push::Unknown => "unknown".to_owned(),
    }
}

/// The count of a grant, with the number of its shard above it.
fn number(sequence: Sequence) -> u64 {
    sequence.to_bits()
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("tests send texts")
}
