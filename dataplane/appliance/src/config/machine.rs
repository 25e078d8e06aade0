//! What a plan is held against besides its file: the addresses, cores and memory of the machine.

use memory::PageChoice;
use settings::{Ledger, Place, show_size};

use super::Kind;
use crate::affinity;
use crate::error::Error;
use crate::host::{self, HostAddress, HostMemory, Machine};
use crate::plan::{Plan, huge_pages, memory_rows, memory_sum};

/// What a configuration is held against.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    pub(crate) addresses: Vec<HostAddress>,
    pub(crate) machine: Machine,
}

impl Host {
    /// This machine, as it is now.
    pub(crate) fn read() -> Result<Self, Error> {
        Ok(Self { addresses: host::addresses()?, machine: Machine::read() })
    }
}

/// Where the sections stand that decide what is taken of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) interface: Place,
    pub(super) memory: Place,
    pub(super) workers: Place,
}

/// Notes what the machine has not enough of.
pub(super) fn judge(plan: &Plan, places: Places, ledger: &mut Ledger<'_>) {
    refuse_missing_interface(plan, places.interface, ledger);
    refuse_missing_cores(plan, places.workers, ledger);
    refuse_missing_memory(plan, places.memory, ledger);
    refuse_locked_memory(plan, places.memory, ledger);
}

/// A TAP device the gateway makes itself.
fn refuse_missing_interface(plan: &Plan, place: Place, ledger: &mut Ledger<'_>) {
    let name = &plan.interface.name;
    let Some(there) = &plan.machine.interfaces else { return };
    if plan.interface.kind == Kind::AfXdp && !there.contains(name) {
        let wrong = format!("there is no interface {name} in this network namespace");
        let right = "use one that there is; see them with: ip -brief link";
        ledger.lacks(place, "interface.name", wrong, right);
    }
}

fn refuse_missing_cores(plan: &Plan, place: Place, ledger: &mut Ledger<'_>) {
    let Some(cores) = &plan.machine.cores else { return };
    if let Err((what, mend)) = affinity::choose_among(cores, &plan.workers) {
        let key = if plan.workers.cores.is_some() { "workers.cores" } else { "workers.count" };
        ledger.lacks(place, key, format!("this machine lacks {what}"), mend);
    }
}

/// Memory is touched at start, so a plan beyond the machine would end in the kernel's hands.
fn refuse_missing_memory(plan: &Plan, place: Place, ledger: &mut Ledger<'_>) {
    let rows = memory_rows(plan);
    let planned = memory_sum(&rows);
    let Some(HostMemory { available, huge, .. }) = plan.machine.memory else { return };
    // Pages of the pool are taken already as far as the kernel counts, but not by anybody.
    let available = match plan.memory.pages {
        PageChoice::Best => available + huge,
        PageChoice::RequireHuge => huge,
        PageChoice::Base => available,
    };
    if available >= planned {
        return;
    }
    let (planned, left) = (show_size(planned), show_size(available));
    let kind = if plan.memory.pages == PageChoice::RequireHuge { " of huge pages" } else { "" };
    let wrong = format!("the plan takes {planned} and the machine has {left}{kind} left");
    let right = match plan.memory.pages {
        PageChoice::RequireHuge => {
            format!("mend it: sysctl -w vm.nr_hugepages={}", huge_pages(&rows))
        }
        PageChoice::Best | PageChoice::Base => {
            "use fewer memory.frames or tcp.connections; `abele-gateway check` shows the plan of \
             what fits"
                .to_owned()
        }
    };
    ledger.lacks(place, "memory", wrong, right);
}

/// The kernel counts all frames as locked memory once for each queue that they are registered with.
fn refuse_locked_memory(plan: &Plan, place: Place, ledger: &mut Ledger<'_>) {
    let Some(limit) = plan.machine.locked_max else { return };
    let frames = plan.memory.frames;
    let each = u64::from(frames.frames) * u64::from(frames.frame_len);
    let queues = u64::from(plan.workers.count);
    if plan.interface.kind != Kind::AfXdp || each * queues <= limit {
        return;
    }
    let [each, all, limit] = [each, each * queues, limit].map(|bytes| bytes >> 10);
    let them = if queues == 1 { "one queue".to_owned() } else { format!("{queues} queues") };
    let wrong = format!(
        "registering {each} KiB of frames with {them} takes {all} KiB of locked memory, \
         and RLIMIT_MEMLOCK is {limit} KiB"
    );
    let right = "mend it: ulimit -l unlimited (as root before the start; LimitMEMLOCK=infinity in \
                 a systemd unit), or setcap \
                 cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock+ep PROGRAM";
    ledger.lacks(place, "memory.frames", wrong, right);
}
