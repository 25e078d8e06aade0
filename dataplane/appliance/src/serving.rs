//! What one core serves, and how that changes while it does.
//!
//! Nothing here allocates or frees once it is made: a core carries it out between two turns.

use engine::Engine;
use gateway::{Documents, Gateway, HttpLimits};
use nic::QueuePair;
use stack::{ListenerId, ListenerOptions};
use tcp::limits::LISTENERS_MAX;

use crate::config::{Listener, Protocol};
use crate::error::Error;

// The service has room for every listener that TCP numbers, and for every port of UDP.
const _: () = assert!(gateway::limits::LISTENERS_KNOWN >= tcp::Tcp::LISTENER_NUMBERS);
const _: () = assert!(gateway::limits::DATAGRAM_PORTS_KNOWN >= udp::PORTS_MAX);

/// What changes about a listener. Its port names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It accepts nobody any more; its connections live on.
    Close(Listener),
    /// It accepts from now on.
    Open(Listener),
    /// It goes on, on other terms.
    Set(Listener),
}

/// The listeners of one core.
#[derive(Debug)]
pub(crate) struct Serving {
    rows: Vec<(ListenerId, Listener)>,
    /// It ends: nothing is opened any more.
    is_over: bool,
}

/// Why a core cannot carry out a change, for which it then has done nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Closed listeners have so many connections left that there is no number for new ones.
    ListenersFull,
    /// Answers of too many older sets of documents are under way.
    DocumentsFull,
    /// A port is taken: what the core serves is not what it was thought to.
    Port(u16),
    /// A limit of HTTP is out of range.
    Limits,
    /// The gateway ends.
    Ends,
}

impl Serving {
    /// Serves nothing yet.
    pub(crate) fn new() -> Self {
        Self { rows: Vec::with_capacity(LISTENERS_MAX), is_over: false }
    }

    /// Opens a listener at the start.
    pub(crate) fn open<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Q, Gateway>,
        listener: Listener,
    ) -> Result<(), Error> {
        let options = terms(engine, listener);
        let core = engine.stack_mut().core_mut();
        let id = core.listen(listener.tcp_port, options)?;
        if listener.udp {
            core.bind(listener.tcp_port)?;
        }
        self.enter(engine, id, listener);
        Ok(())
    }

    fn enter<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Q, Gateway>,
        id: ListenerId,
        listener: Listener,
    ) {
        let gateway = engine.service_mut();
        let protocol = spoken(listener.protocol);
        gateway.add_listener(id, protocol);
        if listener.udp {
            gateway.add_datagram_port(listener.tcp_port, protocol);
        }
        self.rows.push((id, listener));
    }

    /// Whether the core could carry this out now. It can then, as long as nobody else changes
    /// what it serves.
    pub(crate) fn rehearse<Q: QueuePair>(
        &self,
        engine: &Engine<Q, Gateway>,
        changes: &[Change],
        has_documents: bool,
    ) -> Result<(), Refusal> {
        if self.is_over {
            return Err(Refusal::Ends);
        }
        let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
        let opened = count(|change| matches!(change, Change::Open(_)));
        let closed = count(|change| matches!(change, Change::Close(_)));
        // What is closed here makes room among those that are open, and perhaps none in numbers.
        let room = engine.stack().core().tcp().listeners_room();
        let free = LISTENERS_MAX - self.rows.len();
        if opened > room && opened > free + closed || opened > room + closed {
            return Err(Refusal::ListenersFull);
        }
        if has_documents && !engine.service().has_room_for_documents() {
            return Err(Refusal::DocumentsFull);
        }
        Ok(())
    }

    /// Carries out a change that was rehearsed.
    pub(crate) fn change<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Q, Gateway>,
        change: Change,
    ) -> Result<(), Refusal> {
        if self.is_over {
            return Err(Refusal::Ends);
        }
        match change {
            Change::Close(listener) => self.close(engine, listener.tcp_port),
            Change::Open(listener) => {
                let options = terms(engine, listener);
                let core = engine.stack_mut().core_mut();
                let opened = core.listen_again(listener.tcp_port, options);
                let id = opened.map_err(|_taken| Refusal::Port(listener.tcp_port))?;
                if listener.udp {
                    let bound = core.bind(listener.tcp_port);
                    bound.map_err(|_taken| Refusal::Port(listener.tcp_port))?;
                }
                self.enter(engine, id, listener);
                Ok(())
            }
            Change::Set(listener) => self.set(engine, listener),
        }
    }

    /// Serves other documents and holds clients to other limits.
    pub(crate) fn replace<Q: QueuePair>(
        &self,
        engine: &mut Engine<Q, Gateway>,
        documents: &mut Option<Documents>,
        limits: HttpLimits,
    ) -> Result<(), Refusal> {
        let gateway = engine.service_mut();
        if let Some(new) = documents.take()
            && let Err(refused) = gateway.replace_documents(new)
        {
            *documents = Some(refused);
            return Err(Refusal::DocumentsFull);
        }
        gateway.set_http_limits(limits).map_err(|_out_of_range| Refusal::Limits)?;
        for &(id, listener) in &self.rows {
            let options = terms(engine, listener);
            engine.stack_mut().core_mut().set_listener(id, options);
        }
        Ok(())
    }

    fn position(&self, tcp_port: u16) -> Result<usize, Refusal> {
        let position = self.rows.iter().position(|(_, known)| known.tcp_port == tcp_port);
        position.ok_or(Refusal::Port(tcp_port))
    }

    fn close<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Q, Gateway>,
        tcp_port: u16,
    ) -> Result<(), Refusal> {
        let (id, listener) = self.rows.swap_remove(self.position(tcp_port)?);
        engine.stack_mut().core_mut().close_listener(id);
        if listener.udp {
            unbind(engine, tcp_port);
        }
        Ok(())
    }

    /// Accepts nobody any more, for good.
    pub(crate) fn close_all<Q: QueuePair>(&mut self, engine: &mut Engine<Q, Gateway>) {
        self.is_over = true;
        for (id, listener) in self.rows.drain(..) {
            engine.stack_mut().core_mut().close_listener(id);
            if listener.udp {
                unbind(engine, listener.tcp_port);
            }
        }
    }

    fn set<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Q, Gateway>,
        listener: Listener,
    ) -> Result<(), Refusal> {
        let position = self.position(listener.tcp_port)?;
        let (id, known) = self.rows[position];
        let options = terms(engine, listener);
        let core = engine.stack_mut().core_mut();
        core.set_listener(id, options);
        if listener.udp && !known.udp {
            core.bind(listener.tcp_port).map_err(|_taken| Refusal::Port(listener.tcp_port))?;
            let protocol = spoken(listener.protocol);
            engine.service_mut().add_datagram_port(listener.tcp_port, protocol);
        } else if known.udp && !listener.udp {
            unbind(engine, listener.tcp_port);
        }
        self.rows[position].1 = listener;
        Ok(())
    }
}

fn unbind<Q: QueuePair>(engine: &mut Engine<Q, Gateway>, port: u16) {
    engine.stack_mut().core_mut().unbind(port);
    engine.service_mut().remove_datagram_port(port);
}

/// The terms of a listener: its own, and what its protocol holds clients to.
fn terms<Q: QueuePair>(engine: &Engine<Q, Gateway>, listener: Listener) -> ListenerOptions {
    engine.service().terms(spoken(listener.protocol), listener.options)
}

fn spoken(protocol: Protocol) -> gateway::Protocol {
    match protocol {
        Protocol::Http => gateway::Protocol::Http,
        Protocol::Echo => gateway::Protocol::Echo,
    }
}
