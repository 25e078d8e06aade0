//! Requests of a thread that goes on while the switch answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protocol::{RegisterFlags, Token, UnregisterCode};

use super::Client;
use crate::answer::Answer;
use crate::core::Core;
use crate::error::{CallError, RequestError};
use crate::event::{Done, Holder, Registered};
use crate::guard::PortGuard;

/// A request that is under way. Dropped, it is given up: nothing of it is waited for any more, and
/// what is granted by it later is released at once.
#[must_use = "a request that nobody waits for is given up"]
pub struct Begun<'a, T> {
    client: &'a Client,
    request: u64,
    answer: Arc<Answer>,
    take: fn(Done<PortGuard>) -> Option<T>,
    is_open: bool,
}

impl<T> Begun<'_, T> {
    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// If nothing is known of what became of it, as of the call that does not return before.
    pub fn wait(mut self, timeout: Duration) -> Result<T, RequestError> {
        match self.answer.wait(timeout) {
            Some(Done::Failed(error)) => {
                self.is_open = false;
                Err(error)
            }
            Some(done) => {
                self.is_open = false;
                (self.take)(done).ok_or(RequestError::Nonsense)
            }
            // It is given up before it is asked what stands between.
            None => {
                self.give_up();
                Err(self.client.timed_out())
            }
        }
    }

    fn give_up(&mut self) {
        if std::mem::replace(&mut self.is_open, false) {
            self.client.shell.shared.abandon(self.request);
        }
    }
}

impl<T> Drop for Begun<'_, T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T> fmt::Debug for Begun<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Calls that do not wait: a thread has several of them under way, so that neither it nor the switch
/// stands still while the other works.
///
/// ```no_run
/// use std::collections::VecDeque;
/// use std::time::Duration;
/// use client::{Config, blocking::Client};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let second = Duration::from_secs(1);
/// let client = Client::start(Config::new("127.0.0.1:7400", "node-1"), None)?;
/// let names: Vec<String> = (0..100_000).map(|user| format!("user/{user}")).collect();
/// let names: Vec<&str> = names.iter().map(String::as_str).collect();
/// let (mut begun, mut ports) = (VecDeque::new(), Vec::new());
/// for names in names.chunks(1_000) {
///     begun.push_back(client.begin_register(names, Default::default())?);
///     if begun.len() == 4 {
///         ports.extend(begun.pop_front().expect("there are four").wait(second)?);
///     }
/// }
/// for begun in begun {
///     ports.extend(begun.wait(second)?);
/// }
/// # Ok(())
/// # }
/// ```
impl Client {
    /// As [`Client::register`], and waits for the answer later.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn begin_register(
        &self,
        names: &[&str],
        flags: RegisterFlags,
    ) -> Result<Begun<'_, Vec<Registered<PortGuard>>>, CallError> {
        self.begin(|core, now| core.register(names, flags, now), registered)
    }

    /// As [`Client::unregister`], and waits for the answer later. The guards are closed at once.
    ///
    /// # Errors
    ///
    /// If nothing was done but that; each port is then released by itself.
    pub fn begin_unregister(
        &self,
        guards: Vec<PortGuard>,
    ) -> Result<Begun<'_, Vec<Option<UnregisterCode>>>, CallError> {
        guards.iter().for_each(PortGuard::close);
        let ports: Vec<(&str, Token)> =
            guards.iter().map(|guard| (guard.name(), guard.token())).collect();
        let begun = self.begin(|core, now| core.unregister(&ports, now), unregistered)?;
        // From here on it is the request that releases them.
        guards.into_iter().for_each(PortGuard::disarm);
        Ok(begun)
    }

    /// As [`Client::query`], and waits for the answer later.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn begin_query(&self, names: &[&str]) -> Result<Begun<'_, Vec<Holder>>, CallError> {
        self.begin(|core, now| core.query(names, false, false, now), holders)
    }

    pub(super) fn begin<T>(
        &self,
        ask: impl FnOnce(&mut Core, base::Instant) -> Result<u64, CallError>,
        take: fn(Done<PortGuard>) -> Option<T>,
    ) -> Result<Begun<'_, T>, CallError> {
        let (request, answer) = self.shell.shared.call(ask)?;
        Ok(Begun { client: self, request, answer, take, is_open: true })
    }
}

fn registered(done: Done<PortGuard>) -> Option<Vec<Registered<PortGuard>>> {
    if let Done::Registered(ports) = done { Some(ports) } else { None }
}

fn unregistered(done: Done<PortGuard>) -> Option<Vec<Option<UnregisterCode>>> {
    if let Done::Unregistered(codes) = done { Some(codes) } else { None }
}

fn holders(done: Done<PortGuard>) -> Option<Vec<Holder>> {
    if let Done::Holders(holders) = done { Some(holders) } else { None }
}
