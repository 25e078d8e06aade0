//! The client for threads: each call waits for its answer, for as long as its caller says.

mod begun;

use std::time::{Duration, Instant};

use protocol::{DropState, RegisterFlags, SendAnswer, UnregisterCode};

use crate::config::Config;
use crate::core::Core;
use crate::counters::Counters;
use crate::error::{CallError, Over, RequestError};
use crate::event::{Done, Event, Holder, NodeInfo, Owner, PortInfo, Registered};
use crate::guard::PortGuard;
use crate::limits::PAGE;
use crate::place::Place;
use crate::shell::{Shell, StartError};
use crate::tls::TlsFiles;

pub use begun::Begun;

/// A client. Threads share it by reference.
///
/// ```no_run
/// use std::time::Duration;
/// use client::{Config, Registered, blocking::Client};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let second = Duration::from_secs(1);
/// let client = Client::start(Config::new("127.0.0.1:7400", "node-1"), None)?;
/// client.connect(second)?;
/// for port in client.register(&["orders"], Default::default(), second)? {
///     match port {
///         Registered::Granted(guard) => {
///             while guard.is_owner() {
///                 // Writes go out with guard.token(), so that storage can refuse an older owner.
///             }
///         }
///         Registered::Failed { code, owner } => println!("{code:?}: {owner:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    shell: Shell,
}

impl Client {
    /// Begins to connect; calls may follow at once, and wait until it has.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration or the files of TLS.
    pub fn start(config: Config, tls: Option<&TlsFiles>) -> Result<Self, StartError> {
        Ok(Self { shell: Shell::start(config, tls)? })
    }

    /// Waits until the switch is reached.
    ///
    /// # Errors
    ///
    /// If it is not in time, with what is known of the reason, or the client is over. At once where
    /// every endpoint has met what trying again does not mend ([`Trouble::is_final`]).
    ///
    /// [`Trouble::is_final`]: crate::Trouble::is_final
    pub fn connect(&self, timeout: Duration) -> Result<(), RequestError> {
        self.ask(timeout, |core, _now| core.connect()).map(|_done| ())
    }

    /// Asks for ports, and says of each whether it is held now. With `wait`, those that somebody else
    /// has are waited for: [`Event::Granted`] brings them, until [`Client::cancel_wait`].
    ///
    /// # Errors
    ///
    /// If nothing is known of what became of it. Then nothing of it is waited for any more, and what
    /// is granted later is released at once. [`CallError::Taken`] where this client waits for one
    /// of the ports already.
    pub fn register(
        &self,
        names: &[&str],
        flags: RegisterFlags,
        timeout: Duration,
    ) -> Result<Vec<Registered<PortGuard>>, RequestError> {
        self.begin_register(names, flags)?.wait(timeout)
    }

