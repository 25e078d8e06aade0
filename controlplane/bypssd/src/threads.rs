//! The threads that serve: one that does everything, or workers around one that holds the switch.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

use crate::assembly;
use crate::clock::Clock;
use crate::error::Error;
use crate::keeper::{self, Keeper};
use crate::lane::{Sleeper, lane};
use crate::limits::LANE_CAPACITY;
use crate::panel::Panel;
use crate::plan::Plan;
use crate::remote::Remote;
use crate::traffic::{KeeperEnds, WorkerEnds};
use crate::worker::{
    self, Bounds, Census, Counters, Door, Ordered, Orders, Parts, Service, Worker,
};
use base::IdlePolicy;

/// How a thread ended.
pub(crate) type Ended = Result<Counters, Error>;

/// What each thread will be ordered through.
#[derive(Debug)]
pub(crate) struct Seats {
    switch: (Orders, Ordered),
    /// Those of workers that do not hold the switch.
    workers: Vec<(Orders, Ordered)>,
}

impl Seats {
    /// For so many workers.
    pub(crate) fn new(count: u8) -> Result<Self, Error> {
        let others = if count == 1 { 0 } else { count };
        let workers = (0..others).map(|_worker| worker::orders()).collect::<Result<_, _>>()?;
        Ok(Self { switch: worker::orders()?, workers })
    }

    /// All of them.
    pub(crate) fn panel(&self) -> Panel {
        Panel::new(self.switch.0.clone(), self.orders())
    }

    fn orders(&self) -> Vec<Orders> {
        self.workers.iter().map(|(orders, _ordered)| orders.clone()).collect()
    }
}

/// Threads that run.
#[derive(Debug)]
pub(crate) struct Threads {
    count: usize,
    ended: Receiver<Ended>,
}

impl Threads {
    /// Starts them; they serve from now on.
    pub(crate) fn start(
        plan: &Plan,
        epoch: u64,
        doors: Vec<Door>,
        seats: Seats,
    ) -> Result<Self, Error> {
        let count = if seats.workers.is_empty() { 1 } else { 1 + seats.workers.len() };
        let (tell_end, ended) = mpsc::sync_channel(count);
        let common = Common::of(plan);
        if seats.workers.is_empty() {
            start_alone(plan, epoch, (doors, seats.switch.1), &common, &tell_end)?;
        } else {
            start_several(plan, epoch, (doors, seats), &common, &tell_end)?;
        }
        Ok(Self { count, ended })
    }

    /// Whether one has ended, and how: nobody has told it to.
    pub(crate) fn failed(&self) -> Option<Error> {
        match self.ended.try_recv() {
            Ok(ended) => Some(ended.err().unwrap_or(Error::ThreadFailed)),
            Err(mpsc::TryRecvError::Disconnected) => Some(Error::ThreadFailed),
            Err(mpsc::TryRecvError::Empty) => None,
        }
    }

    /// Waits for the end of all of them; what they have counted together.
    pub(crate) fn wait(&self, most: Duration) -> Result<Counters, Error> {
        let until = Instant::now() + most;
        let mut all = Vec::new();
        while all.len() < self.count {
            let left = until.saturating_duration_since(Instant::now());
            match self.ended.recv_timeout(left) {
                Ok(ended) => all.push(ended?),
                Err(_hangs) => return Err(Error::ThreadFailed),
            }
        }
        Ok(Panel::sum(all))
    }
}

/// What all workers have in common.
#[derive(Clone, Debug)]
struct Common {
    census: Census,
    tls: Option<Arc<rustls::ServerConfig>>,
    bounds: Bounds,
    idle: IdlePolicy,
    spin: base::Duration,
}

impl Common {
    fn of(plan: &Plan) -> Self {
        let (bounds, workers) = (&plan.bounds, plan.worker.count);
        let per_source = bounds.connections_per_source;
        let partial_len = bounds.partial_len / u64::from(workers);
        Self {
            census: Census::new(workers.into(), bounds.connections, per_source),
            tls: plan.tls.as_ref().map(|tls| Arc::clone(&tls.config)),
            bounds: Bounds {
                frame_len: bounds.frame_len,
                partial_len: partial_len.max(bounds.frame_len.into()),
                partial: base::Duration::from_millis(bounds.partial_ms.into()),
            },
            idle: plan.worker.idle,
            spin: base::Duration::from_micros(plan.worker.spin_us.into()),
        }
    }

