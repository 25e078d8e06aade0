//! The thread, the sockets and the clock around the core.
//!
//! A call takes the lock, hands its items to the core and writes what the core wants sent, so that
//! an idle connection costs it no change of threads. The thread reads, keeps the lease, and dials
//! through threads that end when they have; it is never busy with anything that could hold up a
//! `RELET`.

mod calls;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base::Instant;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use protocol::{SessionId, Token};

use crate::clock;
use crate::config::{Config, Entropy};
use crate::core::{Action, ConnId, Core};
use crate::error::Over;
use crate::event::Event;
use crate::guard::{Home, PortGuard};
use crate::limits::{
    CONNECT_MAX, READ_LEN, READS_PER_TURN, RECEIVERS_MAX, RELEASES_MAX, SLEEP_MAX,
};
use crate::link::{self, Link};
use crate::lot::PortName;
use crate::numbers::NumberMap;
use crate::tls::{Tls, TlsError, TlsFiles};
use crate::trouble::Trouble;

use calls::Caller;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The files of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The kernel gave no thread, no event or no random bytes.
    #[error("the kernel refuses {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// What callers and the thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) arrived: Condvar,
    wake: EventFd,
    tls: Option<Tls>,
    /// Ports whose guards were dropped. A lock of its own: a guard may be dropped anywhere.
    releases: Mutex<Releases>,
    dialled: Mutex<Vec<(ConnId, Result<Link, Trouble>)>>,
    pub(crate) pid: u32,
}

/// What is under the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,
    links: HashMap<ConnId, Link>,
    /// By call.
    callers: NumberMap<u64, Caller>,
    /// What came of a call's waiting and nobody has taken yet; at most one for each port.
    waited: VecDeque<(u64, Event<PortGuard>)>,
    /// Tasks that wait for an event.
    receivers: Vec<Waker>,
    /// Until when the thread sleeps; `None`: it will take the lock before it sleeps.
    sleeps_until: Option<Instant>,
    is_ended: bool,
}

/// What dropped guards leave.
#[derive(Debug)]
struct Releases {
    ports: Vec<(PortName, Token)>,
    ports_max: usize,
    /// How many did not fit.
    dropped: u64,
}

impl Default for Releases {
    fn default() -> Self {
        Self { ports: Vec::new(), ports_max: RELEASES_MAX, dropped: 0 }
    }
}

impl Releases {
    fn push(&mut self, name: PortName, token: Token) {
        if self.ports.len() < self.ports_max {
            self.ports.push((name, token));
        } else {
            self.dropped += 1;
        }
    }
}

