//! `run`: takes what the plan says from the machine, in the order in which it can fail cheaply,
//! and hands it to a worker that owns all of it.

use std::io::{self, Write};
use std::panic;
use std::process;
use std::thread;

use base::Duration;
use core_affinity::CoreId;
use gateway::Documents;
use memory::FrameArena;
use nic::QueuePair;
use tap::{TapConfig, TapQueue};
use tracing::{info, warn};

use crate::affinity;
use crate::args::RunArgs;
use crate::assembly::assemble;
use crate::clock::Clock;
use crate::config::{self, Kind};
use crate::documents;
use crate::error::Error;
use crate::log;
use crate::plan::Plan;
use crate::ready;
use crate::serve::{End, Terms, serve};
use crate::stop::Stop;
use crate::summary::Summary;

/// Runs the gateway until a signal or its time ends it.
pub(crate) fn run(args: &RunArgs) -> Result<(), Error> {
    let plan = config::read(&args.file)?;
    log::install(plan.log_level);
    let stop = Stop::on_signals()?;
    let core = affinity::choose(plan.worker.core)?;
    let queue = open_device(&plan)?;
    let documents = Documents::new(documents::load(&plan.catalogue)?)?;
    let frames = FrameArena::new(plan.memory.frames, plan.memory.pages)?;
    tell_what_was_got(&plan, &queue, &frames, core);
    end_with_a_panic();
    let worker = Worker { plan, documents, queue, frames, core, run_for: args.run_for };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(format!("core {}", core.id));
        let handle = thread.spawn_scoped(scope, || worker.work(&stop));
        handle.map_err(Error::io("start a thread"))?.join().map_err(|_told| Error::WorkerFailed)?
    })
}

/// The device with its kernel's end up, so that what is sent from there on finds the gateway.
fn open_device(plan: &Plan) -> Result<TapQueue, Error> {
    let interface = &plan.interface;
    match interface.kind {
        Kind::Tap => {
            let name = Some(interface.name.clone());
            let mut tap = tap::open(&TapConfig { name, queues: 1, mtu: interface.mtu })?;
            for cidr in &interface.kernel_addresses {
                tap.interface.add_address(cidr.address().to_ip(), cidr.prefix_len())?;
            }
            tap.interface.set_up()?;
            Ok(tap.queues.pop().expect("one queue was asked for"))
        }
    }
}

/// Nothing falls back in silence: what differs from the best is in the log.
fn tell_what_was_got(plan: &Plan, queue: &TapQueue, frames: &FrameArena, core: CoreId) {
    let nic::Capabilities { name, mtu, copies, .. } = queue.capabilities();
    info!(device = name, interface = plan.interface.name, mtu, packets = copies.name(), "queue");
    let geometry = frames.geometry();
    info!(frames = geometry.frames, frame_len = geometry.frame_len, pages = %frames.pages(), "frames");
    if frames.pages() == memory::Pages::Base && plan.memory.pages != memory::PageChoice::Base {
        warn!("the frames lie on base pages; mend it with: sysctl -w vm.nr_hugepages=1024");
    }
    let (documents, bytes) = (plan.catalogue.entries.len(), plan.catalogue.len());
    info!(documents, bytes, left_out = plan.catalogue.left_out, "documents");
    info!(core = core.id, spin_us = plan.worker.spin_us, "worker");
}

/// A panic of any thread ends the process at once, in every build: half a gateway serves nobody.
/// It aborts, so that the machine keeps a core dump if it keeps any.
fn end_with_a_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        tell(&mut io::stderr(), &format!("abele-gateway: {}", Error::WorkerFailed));
        process::abort();
    }));
}

/// Everything that one core owns.
#[derive(Debug)]
struct Worker {
    plan: Plan,
    documents: Documents,
    queue: TapQueue,
    frames: FrameArena,
    core: CoreId,
    run_for: Option<std::time::Duration>,
}

impl Worker {
    fn work(self, stop: &Stop) -> Result<(), Error> {
        let Self { plan, documents, queue, frames, core, run_for } = self;
        affinity::pin(core)?;
        // The tables are touched by the core that uses them, and so lie in its own memory.
        let arena = frames.core().expect("the arena is made for one core, and this is it");
        let clock = Clock::start();
        let mut engine = assemble(&plan, documents, queue, arena, clock.now())?;
        tell(&mut io::stdout(), &ready::line(&plan));
        let run_for = run_for.map(|time| {
            let nanos = u64::try_from(time.as_nanos());
            Duration::from_nanos(nanos.expect("SECONDS_MAX fits"))
        });
        let until = run_for.map(|time| clock.now() + time);
        let spin = Duration::from_micros(plan.worker.spin_us.into());
        let end = serve(&mut engine, &Terms { clock, stop, until, spin })?;
        tell(&mut io::stdout(), &Summary::of(&engine).to_string());
        match end {
            End::Signal => info!("stopped by a signal"),
            End::Time => info!("stopped: its time is over"),
            End::DeviceGone => return Err(Error::DeviceGone(plan.interface.name)),
        }
        Ok(())
    }
}

/// A line for whoever listens. That nobody does is no reason to stop serving.
fn tell(out: &mut impl Write, line: &str) {
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}
