//! SIGHUP: the file is read again, and what can change without a restart changes.
//!
//! The file is judged whole first, so one that is wrong changes nothing. Who is in stays in, with the
//! rights that the connection was let in with; whoever comes is judged by the new list.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::UnixTime;
use tracing::{error, info, warn};

use crate::config;
use crate::panel::Panel;
use crate::plan::Plan;

/// Reads `file` again in the place of `plan`, and tells what came of it in the log.
pub(crate) fn reload(plan: &mut Plan, file: &Path, panel: &Panel) {
    let new = match config::read_again(file) {
        Ok(new) => new,
        Err(wrong) => {
            for line in wrong.to_string().lines() {
                error!("{line}");
            }
            return error!("the configuration is wrong: nothing has changed");
        }
    };
    let stays = needs_restart(plan, &new);
    if new.tls.is_some() != plan.tls.is_some() {
        // Who speaks TLS and who does not is decided where they listen.
        warn!("[tls] was added or removed: access stays as it is until the next start");
    } else {
        let tls = new.tls.as_ref().map(|tls| Arc::clone(&tls.config));
        if !panel.change_access(new.access.clone(), tls) {
            return error!("the worker does not answer: nothing has changed");
        }
        plan.access = new.access;
        plan.tls = new.tls;
        if let Some(wrong) = plan.tls.as_ref().and_then(|tls| tls.wrong_at(UnixTime::now())) {
            warn!("{wrong}: no client believes it");
        }
    }
    logging::change(new.log);
    plan.log = new.log;
    plan.stop = new.stop;
    let entries = plan.access.len();
    if stays.is_empty() {
        info!(entries, "the configuration was read again");
    } else {
        let keys = stays.join(", ");
        warn!(entries, "the configuration was read again; until the next start stay: {keys}");
    }
}

/// The keys whose change waits for the next start.
fn needs_restart(plan: &Plan, new: &Plan) -> Vec<&'static str> {
    let differences = [
        ("name", plan.name != new.name),
        ("state_dir", plan.state_dir != new.state_dir),
        ("cluster", plan.cluster != new.cluster),
        ("listener", plan.listeners != new.listeners),
        ("ports", plan.ports != new.ports),
        ("lease", plan.lease != new.lease),
        ("limits", plan.bounds != new.bounds),
        ("worker", plan.worker != new.worker),
        ("metrics", plan.metrics != new.metrics),
    ];
    differences.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::needs_restart;
    use crate::config::{Machine, parse};
    use crate::plan::Plan;

    fn plan(text: &str) -> Plan {
        parse(Path::new("f"), text, &Machine::default()).unwrap_or_else(|found| panic!("{found}"))
    }

    #[test]
    fn what_needs_a_restart_is_named_by_its_key() {
        let old = plan("");
        assert_eq!(
            needs_restart(&old, &plan("[log]\nlevel = \"debug\"\nformat = \"json\"")),
            [""; 0]
        );
        assert_eq!(needs_restart(&old, &plan("[stop]\ntimeout_ms = 1\nhint = \"a:1\"")), [""; 0]);
        assert_eq!(
            needs_restart(&old, &plan("[[access]]\nnode = \"a\"\nproof = \"loopback\"")),
            [""; 0]
        );
        for (text, key) in [
            ("name = \"other\"", "name"),
            ("[cluster]\nname = \"other\"", "cluster"),
            ("[[listener]]\naddress = \"127.0.0.1:1\"", "listener"),
            ("[ports]\nplanned = 2048", "ports"),
            ("[lease]\nlease_ms = 100", "lease"),
            ("[limits]\nplaces = 7", "limits"),
            ("[worker]\nidle = \"spin\"", "worker"),
            ("[metrics]\nenabled = false", "metrics"),
        ] {
            assert_eq!(needs_restart(&old, &plan(text)), [key], "{text}");
        }
    }
}
