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

use protocol::{RegisterFlags, SendAnswer};

use crate::answer::Answer;
use crate::blocking::acquired;
use crate::config::Config;
use crate::core::Core;
use crate::error::{CallError, Over, RequestError};
use crate::event::{Done, Event, Holder, Owner, Registered};
use crate::guard::PortGuard;
use crate::shell::{Shared, Shell, StartError};
use crate::tls::TlsFiles;

/// A client. Tasks share it by reference.
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
    /// If the client is over.
    pub async fn connect(&self) -> Result<(), RequestError> {
        self.ask(|core, _now| core.ping()).await.map(|_done| ())
    }

    /// Asks for ports, and says of each whether it is held now.
    ///
    /// # Errors
    ///
    /// If nothing is known of what became of it.
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

    /// Waits until a port is held.
    ///
    /// # Errors
    ///
    /// If the switch refuses it, or the client is over.
    pub async fn acquire(&self, name: &str) -> Result<PortGuard, RequestError> {
        let shared = &self.shell.shared;
        let answer = shared.acquire(name)?;
        let mut give_up = GiveUp { shared, name, is_open: true };
        let done = poll_fn(|context| answer.poll(context.waker())).await;
        give_up.is_open = false;
        acquired(name, done)
    }

    /// Whose ports are.
    ///
    /// # Errors
    ///
    /// If the client is over, or the switch refuses it.
    pub async fn query(&self, names: &[&str]) -> Result<Vec<Holder>, RequestError> {
        let done = self.ask(|core, now| core.query(names, false, false, now)).await?;
        let Done::Holders(holders) = done else {
            return Err(RequestError::Nonsense);
        };
        Ok(holders)
    }

    /// Whose a port is: from the cache, else asked once and kept until it goes away.
    ///
    /// # Errors
    ///
    /// As [`Client::query`].
    pub async fn owner(&self, name: &str) -> Result<Holder, RequestError> {
        if let Some(owner) = self.cached(name) {
            return Ok(Holder::Owner(owner));
        }
        let done = self.ask(|core, now| core.query(&[name], true, false, now)).await?;
        let Done::Holders(holders) = done else {
            return Err(RequestError::Nonsense);
        };
        holders.into_iter().next().ok_or(RequestError::Nonsense)
    }

    /// Whose a port is, if the cache has it.
    #[must_use]
    pub fn cached(&self, name: &str) -> Option<Owner> {
        self.shell.shared.lock().core.cached(name)
    }

    /// Sends messages to ports without waiting.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn send(&self, items: &[(&str, &[u8])]) -> Result<(), CallError> {
        self.shell.shared.tell(|core, now| core.send(items, now))
    }

    /// Sends one message to many ports, and says how many were delivered.
    ///
    /// # Errors
    ///
    /// If it is not known; they may have been delivered.
    pub async fn send_many(&self, names: &[&str], blob: &[u8]) -> Result<SendAnswer, RequestError> {
        let done = self.ask(|core, _now| core.send_many(names, blob)).await?;
        let Done::Sent(answer) = done else {
            return Err(RequestError::Nonsense);
        };
        Ok(answer)
    }

    /// The next message, grant or change.
    ///
    /// # Errors
    ///
    /// If the client is over, and there is nothing left.
    pub async fn recv(&self) -> Result<Event<PortGuard>, Over> {
        let shared = &self.shell.shared;
        poll_fn(|context| {
            let mut state = shared.lock();
            match state.take_event(shared) {
                Ok(Some(event)) => Poll::Ready(Ok(event)),
                Ok(None) => {
                    state.event_waker = Some(context.waker().clone());
                    Poll::Pending
                }
                Err(over) => Poll::Ready(Err(over)),
            }
        })
        .await
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

/// Who waited for a port does so no more.
struct GiveUp<'a> {
    shared: &'a Arc<Shared>,
    name: &'a str,
    is_open: bool,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.shared.give_up(self.name);
        }
    }
}