/// The thread, and what it shares.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Shell {
    pub(crate) fn start(config: Config, tls: Option<&TlsFiles>) -> Result<Self, StartError> {
        let shared = Shared::new(config, tls)?;
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("bypss".to_owned());
        let thread = thread.spawn(move || run(&of_thread));
        let thread = thread.map_err(|source| StartError::System { what: "a thread", source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Releases everything and ends the thread.
    pub(crate) fn close(&mut self) {
        // A forked child has no such thread, and nothing to release.
        if std::process::id() != self.shared.pid {
            self.thread.take();
            return;
        }
        let mut state = self.shared.lock();
        let now = clock::now();
        state.core.close(now);
        state.is_ended = true;
        self.shared.settle(&mut state, now);
        drop(state);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // It panics by a defect of ours only, which was told where it happened.
            thread.join().ok();
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn new(config: Config, tls: Option<&TlsFiles>) -> Result<Arc<Self>, StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let mut random = [0; 24];
        getrandom::fill(&mut random)
            .map_err(|error| system("random bytes")(io::Error::other(error.to_string())))?;
        let (session, seed) = random.split_at(16);
        let entropy = Entropy {
            session: SessionId(session.try_into().expect("it was cut so")),
            seed: u64::from_le_bytes(seed.try_into().expect("it was cut so")),
        };
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC);
        Ok(Arc::new(Self {
            state: Mutex::new(State {
                core: Core::new(config, entropy)?,
                links: HashMap::new(),
                callers: NumberMap::default(),
                waited: VecDeque::new(),
                receivers: Vec::new(),
                sleeps_until: None,
                is_ended: false,
            }),
            arrived: Condvar::new(),
            wake: wake.map_err(|errno| system("an eventfd")(errno.into()))?,
            tls: tls.map(Tls::load).transpose()?,
            releases: Mutex::new(Releases::default()),
            dialled: Mutex::new(Vec::new()),
            pid: std::process::id(),
        }))
    }

    /// A forked child has no thread of its own, and its sockets are the parent's: it does nothing.
    /// That is asked before the lock is taken, which a thread of the parent may have had.
    pub(crate) fn check_process(&self) -> Result<(), Over> {
        if std::process::id() == self.pid { Ok(()) } else { Err(Over::Copied) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic left is still safe: authority is a word of its own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // The only failure is a count that is full, and then the thread is awake.
        self.wake.write(1).ok();
    }

    pub(crate) fn release(&self, name: PortName, token: Token) {
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        // Who left the first has woken the thread, which takes all that are there.
        let is_first = releases.ports.is_empty();
        releases.push(name, token);
        drop(releases);
        if is_first {
            self.wake();
        }
    }

    /// Where guards of its ports are at home.
    fn home(self: &Arc<Self>) -> Home {
        Home { pid: self.pid, shared: Arc::downgrade(self) }
    }

    fn settle_and_wake(self: &Arc<Self>, state: &mut State, now: Instant) {
        let next = self.settle(state, now);
        // Without it the thread is awake, or was woken, and looks at all of this before it sleeps.
        let Some(until) = state.sleeps_until else {
            return;
        };
        let is_earlier = next.is_some_and(|next| next < until);
        if is_earlier || state.links.values().any(Link::wants_write) {
            state.sleeps_until = None;
            self.wake();
        }
    }

    /// Does all that can be done without waiting, and says until when there is nothing.
    fn settle(self: &Arc<Self>, state: &mut State, now: Instant) -> Option<Instant> {
        let mut next = state.core.poll(now);
        loop {
            self.act(state);
            if !self.write(state) {
                break;
            }
            next = state.core.poll(now);
        }
        self.deliver(state);
        next
    }

    fn act(self: &Arc<Self>, state: &mut State) {
        while let Some(action) = state.core.next_action() {
            match action {
                Action::Connect { conn, endpoint } => self.dial(conn, endpoint),
                Action::Close { conn, rest } => {
                    if let Some(mut link) = state.links.remove(&conn) {
                        // The connection is given up; what the socket takes, it takes.
                        link.write(&rest).ok();
                    }
                }
            }
        }
    }

    fn dial(self: &Arc<Self>, conn: ConnId, endpoint: Arc<str>) {
        let (of_thread, told) = (Arc::clone(self), endpoint.to_string());
        let dial = move || {
            let timeout = Duration::from_nanos(CONNECT_MAX.as_nanos());
            let dialled = link::dial(endpoint, of_thread.tls.as_ref(), timeout);
            of_thread.on_dialled(conn, dialled);
        };
        let thread = thread::Builder::new().name("bypss-dial".to_owned());
        if let Err(error) = thread.spawn(dial) {
            let why = format!("there is no thread for it: {error}");
            self.on_dialled(conn, Err(Trouble::Unreachable { endpoint: told, why }));
        }
    }

    fn on_dialled(&self, conn: ConnId, dialled: Result<Link, Trouble>) {
        let mut all = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((conn, dialled));
        drop(all);
        self.wake();
    }

    /// Sends what there is; `true`: a connection was lost, and there may be more to do.
    fn write(&self, state: &mut State) -> bool {
        let mut lost = Vec::new();
        #[expect(clippy::iter_over_hash_type, reason = "connections do not wait for each other")]
        for (conn, link) in &mut state.links {
            match link.write(state.core.outgoing(*conn)) {
                Ok(0) => {}
                Ok(len) => state.core.handle_sent(*conn, len),
                Err(trouble) => lost.push((*conn, trouble)),
            }
        }
        let is_lost = !lost.is_empty();
        for (conn, trouble) in lost {
            state.links.remove(&conn);
            state.core.handle_closed(conn, trouble, clock::now());
        }
        is_lost
    }
}

/// The thread: until the client is over and has nothing left to send.
fn run(shared: &Arc<Shared>) {
    let mut buffer = vec![0; READ_LEN];
    loop {
        let mut state = shared.lock();
        take_in(shared, &mut state);
        let now = clock::now();
        let next = shared.settle(&mut state, now);
        if state.is_ended && state.core.over().is_some() {
            break;
        }
        state.sleeps_until = Some(next.unwrap_or(now + SLEEP_MAX).min(now + SLEEP_MAX));
        let sleep = state.sleeps_until.unwrap_or(now).saturating_since(now);
        let mut sockets: Vec<_> = state.links.iter().map(Socket::of).collect();
        sockets.sort_unstable_by_key(|socket| socket.conn);
        drop(state);
        let ready = sleep_until(shared, &sockets, sleep);
        let mut state = shared.lock();
        state.sleeps_until = None;
        for conn in ready {
            read(&mut state, conn, &mut buffer);
        }
    }
}

/// What other threads left.
fn take_in(shared: &Shared, state: &mut State) {
    let dialled =
        std::mem::take(&mut *shared.dialled.lock().unwrap_or_else(PoisonError::into_inner));
    for (conn, link) in dialled {
        match link {
            Ok(link) => {
                state.core.handle_connected(conn);
                state.links.insert(conn, link);
            }
            Err(trouble) => state.core.handle_closed(conn, trouble, clock::now()),
        }
    }
    let releases =
        std::mem::take(&mut *shared.releases.lock().unwrap_or_else(PoisonError::into_inner));
    let now = clock::now();
    state.core.note_releases_dropped(releases.dropped);
    for (name, token) in releases.ports {
        state.core.release(&name, token, now);
    }
}

/// What the thread sleeps for.
struct Socket {
    conn: ConnId,
    stream: Arc<TcpStream>,
    wants_write: bool,
    has_plain: bool,
}

impl Socket {
    fn of((conn, link): (&ConnId, &Link)) -> Self {
        let (wants_write, has_plain) = (link.wants_write(), link.has_plain());
        Self { conn: *conn, stream: link.stream(), wants_write, has_plain }
    }
}

/// Sleeps, and says which connections have something to read.
fn sleep_until(shared: &Shared, sockets: &[Socket], sleep: base::Duration) -> Vec<ConnId> {
    let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(shared.wake.as_fd(), PollFlags::POLLIN)];
    fds.extend(sockets.iter().map(|socket| {
        let write = if socket.wants_write { PollFlags::POLLOUT } else { PollFlags::empty() };
        PollFd::new(socket.stream.as_fd(), PollFlags::POLLIN | write)
    }));
    // What was deciphered already is nothing that the kernel would wake anybody for.
    let has_plain = sockets.iter().any(|socket| socket.has_plain);
    let sleep = if has_plain { base::Duration::ZERO } else { sleep };
    let timeout = TimeSpec::nanoseconds(i64::try_from(sleep.as_nanos()).unwrap_or(i64::MAX));
    // A signal ends the sleep early, which is as good as its end.
    ppoll(&mut fds, Some(timeout), None).ok();
    let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
    if is_ready(&fds[0]) {
        shared.wake.read().ok();
    }
    let sockets = sockets.iter().zip(&fds[1..]);
    let ready = sockets.filter(|(socket, fd)| socket.has_plain || is_ready(fd));
    ready.map(|(socket, _fd)| socket.conn).collect()
}

/// Reads what is there, up to a bound.
fn read(state: &mut State, conn: ConnId, buffer: &mut [u8]) {
    for _turn in 0..READS_PER_TURN {
        let Some(link) = state.links.get_mut(&conn) else {
            return;
        };
        let read = link.read(buffer);
        let is_more = link.has_plain();
        match read {
            Ok(None) => return,
            Ok(Some(len)) => {
                // For checks the clock is read after what is checked has come.
                state.core.handle_bytes(conn, &buffer[..len], clock::now());
                // The socket had no more, and says so when it has.
                if len < buffer.len() && !is_more {
                    return;
                }
            }
            Err(trouble) => {
                state.links.remove(&conn);
                state.core.handle_closed(conn, trouble, clock::now());
                return;
            }
        }
    }
}

impl State {
    /// A task waits for the next event. Each is woken by it, for one that was dropped takes none.
    pub(crate) fn on_receiver(&mut self, waker: &Waker) {
        if self.receivers.iter().any(|other| other.will_wake(waker)) {
            return;
        }
        if self.receivers.len() == RECEIVERS_MAX {
            self.receivers.drain(..).for_each(Waker::wake);
        }
        self.receivers.push(waker.clone());
    }

    /// The next event; `Err`: there is none, and none will come.
    pub(crate) fn take_event(
        &mut self,
        shared: &Arc<Shared>,
    ) -> Result<Option<Event<PortGuard>>, Over> {
        if let Some((_call, event)) = self.waited.pop_front() {
            return Ok(Some(event));
        }
        let home = shared.home();
        let mut guard = |grant| PortGuard::new(grant, &home);
        match (self.core.next_event(), self.core.over()) {
            (Some(event), _) => Ok(Some(event.map(&mut guard))),
            (None, Some(over)) => Err(over.clone()),
            (None, None) => Ok(None),
        }
    }
}
