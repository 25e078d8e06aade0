//! What an application is told unasked, and what its requests are answered.

use std::sync::Arc;

use protocol::{DropState, Epoch, EventKind, GoneReason, NodeState, SendAnswer, Sequence};
use protocol::{RegisterCode, SessionId, Token, UnregisterCode};

use crate::authority::Authority;
use crate::error::RequestError;
use crate::lot::PortName;

/// A port that this session holds.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its name.
    pub name: PortName,
    /// For whatever the application writes to.
    pub token: Token,
}

impl Grant {
    /// How long it is held.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        self.name.lot().authority()
    }
}

/// Who holds a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The id of the node.
    pub node: Arc<str>,
    /// Where other nodes reach it.
    pub address: Arc<str>,
    /// The grant; `NONE` where the switch did not say, as in a refused registration.
    pub token: Token,
}

/// What became of a port that was to be registered; `G` is what holds it.
#[derive(Debug)]
pub enum Registered<G> {
    /// It is held.
    Granted(G),
    /// It is not.
    Failed {
        /// Why.
        code: RegisterCode,
        /// Whose it is, where that is the reason.
        owner: Option<Owner>,
    },
}

/// Whose a port is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    /// Somebody's.
    Owner(Owner),
    /// Nobody's.
    Free,
    /// The switch does not know yet: it is in its grace.
    Unknown,
}

/// What is known of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeInfo {
    /// Its id.
    pub node: String,
    /// Where other nodes reach it.
    pub address: String,
    /// Its session, in a listing.
    pub session: Option<SessionId>,
    /// What it is.
    pub state: NodeState,
    /// What is left of its session's exclusion.
    pub lease_ms: u32,
    /// Ports that it holds.
    pub ports: u64,
    /// Bytes that wait to be sent to it, in a listing.
    pub queued_bytes: u64,
}

/// A port of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortInfo {
    /// Its grant.
    pub sequence: Sequence,
    /// The node that holds it.
    pub node: String,
    /// Its name.
    pub name: String,
}

/// What a request is answered; `G` is what holds a port.
#[derive(Debug)]
pub enum Done<G> {
    /// To a registration, in the order of its items.
    Registered(Vec<Registered<G>>),
    /// To the end of one: `None` is right.
    Unregistered(Vec<Option<UnregisterCode>>),
    /// To a query, in the order asked.
    Holders(Vec<Holder>),
    /// To messages that were counted.
    Sent(SendAnswer),
    /// To questions for nodes, or a part of their list, and where the next part begins (0: there is
    /// none).
    Nodes(Vec<NodeInfo>, u64),
    /// A part of the list of ports, and where the next begins.
    Ports(Vec<PortInfo>, u64),
    /// Figures of the switch.
    Figures(Vec<(String, u64)>),
    /// What became of a node that was to be dropped.
    Dropped(DropState),
    /// To what has no answer but that it is done.
    Nothing,
    /// It was not done, or it is not known.
    Failed(RequestError),
}

/// What an application is told unasked; `G` is what holds a port.
#[derive(Debug)]
pub enum Event<G> {
    /// A message for a port of this session; without a port a broadcast.
    Message {
        /// The port and its grant.
        port: Option<(PortName, Token)>,
        /// The message.
        blob: Vec<u8>,
    },
    /// A port that was waited for is held.
    Granted(G),
    /// A port is waited for no more: the switch refuses it.
    WaitFailed {
        /// The port.
        name: Arc<str>,
        /// Why; `Other(0)`: the switch refused the whole request.
        code: RegisterCode,
    },
    /// A grant that was subscribed to is over, and is subscribed to no more.
    Gone {
        /// The port.
        name: Arc<str>,
        /// The grant that is over.
        token: Token,
        /// Why.
        reason: GoneReason,
    },
    /// Every subscription that was answered is forgotten: ask again for what matters. It comes when
    /// notices were lost (a flush of the switch, a gap in their count) or had no place here; with a new
    /// epoch, after `NewEpoch`; and when the lease ends, after `Lapsed`. A subscription that is asked for
    /// and not answered yet is not meant, unless something may have ended it: then this comes with the
    /// answer to its call, which may have asked for several ports.
    SubscriptionsLost,
    /// There is a new master. What was held of the old one is to be asked for again. It is not held any
    /// more; or, if the new master waits for the leases of before, for the rest of the lease, whose end
    /// `Lapsed` tells.
    NewEpoch {
        /// Its epoch.
        epoch: Epoch,
        /// Ports that were held.
        ports: usize,
    },
    /// No answer came for as long as the lease: what was held is not held any more, and a new session
    /// has begun. Or after `NewEpoch`: what was held of the old master is not held any more.
    Lapsed {
        /// Ports that were held.
        ports: usize,
    },
    /// The receive connection is there.
    Connected {
        /// The epoch.
        epoch: Epoch,
        /// The name of the switch.
        switch: Arc<str>,
    },
    /// The receive connection was lost; it is tried again.
    Disconnected,
    /// What a watch saw.
    Watched {
        /// What happened; `Missing`: some events did not fit, or the connection was lost.
        kind: EventKind,
        /// The grant that began or is over.
        sequence: Sequence,
        /// The node.
        node: String,
        /// The port.
        name: String,
    },
}

impl<G> Registered<G> {
    /// The same with another kind of holder.
    pub(crate) fn map<H>(self, make: &mut impl FnMut(G) -> H) -> Registered<H> {
        match self {
            Self::Granted(grant) => Registered::Granted(make(grant)),
            Self::Failed { code, owner } => Registered::Failed { code, owner },
        }
    }
}

impl<G> Done<G> {
    /// The same with another kind of holder.
    pub(crate) fn map<H>(self, make: &mut impl FnMut(G) -> H) -> Done<H> {
        match self {
            Self::Registered(ports) => {
                Done::Registered(ports.into_iter().map(|port| port.map(make)).collect())
            }
            Self::Unregistered(codes) => Done::Unregistered(codes),
            Self::Holders(holders) => Done::Holders(holders),
            Self::Sent(answer) => Done::Sent(answer),
            Self::Nodes(nodes, cursor) => Done::Nodes(nodes, cursor),
            Self::Ports(ports, cursor) => Done::Ports(ports, cursor),
            Self::Figures(figures) => Done::Figures(figures),
            Self::Dropped(state) => Done::Dropped(state),
            Self::Nothing => Done::Nothing,
            Self::Failed(error) => Done::Failed(error),
        }
    }
}

impl<G> Event<G> {
    /// The same with another kind of holder.
    pub(crate) fn map<H>(self, make: &mut impl FnMut(G) -> H) -> Event<H> {
        match self {
            Self::Granted(grant) => Event::Granted(make(grant)),
            Self::Message { port, blob } => Event::Message { port, blob },
            Self::WaitFailed { name, code } => Event::WaitFailed { name, code },
            Self::Gone { name, token, reason } => Event::Gone { name, token, reason },
            Self::SubscriptionsLost => Event::SubscriptionsLost,
            Self::NewEpoch { epoch, ports } => Event::NewEpoch { epoch, ports },
            Self::Lapsed { ports } => Event::Lapsed { ports },
            Self::Connected { epoch, switch } => Event::Connected { epoch, switch },
            Self::Disconnected => Event::Disconnected,
            Self::Watched { kind, sequence, node, name } => {
                Event::Watched { kind, sequence, node, name }
            }
        }
    }
}
