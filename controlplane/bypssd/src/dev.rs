//! `dev`: a switch in one command, for this machine and for trying things out.
//!
//! Its cluster is a new one at each start, so clients of the last one begin anew instead of waiting
//! for leases that nobody keeps; and it grants at once.

use std::io::{self, Write as _};

use base::IdlePolicy;
use logging::{Format, Log};
use tracing::level_filters::LevelFilter;

use crate::args::DevArgs;
use crate::config::{
    Access, Bounds, Cluster, Ending, Grace, Lease, Listener, Machine, Ports, Worker,
};
use crate::entropy;
use crate::error::Error;
use crate::limits::{CONNECTIONS, PARTIAL_LEN, PARTIAL_MS, PLACES, PORTS_MAX};
use crate::plan::Plan;
use crate::run;

/// Runs it.
pub(crate) fn run(args: &DevArgs) -> Result<(), Error> {
    let plan = plan(args, &Machine::read())?;
    // That nobody reads it is no reason not to serve.
    write!(io::stdout(), "{plan}").ok();
    run::run_plan(plan, None, args.run_for)
}

fn plan(args: &DevArgs, machine: &Machine) -> Result<Plan, Error> {
    let DevArgs { listen, metrics, ports, spin, core, run_for: _ } = *args;
    let limits = protocol::Limits::DEFAULT;
    // What the machine does not say is not judged.
    let most = machine.descriptors.unwrap_or(u64::MAX);
    let most = most.saturating_sub(crate::limits::DESCRIPTORS_MIN);
    let connections = u32::try_from(most).unwrap_or(u32::MAX).clamp(1, CONNECTIONS);
    if !(1_024..=PORTS_MAX).contains(&ports) {
        return Err(Error::Argument {
            name: "--ports",
            wrong: format!("{ports} ports"),
            right: format!("use 1024 to {PORTS_MAX}"),
        });
    }
    let idle = if spin { IdlePolicy::Spin } else { IdlePolicy::Adaptive };
    Ok(Plan {
        name: "dev".to_owned(),
        state_dir: None,
        cluster: Cluster { name: "dev".to_owned(), incarnation: entropy::key()? },
        listeners: vec![Listener { address: listen, is_tls: false }],
        tls: None,
        access: vec![Access::of_this_machine()],
        ports: Ports { planned: ports, max: ports.saturating_mul(4).min(PORTS_MAX), shards: 1 },
        lease: Lease { grace: Grace::None, ..Lease::default() },
        bounds: Bounds {
            connections,
            connections_per_source: connections,
            sessions: connections,
            places: PLACES,
            items: limits.items_max(),
            frame_len: limits.frame_len_max(),
            message_len: limits.message_len_max(),
            partial_len: PARTIAL_LEN,
            partial_ms: PARTIAL_MS,
        },
        worker: Worker { core, idle, ..Worker::default() },
        metrics,
        stop: Ending::default(),
        log: Log { level: LevelFilter::INFO, format: Format::Text },
    })
}
