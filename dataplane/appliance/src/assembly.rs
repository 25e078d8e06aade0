//! Puts a stack and its service together over any queue pair, and opens the listeners.

use base::{CoreId, Instant};
use engine::Engine;
use gateway::{Documents, Gateway, GatewayConfig};
use memory::CoreArena;
use nic::QueuePair;
use stack::{HandOver, Stack};

use crate::config::Protocol;
use crate::error::Error;
use crate::plan::Plan;

/// What one core has of what all have.
#[derive(Debug)]
pub(crate) struct Parts<Q> {
    pub(crate) documents: Documents,
    pub(crate) queue: Q,
    pub(crate) arena: CoreArena,
    pub(crate) end: HandOver,
}

/// The engine of one core as the plan has it, ready for its first turn.
pub(crate) fn assemble<Q: QueuePair>(
    plan: &Plan,
    parts: Parts<Q>,
    now: Instant,
) -> Result<Engine<Q, Gateway>, Error> {
    let Parts { documents, queue, arena, end } = parts;
    let keys = crate::entropy::keys()?;
    let mut config = plan.stack.clone();
    // The addresses are the gateway's, not each core's: one announces them.
    config.ip.announce &= end.core() == CoreId(0);
    let mut stack = Stack::new(&config, queue, arena, &keys, now)?.with_hand_over(end);
    let config = GatewayConfig {
        sessions_max: plan.service.sessions,
        heads_max: plan.service.heads,
        pages: plan.memory.pages,
        ..GatewayConfig::new(documents)
    };
    let mut gateway = Gateway::new(config)?;
    let core = stack.core_mut();
    for listener in &plan.listeners {
        let protocol = match listener.protocol {
            Protocol::Http => gateway::Protocol::Http,
            Protocol::Echo => gateway::Protocol::Echo,
        };
        gateway.add_listener(core.listen(listener.tcp_port, listener.options)?, protocol);
        if listener.udp {
            core.bind(listener.tcp_port)?;
            gateway.add_datagram_port(listener.tcp_port, protocol);
        }
    }
    Ok(Engine::new(stack, gateway))
}
