//! `[[listener]]`: what is served, and on which port.

use std::path::{Path, PathBuf};

use settings::{At, Ledger, Section};
use stack::{KeepAlive, ListenerOptions};
use tcp::limits::LISTENERS_MAX;

use super::workers::Workers;
use crate::limits::{CONNECTIONS_MAX, KEEP_ALIVE_S_MAX, PROBES_MAX};

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1: the documents.
    Http,
    /// What came in goes out (RFC 862).
    Echo,
}

impl Protocol {
    /// The word in the file and in the ready line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Echo => "echo",
        }
    }

    fn tcp_port_default(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Echo => 7,
        }
    }
}

/// One port that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) protocol: Protocol,
    pub(crate) tcp_port: u16,
    /// Whether the UDP port of the same number is served too.
    pub(crate) udp: bool,
    pub(crate) options: ListenerOptions,
}

impl Listener {
    /// The listener as one worker has it: with its share of the connections.
    pub(crate) fn of_one(mut self, workers: &Workers) -> Self {
        self.options.connections_max = workers.share(self.options.connections_max);
        self
    }
}

/// All listeners, and the folder that the HTTP ones serve. Each is judged apart from the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listeners {
    /// `None` where something is wrong.
    pub(crate) listeners: Option<Vec<Listener>>,
    pub(crate) document_root: Option<At<PathBuf>>,
}

/// Reads every `[[listener]]`. A document root that is not absolute is looked for beside the file,
/// in `folder`. `connections` is known where `[tcp]` is right.
pub(crate) fn read(
    root: Section<'_>,
    folder: &Path,
    connections: Option<u32>,
    ledger: &mut Ledger<'_>,
) -> Listeners {
    let found_before = ledger.found.len();
    let sections = root.tables("listener", "listener", ledger);
    if sections.is_empty() && ledger.found.len() == found_before {
        let right = "add one, such as [[listener]] with protocol = \"http\"";
        ledger.refuse(root.place, "listener", "there is none", right);
    }
    if let Some(extra) = sections.get(LISTENERS_MAX) {
        let wrong = format!("{} listeners are too many", sections.len());
        ledger.refuse(extra.place, "listener", wrong, format!("use at most {LISTENERS_MAX}"));
    }
    let mut listeners: Vec<At<Listener>> = Vec::new();
    let mut document_root: Option<At<PathBuf>> = None;
    for section in sections {
        let Some(protocol) = protocol(section, ledger) else { continue };
        let here = document_root_of(section, protocol, folder, ledger);
        document_root = one_root(document_root, here, section, ledger);
        let Some(listener) = listener(section, protocol, connections, ledger) else { continue };
        refuse_taken_port(&listeners, listener, section, ledger);
        listeners.push(listener);
    }
    let is_right = ledger.found.len() == found_before;
    let listeners = is_right.then(|| listeners.into_iter().map(|at| at.value).collect());
    Listeners { listeners, document_root }
}

