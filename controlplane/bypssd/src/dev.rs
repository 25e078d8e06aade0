//! `dev`: a switch in one command, for this machine and for trying things out.
//!
//! Its cluster is a new one at each start, so clients of the last one begin anew instead of waiting
//! for leases that nobody keeps; and it grants at once.

use std::io::{self, Write as _};

use base::IdlePolicy;
use logging::{Format, Log};
use settings::show_size;
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
    let machine = Machine::read();
    let plan = plan(args, &machine)?;
    judge(&plan, &machine)?;
    // That nobody reads it is no reason not to serve.
    write!(io::stdout(), "{plan}").ok();
    run::run_plan(plan, None, args.run_for)
}

/// What the arguments ask for and the machine has not, before anything is printed or taken.
fn judge(plan: &Plan, machine: &Machine) -> Result<(), Error> {
    if let (Some(core), Some(cores)) = (plan.worker.core, &machine.cores)
        && !cores.contains(&core)
    {
        let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
        return Err(Error::Lacks {
            what: format!("core {core} for this process (--core)"),
            mend: format!("use one of {}, or allow it with `taskset`", cores.join(",")),
        });
    }
    let needed = plan.memory_at_start();
    match machine.memory_available {
        Some(available) if needed > available => {
            let (needed, left) = (show_size(needed), show_size(available));
            Err(Error::Lacks {
                what: format!(
                    "memory for --ports: {needed} are taken at start, and {left} are left"
                ),
                mend: "plan fewer, or add memory".to_owned(),
            })
        }
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_has_not_is_said_by_its_argument() {
        let args = |core, ports| DevArgs {
            listen: ([127, 0, 0, 1], 0).into(),
            metrics: None,
            ports,
            spin: false,
            core,
            run_for: None,
        };
        let machine = Machine {
            cores: Some(vec![0, 1]),
            memory_available: Some(8 << 30),
            ..Machine::default()
        };
        let told = |args: &DevArgs| {
            let error = judge(&plan(args, &machine).unwrap(), &machine).unwrap_err();
            (error.code(), error.to_string())
        };
        let (code, text) = told(&args(Some(77), 4_096));
        let wrong = "this machine lacks core 77 for this process (--core); use one of 0,1, or allow \
                     it with `taskset`";
        assert_eq!((code, text.as_str()), (3, wrong));
        let (code, text) = told(&args(None, 4_000_000_000));
        assert!(code == 3 && text.contains("lacks memory for --ports: "), "{text}");
        assert!(text.ends_with("8 GiB are left; plan fewer, or add memory"), "{text}");
        judge(&plan(&args(Some(1), 4_096), &machine).unwrap(), &machine).unwrap();
    }
}