    fn parts<S: Service>(self, service: S, doors: Vec<Door>, ordered: Ordered) -> Parts<S> {
        let Self { census, tls, bounds, idle, spin } = self;
        let (number, workers) = (0, Vec::new());
        Parts { service, number, workers, census, doors, tls, ordered, bounds, idle, spin }
    }
}

fn start_alone(
    plan: &Plan,
    epoch: u64,
    (doors, ordered): (Vec<Door>, Ordered),
    common: &Common,
    tell_end: &SyncSender<Ended>,
) -> Result<(), Error> {
    let (plan, common) = (plan.clone(), common.clone());
    // The table is made where it is used, so that its memory lies at that core.
    start("worker".to_owned(), plan.worker.core, tell_end, move || {
        let service = assembly::assemble(&plan, epoch, Clock::new().now())?;
        let worker = Worker::new(common.parts(service, doors, ordered))?;
        Ok(move || worker.run())
    })
}

fn start_several(
    plan: &Plan,
    epoch: u64,
    (doors, seats): (Vec<Door>, Seats),
    common: &Common,
    tell_end: &SyncSender<Ended>,
) -> Result<(), Error> {
    let orders = seats.orders();
    let (switch, ordered) = seats.switch;
    let keeper = Sleeper::new(switch.bell().clone());
    let (mut ends, mut others) = (Vec::new(), Vec::new());
    for worker in &orders {
        let sleeper = Sleeper::new(worker.bell().clone());
        let (up, up_end) = lane(LANE_CAPACITY, &sleeper, &keeper);
        let (down_end, down) = lane(LANE_CAPACITY, &keeper, &sleeper);
        ends.push(KeeperEnds { up: up_end, down: down_end });
        others.push((WorkerEnds { up, down }, sleeper));
    }
    let keeper_plan = plan.clone();
    let Common { idle, spin, .. } = *common;
    start("switch".to_owned(), plan.worker.core, tell_end, move || {
        let service = assembly::assemble(&keeper_plan, epoch, Clock::new().now())?;
        let (sleeper, connections) = (keeper, keeper_plan.bounds.connections);
        let parts = keeper::Parts { service, ends, sleeper, ordered, connections, idle, spin };
        let keeper = Keeper::new(parts);
        Ok(move || keeper.run())
    })?;
    // The first worker lets everybody in, so it comes last.
    let mut doors = Some(doors);
    let seats = seats.workers.into_iter().zip(others).enumerate().rev();
    for (number, ((_orders, ordered), (ends, sleeper))) in seats {
        let doors = if number == 0 { doors.take().unwrap_or_default() } else { Vec::new() };
        let (common, workers) = (common.clone(), orders.clone());
        let core = plan.worker.cores.get(number).copied();
        start(format!("worker-{number}"), core, tell_end, move || {
            let service = Remote::new(ends, sleeper, common.bounds.frame_len);
            let parts = common.parts(service, doors, ordered);
            let worker = Worker::new(Parts { number, workers, ..parts })?;
            Ok(move || worker.run())
        })?;
    }
    Ok(())
}

/// Starts a thread on a core: `make` says what it runs, or why it cannot. Its end is told.
fn start<R: FnOnce() -> Ended>(
    name: String,
    core: Option<usize>,
    tell_end: &SyncSender<Ended>,
    make: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<(), Error> {
    let (tell_ready, is_ready) = mpsc::sync_channel(1);
    let tell_end = tell_end.clone();
    let started = thread::Builder::new().name(name).spawn(move || {
        let run = match pin(core).and_then(|()| make()) {
            Ok(run) => run,
            Err(error) => return drop(tell_ready.send(Err(error))),
        };
        drop(tell_ready.send(Ok(())));
        drop(tell_end.send(run()));
    });
    started.map_err(Error::io("start a thread"))?;
    is_ready.recv().map_err(|_ended| Error::ThreadFailed)?
}

/// Keeps the calling thread on a core from now on.
fn pin(core: Option<usize>) -> Result<(), Error> {
    let Some(id) = core else { return Ok(()) };
    if core_affinity::set_for_current(CoreId { id }) {
        return Ok(());
    }
    Err(Error::Lacks {
        what: format!("the right to run on core {id}"),
        mend: "choose another one in [worker], or allow it with `taskset`".to_owned(),
    })
}
