//! The threads that serve: one a queue, each on its core, started and ended together.
//!
//! They begin at one moment, when all of them have what they need, and whatever ends one of them
//! ends all: half a gateway serves nobody.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, Scope, ScopedJoinHandle};

use base::{CoreId, Duration, Instant};
use counters::{CoreWriter, Writer};
use gateway::{AccessLog, Documents};
use loader::Steering;
use memory::{CoreArena, FrameArena};
use nic::{Capabilities, QueuePair};
use publisher::{Board, Facts, Publisher};
use signals::Hangup;
use stack::HandOver;

use crate::access_log::Scribe;
use crate::affinity;
use crate::assembly::{Parts, assemble};
use crate::bell::Bell;
use crate::clock::Clock;
use crate::control::{Control, ControlSocket};
use crate::device::Device;
use crate::error::Error;
use crate::notify::{Notify, Watched};
use crate::order::{self, Clerk, Desk};
use crate::plan::Plan;
use crate::reload::{Digests, Reloader};
use crate::serve::{End, Ordered, Terms, serve};
use crate::stop::Stop;
use crate::summary::Summary;
use crate::supervise::supervise;

/// What all workers work with.
#[derive(Debug)]
pub(crate) struct Works<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) documents: Documents,
    pub(crate) frames: FrameArena,
    /// The core of each worker.
    pub(crate) cores: Vec<core_affinity::CoreId>,
    pub(crate) stop: &'a Stop,
    pub(crate) run_for: Option<std::time::Duration>,
    pub(crate) clock: Clock,
    pub(crate) notify: Notify,
    /// What is counted for all workers.
    pub(crate) board: Arc<Board>,
    /// How it is told to read its configuration again, if it can be.
    pub(crate) reload: Option<Reload<'a>>,
}

/// What a reload begins with.
#[derive(Debug)]
pub(crate) struct Reload<'a> {
    pub(crate) file: &'a Path,
    /// Of the documents that are served first.
    pub(crate) digests: Digests,
    pub(crate) hangup: &'a Hangup,
    pub(crate) socket: Option<&'a ControlSocket>,
}

/// What one worker is given.
struct Worker<'a, D: Device> {
    works: &'a Works<'a>,
    seat: D::Seat,
    core: core_affinity::CoreId,
    end: HandOver,
    arena: CoreArena,
    bells: &'a [Bell],
    /// Its part of the tools' file, where there is one.
    tools: Option<CoreWriter>,
    desk: Desk,
    /// Its end of the access log, if there is one.
    access_log: Option<Box<AccessLog>>,
}

/// What a worker is told when it may begin.
#[derive(Clone, Debug)]
struct Start {
    /// When it ends by itself.
    until: Option<Instant>,
    /// How the XDP program was attached, if there is one.
    xdp: Option<String>,
}

/// What one worker has done.
#[derive(Debug)]
struct Done {
    end: End,
    summary: Summary,
}

/// Lets every worker serve until something ends them; says what it was, and what each counted.
/// `on_ready` is called once all have their queue pairs and packets come in, before any is handled.
pub(crate) fn work<D: Device>(
    works: &Works<'_>,
    mut device: D,
    mut tools: Option<&mut Writer>,
    on_ready: impl FnOnce(&[Capabilities]),
) -> Result<(End, Vec<Summary>), Error> {
    let Works { plan, frames, cores, stop, run_for, clock, board, .. } = works;
    let seats = device.seats(frames)?;
    let owners = match device.owners() {
        Some(owners) => owners,
        None => crate::entropy::owners(plan.workers.count)?,
    };
    let mut scribe = Scribe::new(*clock, Arc::clone(board));
    let (ends_of_log, thread) = scribe.begin(plan, plan.access_log.as_ref())?;
    scribe.take_on(thread);
    let mut ends_of_log = ends_of_log.into_iter();
    let bells = cores.iter().map(|_| Bell::new()).collect::<Result<Vec<_>, _>>()?;
    let (bells, lent) = (bells.as_slice(), &mut device);
    let outcome = thread::scope(move |scope| {
        let mut clerks = Vec::new();
        let (mut starts, mut reports, mut handles) = (Vec::new(), Vec::new(), Vec::new());
        let ends = HandOver::between(&owners).into_iter();
        for (number, ((seat, end), core)) in seats.into_iter().zip(ends).zip(cores).enumerate() {
            let arena = frames.core().expect("the arena has a part for each worker");
            let tools = tools.as_mut().map(|writer| writer.core(number));
            let (clerk, desk) = order::pair();
            clerks.push(clerk);
            let (core, access_log) = (*core, ends_of_log.next().flatten());
            let worker: Worker<'_, D> =
                Worker { works, seat, core, end, arena, bells, tools, desk, access_log };
            // Room for the one thing that each of them carries.
            let (start, started) = mpsc::sync_channel(1);
            let (report, reported) = mpsc::sync_channel(1);
            let thread = thread::Builder::new().name(format!("core {}", core.id));
            let handle = thread.spawn_scoped(scope, move || {
                let done = worker.work(&report, &started);
                // Whatever ended this one: the others are not to go on without it.
                stop.raise();
                done
            });
            handles.push(handle.map_err(Error::io("start a thread"))?);
            starts.push(start);
            reports.push(reported);
        }
        // One that fails before it reports has its error as what it returns.
        let ready: Result<Vec<Capabilities>, _> = reports.iter().map(Receiver::recv).collect();
        if let Ok(capabilities) = ready {
            let xdp = lent.attach(plan)?;
            on_ready(&capabilities);
            let until = run_for.map(|time| clock.now() + duration(time));
            for start in &starts {
                // One that has failed meanwhile tells so below.
                start.send(Start { until, xdp: xdp.clone() }).ok();
            }
        }
        // Those that still wait see that nothing begins.
        drop(starts);
        let lent: &D = lent;
        let control = control(works, clerks, bells, lent.steering(), scribe);
        watch(works, bells, scope, lent, control, handles)
    });
    device.detach();
    outcome
}

