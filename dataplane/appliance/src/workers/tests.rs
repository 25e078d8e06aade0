//! Workers over devices made for the purpose: one that is silent, and ones that break.

use std::env;
use std::os::fd::BorrowedFd;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gateway::Documents;
use memory::{CoreArena, FrameArena, PageChoice};
use nic::{Burst, Capabilities, MemQueue, QueueCounters, QueuePair};

use super::{Works, work};
use crate::clock::Clock;
use crate::config::{Host, parse};
use crate::device::Device;
use crate::error::Error;
use crate::notify::Notify;
use crate::plan::Plan;
use crate::serve::End;
use crate::stop::Stop;

const CONFIG: &str = "\
    addresses = [\"10.77.0.2/24\"]\n\
    [workers]\n\
    count = 2\n\
    [tcp]\n\
    connections = 100\n\
    [memory]\n\
    pages = \"base\"\n\
    [[listener]]\n\
    protocol = \"echo\"\n";

fn plan() -> Plan {
    let file = std::path::Path::new("abele.toml");
    parse(file, CONFIG, &Host::default()).unwrap_or_else(|found| panic!("{found}"))
}

/// What the second worker of a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    Serves,
    /// Its seat is broken.
    Fails,
    /// Its queue pair panics after some bursts.
    Panics,
    /// It serves, and the device is gone without telling it.
    Vanishes,
}

/// Two in-memory queue pairs, to which nothing comes.
struct Quiet {
    second: Second,
}

/// The queue pair of one worker, and what is to become of it.
struct QuietQueue {
    queue: MemQueue,
    _far: MemQueue,
    bursts_left: Option<u32>,
}

impl Device for Quiet {
    type Queue = QuietQueue;
    type Seat = Second;

    fn open(_plan: &Plan) -> Result<Self, Error> {
        Ok(Self { second: Second::Serves })
    }

    fn seats(&mut self, _frames: &FrameArena) -> Result<Vec<Second>, Error> {
        Ok(vec![Second::Serves, self.second])
    }

    fn sit(seat: Second, _arena: &mut CoreArena) -> Result<QuietQueue, Error> {
        if seat == Second::Fails {
            return Err(Error::DeviceGone("the second".to_owned()));
        }
        let (queue, far) = nic::mem::pair(64, 1500).expect("a power of two, and an MTU");
        Ok(QuietQueue { queue, _far: far, bursts_left: (seat == Second::Panics).then_some(100) })
    }

    fn is_gone(&self) -> bool {
        self.second == Second::Vanishes
    }

    fn attach(&mut self, _plan: &Plan) -> Result<Option<String>, Error> {
        assert_ne!(self.second, Second::Fails, "it is attached although a worker has no queue");
        Ok(None)
    }
}

impl QueuePair for QuietQueue {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        if let Some(left) = &mut self.bursts_left {
            *left = left.checked_sub(1).expect("the device is broken on purpose");
        }
        self.queue.rx_burst(arena, out)
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        frames.clear_into(arena);
        self.queue.tx_burst(arena, frames)
    }

    fn capabilities(&self) -> &Capabilities {
        self.queue.capabilities()
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn counters(&self) -> &QueueCounters {
        self.queue.counters()
    }
}

/// Runs two workers for so long; how often it was ready, and what came of it.
fn run(second: Second, time: Duration) -> (usize, Result<(End, usize), Error>) {
    let (plan, stop) = (plan(), Stop::new().unwrap());
    let frames = FrameArena::new(plan.memory.frames, PageChoice::Base).unwrap();
    let documents = Documents::new(Vec::new()).unwrap();
    // One core does: the test may run where there is no second.
    let core = *core_affinity::get_core_ids().unwrap().last().unwrap();
    let cores = vec![core; 2];
    let run_for = Some(time);
    let clock = Clock::start();
    let notify = Notify::of_environment("serves".to_owned());
    let (stop_at, reload) = (&stop, None);
    let works = Works {
        plan: &plan,
        documents,
        frames,
        cores,
        stop: stop_at,
        run_for,
        clock,
        notify,
        board: Arc::default(),
        reload,
    };
    let mut ready = 0;
    let outcome = work(&works, Quiet { second }, None, |queues| ready += queues.len());
    assert!(stop.is_raised() || outcome.is_err());
    (ready, outcome.map(|(end, summaries)| (end, summaries.len())))
}

#[test]
fn all_workers_end_when_their_time_is_over() {
    let (ready, outcome) = run(Second::Serves, Duration::from_millis(20));
    assert_eq!((ready, outcome.unwrap()), (2, (End::Time, 2)));
}

#[test]
fn a_device_that_vanishes_under_silent_queues_ends_all_and_is_told() {
    let (ready, outcome) = run(Second::Vanishes, Duration::from_secs(600));
    assert_eq!((ready, outcome.unwrap()), (2, (End::DeviceGone, 2)));
}

#[test]
fn a_worker_without_a_queue_pair_lets_none_begin() {
    let (ready, outcome) = run(Second::Fails, Duration::from_secs(600));
    assert_eq!(ready, 0);
    assert!(matches!(outcome, Err(Error::DeviceGone(_))), "{outcome:?}");
}

#[test]
fn a_panic_of_one_worker_ends_the_process_with_a_message() {
    const NAME: &str = "workers::tests::a_panic_of_one_worker_ends_the_process_with_a_message";
    const CHILD: &str = "ABELE_TEST_PANIC";
    if env::var_os(CHILD).is_some() {
        crate::run::end_with_a_panic();
        let outcome = run(Second::Panics, Duration::from_secs(600));
        panic!("half a gateway went on: {outcome:?}");
    }
    let mut command = Command::new(env::current_exe().unwrap());
    let output = command.args(["--exact", NAME, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), None, "it is ended by a signal: {told}");
    assert!(told.contains("the device is broken on purpose"), "{told}");
    assert!(told.contains("abele-gateway: the worker has failed"), "{told}");
    assert!(!told.contains("half a gateway"), "{told}");
}
