//! The client for tasks of any executor: the same core and the same thread, answers as futures.
//!
//! The naive design runs the connection as a task. An executor that is held up by somebody's long
//! computation then answers no `RELET`, and the node loses its ports. So the lease stays with a
//! thread of its own, nothing of an executor is needed, and a future only waits: for time-outs take
//! the executor's. A future that is dropped abandons its call, and what is granted then is released.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use protocol::{DropState, RegisterFlags, SendAnswer, Token, UnregisterCode};

use crate::answer::Answer;
use crate::config::Config;
use crate::core::Core;
use crate::counters::Counters;
use crate::error::{CallError, Over, RequestError};
use crate::event::{Done, Event, Holder, NodeInfo, Owner, PortInfo, Registered};
use crate::guard::PortGuard;
use crate::limits::PAGE;
use crate::place::Place;
use crate::shell::{Shared, Shell, StartError};
use crate::tls::TlsFiles;

/// A client. Tasks share it by reference.
///
/// ```
/// use std::pin::pin;
/// use std::sync::Arc;
/// use std::task::{Context, Poll, Wake};
/// use std::thread::{self, Thread};
/// use std::time::{Duration, Instant};
///
/// use client::{Config, PortGuard, RequestError, future::Client};
///
/// async fn lead(client: &Client) -> Result<PortGuard, RequestError> {
///     client.connect().await?;
///     client.acquire("leader").await
/// }
///
/// // Any executor does; this is the smallest, with a time-out of its own.
/// struct Unpark(Thread);
/// impl Wake for Unpark {
///     fn wake(self: Arc<Self>) {
///         self.0.unpark();
///     }
/// }
/// fn run_for<F: Future>(timeout: Duration, future: F) -> Option<F::Output> {
///     let waker = Arc::new(Unpark(thread::current())).into();
///     let (mut future, begun) = (pin!(future), Instant::now());
///     loop {
///         if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
///             return Some(done);
///         }
///         thread::park_timeout(timeout.checked_sub(begun.elapsed())?);
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::start(Config::new("127.0.0.1:1", "node-1"), None)?;
/// // Nobody listens there, so this goes on until the time is over, and then gives up its place.
/// let led = run_for(Duration::from_millis(50), lead(&client));
/// assert!(led.is_none());
/// assert!(client.counters().connections_failed > 0);
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
    /// If the client is over, or every endpoint has met what trying again does not mend
    /// ([`Trouble::is_final`]).
    ///
    /// [`Trouble::is_final`]: crate::Trouble::is_final
    pub async fn connect(&self) -> Result<(), RequestError> {
        self.ask(|core, _now| core.connect()).await.map(|_done| ())
    }

    /// Asks for ports, and says of each whether it is held now. With `wait`, those that somebody else
    /// has are waited for: [`Event::Granted`] brings them, until [`Client::cancel_wait`]. A future
    /// that is dropped waits for none of them.
    ///
    /// # Errors
    ///
    /// If nothing is known of what became of it. [`CallError::Taken`] where this client waits for
    /// one of the ports already.
    pub async fn register(
        &self,
        names: &[&str],
        flags: RegisterFlags,
    ) -> Result<Vec<Registered<PortGuard>>, RequestError> {
        let done = self.ask(|core, now| core.register(names, flags, now)).await?;
        let Done::Registered(ports) = done else {
            return Err(RequestError::Nonsense);
        };
        Ok(ports)
    }

    /// Waits until a port is held: first come, first served, over connections and masters. A future
    /// that is dropped gives up its place; [`Client::queue`] keeps it.
    ///
    /// # Errors
    ///
    /// If the switch refuses it, or the client is over.
    pub async fn acquire(&self, name: &str) -> Result<PortGuard, RequestError> {
        self.queue(name)?.wait().await
    }

    /// Takes a place among those who wait for a port, and keeps it until it is dropped: for who looks
    /// at something else from time to time while it waits.
    ///
    /// # Errors
    ///
    /// If nothing was done; [`CallError::Taken`] where this client waits for the port already.
    pub fn queue(&self, name: &str) -> Result<Waiting<'_>, CallError> {
        Place::take(&self.shell.shared, name).map(Waiting)
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

    /// Releases ports in one batch: stops being their owner first. `None` is right.
    ///
    /// # Errors
    ///
    /// If it is not known what became of it; the guards are closed in any case.
    pub async fn unregister(
        &self,
        guards: Vec<PortGuard>,
    ) -> Result<Vec<Option<UnregisterCode>>, RequestError> {
        guards.iter().for_each(PortGuard::close);
        let ports: Vec<(&str, Token)> =
            guards.iter().map(|guard| (guard.name(), guard.token())).collect();
        let done = self.ask(|core, now| core.unregister(&ports, now)).await?;
        guards.into_iter().for_each(PortGuard::disarm);
        let Done::Unregistered(codes) = done else {
            return Err(RequestError::Nonsense);
        };
        Ok(codes)
    }

    /// Asks the switch whose ports are.
    ///
    /// # Errors
    ///
    /// If the client is over, or the switch refuses it.
    pub async fn query(&self, names: &[&str]) -> Result<Vec<Holder>, RequestError> {
        self.holders(|core, now| core.query(names, false, false, now)).await
    }

    /// Asks whose ports are, and is told by [`Event::Gone`] when they go away from who has them.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub async fn subscribe(&self, names: &[&str]) -> Result<Vec<Holder>, RequestError> {
        self.holders(|core, now| core.query(names, true, true, now)).await
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
    /// As [`Client::query`].
    pub async fn owner(&self, name: &str) -> Result<Holder, RequestError> {
        if let Some(owner) = self.cached(name) {
            return Ok(Holder::Owner(owner));
        }
        let holders = self.holders(|core, now| core.query(&[name], true, false, now)).await?;
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
    pub async fn send_counted(&self, items: &[(&str, &[u8])]) -> Result<SendAnswer, RequestError> {
        self.sent(|core| core.send_counted(items)).await
    }

    /// Sends one message to many ports.
    ///
    /// # Errors
    ///
    /// As [`Client::send_counted`].
    pub async fn send_many(&self, names: &[&str], blob: &[u8]) -> Result<SendAnswer, RequestError> {
        self.sent(|core| core.send_many(names, blob)).await
    }

    /// Sends one message to every other session.
    ///
    /// # Errors
    ///
    /// As [`Client::send_counted`].
    pub async fn broadcast(&self, blob: &[u8]) -> Result<SendAnswer, RequestError> {
        self.sent(|core| core.broadcast(blob)).await
    }

    /// What is known of nodes.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub async fn query_node(&self, nodes: &[&str]) -> Result<Vec<NodeInfo>, RequestError> {
        let Done::Nodes(nodes, _cursor) = self.ask(|core, _now| core.query_node(nodes)).await?
        else {
            return Err(RequestError::Nonsense);
        };
        Ok(nodes)
    }

    /// The figures of the switch.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub async fn status(&self) -> Result<Vec<(String, u64)>, RequestError> {
        let Done::Figures(figures) = self.ask(|core, _now| core.status()).await? else {
            return Err(RequestError::Nonsense);
        };
        Ok(figures)
    }

    /// Every node, part by part.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>, RequestError> {
        let mut all = Vec::new();
        let mut cursor = 0;
        loop {
            let done = self.ask(|core, _now| core.list_nodes(cursor, PAGE)).await?;
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
    /// As [`Client::query`].
    pub async fn ports(
        &self,
        prefix: &str,
        cursor: u64,
    ) -> Result<(Vec<PortInfo>, u64), RequestError> {
        let done = self.ask(|core, _now| core.list_ports(cursor, PAGE, prefix)).await?;
        let Done::Ports(part, next) = done else {
            return Err(RequestError::Nonsense);
        };
        Ok((part, next))
    }

    /// Ends a node's session: its ports drain.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub async fn drop_node(&self, node: &str) -> Result<DropState, RequestError> {
        let Done::Dropped(state) = self.ask(|core, _now| core.drop_node(node)).await? else {
            return Err(RequestError::Nonsense);
        };
        Ok(state)
    }

    /// Watches the ports that begin with `prefix`; [`Event::Watched`] tells.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub async fn watch(&self, prefix: &str) -> Result<(), RequestError> {
        self.ask(|core, _now| core.watch(prefix)).await.map(|_done| ())
    }

    /// What was counted. In a forked child that is nothing.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shell.shared.look(|core| *core.counters()).unwrap_or_default()
    }

    /// Stops being an owner, releases every port, and ends. The same as to drop it. The switch is
    /// told, for which the calling thread waits, up to [`limits::CLOSE_MAX`](crate::limits::CLOSE_MAX).
    pub fn close(mut self) {
        self.shell.close();
    }

    /// The next message, grant or change.
    ///
    /// # Errors
    ///
    /// If the client is over, and there is nothing left.
    pub async fn recv(&self) -> Result<Event<PortGuard>, Over> {
        let shared = &self.shell.shared;
        poll_fn(|context| {
            if let Err(over) = shared.check_process() {
                return Poll::Ready(Err(over));
            }
            let mut state = shared.lock();
            match state.take_event(shared) {
                Ok(Some(event)) => Poll::Ready(Ok(event)),
                Ok(None) => {
                    state.on_receiver(context.waker());
                    Poll::Pending
                }
                Err(over) => Poll::Ready(Err(over)),
            }
        })
        .await
    }

    async fn holders(
        &self,
        ask: impl FnOnce(&mut Core, base::Instant) -> Result<u64, CallError>,
    ) -> Result<Vec<Holder>, RequestError> {
        let Done::Holders(holders) = self.ask(ask).await? else {
            return Err(RequestError::Nonsense);
        };
        Ok(holders)
    }

    async fn sent(
        &self,
        ask: impl FnOnce(&mut Core) -> Result<u64, CallError>,
    ) -> Result<SendAnswer, RequestError> {
        let Done::Sent(answer) = self.ask(|core, _now| ask(core)).await? else {
            return Err(RequestError::Nonsense);
        };
        Ok(answer)
    }

    async fn ask(
        &self,
        ask: impl FnOnce(&mut Core, base::Instant) -> Result<u64, CallError>,
    ) -> Result<Done<PortGuard>, RequestError> {
        let shared = &self.shell.shared;
        let (request, answer) = shared.call(ask)?;
        let done = Reply { shared, request, answer, is_open: true }.await;
        if let Done::Failed(error) = done { Err(error) } else { Ok(done) }
    }
}

/// An answer that is waited for.
struct Reply<'a> {
    shared: &'a Arc<Shared>,
    request: u64,
    answer: Arc<Answer>,
    is_open: bool,
}

impl Future for Reply<'_> {
    type Output = Done<PortGuard>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let done = self.answer.poll(context.waker());
        self.is_open = done.is_pending();
        done
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.shared.abandon(self.request);
        }
    }
}

/// A place in the queue for a port. Dropped, it is given up.
#[derive(Debug)]
pub struct Waiting<'a>(Place<'a>);

impl Waiting<'_> {
    /// Waits until the port is held. A future of it that is dropped keeps the place, so that a branch
    /// of a `select!`, or a time-out, costs no turn. Once the port was granted, or refused, nothing
    /// more comes.
    ///
    /// # Errors
    ///
    /// If the switch refuses it, or the client is over; then the place is lost.
    pub async fn wait(&mut self) -> Result<PortGuard, RequestError> {
        poll_fn(|context| self.0.poll(context)).await
    }
}
