//! The configuration: one TOML file, read whole and judged whole, so that one run names everything
//! that is wrong with it.
//!
//! Every section reads its own keys and notes what is wrong, as `settings` has it, and only a file
//! without a finding becomes a [`Plan`].

mod access;
mod keys;
mod machine;
mod network;
mod sections;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rustls::pki_types::UnixTime;
use settings::{At, Findings, Ledger, Section, read_text};

pub(crate) use access::{Access, Proof, Quota, Role};
pub(crate) use machine::Machine;
pub(crate) use network::Listener;
pub(crate) use sections::{Bounds, Cluster, Ending, Grace, Lease, Ports, Worker};

use crate::error::{Error, error_text};
use crate::limits::CONFIG_LEN_MAX;
use crate::plan::Plan;
use access::Transport;
use keys::KEYS;
use machine::Places;

/// Reads and judges the configuration `file` on this machine.
///
/// # Errors
/// It cannot be read, or something in it is wrong: then all of it.
pub(crate) fn read(file: &Path) -> Result<Plan, Error> {
    read_on(file, &Machine::read())
}

/// The same for somebody who asks whether all is right: a certificate that is over is an error too.
/// A start and a reload go on with a warning, for those who come in without TLS.
pub(crate) fn check(file: &Path) -> Result<Plan, Error> {
    read_on(file, &Machine { now: Some(UnixTime::now()), ..Machine::read() })
}

/// The same for a switch that serves already: what it has taken of the machine is its own.
pub(crate) fn read_again(file: &Path) -> Result<Plan, Error> {
    read_on(file, &Machine::default())
}

fn read_on(file: &Path, machine: &Machine) -> Result<Plan, Error> {
    let text = read_text(file, CONFIG_LEN_MAX)
        .map_err(|wrong| Error::File { file: file.to_owned(), wrong: error_text(&wrong) })?;
    parse(file, &text, machine).map_err(Error::Configuration)
}

/// Judges the text of `file`.
pub(crate) fn parse(file: &Path, text: &str, machine: &Machine) -> Result<Plan, Findings> {
    let folder = file.parent().unwrap_or(Path::new(""));
    settings::parse(file, text, KEYS, |root, ledger| sections(root, folder, machine, ledger))
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
    let tls = network::tls(root, folder, machine.now, ledger);
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
    let section = root.table("metrics", "metrics", ledger);
    let metrics = sections::metrics(section, listeners.as_deref().unwrap_or(&[]), ledger);
    let stop = sections::stop(root.table("stop", "stop", ledger), ledger);
    let log = sections::log(root.table("log", "log", ledger), ledger);

    let (ports, bounds, (worker, cores)) = (ports?, bounds?, worker?);
    let (core, connections) = (worker.place, bounds.place);
    let places = Places { core, cores, ports: ports.place, connections };
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
        stop: stop?,
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