fn protocol(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Protocol> {
    const KEY: &str = "protocol";
    const PROTOCOLS: &[(&str, Protocol)] = &[("http", Protocol::Http), ("echo", Protocol::Echo)];
    if section.find(KEY, ledger).is_none() {
        let right = "use \"http\" or \"echo\"";
        ledger.refuse(section.place, &section.path(KEY), "it is missing", right);
        return None;
    }
    section.choice(KEY, Protocol::Http, PROTOCOLS, ledger).map(|at| at.value)
}

/// A listener, and the line that names its port.
fn listener(
    section: Section<'_>,
    protocol: Protocol,
    connections: Option<u32>,
    ledger: &mut Ledger<'_>,
) -> Option<At<Listener>> {
    let port = section.number("tcp_port", protocol.tcp_port_default(), 1..=u16::MAX, ledger);
    let udp = udp(section, protocol, ledger);
    let is_nodelay = section.flag("nodelay", true, ledger);
    let most = connections.unwrap_or(CONNECTIONS_MAX);
    let connections_max = section.number("connections_max", most, 1..=most, ledger);
    let keep_alive = keep_alive(section, ledger);
    let At { value: tcp_port, place } = port?;
    let options = ListenerOptions {
        local: None,
        is_nodelay: is_nodelay?,
        keep_alive: keep_alive?,
        connections_max: connections_max?.value,
        // What HTTP holds its clients to comes with the service's own terms.
        ..ListenerOptions::default()
    };
    Some(At { value: Listener { protocol, tcp_port, udp: udp?, options }, place })
}

fn udp(section: Section<'_>, protocol: Protocol, ledger: &mut Ledger<'_>) -> Option<bool> {
    let udp = section.flag("udp", false, ledger)?;
    if udp && protocol != Protocol::Echo {
        let place = section.find("udp", ledger).map_or(section.place, |at| at.place);
        let wrong = format!("{} is not spoken over UDP here", protocol.name());
        ledger.refuse(place, &section.path("udp"), wrong, "remove it, or use protocol = \"echo\"");
        return None;
    }
    Some(udp)
}

/// `Some(None)` is a listener that does not probe.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: keep-alive is off")]
fn keep_alive(listener: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Option<KeepAlive>> {
    const KEY: &str = "keep_alive";
    if listener.find(KEY, ledger).is_none() {
        return Some(None);
    }
    let found_before = ledger.found.len();
    let section = listener.table(KEY, "listener.keep_alive", ledger);
    if ledger.found.len() > found_before {
        return None;
    }
    let default = KeepAlive::default();
    let seconds = 1..=KEEP_ALIVE_S_MAX;
    let idle = section.number("idle_s", default.idle_s, seconds.clone(), ledger);
    let interval = section.number("interval_s", default.interval_s, seconds, ledger);
    let probes = section.number("probes_max", default.probes_max, 1..=PROBES_MAX, ledger);
    let (idle_s, interval_s, probes_max) = (idle?.value, interval?.value, probes?.value);
    Some(Some(KeepAlive { idle_s, interval_s, probes_max }))
}

fn document_root_of(
    section: Section<'_>,
    protocol: Protocol,
    folder: &Path,
    ledger: &mut Ledger<'_>,
) -> Option<At<PathBuf>> {
    const KEY: &str = "document_root";
    let At { value: text, place } = section.text(KEY, ledger)?;
    if protocol != Protocol::Http {
        let wrong = format!("{} serves no documents", protocol.name());
        ledger.refuse(place, &section.path(KEY), wrong, "remove it, or use protocol = \"http\"");
        return None;
    }
    Some(At { value: folder.join(text), place })
}

/// The documents are in memory once, for every listener that serves them.
fn one_root(
    known: Option<At<PathBuf>>,
    here: Option<At<PathBuf>>,
    section: Section<'_>,
    ledger: &mut Ledger<'_>,
) -> Option<At<PathBuf>> {
    if let (Some(known), Some(here)) = (&known, &here)
        && known.value != here.value
    {
        let wrong = "a second document root; a gateway serves one";
        let right = format!("use line {}'s, or run another gateway", known.place);
        ledger.refuse(here.place, &section.path("document_root"), wrong, right);
    }
    known.or(here)
}

fn refuse_taken_port(
    known: &[At<Listener>],
    listener: At<Listener>,
    section: Section<'_>,
    ledger: &mut Ledger<'_>,
) {
    let tcp_port = listener.value.tcp_port;
    let taken = known.iter().find(|at| at.value.tcp_port == tcp_port);
    if let Some(At { value, place }) = taken {
        let wrong = format!(
            "TCP port {tcp_port} is taken by the {} of line {place}",
            value.protocol.name()
        );
        let right = "choose another port, or remove one of the two";
        ledger.refuse(listener.place, &section.path("tcp_port"), wrong, right);
    }
}
