//! The configuration: one TOML file, read whole and judged whole, so that one run names everything
//! that is wrong with it.
//!
//! Every section reads its own keys and notes what is wrong, as `settings` has it, and only a file
//! without a finding becomes a [`Plan`].

mod access_log;
mod http;
mod interface;
mod keys;
mod listener;
mod machine;
mod memory;
mod network;
mod service;
mod tcp;
mod workers;
mod xdp;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use ::tcp::Config as TcpConfig;
use settings::{At, Findings, Ledger, Place, Section, read_text};
use wire::MacAddress;

pub(crate) use interface::{Interface, Kind};
pub(crate) use listener::{Listener, Protocol};
pub(crate) use machine::Host;
pub(crate) use memory::{Memory, pages_name};
pub(crate) use service::Service;
pub(crate) use workers::Workers;

use crate::documents::{self, Catalogue};
use crate::error::{Error, error_text};
use crate::host::Machine;
use crate::limits::CONFIG_LEN_MAX;
use crate::plan::{Plan, Whole};
use keys::KEYS;
use listener::Listeners;
use machine::Places;
use memory::Takers;

/// Reads and judges the configuration `file` on this machine.
///
/// # Errors
/// It cannot be read, or something in it is wrong: then all of it.
pub(crate) fn read(file: &Path) -> Result<Plan, Error> {
    read_on(file, &Host::read()?)
}

/// The same for a gateway that serves already: what it has taken of the machine is its own.
pub(crate) fn read_again(file: &Path) -> Result<Plan, Error> {
    let host = Host { machine: Machine::default(), ..Host::read()? };
    read_on(file, &host)
}

fn read_on(file: &Path, host: &Host) -> Result<Plan, Error> {
    let text = read_text(file, CONFIG_LEN_MAX).map_err(|source| unread(file, &source))?;
    parse(file, &text, host).map_err(Error::Configuration)
}

fn unread(file: &Path, source: &std::io::Error) -> Error {
    let right = if source.kind() == std::io::ErrorKind::PermissionDenied {
        format!("let this user read it and pass its folders; see: namei -l {}", file.display())
    } else {
        "name a configuration, such as docs/abele-gateway.example.toml".to_owned()
    };
    Error::File { file: file.to_owned(), wrong: error_text(source), right }
}

/// Judges the text of `file`.
pub(crate) fn parse(file: &Path, text: &str, host: &Host) -> Result<Plan, Findings> {
    let folder = file.parent().unwrap_or(Path::new(""));
    settings::parse(file, text, KEYS, |root, ledger| sections(root, folder, host, ledger))
}

/// Reads every section, whatever the others lack.
fn sections(
    root: Section<'_>,
    folder: &Path,
    host: &Host,
    ledger: &mut Ledger<'_>,
) -> Option<Plan> {
    let memory = root.table("memory", "memory", ledger);
    let frame_len = memory::frame_len(memory, ledger);
    let workers_section = root.table("workers", "workers", ledger);
    let addresses = network::own_addresses(root, &host.addresses, ledger);
    let interface = root.table("interface", "interface", ledger);
    let interface_place = interface.place;
    let named = interface.find("name", ledger).map_or(interface_place, |name| name.place);
    let (memory_place, workers) = (memory.place, workers_section.place);
    let places = Places { interface: named, memory: memory_place, workers };
    let workers = workers::read(workers_section, ledger);
    let interface = interface::read(interface, frame_len, addresses.as_deref(), ledger);
    let ring_size = interface.as_ref().and_then(Interface::ring_size);
    let takers = Takers { workers: workers.as_ref(), ring_size };
    let memory = memory::read(memory, frame_len, takers, ledger);
    let routes = network::routes(root, addresses.as_deref(), ledger);
    let tcp = tcp::read(root.table("tcp", "tcp", ledger), ledger);
    let records = tcp.as_ref().map(|tcp| tcp.records);
    let service = service::read(root.table("gateway", "gateway", ledger), records, ledger);
    let http = http::read(root.table("http", "http", ledger), ledger);
    let Listeners { listeners, document_root } = listener::read(root, folder, records, ledger);
    let catalogue = catalogue(document_root.as_ref(), ledger);
    let access = xdp::access(root.table("access", "access", ledger), ledger);
    let budget = root.table("syn_budget", "syn_budget", ledger);
    let syn_budget = xdp::syn_budget(budget, ledger);
    if interface.as_ref().is_some_and(|interface| interface.kind == Kind::Tap) {
        refuse_program_sections(root, ledger);
    }
    let instance = instance(root, interface.as_ref(), ledger);
    let log = workers::log(root.table("log", "log", ledger), ledger);
    let access_log = access_log::read(root, folder, ledger);
    let drain = workers::drain(root.table("drain", "drain", ledger), ledger);

    let (interface, memory) = (interface?, memory?);
    let ip = ip::Config {
        mac: interface.mac.unwrap_or(MAC_OF_NOBODY),
        mtu: interface.mtu,
        addresses: addresses?,
        routes: routes?,
        neighbours_max: interface.neighbours_max,
        ..ip::Config::default()
    };
    if ledger.found.is_empty() {
        refuse_what_ip_refuses(&ip, interface_place, ledger);
    }
    let workers = workers?;
    let frames_short = frames_short(&memory, &interface, &workers);
    let tcp = TcpConfig { mtu: interface.mtu, pages: memory.pages, frames_short, ..tcp? };
    let whole = Whole { tcp, service: service?, listeners: listeners? };
    let of_one = |listener: &Listener| listener.of_one(&workers);
    let plan = Plan {
        instance: instance?,
        interface,
        memory,
        stack: stack_of_one(ip, &whole.tcp, &workers),
        service: whole.service.of_one(&workers),
        listeners: whole.listeners.iter().map(of_one).collect(),
        http: http?,
        document_root: document_root.map(|at| at.value),
        catalogue: catalogue?,
        whole,
        workers,
        access: access?,
        syn_budget: syn_budget?,
        log: log?,
        access_log: access_log?,
        drain: drain?,
        machine: host.machine.clone(),
    };
    machine::judge(&plan, places, ledger);
    Some(plan)
}

