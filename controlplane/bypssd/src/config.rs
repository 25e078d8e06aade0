//! The configuration: one TOML file, read whole and judged whole, so that one run names everything
//! that is wrong with it.
//!
//! Deserializing into structs would stop at the first error and know no lines. So the file is
//! parsed into a tree with positions, every section reads its own keys from it and notes what is
//! wrong, and only a file without a finding becomes a [`Plan`].

mod access;
mod finding;
mod keys;
mod machine;
mod network;
mod section;
mod sections;
mod size;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub(crate) use access::{Access, Proof, Quota, Role};
pub(crate) use finding::Findings;
pub(crate) use machine::Machine;
pub(crate) use network::Listener;
pub(crate) use sections::{Bounds, Cluster, Grace, Lease, Ports, Worker};
pub(crate) use size::show as show_size;

use crate::error::{Error, error_text};
use crate::limits::CONFIG_LEN_MAX;
use crate::plan::Plan;
use access::Transport;
use machine::Places;
use section::{At, Ledger, Section};

/// Reads and judges the configuration `file` on this machine.
///
/// # Errors
/// It cannot be read, or something in it is wrong: then all of it.
pub(crate) fn read(file: &Path) -> Result<Plan, Error> {
    read_on(file, &Machine::read())
}

/// The same for a switch that serves already: what it has taken of the machine is its own.
pub(crate) fn read_again(file: &Path) -> Result<Plan, Error> {
    read_on(file, &Machine::default())
}

fn read_on(file: &Path, machine: &Machine) -> Result<Plan, Error> {
    let text = text_of(file)
        .map_err(|wrong| Error::File { file: file.to_owned(), wrong: error_text(&wrong) })?;
    parse(file, &text, machine).map_err(Error::Configuration)
}

fn text_of(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(CONFIG_LEN_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > CONFIG_LEN_MAX {
        return Err(std::io::Error::other(format!(
            "it has more than {CONFIG_LEN_MAX} bytes, which no configuration needs"
        )));
    }
    Ok(text)
}

/// Judges the text of `file`.
pub(crate) fn parse(file: &Path, text: &str, machine: &Machine) -> Result<Plan, Findings> {
    let mut ledger = Ledger::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What the parser guessed behind an error would only bring findings of its own.
        for error in errors {
            let place = ledger.place(error.span().map_or(0, |span| span.start));
            let message = error.message();
            let (wrong, right) = match message.split_once(", expected ") {
                Some((wrong, expected)) => (wrong, format!("write {expected}")),
                None if message.starts_with("duplicate") => {
                    (message, "keep one of them".to_owned())
                }
                None => (message, "write TOML, see https://toml.io".to_owned()),
            };
            ledger.refuse(place, "syntax", wrong, right);
        }
        return Err(Findings::new(file, ledger.found));
    }
    let root = section::root(&table, &mut ledger);
    let folder = file.parent().unwrap_or(Path::new(""));
    let plan = sections(root, folder, machine, &mut ledger);
    if ledger.found.is_empty() {
        return Ok(plan.expect("a section that notes nothing is whole"));
    }
    Err(Findings::new(file, ledger.found))
}

/// Reads every section, whatever the others lack.
fn sections(
    root: Section<'_>,
    folder: &Path,
    machine: &Machine,
    ledger: &mut Ledger<'_>,
) -> Option<Plan> {
    let name = sections::name(root, ledger);
    let state_dir = state_dir(root, folder, ledger);
    let cluster = sections::cluster(root.table("cluster", "cluster", ledger), ledger);
    let has_tls = root.find("tls", ledger).is_some();
    let tls = network::tls(root, folder, ledger);
    let listeners = network::listeners(root, has_tls, ledger);
    let access = access::read(root, folder, ledger);
    if let (Some(listeners), Some(access), Some(tls)) = (&listeners, &access, &tls) {
        let has_client_ca = tls.as_ref().is_some_and(|tls| tls.files.client_ca.is_some());
        access::judge(Transport { listeners, has_client_ca }, access, ledger);
    }
    let ports = sections::ports(root.table("ports", "ports", ledger), ledger);
    let lease = sections::lease(root.table("lease", "lease", ledger), ledger);
    let bounds = sections::bounds(root.table("limits", "limits", ledger), ledger);
    let worker = sections::worker(root.table("worker", "worker", ledger), ledger);
    let metrics = sections::metrics(root.table("metrics", "metrics", ledger), ledger);
    let stop = sections::stop(root.table("stop", "stop", ledger), ledger);
    let log = sections::log(root.table("log", "log", ledger), ledger);

    let (ports, bounds, worker) = (ports?, bounds?, worker?);
    let places = Places { core: worker.place, ports: ports.place, connections: bounds.place };
    let plan = Plan {
        name: name?,
        state_dir: state_dir?,
        cluster: cluster?,
        listeners: listeners?.into_iter().map(|at| at.value).collect(),
        tls: tls?,
        access: access?.into_iter().map(|at| at.value).collect(),
        ports: ports.value,
        lease: lease?,
        bounds: bounds.value,
        worker: worker.value,
        metrics: metrics?,
        stop_timeout: stop?,
        log: log?,
    };
    machine::judge(&plan, machine, places, ledger);
    Some(plan)
}

/// A folder that exists, for one word a start.
#[expect(clippy::option_option, reason = "outside: noted why not; inside: no such key")]
fn state_dir(root: Section<'_>, folder: &Path, ledger: &mut Ledger<'_>) -> Option<Option<PathBuf>> {
    const KEY: &str = "state_dir";
    if root.find(KEY, ledger).is_none() {
        return Some(None);
    }
    let At { value, place } = root.path_of(KEY, folder, ledger)?;
    if !value.is_dir() {
        let wrong = format!("{} is no folder", value.display());
        ledger.refuse(place, KEY, wrong, "make it, for bypssd's user alone, or remove the key");
        return None;
    }
    Some(Some(value))
}
