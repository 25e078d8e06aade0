//! One iteration of a core, on one screen.

use base::{CoreSet, Duration, Instant};
use nic::QueuePair;
use stack::{Service, Stack};

use crate::meter::{Meter, Stage};

/// What a turn found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Frames received, and what other cores have received for this one.
    pub received: usize,
    /// Packets given to the device.
    pub sent: u64,
    /// Something was received, or waits to be sent: the next turn should follow at once.
    pub is_busy: bool,
}

/// A core's stack and the service on it.
#[derive(Debug)]
pub struct Engine<Q, S> {
    stack: Stack<Q>,
    service: S,
    /// When timers were last looked at.
    timed_at: Instant,
}

/// Timers are exact to a tick of 1.05 ms, so a spinning core looks at them only this often.
const TIMERS_EVERY: Duration = Duration::from_micros(250);

impl<Q: QueuePair, S: Service> Engine<Q, S> {
    /// Puts a service on a stack.
    pub fn new(stack: Stack<Q>, service: S) -> Self {
        Self { stack, service, timed_at: Instant::ZERO }
    }

    /// One iteration: what has arrived, what is due, what is to be sent.
    #[inline]
    pub fn turn(&mut self, now: Instant) -> Turn {
        self.turn_with(now, &mut ())
    }

    /// The same, and tells `meter` of the end of each stage.
    pub fn turn_with(&mut self, now: Instant, meter: &mut impl Meter) -> Turn {
        let Self { stack, service, timed_at } = self;
        let sent_before = stack.queue().counters().tx_packets;
        let received = stack.receive(now);
        meter.mark(Stage::Receive);
        stack.handle_burst(service);
        meter.mark(Stage::Handle);
        let taken_over = stack.take_over(service);
        meter.mark(Stage::TakeOver);
        if now.saturating_since(*timed_at) >= TIMERS_EVERY {
            *timed_at = now;
            stack.handle_time(now, service);
        }
        meter.mark(Stage::Timers);
        stack.handle_turn(service);
        meter.mark(Stage::Service);
        stack.poll_egress(service);
        meter.mark(Stage::Egress);
        let received = received + taken_over;
        let sent = stack.queue().counters().tx_packets - sent_before;
        Turn { received, sent, is_busy: received > 0 || stack.has_egress() }
    }

    /// The cores that something was put before since this was last asked: those of them that
    /// sleep are to be woken.
    #[inline]
    pub fn take_reached(&mut self) -> CoreSet {
        self.stack.core_mut().take_reached()
    }

    /// Whether another core has put something before this one: it must not go to sleep now.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.stack.core().has_waiting()
    }

    /// When the next turn is needed although nothing arrives; `None` means never.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.stack.next_deadline()?;
        // Never earlier than the turn that would look at it.
        Some(deadline.max(self.timed_at + TIMERS_EVERY))
    }

    /// The stack, for tools and tests.
    #[must_use]
    pub fn stack(&self) -> &Stack<Q> {
        &self.stack
    }

    /// The stack, to be set up.
    pub fn stack_mut(&mut self) -> &mut Stack<Q> {
        &mut self.stack
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The service, to be talked to between turns.
    pub fn service_mut(&mut self) -> &mut S {
        &mut self.service
    }

    /// The service, with the context of a turn: for what begins from outside, as `connect` does.
    pub fn with_context<R>(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut S, &mut stack::Context<'_>) -> R,
    ) -> R {
        let Self { stack, service, .. } = self;
        stack.with_context(now, |cx| act(service, cx))
    }

    /// Takes the engine apart.
    pub fn into_parts(self) -> (Stack<Q>, S) {
        (self.stack, self.service)
    }
}
