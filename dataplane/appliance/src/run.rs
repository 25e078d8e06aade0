//! `run`: takes what the plan says from the machine, in the order in which it can fail cheaply,
//! and hands it to the workers.

use std::io::{self, Write};
use std::panic;
use std::process;
use std::sync::Arc;

use gateway::Documents;
use memory::FrameArena;
use nic::Capabilities;
use signals::Hangup;
use tracing::{info, warn};

use crate::affinity;
use crate::args::RunArgs;
use crate::clock::Clock;
use crate::config::{self, Kind};
use crate::control::ControlSocket;
use crate::device::{AfXdpDevice, Device, TapDevice};
use crate::documents;
use crate::error::Error;
use crate::notify::Notify;
use crate::plan::Plan;
use crate::ready;
use crate::reload::Digests;
use crate::serve::End;
use crate::stop::Stop;
use crate::summary;
use crate::tools;
use crate::workers::{self, Reload, Works};

/// Runs the gateway until a signal or its time ends it.
pub(crate) fn run(args: &RunArgs) -> Result<(), Error> {
    let plan = config::read(&args.file)?;
    logging::install(plan.log)?;
    let stop = Stop::on_signals(plan.drain > base::Duration::ZERO)?;
    // From here on the signal means a reload; until the gateway serves, it waits.
    let hangup = Hangup::on_signal().map_err(Error::io("catch SIGHUP"))?;
    let signals = Signals { stop: &stop, hangup: &hangup };
    match plan.interface.kind {
        Kind::Tap => run_on::<TapDevice>(plan, args, signals),
        Kind::AfXdp => run_on::<AfXdpDevice>(plan, args, signals),
    }
}

/// What the process is told by its signals.
#[derive(Clone, Copy, Debug)]
struct Signals<'a> {
    stop: &'a Stop,
    hangup: &'a Hangup,
}

fn run_on<D: Device>(mut plan: Plan, args: &RunArgs, signals: Signals<'_>) -> Result<(), Error> {
    let cores = affinity::choose(&plan.workers)?;
    let device = D::open(&plan)?;
    if let Some(mac) = device.mac() {
        plan.stack.ip.mac = mac;
    }
    let plan = &plan;
    let loaded = documents::load(&plan.catalogue)?;
    let digests = Digests::of(&loaded);
    let documents = Documents::new(loaded)?;
    let frames = FrameArena::new(plan.memory.frames, plan.memory.pages)?;
    end_with_a_panic();
    let clock = Clock::start();
    let mut tools = tools::open(plan, &clock)?;
    let notify = Notify::of_environment(ready::status(plan));
    let socket = tools.as_ref().map(|tools| ControlSocket::beside(tools.path())).transpose()?;
    let (run_for, Signals { stop, hangup }) = (args.run_for, signals);
    let reload = Some(Reload { file: &args.file, digests, hangup, socket: socket.as_ref() });
    let board = Arc::default();
    let works =
        Works { plan, documents, frames, cores, stop, run_for, clock, notify, board, reload };
    let (end, summaries) = workers::work(&works, device, tools.as_mut(), |queues| {
        tell_what_was_got(&works, queues);
        logging::flush();
        tell(&mut io::stdout(), &ready::line(plan));
    })?;
    tell(&mut io::stdout(), &summary::show(&summaries));
    match end {
        End::Signal => info!("stopped by a signal"),
        End::Time => info!("stopped: its time is over"),
        End::DeviceGone => return Err(Error::DeviceGone(plan.interface.name.clone())),
    }
    Ok(())
}

/// Nothing falls back in silence: what differs from the best is in the log.
fn tell_what_was_got(works: &Works<'_>, queues: &[Capabilities]) {
    let Works { plan, frames, cores, .. } = works;
    let geometry = frames.geometry();
    info!(frames = geometry.frames, frame_len = geometry.frame_len, pages = %frames.pages(), "frames");
    if frames.pages() == memory::Pages::Base && plan.memory.pages != memory::PageChoice::Base {
        warn!("the frames lie on base pages; mend it with: sysctl -w vm.nr_hugepages=1024");
    }
    let (documents, bytes) = (plan.catalogue.entries.len(), plan.catalogue.len());
    info!(documents, bytes, left_out = plan.catalogue.left_out, "documents");
    let (interface, idle) = (plan.interface.name.as_str(), plan.workers.idle.name());
    for (queue, core) in queues.iter().zip(cores) {
        let (Capabilities { name, mtu, copies, queue, .. }, core) = (queue, core.id);
        let (queue, packets) = (queue.0, copies.name());
        info!(core, idle, device = name, interface, queue, mtu, packets, "worker");
    }
}

/// A panic of any thread ends the process at once, in every build: half a gateway serves nobody.
/// It aborts, so that the machine keeps a core dump if it keeps any.
pub(crate) fn end_with_a_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        logging::flush();
        print(panic);
        tell(&mut io::stderr(), &format!("abele-gateway: {}", Error::WorkerFailed));
        process::abort();
    }));
}

/// A line for whoever listens. That nobody does is no reason to stop serving.
fn tell(out: &mut impl Write, line: &str) {
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}
