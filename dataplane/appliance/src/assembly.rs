//! Puts a stack and its service together over any queue pair, and opens the listeners.

use base::{CoreId, Instant};
use engine::Engine;
use gateway::{Documents, Gateway, GatewayConfig};
use memory::CoreArena;
use nic::{Captured, QueuePair};
use stack::{HandOver, Stack};

use crate::error::Error;
use crate::plan::Plan;
use crate::serving::Serving;

/// What one core has of what all have.
#[derive(Debug)]
pub(crate) struct Parts<Q> {
    pub(crate) documents: Documents,
    pub(crate) queue: Q,
    pub(crate) arena: CoreArena,
    pub(crate) end: HandOver,
}

/// The engine of one core as the plan has it, ready for its first turn, and what it serves.
pub(crate) fn assemble<Q: QueuePair>(
    plan: &Plan,
    parts: Parts<Q>,
    now: Instant,
) -> Result<(Engine<Captured<Q>, Gateway>, Serving), Error> {
    let Parts { documents, queue, arena, end } = parts;
    let keys = crate::entropy::keys()?;
    let mut config = plan.stack.clone();
    // The addresses are the gateway's, not each core's: one announces them.
    config.ip.announce &= end.core() == CoreId(0);
    let stack = Stack::new(&config, Captured::new(queue), arena, &keys, now)?.with_hand_over(end);
    let config = GatewayConfig {
        sessions_max: plan.service.sessions,
        heads_max: plan.service.heads,
        http: plan.http,
        pages: plan.memory.pages,
        ..GatewayConfig::new(documents)
    };
    let mut engine = Engine::new(stack, Gateway::new(config)?);
    let mut serving = Serving::new();
    for listener in &plan.listeners {
        serving.open(&mut engine, *listener)?;
    }
    Ok((engine, serving))
}
