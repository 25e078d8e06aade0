//! What the file asks of this machine: cores, memory, descriptors.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use rustls::pki_types::UnixTime;
use settings::{Ledger, Place, show_size};

use crate::limits::DESCRIPTORS_MIN;
use crate::plan::Plan;

/// What the machine has; what it does not tell is `None` and is not judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// The numbers of the cores that this process may use.
    pub(crate) cores: Option<Vec<usize>>,
    /// Bytes that could be had without swapping.
    pub(crate) memory_available: Option<u64>,
    /// Descriptors that the process could have.
    pub(crate) descriptors: Option<u64>,
    /// The time of day, for what is over at a time.
    pub(crate) now: Option<UnixTime>,
}

impl Machine {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let cores = core_affinity::get_core_ids();
        let cores = cores.map(|cores| cores.iter().map(|core| core.id).collect());
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_soft, hard)| hard);
        Self { cores, memory_available: memory_available(), descriptors, now: None }
    }
}

fn memory_available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    kibibytes.checked_mul(1_024)
}

/// Where the keys stand that a machine may lack something for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) core: Place,
    pub(crate) cores: Place,
    pub(crate) ports: Place,
    pub(crate) connections: Place,
}

/// Notes what the plan needs and the machine has not.
pub(crate) fn judge(plan: &Plan, machine: &Machine, places: Places, ledger: &mut Ledger<'_>) {
    let one = plan.worker.core.iter().map(|core| (core, places.core, "worker.core"));
    let several = plan.worker.cores.iter().map(|core| (core, places.cores, "worker.cores"));
    if let Some(cores) = &machine.cores
        && let Some((core, place, key)) =
            one.chain(several).find(|(core, ..)| !cores.contains(core))
    {
        let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
        let wrong = format!("this process may not run on core {core}");
        let right = format!("use one of {}, or allow it with `taskset`", cores.join(","));
        ledger.lacks(place, key, wrong, right);
    }
    let needed = plan.memory_at_start();
    if let Some(available) = machine.memory_available
        && needed > available
    {
        let (needed, left) = (show_size(needed), show_size(available));
        let wrong = format!("{needed} are taken at start, and the machine has {left} left");
        ledger.lacks(places.ports, "ports.planned", wrong, "plan fewer, or add memory");
    }
    let wanted = u64::from(plan.bounds.connections) + DESCRIPTORS_MIN;
    if let Some(descriptors) = machine.descriptors
        && wanted > descriptors
    {
        let wrong =
            format!("they need {wanted} descriptors, and this process may have {descriptors}");
        let right = format!("allow them, with `ulimit -Hn {wanted}` or LimitNOFILE={wanted}");
        ledger.lacks(places.connections, "limits.connections", wrong, right);
    }
}
