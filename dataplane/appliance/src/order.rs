//! What a core is told to change, or asked, and how it is told: a box that goes to the core and comes back.
//!
//! The naive reload takes a lock around what all cores serve, and each of them pays for it with
//! every packet. Here a core looks at one word in each turn. What it finds there was made by
//! another thread, with all memory in it; the core exchanges what it serves for what is in the box,
//! and the box goes back with what is not served any more, to be dropped where that may take time.
//!
//! ```text
//!   clerk --order--> desk     rehearse: could it? nothing changes
//!         <--order--
//!         --order--> desk     carry out: only when all cores could
//!         <--order--          with the documents that nobody reads any more
//!         --order--> desk     look: a part of a table that only the core knows
//!         <--order--
//!         --order--> desk     tap: its packets are copied from now on, or no more
//!         <--order--          with the memory of the capture that ended
//!         --order--> desk     echo: to ping somebody, and to tell what was heard
//!         <--order--
//! ```

use std::thread;

use base::Instant;
use engine::Engine;
use gateway::limits::DOCUMENT_SETS_MAX;
use gateway::{AccessLog, Documents, Gateway, HttpLimits};
use memory::{Consumer, Producer, ring};
use nic::{Captured, QueuePair, Tap};

use crate::bell::Bell;
use crate::echo::Errand;
use crate::limits::{CORE_PATIENCE, LOOK_EVERY};
use crate::serving::{Change, Refusal, Serving};
use crate::sight::Sight;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To say whether it could be done.
    Rehearse,
    /// To do it.
    CarryOut,
    /// Only to give back what is served no more.
    Collect,
    /// To tell what only the core knows.
    Look,
    /// To copy packets, or to end that.
    Tap,
    /// To send an echo request, and to tell what became of earlier ones.
    Echo,
}

/// An order, and on its way back what came of it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) step: Step,
    /// Closed ones first.
    pub(crate) changes: Vec<Change>,
    /// New ones, if there are any.
    pub(crate) documents: Option<Documents>,
    pub(crate) limits: HttpLimits,
    /// The core's end of another access log, or of none, where that changes; then what was there.
    pub(crate) access_log: Option<Option<Box<AccessLog>>>,
    pub(crate) outcome: Result<(), Refusal>,
    /// Documents that are served no more, with room for all there may be.
    pub(crate) retired: Vec<Documents>,
    /// Sets of documents that are kept for answers under way.
    pub(crate) older: usize,
    /// What is to be told of, where it is that.
    pub(crate) sight: Option<Sight>,
    /// Where packets are copied to, and on its way back where they were.
    pub(crate) tap: Option<Box<Tap>>,
    /// What is to be sent and told, where it is that.
    pub(crate) echo: Option<Errand>,
}

impl Order {
    pub(crate) fn new(
        changes: Vec<Change>,
        documents: Option<Documents>,
        limits: HttpLimits,
    ) -> Box<Self> {
        let (step, outcome) = (Step::Rehearse, Ok(()));
        let retired = Vec::with_capacity(DOCUMENT_SETS_MAX);
        let (older, sight, access_log, tap, echo) = (0, None, None, None, None);
        Box::new(Self {
            step,
            changes,
            documents,
            limits,
            access_log,
            outcome,
            retired,
            older,
            sight,
            tap,
            echo,
        })
    }

    /// The order to tell of a part of a table. It changes nothing: the limits are those in force.
    pub(crate) fn look(sight: Sight, limits: HttpLimits) -> Box<Self> {
        let mut order = Self::new(Vec::new(), None, limits);
        (order.step, order.sight) = (Step::Look, Some(sight));
        order
    }

    /// The order to copy packets by `tap`, or no more.
    pub(crate) fn tap(tap: Option<Box<Tap>>, limits: HttpLimits) -> Box<Self> {
        let mut order = Self::new(Vec::new(), None, limits);
        (order.step, order.tap) = (Step::Tap, tap);
        order
    }

    /// The order of an errand about echo requests.
    pub(crate) fn echo(errand: Errand, limits: HttpLimits) -> Box<Self> {
        let mut order = Self::new(Vec::new(), None, limits);
        (order.step, order.echo) = (Step::Echo, Some(errand));
        order
    }
}