/// What every worker has returned, once all have ended.
type Handles<'scope> = Vec<ScopedJoinHandle<'scope, Result<Option<Done>, Error>>>;

/// Watches the workers, and lets who asks for it change what they serve, until all have ended.
fn watch<'scope, D: Device>(
    works: &'scope Works<'_>,
    bells: &'scope [Bell],
    scope: &'scope Scope<'scope, '_>,
    device: &'scope D,
    control: Option<Control<'scope>>,
    handles: Handles<'scope>,
) -> Result<(End, Vec<Summary>), Error> {
    let Works { plan, cores, stop, clock, notify, board, .. } = works;
    let control = control.map(|control| {
        let thread = thread::Builder::new().name("control".to_owned());
        thread.spawn_scoped(scope, move || control.serve(stop))
    });
    let supervisor = thread::Builder::new().name("supervisor".to_owned());
    let supervisor = supervisor.spawn_scoped(scope, || supervise(device, board, stop));
    // Each of them raises the flag as it ends, so that this does too.
    let drain = plan.drain;
    let watched = notify.watch(&Watched { cores, bells, stop, clock, drain });
    if watched.is_err() {
        stop.raise();
    }
    let mut done = Vec::new();
    for handle in handles {
        done.extend(handle.join().map_err(|_told| Error::WorkerFailed)??);
    }
    watched?;
    if let Some(control) = control {
        let control = control.map_err(Error::io("start a thread"))?;
        control.join().map_err(|_told| Error::WorkerFailed)??;
    }
    let supervisor = supervisor.map_err(Error::io("start a thread"))?;
    let is_gone = supervisor.join().map_err(|_told| Error::WorkerFailed)??;
    let gone = is_gone.then_some(End::DeviceGone);
    let end = done.iter().map(|done| done.end).chain(gone).max().unwrap_or(End::Signal);
    Ok((end, done.into_iter().map(|done| done.summary).collect()))
}

/// Who reads the configuration again, if it can be.
fn control<'a>(
    works: &'a Works<'_>,
    clerks: Vec<Clerk>,
    bells: &'a [Bell],
    steering: Option<&'a Steering>,
    scribe: Scribe,
) -> Option<Control<'a>> {
    let Reload { file, digests, hangup, socket } = works.reload.as_ref()?;
    let (plan, digests) = (works.plan.clone(), digests.clone());
    let has_older = false;
    let reloader = Reloader { file, plan, digests, clerks, bells, steering, scribe, has_older };
    Some(Control { reloader, hangup, socket: *socket, clock: works.clock })
}

impl<D: Device> Worker<'_, D> {
    /// Serves from when it is told to; `None` if it never is.
    fn work(
        self,
        report: &SyncSender<Capabilities>,
        started: &Receiver<Start>,
    ) -> Result<Option<Done>, Error> {
        let Self { works, seat, core, end, mut arena, bells, tools, desk, access_log } = self;
        let Works { plan, documents, stop, clock, frames, board, .. } = works;
        affinity::pin(core)?;
        let queue = D::sit(seat, &mut arena)?;
        let (capabilities, told) = (queue.capabilities().clone(), D::facts(&queue));
        let CoreId(number) = end.core();
        let bell = usize::from(number);
        // The tables are touched by the core that uses them, and so lie in its own memory.
        let parts = Parts { documents: documents.clone(), queue, arena, end };
        let (mut engine, serving) = assemble(plan, parts, clock.now())?;
        engine.service_mut().set_access_log(access_log);
        let mut tools = tools.map(|out| {
            let interface = plan.interface.name.as_str();
            let (queue, pages) = (&capabilities, frames.pages());
            // What is counted for all is shown by the first.
            let board = (number == 0).then(|| Arc::clone(board));
            let facts = Facts { queue, interface, pages, cpu: core.id, device: told, board };
            Publisher::new(out, facts)
        });
        report.send(capabilities).ok();
        let Ok(Start { until, xdp }) = started.recv() else { return Ok(None) };
        if let (Some(tools), Some(xdp)) = (&mut tools, xdp) {
            tools.set_device_fact("xdp", &xdp);
        }
        let spin = Duration::from_micros(plan.workers.spin_us.into());
        let idle = plan.workers.idle;
        let (clock, drain) = (*clock, plan.drain);
        let terms = Terms { clock, stop, until, drain, idle, spin, bells, bell };
        let ordered = &mut Ordered { serving, desk };
        let (end, drained) = serve(&mut engine, &terms, &mut tools, ordered)?;
        Ok(Some(Done { end, summary: Summary::of(&engine).with_drained(drained) }))
    }
}

fn duration(time: std::time::Duration) -> Duration {
    let nanos = u64::try_from(time.as_nanos());
    Duration::from_nanos(nanos.expect("SECONDS_MAX fits"))
}

#[cfg(test)]
mod tests;
