//! The threads that serve: one a queue, each on its core, started and ended together.
//!
//! They begin at one moment, when all of them have what they need, and whatever ends one of them
//! ends all: half a gateway serves nobody.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use base::{CoreId, Duration, Instant};
use counters::{CoreWriter, Writer};
use gateway::Documents;
use memory::{CoreArena, FrameArena};
use nic::{Capabilities, QueuePair};
use stack::HandOver;

use crate::affinity;
use crate::assembly::{Parts, assemble};
use crate::bell::Bell;
use crate::clock::Clock;
use crate::device::Device;
use crate::error::Error;
use crate::plan::Plan;
use crate::serve::{End, Terms, serve};
use crate::stop::Stop;
use crate::summary::Summary;
use crate::tools::{Facts, Publisher};

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
    let Works { plan, frames, cores, stop, run_for, clock, .. } = works;
    let seats = device.seats(frames)?;
    let owners = match device.owners() {
        Some(owners) => owners,
        None => crate::entropy::owners(plan.workers.count)?,
    };
    let bells = cores.iter().map(|_| Bell::new()).collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        let (mut starts, mut reports, mut handles) = (Vec::new(), Vec::new(), Vec::new());
        let ends = HandOver::between(&owners).into_iter();
        for (number, ((seat, end), core)) in seats.into_iter().zip(ends).zip(cores).enumerate() {
            let arena = frames.core().expect("the arena has a part for each worker");
            let tools = tools.as_mut().map(|writer| writer.core(number));
            let worker: Worker<'_, D> =
                Worker { works, seat, core: *core, end, arena, bells: &bells, tools };
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
            device.attach(plan)?;
            on_ready(&capabilities);
            let until = run_for.map(|time| clock.now() + duration(time));
            for start in &starts {
                // One that has failed meanwhile tells so below.
                start.send(until).ok();
            }
        }
        // Those that still wait see that nothing begins.
        drop(starts);
        let mut done = Vec::new();
        for handle in handles {
            done.extend(handle.join().map_err(|_told| Error::WorkerFailed)??);
        }
        device.detach();
        let end = done.iter().map(|done| done.end).max().unwrap_or(End::Signal);
        Ok((end, done.into_iter().map(|done| done.summary).collect()))
    })
}

impl<D: Device> Worker<'_, D> {
    /// Serves from when it is told to; `None` if it never is.
    fn work(
        self,
        report: &SyncSender<Capabilities>,
        started: &Receiver<Option<Instant>>,
    ) -> Result<Option<Done>, Error> {
        let Self { works, seat, core, end, mut arena, bells, tools } = self;
        let Works { plan, documents, stop, clock, frames, .. } = works;
        affinity::pin(core)?;
        let queue = D::sit(seat, &mut arena)?;
        let capabilities = queue.capabilities().clone();
        let CoreId(number) = end.core();
        let bell = usize::from(number);
        // The tables are touched by the core that uses them, and so lie in its own memory.
        let parts = Parts { documents: documents.clone(), queue, arena, end };
        let mut engine = assemble(plan, parts, clock.now())?;
        let mut tools = tools.map(|out| {
            let (queue, pages) = (&capabilities, frames.pages());
            Publisher::new(out, &Facts { plan, queue, pages, cpu: core.id })
        });
        report.send(capabilities).ok();
        let Ok(until) = started.recv() else { return Ok(None) };
        let spin = Duration::from_micros(plan.workers.spin_us.into());
        let idle = plan.workers.idle;
        let terms = Terms { clock: *clock, stop, until, idle, spin, bells, bell };
        let end = serve(&mut engine, &terms, &mut tools)?;
        Ok(Some(Done { end, summary: Summary::of(&engine) }))
    }
}

fn duration(time: std::time::Duration) -> Duration {
    let nanos = u64::try_from(time.as_nanos());
    Duration::from_nanos(nanos.expect("SECONDS_MAX fits"))
}

#[cfg(test)]
mod tests;
