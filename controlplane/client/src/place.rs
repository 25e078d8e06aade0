//! A place among those who wait for a port, for a thread or a task.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::answer::Answer;
use crate::error::{CallError, RequestError};
use crate::event::{Done, Registered};
use crate::guard::PortGuard;
use crate::shell::Shared;

/// A place. Dropped, it is given up.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    shared: &'a Arc<Shared>,
    name: String,
    request: u64,
    answer: Arc<Answer>,
    is_open: bool,
}

impl<'a> Place<'a> {
    pub(crate) fn take(shared: &'a Arc<Shared>, name: &str) -> Result<Self, CallError> {
        let (request, answer) = shared.acquire(name)?;
        Ok(Self { shared, name: name.to_owned(), request, answer, is_open: true })
    }

    /// Sleeps until the port is held; `None`: not in time.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<Result<PortGuard, RequestError>> {
        self.answer.wait(timeout).map(|done| self.end(done))
    }

    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<PortGuard, RequestError>> {
        self.answer.poll(context.waker()).map(|done| self.end(done))
    }

    /// The one port of the answer.
    fn end(&mut self, done: Done<PortGuard>) -> Result<PortGuard, RequestError> {
        self.is_open = false;
        let mut ports = match done {
            Done::Registered(ports) => ports,
            Done::Failed(error) => return Err(error),
            Done::Unregistered(_)
            | Done::Holders(_)
            | Done::Sent(_)
            | Done::Nodes(..)
            | Done::Ports(..)
            | Done::Figures(_)
            | Done::Dropped(_)
            | Done::Nothing => return Err(RequestError::Nonsense),
        };
        match ports.pop() {
            Some(Registered::Granted(guard)) => Ok(guard),
            Some(Registered::Failed { code, owner: _ }) => {
                Err(RequestError::NotGranted { name: self.name.clone(), code })
            }
            None => Err(RequestError::Nonsense),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // The grant may have come in between, and a guard that is dropped releases its port.
            self.shared.abandon(self.request);
        }
    }
}
