//! What a core is told to change, and how it is told: a box that goes to the core and comes back.
//!
//! The naive reload takes a lock around what all cores serve, and each of them pays for it with
//! every packet. Here a core looks at one word in each turn. What it finds there was made by
//! another thread, with all memory in it; the core reads it, and the box goes back to be dropped where
//! that may take time.
//!
//! ```text
//!   clerk --order--> desk     rehearse: could it? nothing changes
//!         <--order--
//!         --order--> desk     carry out: only when all cores could
//!         <--order--
//! ```

use engine::Engine;
use gateway::Gateway;
use memory::{Consumer, Producer, ring};
use nic::QueuePair;

use crate::serving::{Change, Refusal, Serving};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To say whether it could be done.
    Rehearse,
    /// To do it.
    CarryOut,
}

/// An order, and on its way back what came of it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) step: Step,
    /// Closed ones first.
    pub(crate) changes: Vec<Change>,
    pub(crate) outcome: Result<(), Refusal>,
}

impl Order {
    pub(crate) fn new(step: Step, changes: Vec<Change>) -> Box<Self> {
        Box::new(Self { step, changes, outcome: Ok(()) })
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
        engine: &mut Engine<Q, Gateway>,
        serving: &mut Serving,
    ) {
        let Some(mut order) = self.orders.pop() else { return };
        let Order { step, changes, outcome } = &mut *order;
        *outcome = match step {
            Step::Rehearse => serving.rehearse(engine, changes),
            Step::CarryOut => changes.iter().try_for_each(|change| serving.change(engine, *change)),
        };
        // The clerk gives one order at a time, so there is room.
        self.done.push(order).expect("one order is out at a time");
    }
}
