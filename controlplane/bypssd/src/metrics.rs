//! What the switch counts, for Prometheus to fetch, and whether it lives and serves, for whoever
//! starts it again.
//!
//! The worker is asked for its figures between two rounds; one that does not answer is not alive.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use base::Duration;
use exposition::{Exposition, Listener, Page, ServeError, Type, word};
use tracing::warn;

use crate::error::Error;
use crate::limits::METRICS_SLICE_MS;
use crate::load::Load;
use crate::panel::Panel;
use crate::worker::{Counters, Figure, Told};

/// What is told besides what is counted.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) panel: Panel,
    /// The switch's name.
    pub(crate) name: String,
    pub(crate) cluster: String,
    /// When it started: seconds since 1970.
    pub(crate) started_at_s: u64,
}

/// What to do about an address that was not had.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, which may grow")]
fn mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "use an address of this machine (`ip address`) as metrics.address"
        }
        io::ErrorKind::PermissionDenied => {
            "use a port above 1023 in metrics.address, or allow it with CAP_NET_BIND_SERVICE"
        }
        _ => {
            "end who has it (`ss -ltnp`), choose another metrics.address, or metrics.enabled = false"
        }
    }
}

/// The thread that listens. It ends with the value.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Metrics {
    /// Listens at `wanted`.
    pub(crate) fn serve(wanted: SocketAddr, about: About) -> Result<Self, Error> {
        let failed =
            |source: io::Error| Error::Listen { address: wanted, right: mend(&source), source };
        let listener = Listener::bind(wanted).map_err(failed)?;
        let address = listener.address();
        let is_over: Arc<AtomicBool> = Arc::default();
        let until = Arc::clone(&is_over);
        let thread = thread::Builder::new().name("metrics".to_owned());
        let thread = thread.spawn(move || listen(&listener, &about, &until));
        let thread = thread.map_err(Error::io("start a thread"))?;
        Ok(Self { address, is_over, thread: Some(thread) })
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Its panic has ended the process already.
        self.thread.take().map(|thread| thread.join().ok());
    }
}

fn listen(listener: &Listener, about: &About, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let about = about.clone();
        match listener.serve_one(METRICS_SLICE_MS, move |path| page(path, &about)) {
            Ok(()) => {}
            // It must not make it spin.
            Err(ServeError::System(_)) => thread::sleep(std::time::Duration::from_millis(1)),
            Err(ServeError::ResourceThread(error)) => {
                warn!("metrics cannot be told: no thread: {error}");
            }
        }
    }
}

/// What is at a path, if there is something.
fn page(path: &str, about: &About) -> Option<Page> {
    let health = |judge: fn(&Told) -> (bool, String)| {
        let hangs = || (false, "the worker does not answer: it hangs\n".to_owned());
        let (is_right, text) = about.panel.ask().as_ref().map_or_else(hangs, judge);
        if is_right { Page::Text(text) } else { Page::Unavailable(text) }
    };
    match path {
        "/metrics" => Some(Page::Metrics(exposition(about, about.panel.ask().as_ref()))),
        "/livez" => Some(health(|_told| (true, "the worker turns\n".to_owned()))),
        "/readyz" => Some(health(readiness)),
        "/" => Some(Page::Text("See /metrics, /livez and /readyz.\n".to_owned())),
        _other => None,
    }
}

fn readiness(told: &Told) -> (bool, String) {
    if told.is_leaving {
        return (false, "the switch leaves\n".to_owned());
    }
    if told.grace_left > Duration::ZERO {
        let left = told.grace_left.as_millis().max(1);
        return (
            false,
            format!("earlier leases may run for another {left} ms: nothing is granted\n"),
        );
    }
    (true, "the switch serves\n".to_owned())
}

/// Everything; without the worker's answer only that it has none.
fn exposition(about: &About, told: Option<&Told>) -> Exposition {
    let mut all = Exposition::default();
    let mut one = |name: &str, kind, help: &str, labels: &[(&str, &str)], value: String| {
        all.family(name, kind, help);
        all.sample(name, labels, &value);
    };
    let is_up = u64::from(told.is_some());
    one("bypssd_up", Type::Gauge, "1: the worker answers; 0: it hangs.", &[], is_up.to_string());
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("switch", about.name.as_str()),
        ("cluster", about.cluster.as_str()),
    ];
    one("bypssd_build_info", Type::Gauge, "1, with what it is.", &labels, "1".to_owned());
    let started = about.started_at_s.to_string();
    let help = "When it started, in seconds since 1970.";
    one("bypssd_start_time_seconds", Type::Gauge, help, &[], started);
    let Some(told) = told else { return all };
    one("bypssd_epoch", Type::Gauge, "The epoch that it serves in.", &[], told.epoch.to_string());
    let grace = told.grace_left.as_millis();
    let grace = format!("{}.{:03}", grace / 1_000, grace % 1_000);
    let help = "For how long nothing is granted, because earlier leases may run.";
    one("bypssd_grace_left_seconds", Type::Gauge, help, &[], grace);
    let help = "1: it tells everybody that it ends.";
    one("bypssd_leaving", Type::Gauge, help, &[], u64::from(told.is_leaving).to_string());
    let help = "Connections that there are.";
    one("bypssd_connections", Type::Gauge, help, &[], told.connections.to_string());
    let help = "Bytes of frames that are half received, or wait for answers to be read.";
    one("bypssd_partial_bytes", Type::Gauge, help, &[], told.partial_len.to_string());
    for (name, help, value) in told.counters.each() {
        let name = format!("bypssd_worker_{name}_total");
        one(&name, Type::Counter, help.trim(), &[], value.to_string());
    }
    tell_loads(&mut all, &told.loads);
    tell_each(&mut all, &told.each);
    tell_figures(&mut all, &told.figures);
    all
}

/// How busy each thread that serves is.
fn tell_loads(all: &mut Exposition, loads: &[Load]) {
    let busy = "Seconds in which the thread had something to do; its rate is its share of a core.";
    let cpu = "Seconds of a core that the thread took, spinning included.";
    let names = ["bypssd_thread_busy_seconds_total", "bypssd_thread_cpu_seconds_total"];
    let values: [fn(&Load) -> Duration; 2] = [|load| load.busy, |load| load.cpu];
    for ((name, help), value) in names.into_iter().zip([busy, cpu]).zip(values) {
        all.family(name, Type::Counter, help);
        for load in loads {
            let micros = value(load).as_micros();
            let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            all.sample(name, &[("thread", load.thread.as_str())], &seconds);
        }
    }
}

fn tell_figures(all: &mut Exposition, figures: &[Figure]) {
    for Figure { name, help, value, is_counter } in figures {
        // What STATUS answers by the same name.
        let (kind, end) = if *is_counter { (Type::Counter, "_total") } else { (Type::Gauge, "") };
        let name = format!("bypssd_switch_{}{end}", word(name));
        all.family(&name, kind, help);
        all.sample(&name, &[], &value.to_string());
    }
}

/// What each of several workers has counted, besides what all of them have.
fn tell_each(all: &mut Exposition, each: &[Counters]) {
    for (worker, counters) in each.iter().enumerate() {
        let worker = worker.to_string();
        for (name, help, value) in counters.each() {
            let name = format!("bypssd_each_worker_{name}_total");
            all.family(&name, Type::Counter, help.trim());
            all.sample(&name, &[("worker", worker.as_str())], &value.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