/// The control thread's end.
#[derive(Debug)]
pub(crate) struct Clerk {
    orders: Producer<Box<Order>>,
    done: Consumer<Box<Order>>,
    /// Whether an order is out.
    is_waiting: bool,
}

impl Clerk {
    /// Gives an order to the core, if none is out.
    pub(crate) fn give(&mut self, order: Box<Order>) -> Result<(), Box<Order>> {
        if self.is_waiting {
            return Err(order);
        }
        self.is_waiting = true;
        self.orders.push(order)
    }

    /// The order that is out, if the core has done with it.
    pub(crate) fn take(&mut self) -> Option<Box<Order>> {
        let order = self.done.pop()?;
        self.is_waiting = false;
        Some(order)
    }

    /// Whether an order is out.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }
}

/// The core's end, and what it serves.
#[derive(Debug)]
pub(crate) struct Desk {
    orders: Consumer<Box<Order>>,
    done: Producer<Box<Order>>,
}

/// Both ends. There is one order at a time.
pub(crate) fn pair() -> (Clerk, Desk) {
    let (to_core, orders) = ring(1);
    let (done, from_core) = ring(1);
    (Clerk { orders: to_core, done: from_core, is_waiting: false }, Desk { orders, done })
}

impl Desk {
    /// Whether there is an order: one load, for every turn.
    #[inline]
    pub(crate) fn has_order(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Does what was ordered, between two turns.
    #[cold]
    pub(crate) fn work<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Captured<Q>, Gateway>,
        serving: &mut Serving,
        now: Instant,
    ) {
        let Some(mut order) = self.orders.pop() else { return };
        let Order {
            step,
            changes,
            documents,
            limits,
            access_log,
            outcome,
            retired,
            older,
            sight,
            tap,
            echo,
        } = &mut *order;
        collect(engine, retired);
        *outcome = match step {
            Step::Collect => Ok(()),
            Step::Look => {
                sight.iter_mut().for_each(|sight| sight.look(engine, now));
                Ok(())
            }
            Step::Tap => {
                *tap = engine.stack_mut().queue_mut().exchange_tap(tap.take());
                Ok(())
            }
            Step::Echo => {
                echo.iter_mut().for_each(|errand| errand.work(engine, now));
                Ok(())
            }
            Step::Rehearse => serving.rehearse(engine, changes, documents.is_some()),
            Step::CarryOut => {
                let done = changes.iter().try_for_each(|change| serving.change(engine, *change));
                if let Some(log) = access_log {
                    *log = engine.service_mut().set_access_log(log.take());
                }
                done.and_then(|()| serving.replace(engine, documents, *limits))
            }
        };
        collect(engine, retired);
        *older = engine.service().older_documents();
        // The clerk gives one order at a time, so there is room.
        self.done.push(order).expect("one order is out at a time");
    }
}

/// Gives each core the order that is for it, and waits for all. `None` for a core that was not asked
/// or does not answer; one that has not answered before is not asked.
pub(crate) fn carry_out(
    clerks: &mut [Clerk],
    bells: &[Bell],
    orders: Vec<Option<Box<Order>>>,
) -> Vec<Option<Box<Order>>> {
    let mut asked = Vec::with_capacity(orders.len());
    for ((clerk, bell), order) in clerks.iter_mut().zip(bells).zip(orders) {
        // It may have answered since the last time.
        drop(clerk.take());
        let is_asked = order.is_some_and(|order| clerk.give(order).is_ok());
        if is_asked {
            bell.ring();
        }
        asked.push(is_asked);
    }
    let begun = std::time::Instant::now();
    let wait = |(clerk, is_asked): (&mut Clerk, bool)| {
        let mut order = None;
        while is_asked && order.is_none() && begun.elapsed() <= CORE_PATIENCE {
            order = clerk.take();
            if order.is_none() {
                thread::sleep(LOOK_EVERY);
            }
        }
        order
    };
    clerks.iter_mut().zip(asked).map(wait).collect()
}

/// Takes out what nobody reads any more. What there is no room for comes the next time.
fn collect<Q: QueuePair>(engine: &mut Engine<Q, Gateway>, retired: &mut Vec<Documents>) {
    while retired.len() < retired.capacity() {
        let Some(documents) = engine.service_mut().take_retired() else { return };
        retired.push(documents);
    }
}
