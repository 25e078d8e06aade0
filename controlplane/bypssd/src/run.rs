//! `run` and `dev`: takes what the plan says from the machine, in the order in which it can fail
//! cheaply, and looks after the threads until a signal or its time ends it.

use std::io::{self, Write};
use std::panic;
use std::path::Path;
use std::process;
use std::time::{Duration, Instant};

use logging as log;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::pki_types::UnixTime;
use signals::Hangup;
use tracing::{error, info, warn};

use crate::args::RunArgs;
use crate::config::{self, Grace};
use crate::error::Error;
use crate::identity;
use crate::limits::{DESCRIPTORS_MIN, HANG_MIN, LEAVE_SLACK};
use crate::metrics::{About, Metrics};
use crate::notify::Notify;
use crate::panel::Panel;
use crate::plan::Plan;
use crate::reload;
use crate::stop::Stop;
use crate::summary;
use crate::threads::{Seats, Threads};
use crate::worker::{Counters, Door};

/// Runs the switch of a file.
pub(crate) fn run(args: &RunArgs) -> Result<(), Error> {
    let plan = config::read(&args.file)?;
    run_plan(plan, Some(&args.file), args.run_for)
}

/// Runs a plan; `file` is read again when it is asked for.
pub(crate) fn run_plan(
    plan: Plan,
    file: Option<&Path>,
    run_for: Option<Duration>,
) -> Result<(), Error> {
    log::install(plan.log)?;
    let stop = Stop::on_signals()?;
    // From here on the signal means a reload; until the switch serves, it waits.
    let hangup = Hangup::on_signal().map_err(Error::io("catch SIGHUP"))?;
    end_with_a_panic();
    raise_descriptors(&plan)?;
    let doors = plan.listeners.iter().map(|listener| Door::open(*listener));
    let doors = doors.collect::<Result<Vec<_>, _>>()?;
    let addresses = doors.iter().map(Door::address).collect::<Result<Vec<_>, _>>()?;
    // Until the end, also while a later epoch is begun.
    let _taken = plan.state_dir.as_deref().map(identity::take).transpose()?;
    let epoch = identity::begin(plan.state_dir.as_deref(), identity::wall_ms())?;
    let seats = Seats::new(plan.worker.count)?;
    let panel = seats.panel();
    let about = About {
        panel: panel.clone(),
        name: plan.name.clone(),
        cluster: plan.cluster.name.clone(),
        started_at_s: identity::wall_ms() / 1_000,
    };
    let metrics = plan.metrics.map(|address| Metrics::serve(address, about)).transpose()?;
    let threads = Threads::start(&plan, epoch, doors, seats)?;
    let ready = Ready { addresses, metrics: metrics.as_ref().map(|it| it.address), epoch };
    tell_start(&plan, &ready);
    let mut watch = Watch {
        plan,
        file,
        stop: &stop,
        hangup: &hangup,
        panel,
        threads,
        notify: Notify::of_environment(),
        hangs: false,
    };
    watch.notify.ready(&ready.status(&watch.plan));
    let (why, counters) = watch.until_the_end(run_for)?;
    drop(metrics);
    tell(&mut io::stdout(), &summary::show(&counters));
    info!("stopped: {}", why.text());
    Ok(())
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Signal,
    Time,
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Self::Signal => "by a signal",
            Self::Time => "its time is over",
        }
    }
}

/// What was got.
#[derive(Debug)]
struct Ready {
    addresses: Vec<std::net::SocketAddr>,
    metrics: Option<std::net::SocketAddr>,
    epoch: u64,
}

impl Ready {
    /// One line, as scripts read it.
    fn line(&self, plan: &Plan) -> String {
        let Self { epoch, .. } = self;
        let incarnation = identity::show_incarnation(&plan.cluster.incarnation);
        let metrics = self.metrics.map_or("none".to_owned(), |address| address.to_string());
        let addresses = self.listened();
        format!(
            "ready: listening on {addresses}, metrics {metrics}, epoch {epoch}, cluster {incarnation}"
        )
    }

    fn status(&self, plan: &Plan) -> String {
        format!("{} serves on {}, epoch {}", plan.name, self.listened(), self.epoch)
    }

    fn listened(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        addresses.join(" and ")
    }
}

