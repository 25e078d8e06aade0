//! The last packets of a run, kept as bytes and made readable only if somebody asks.

use std::collections::VecDeque;

use base::Instant;
use wire::tcp::Repr;

use crate::limits::HEAD_LEN;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The stack sent it.
    Sent,
    /// The stack received it.
    Received,
    /// The stack received it, and nobody had sent it.
    Forged,
    /// It was sent while nothing passes.
    Cut,
}

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Sent => "->",
            Self::Received => "<-",
            Self::Forged => "<!",
            Self::Cut => "-X",
        }
    }
}

/// The head of one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    at: Instant,
    mark: Mark,
    len: usize,
    head: [u8; HEAD_LEN],
}

impl Note {
    pub(crate) fn new(at: Instant, mark: Mark, bytes: &[u8]) -> Self {
        let mut head = [0; HEAD_LEN];
        let kept = bytes.len().min(HEAD_LEN);
        head[..kept].copy_from_slice(&bytes[..kept]);
        Self { at, mark, len: bytes.len(), head }
    }

    pub(crate) fn with_mark(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }

    fn line(&self, host: usize) -> String {
        let Self { at, mark, len, ref head } = *self;
        format!("{at} host {host} {} {}", mark.sign(), describe(&head[..len.min(HEAD_LEN)], len))
    }
}

/// The last packets that one host sent and received.
#[derive(Debug)]
pub(crate) struct Trace {
    notes: VecDeque<Note>,
    len_max: usize,
}

impl Trace {
    pub(crate) fn new(len_max: usize) -> Self {
        Self { notes: VecDeque::with_capacity(len_max), len_max }
    }

    pub(crate) fn push(&mut self, note: Note) {
        if self.notes.len() >= self.len_max {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }
}

/// The packets of all hosts, by their numbers, in the order of time, one a line.
pub(crate) fn lines<'a>(traces: impl Iterator<Item = (usize, &'a Trace)>) -> String {
    let mut all: Vec<(Instant, usize, &Note)> = Vec::new();
    for (host, trace) in traces {
        all.extend(trace.notes.iter().map(|note| (note.at, host, note)));
    }
    all.sort_by_key(|&(at, host, _)| (at, host));
    let lines: Vec<String> = all.iter().map(|(_, host, note)| note.line(*host)).collect();
    lines.join("\n")
}

/// The packet of `len` bytes that begins with `head`, in a few words.
fn describe(head: &[u8], len: usize) -> String {
    let Some(&[high, low]) = head.get(12..14) else { return format!("{len} bytes") };
    let (name, transport, protocol) = match u16::from_be_bytes([high, low]) {
        0x0800 => ("v4", 34, head.get(23)),
        0x86dd => ("v6", 54, head.get(20)),
        0x0806 => return "arp".to_owned(),
        other => return format!("type {other:#06x}"),
    };
    if protocol != Some(&wire::protocol::TCP) {
        return format!("{name} protocol {protocol:?}, {len} bytes");
    }
    let Some((repr, header_len)) =
        head.get(transport..).and_then(|segment| Repr::parse(segment).ok())
    else {
        return format!("{name} tcp, malformed");
    };
    let data = len.saturating_sub(transport + header_len);
    let Repr { src_port, dst_port, seq, ack, flags, window, .. } = repr;
    let flags = flags.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join("|");
    format!(
        "{name} {src_port}>{dst_port} {flags} seq {} ack {} len {data} win {window}",
        seq.0, ack.0
    )
}
