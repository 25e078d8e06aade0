//! Both ends over AF_XDP on a cable between two network namespaces: a process and a core each.

use std::thread;
use std::time::Instant;

use core_affinity::CoreId;

use super::{Asks, ClientEnd, ClientTally, Clock, Plan, Role, ServerEnd, ServerTally, round};
use crate::args::VethServerArgs;
use crate::cable::{Cable, End, Port, plug};
use crate::child::say;
use crate::cores;
use crate::error::Error;
use crate::round::Round;
use crate::stop::Stop;

/// Turns between two looks at the flag that ends the serving process.
const TURNS: u32 = 64;

/// One round with `service` at the asking end.
pub(crate) fn run<S: Asks + Send>(
    plan: Plan,
    service: S,
    cable: &Cable,
    stop: &Stop,
) -> Result<Round, Error> {
    let Plan { connections, silent: _, time_wait, servers } = plan;
    let arguments = [
        "veth-server".to_owned(),
        format!("--core={}", cable.placement.server.id),
        format!("--attach={}", cable.attach.name()),
        format!("--connections={connections}"),
        format!("--time-wait={time_wait}"),
        format!("--servers={servers}"),
    ];
    let mut server = cable.spawn("server", &arguments)?;
    let (): () = server.read()?;
    // A thread of its own, because pinning lasts as long as the thread.
    let client: Result<ClientTally, Error> = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            cores::pin(cable.placement.client)?;
            let addresses = plan.addresses(Role::Client);
            let (port, core) = plug(Role::Client, cable.attach, &addresses, plan.frames())?;
            // The program stays attached until the end of this thread.
            let Port { queue, steering: _steering } = port;
            let clock = Clock(Instant::now());
            let mut end = ClientEnd::new(plan, queue, core, clock, service)?;
            while end.turn(clock.now(), stop)? {}
            end.settle(clock);
            Ok(end.finish())
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let client = client?;
    let server: ServerTally = server.finish()?;
    Ok(round(client, server))
}

/// The serving process's main: see [`crate::child`].
pub(crate) fn serve(args: &VethServerArgs) -> Result<(), Error> {
    cores::pin(CoreId { id: args.core })?;
    let &VethServerArgs { connections, time_wait, servers, attach, .. } = args;
    let plan = Plan { connections, silent: 0, time_wait, servers };
    let addresses = plan.addresses(Role::Server);
    let (port, core) = plug(Role::Server, attach, &addresses, plan.frames())?;
    let Port { queue, steering: _steering } = port;
    let clock = Clock(Instant::now());
    let mut server = ServerEnd::new(plan, queue, core, clock)?;
    let end = End::of_input();
    say(&())?;
    while !end.is_wanted() {
        for _turn in 0..TURNS {
            server.turn(clock.now());
        }
    }
    server.settle(clock);
    say(&server.tally())
}