/// Nothing falls back in silence: what differs from the best is in the log.
fn tell_start(plan: &Plan, ready: &Ready) {
    let (epoch, name) = (ready.epoch, plan.name.as_str());
    let config::Worker { core, count, cores, idle, .. } = &plan.worker;
    let (workers, idle) = (count, idle.name());
    let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
    let cores = Some(cores.join(",")).filter(|cores| !cores.is_empty());
    info!(name, epoch, cluster = plan.cluster.name.as_str(), workers, core, cores, idle, "switch");
    match plan.lease.grace {
        Grace::Wait => {
            let millis = plan.lease.exclusion_ms();
            info!(millis, "earlier leases may run: nothing is granted before they are over");
        }
        Grace::None => {
            warn!(
                "grace = \"none\": grants at once, and whoever owned a port before may own it still"
            );
        }
    }
    for listener in plan.listeners.iter().filter(|it| !it.is_tls && !it.is_local()) {
        warn!(address = %listener.address, "without TLS: names and messages travel in clear");
    }
    if let Some(wrong) = plan.tls.as_ref().and_then(|tls| tls.wrong_at(UnixTime::now())) {
        warn!("{wrong}: no client believes it");
    }
    log::flush();
    tell(&mut io::stdout(), &ready.line(plan));
}

/// As many descriptors as connections need, if the process may have them.
fn raise_descriptors(plan: &Plan) -> Result<(), Error> {
    let wanted = u64::from(plan.bounds.connections) + DESCRIPTORS_MIN;
    let failed = "ask for descriptors";
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(Error::errno(failed))?;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        return Err(Error::Lacks {
            what: format!("{wanted} descriptors: this process may have {hard}"),
            mend: format!("allow them, with `ulimit -Hn {wanted}` or LimitNOFILE={wanted}"),
        });
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(Error::errno(failed))
}

/// What the main thread looks after.
struct Watch<'a> {
    plan: Plan,
    file: Option<&'a Path>,
    stop: &'a Stop,
    hangup: &'a Hangup,
    panel: Panel,
    threads: Threads,
    notify: Notify,
    hangs: bool,
}

impl Watch<'_> {
    /// Looks after the worker until it has ended.
    fn until_the_end(&mut self, run_for: Option<Duration>) -> Result<(Why, Counters), Error> {
        let started = Instant::now();
        let ends_at = run_for.map(|time| started + time);
        let mut looks_at = self.notify.look_every.map(|every| started + every);
        let why = loop {
            let now = Instant::now();
            if self.stop.is_asked() {
                break Why::Signal;
            }
            if ends_at.is_some_and(|at| at <= now) {
                break Why::Time;
            }
            if let (Some(at), Some(every)) = (looks_at, self.notify.look_every)
                && at <= now
            {
                self.look();
                looks_at = Some(now + every);
            }
            // Nobody has told it to end.
            if let Some(error) = self.threads.failed() {
                return Err(error);
            }
            let until = [ends_at, looks_at, Some(now + LOOK_AT_WORKER)].into_iter().flatten().min();
            let left = until.map_or(LOOK_AT_WORKER, |at| at.saturating_duration_since(now));
            if self.sleep(left)? && self.hangup.take() {
                self.reload();
            }
        };
        self.leave().map(|counters| (why, counters))
    }

    /// Sleeps until a signal comes, at most so long; whether it may have been one for a reload.
    fn sleep(&self, most: Duration) -> Result<bool, Error> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [readable(self.stop.wake_fd()), readable(self.hangup.wake_fd())];
        let millis = most.as_millis().max(1);
        match poll(&mut fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(true),
            Err(errno) => Err(Error::errno("wait for a signal")(errno)),
        }
    }

    /// Asks the worker for a sign of life, and passes it on.
    fn look(&mut self) {
        let is_alive = self.panel.ask().is_some();
        if is_alive {
            self.notify.alive();
        }
        if self.hangs == is_alive {
            self.hangs = !is_alive;
            if is_alive {
                info!("the worker turns again");
                self.notify.status("the worker turns again");
            } else {
                error!("the worker does not answer: it hangs");
                self.notify.status("the worker does not answer: it hangs");
            }
        }
    }

    fn reload(&mut self) {
        match self.file {
            None => warn!("asked to read the configuration again, and there is none"),
            Some(file) => reload::reload(&mut self.plan, file, &self.panel),
        }
    }

    /// Tells the worker to leave, and waits for it.
    fn leave(&self) -> Result<Counters, Error> {
        let within = self.plan.stop.timeout;
        self.stop.leaves();
        self.notify.stopping(within + LEAVE_SLACK);
        if !self.panel.leave(&self.plan.stop) {
            warn!("the worker has too many orders: it is not waited for");
        }
        let most = Duration::from_millis(within.as_millis()) + HANG_MIN;
        self.threads.wait(most)
    }
}

/// How long it may go unnoticed that the worker has ended by an error of the kernel.
const LOOK_AT_WORKER: Duration = Duration::from_secs(1);

/// A panic of any thread ends the process at once, in every build: half a switch serves nobody.
/// It aborts, so that the machine keeps a core dump if it keeps any.
fn end_with_a_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        log::flush();
        print(panic);
        tell(&mut io::stderr(), &format!("bypssd: {}", Error::ThreadFailed));
        process::abort();
    }));
}

/// A line for whoever listens. That nobody does is no reason to stop serving.
fn tell(out: &mut impl Write, line: &str) {
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}
