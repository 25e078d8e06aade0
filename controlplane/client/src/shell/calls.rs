//! Calls, and how what they bring comes to who waits for it, or back to the switch.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::Waker;

use base::Instant;
use protocol::{RegisterCode, RegisterFlags};

use super::{Shared, State};
use crate::answer::Answer;
use crate::clock;
use crate::core::Core;
use crate::error::CallError;
use crate::event::{Done, Event, Registered};
use crate::guard::PortGuard;

/// Who waits for the answer to a call.
#[derive(Debug)]
pub(super) struct Caller {
    answer: Arc<Answer>,
    /// Whether the grant itself is waited for, and not only the answer that it is waited for.
    is_acquiring: bool,
}

impl Shared {
    /// Hands a call to the core, and sends what can be sent.
    pub(crate) fn call(
        self: &Arc<Self>,
        ask: impl FnOnce(&mut Core, Instant) -> Result<u64, CallError>,
    ) -> Result<(u64, Arc<Answer>), CallError> {
        self.begin(false, ask)
    }

    /// Asks for a grant of a port, now or later. It arrives at the answer once.
    pub(crate) fn acquire(self: &Arc<Self>, name: &str) -> Result<(u64, Arc<Answer>), CallError> {
        let flags = RegisterFlags { subscribe: false, wait: true };
        self.begin(true, |core, now| core.register(&[name], flags, now))
    }

    fn begin(
        self: &Arc<Self>,
        is_acquiring: bool,
        ask: impl FnOnce(&mut Core, Instant) -> Result<u64, CallError>,
    ) -> Result<(u64, Arc<Answer>), CallError> {
        self.check_process()?;
        let mut state = self.lock();
        let now = clock::now();
        let request = ask(&mut state.core, now)?;
        let answer = Arc::new(Answer::default());
        state.callers.insert(request, Caller { answer: Arc::clone(&answer), is_acquiring });
        self.settle_and_wake(&mut state, now);
        Ok((request, answer))
    }

    /// As `call`, for what has no answer.
    pub(crate) fn tell(
        self: &Arc<Self>,
        ask: impl FnOnce(&mut Core, Instant) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        self.check_process()?;
        let mut state = self.lock();
        let now = clock::now();
        let told = ask(&mut state.core, now);
        self.settle_and_wake(&mut state, now);
        told
    }

    /// Looks at the core; `None`: this is a copy of the process.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Core) -> T) -> Option<T> {
        self.check_process().is_ok().then(|| look(&mut self.lock().core))
    }

    /// Nobody awaits anything of a call any more. A grant that lies here for it is dropped with its
    /// guard, which releases it.
    pub(crate) fn abandon(self: &Arc<Self>, request: u64) {
        if self.check_process().is_err() {
            return;
        }
        let mut state = self.lock();
        state.callers.remove(&request);
        state.waited.retain(|(call, _event)| *call != request);
        let now = clock::now();
        state.core.abandon(request, now);
        self.settle_and_wake(&mut state, now);
    }

    /// Waits for ports no more that `register` waits for.
    pub(crate) fn cancel_wait(self: &Arc<Self>, names: &[&str]) -> Result<(), CallError> {
        self.check_process()?;
        let mut state = self.lock();
        let mut ended = names.to_vec();
        // Who has a place of its own ends it itself.
        ended.retain(|name| !state.is_acquired(name));
        let now = clock::now();
        if !ended.is_empty() || names.is_empty() {
            state.core.cancel_wait(&ended, now)?;
        }
        if !state.waited.is_empty() {
            let ended: HashSet<&str> = ended.into_iter().collect();
            let is_ended = |event: &Event<PortGuard>| matches!(event, Event::Granted(guard) if ended.contains(guard.name()));
            state.waited.retain(|(_call, event)| !is_ended(event));
        }
        self.settle_and_wake(&mut state, now);
        Ok(())
    }

    /// Brings answers and events to those who wait.
    pub(super) fn deliver(self: &Arc<Self>, state: &mut State) {
        let home = self.home();
        let mut guard = |grant| PortGuard::new(grant, &home);
        let mut is_new = state.core.has_events();
        // Grants come first: that it waits, or has the port already, is no news to who got it.
        while let Some((request, event)) = state.core.next_waited() {
            is_new |= state.on_waited(request, event.map(&mut guard));
        }
        while let Some((request, done)) = state.core.next_done() {
            // An answer that nobody takes is dropped, and its guards release their ports.
            state.on_done(request, done.map(&mut guard));
        }
        if let Some(over) = state.core.over() {
            let over = over.clone();
            is_new = true;
            #[expect(clippy::iter_over_hash_type, reason = "all are told the same")]
            for (_request, Caller { answer, .. }) in state.callers.drain() {
                answer.put(Done::Failed(over.clone().into()));
            }
        }
        if is_new {
            self.arrived.notify_all();
            state.receivers.drain(..).for_each(Waker::wake);
        }
    }
}

impl State {
    fn is_acquired(&self, name: &str) -> bool {
        let call = self.core.waiting_call(name);
        let caller = call.and_then(|call| self.callers.get(&call));
        caller.is_some_and(|caller| caller.is_acquiring)
    }

    /// What came of waiting. `true`: it is an event.
    fn on_waited(&mut self, request: u64, event: Event<PortGuard>) -> bool {
        if !self.callers.get(&request).is_some_and(|caller| caller.is_acquiring) {
            self.waited.push_back((request, event));
            return true;
        }
        let port = match event {
            Event::Granted(guard) => Registered::Granted(guard),
            Event::WaitFailed { code, .. } => Registered::Failed { code, owner: None },
            Event::Message { .. }
            | Event::Gone { .. }
            | Event::SubscriptionsLost
            | Event::NewEpoch { .. }
            | Event::Lapsed { .. }
            | Event::Connected { .. }
            | Event::Disconnected
            | Event::Watched { .. } => return false,
        };
        self.on_done(request, Done::Registered(vec![port]));
        false
    }

    fn on_done(&mut self, request: u64, done: Done<PortGuard>) {
        let is_acquiring = self.callers.get(&request).is_some_and(|caller| caller.is_acquiring);
        if is_acquiring && is_only_waiting(&done) {
            return;
        }
        if let Some(caller) = self.callers.remove(&request) {
            caller.answer.put(done);
        }
    }
}

/// Whether a registration of one port has it waited for.
fn is_only_waiting(done: &Done<PortGuard>) -> bool {
    let Done::Registered(ports) = done else {
        return false;
    };
    matches!(ports.as_slice(), [Registered::Failed { code: RegisterCode::Waiting, .. }])
}