    /// Waits no more for ports that [`Client::register`] waits for. Those that were granted and not
    /// taken from [`Client::recv`] yet are released.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn cancel_wait(&self, names: &[&str]) -> Result<(), CallError> {
        self.shell.shared.cancel_wait(names)
    }

    /// Waits until a port is held: first come, first served, over connections and masters.
    ///
    /// # Errors
    ///
    /// If it is not in time, or the switch refuses it.
    pub fn acquire(&self, name: &str, timeout: Duration) -> Result<PortGuard, RequestError> {
        let granted = self.queue(name)?.wait(timeout)?;
        granted.ok_or_else(|| self.timed_out())
    }

    /// Takes a place among those who wait for a port, and keeps it until it is dropped: for who has
    /// to look at something else from time to time while it waits.
    ///
    /// # Errors
    ///
    /// If nothing was done; [`CallError::Taken`] where this client waits for the port already.
    pub fn queue(&self, name: &str) -> Result<Waiting<'_>, CallError> {
        Place::take(&self.shell.shared, name).map(Waiting)
    }

    /// Releases ports in one batch: stops being their owner first. `None` is right.
    ///
    /// # Errors
    ///
    /// If it is not known what became of it; the guards are closed in any case.
    pub fn unregister(
        &self,
        guards: Vec<PortGuard>,
        timeout: Duration,
    ) -> Result<Vec<Option<UnregisterCode>>, RequestError> {
        self.begin_unregister(guards)?.wait(timeout)
    }

    /// Asks the switch whose ports are.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn query(&self, names: &[&str], timeout: Duration) -> Result<Vec<Holder>, RequestError> {
        self.begin_query(names)?.wait(timeout)
    }

    /// Asks whose ports are, and is told by [`Event::Gone`] when they go away from who has them.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn subscribe(
        &self,
        names: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Holder>, RequestError> {
        self.holders(timeout, |core, now| core.query(names, true, true, now))
    }

    /// Is told of ports no more.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn unsubscribe(&self, names: &[&str]) -> Result<(), CallError> {
        self.shell.shared.tell(|core, now| core.unsubscribe(names, now))
    }

    /// Whose a port is: from the cache, else asked once and kept until it goes away. A hint; who
    /// holds a port is checked where it is exercised, at its owner.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn owner(&self, name: &str, timeout: Duration) -> Result<Holder, RequestError> {
        if let Some(owner) = self.cached(name) {
            return Ok(Holder::Owner(owner));
        }
        let holders = self.holders(timeout, |core, now| core.query(&[name], true, false, now))?;
        holders.into_iter().next().ok_or(RequestError::Nonsense)
    }

    /// Whose a port is, if the cache has it. In a forked child it has nothing.
    #[must_use]
    pub fn cached(&self, name: &str) -> Option<Owner> {
        self.shell.shared.look(|core| core.cached(name)).flatten()
    }

    /// Sends messages to ports without waiting; those of several calls leave together.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn send(&self, items: &[(&str, &[u8])]) -> Result<(), CallError> {
        self.shell.shared.tell(|core, now| core.send(items, now))
    }

    /// Sends messages to ports, and says how many were delivered. They may overtake what `send` has taken
    /// before and gathers yet.
    ///
    /// # Errors
    ///
    /// If it is not known; they may have been delivered.
    pub fn send_counted(
        &self,
        items: &[(&str, &[u8])],
        timeout: Duration,
    ) -> Result<SendAnswer, RequestError> {
        self.sent(timeout, |core| core.send_counted(items))
    }

    /// Sends one message to many ports.
    ///
    /// # Errors
    ///
    /// As [`Client::send_counted`].
    pub fn send_many(
        &self,
        names: &[&str],
        blob: &[u8],
        timeout: Duration,
    ) -> Result<SendAnswer, RequestError> {
        self.sent(timeout, |core| core.send_many(names, blob))
    }

    /// Sends one message to every other session.
    ///
    /// # Errors
    ///
    /// As [`Client::send_counted`].
    pub fn broadcast(&self, blob: &[u8], timeout: Duration) -> Result<SendAnswer, RequestError> {
        self.sent(timeout, |core| core.broadcast(blob))
    }

    /// The next message, grant or change; `None`: none came in time.
    ///
    /// # Errors
    ///
    /// If the client is over, and there is nothing left.
    pub fn recv(&self, timeout: Duration) -> Result<Option<Event<PortGuard>>, Over> {
        // A deadline that no clock reaches is as good as a year.
        let deadline = Instant::now() + timeout.min(Duration::from_secs(365 * 86_400));
        let shared = &self.shell.shared;
        shared.check_process()?;
        let mut state = shared.lock();
        loop {
            if let Some(event) = state.take_event(shared)? {
                return Ok(Some(event));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = shared.arrived.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// What is known of nodes.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn query_node(
        &self,
        nodes: &[&str],
        timeout: Duration,
    ) -> Result<Vec<NodeInfo>, RequestError> {
        let Done::Nodes(nodes, _cursor) = self.ask(timeout, |core, _now| core.query_node(nodes))?
        else {
            return Err(RequestError::Nonsense);
        };
        Ok(nodes)
    }

    /// The figures of the switch.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn status(&self, timeout: Duration) -> Result<Vec<(String, u64)>, RequestError> {
        let Done::Figures(figures) = self.ask(timeout, |core, _now| core.status())? else {
            return Err(RequestError::Nonsense);
        };
        Ok(figures)
    }

    /// Every node, part by part.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn nodes(&self, timeout: Duration) -> Result<Vec<NodeInfo>, RequestError> {
        let mut all = Vec::new();
        let mut cursor = 0;
        loop {
            let done = self.ask(timeout, |core, _now| core.list_nodes(cursor, PAGE))?;
            let Done::Nodes(part, next) = done else {
                return Err(RequestError::Nonsense);
            };
            all.extend(part);
            cursor = next;
            if cursor == 0 {
                return Ok(all);
            }
        }
    }

    /// A part of the ports that begin with `prefix`, from `cursor` (0: from the first), and where
    /// the next begins (0: there is none).
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn ports(
        &self,
        prefix: &str,
        cursor: u64,
        timeout: Duration,
    ) -> Result<(Vec<PortInfo>, u64), RequestError> {
        let Done::Ports(part, next) =
            self.ask(timeout, |core, _now| core.list_ports(cursor, PAGE, prefix))?
        else {
            return Err(RequestError::Nonsense);
        };
        Ok((part, next))
    }

    /// Ends a node's session: its ports drain.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn drop_node(&self, node: &str, timeout: Duration) -> Result<DropState, RequestError> {
        let Done::Dropped(state) = self.ask(timeout, |core, _now| core.drop_node(node))? else {
            return Err(RequestError::Nonsense);
        };
        Ok(state)
    }

    /// Watches the ports that begin with `prefix`; [`Event::Watched`] tells.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn watch(&self, prefix: &str, timeout: Duration) -> Result<(), RequestError> {
        self.ask(timeout, |core, _now| core.watch(prefix)).map(|_done| ())
    }

    /// What was counted. In a forked child that is nothing.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shell.shared.look(|core| *core.counters()).unwrap_or_default()
    }

    /// Stops being an owner, releases every port, and ends. The same as to drop it.
    pub fn close(mut self) {
        self.shell.close();
    }

    fn holders(
        &self,
        timeout: Duration,
        ask: impl FnOnce(&mut Core, base::Instant) -> Result<u64, CallError>,
    ) -> Result<Vec<Holder>, RequestError> {
        let Done::Holders(holders) = self.ask(timeout, ask)? else {
            return Err(RequestError::Nonsense);
        };
        Ok(holders)
    }

    fn sent(
        &self,
        timeout: Duration,
        ask: impl FnOnce(&mut Core) -> Result<u64, CallError>,
    ) -> Result<SendAnswer, RequestError> {
        let Done::Sent(answer) = self.ask(timeout, |core, _now| ask(core))? else {
            return Err(RequestError::Nonsense);
        };
        Ok(answer)
    }

    fn ask(
        &self,
        timeout: Duration,
        ask: impl FnOnce(&mut Core, base::Instant) -> Result<u64, CallError>,
    ) -> Result<Done<PortGuard>, RequestError> {
        self.begin(ask, Some)?.wait(timeout)
    }

    fn timed_out(&self) -> RequestError {
        let state = self.shell.shared.lock();
        RequestError::TimedOut { trouble: state.core.trouble() }
    }
}

/// A place in the queue for a port. Dropped, it is given up.
#[derive(Debug)]
pub struct Waiting<'a>(Place<'a>);

impl Waiting<'_> {
    /// Waits until the port is held; `None`: not in this time, and the place is kept. Once the port
    /// was granted, or refused, nothing more comes.
    ///
    /// # Errors
    ///
    /// If the switch refuses it, or the client is over; then the place is lost.
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<PortGuard>, RequestError> {
        self.0.wait(timeout).transpose()
    }
}
