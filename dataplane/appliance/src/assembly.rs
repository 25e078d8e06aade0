//! Puts a stack and its service together over any queue pair, and opens the listeners.

use base::Instant;
use engine::Engine;
use gateway::{Documents, Gateway, GatewayConfig};
use memory::CoreArena;
use nic::QueuePair;
use stack::Stack;

use crate::config::Protocol;
use crate::error::Error;
use crate::plan::Plan;

/// The engine of one core as the plan has it, ready for its first turn.
pub(crate) fn assemble<Q: QueuePair>(
    plan: &Plan,
    documents: Documents,
    queue: Q,
    arena: CoreArena,
    now: Instant,
) -> Result<Engine<Q, Gateway>, Error> {
    let keys = crate::entropy::keys()?;
    let mut stack = Stack::new(&plan.stack, queue, arena, &keys, now)?;
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