/// Free frames below which they are short: half of those that connections can have. What lies in the
/// rings is never free, and says nothing of what connections hold.
fn frames_short(memory: &Memory, interface: &Interface, workers: &Workers) -> u32 {
    let lent = interface.ring_size().unwrap_or(0) * u32::from(workers.count);
    memory.frames.frames.saturating_sub(lent) / 2
}

/// The name under which the tools find the gateway: that of its interface unless the file has one.
fn instance(
    root: Section<'_>,
    interface: Option<&Interface>,
    ledger: &mut Ledger<'_>,
) -> Option<String> {
    const KEY: &str = "instance";
    if root.find(KEY, ledger).is_none() {
        return interface.map(|interface| interface.name.clone());
    }
    let At { value: name, place } = root.text(KEY, ledger)?;
    // The folder does not matter here, only whether the name can be one below it.
    if counters::path(Path::new("/"), name).is_err() {
        let wrong = format!("\"{name}\" cannot name an instance");
        let right = "use letters, digits, '-', '_' or '.', not in front";
        ledger.refuse(place, KEY, wrong, right);
        return None;
    }
    Some(name.to_owned())
}

/// Until the device has said its own; locally administered.
const MAC_OF_NOBODY: MacAddress = MacAddress([2, 0, 0, 0, 0, 0]);

/// There is no XDP program before a TAP device: what is written here would defend nobody.
fn refuse_program_sections(root: Section<'_>, ledger: &mut Ledger<'_>) {
    for key in ["access", "syn_budget"] {
        if let Some(At { place, .. }) = root.find(key, ledger) {
            let wrong = "a TAP device has no XDP program that could refuse packets";
            ledger.refuse(place, key, wrong, "remove the section, or use kind = \"af_xdp\"");
        }
    }
}

/// The stack of one worker: its share of what the file says for all of them.
fn stack_of_one(ip: ip::Config, tcp: &TcpConfig, workers: &Workers) -> stack::Config {
    let extensions = workers.share(tcp.extensions);
    let tcp = TcpConfig {
        records: workers.share(tcp.records),
        extensions,
        // A connection needs two.
        nodes: workers.share(tcp.nodes).max(2),
        half_open: workers.share(tcp.half_open),
        time_wait: workers.share(tcp.time_wait),
        extensions_free_min: tcp.extensions_free_min.min(extensions / 8),
        ..tcp.clone()
    };
    let whole = stack::Config::new(ip);
    stack::Config { tcp, timers: workers.share(whole.timers), ..whole }
}

fn catalogue(root: Option<&At<PathBuf>>, ledger: &mut Ledger<'_>) -> Option<Catalogue> {
    let Some(At { value: root, place }) = root else { return Some(Catalogue::default()) };
    let refuse = |(wrong, right)| ledger.refuse(*place, "listener.document_root", wrong, right);
    documents::find(root).map_err(refuse).ok()
}

/// The last word is with `ip`: what it would refuse is refused now, not at start.
fn refuse_what_ip_refuses(ip: &ip::Config, interface_place: Place, ledger: &mut Ledger<'_>) {
    let Err(error) = ip::Ip::new(ip, [0; 32]) else { return };
    let is_of_interface = matches!(error, ip::ConfigError::ConfigNeighbours { .. });
    let (place, key) = if is_of_interface {
        (interface_place, "interface.neighbours_max")
    } else {
        (Place::START, "addresses")
    };
    ledger.refuse(place, key, error.to_string(), "change this, or the routes");
}
