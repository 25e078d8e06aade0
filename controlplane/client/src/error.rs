//! Why a client is over, why a call was not taken, and why one failed.

use protocol::{ErrorCode, ErrorFrame};

use crate::trouble::Trouble;

/// Why a client does nothing any more. It is final: a new client has a new session.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Over {
    /// It was closed.
    #[error("the client was closed")]
    Closed,
    /// A newer session has this node's id.
    #[error(
        "a newer session of node {node:?} took its place; give each process a node id of its own"
    )]
    Replaced {
        /// The id.
        node: String,
    },
    /// Another connection has this session.
    #[error("another process uses this session; was the process copied while it ran?")]
    Copied,
    /// An operator dropped the node.
    #[error("an operator dropped this node (abelectl switch drop-node)")]
    Dropped,
    /// The cluster is another than it was.
    #[error(
        "the switch belongs to another cluster, or its cluster was started anew; \
         nothing that was held is held any more: start again"
    )]
    WrongCluster,
    /// The switch refuses who is asking, or what for.
    #[error("{}", refused_text(code, message))]
    Refused {
        /// Why.
        code: ErrorCode,
        /// What the switch says of it.
        message: String,
    },
    /// The switch speaks no version that this library does.
    #[error("the switch speaks versions {min} to {max}, this library {}", protocol::VERSION)]
    Version {
        /// The lowest of the switch.
        min: u16,
        /// The highest.
        max: u16,
    },
}

/// Why a call was not taken. Nothing was done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The client is over.
    #[error(transparent)]
    Over(#[from] Over),
    /// A name is not one.
    #[error("item {item}: {source}")]
    Name {
        /// Its place.
        item: usize,
        /// What is wrong with it.
        source: protocol::NameError,
    },
    /// There is no item.
    #[error("the call names nothing; at least one item would be right")]
    Nothing,
    /// There are more than fit one frame of this kind.
    #[error("the call has more than {limit} items; split it")]
    TooMany {
        /// What fits.
        limit: u32,
    },
    /// A message, or what goes with it, is too long.
    #[error("the message is longer than the {limit} bytes that the switch takes")]
    TooLong {
        /// What it takes.
        limit: u32,
    },
    /// So much waits to be sent that nothing more is taken.
    #[error("{what} is full: the switch is slower than the calls, or away; try again later")]
    Full {
        /// What is full.
        what: &'static str,
    },
    /// This client does it already.
    #[error("this client {what} already; end that first, or use another client")]
    Taken {
        /// What it does.
        what: &'static str,
    },
    /// The client has no session.
    #[error("this client has no session; connect as a node to do it")]
    NoSession,
}

/// Why a request failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// It was not taken.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The switch said so.
    #[error("{}", refused_text(code, message))]
    Refused {
        /// Why.
        code: ErrorCode,
        /// By code, else 0.
        number: u64,
        /// What the switch says of it.
        message: String,
    },
    /// The connection was lost before the answer; it may have been done or not.
    #[error("the connection was lost before the answer; it may have been done, or not")]
    Lost,
    /// The switch does not let it be waited for.
    #[error("{name} is not granted, and not waited for: {code:?}")]
    NotGranted {
        /// The port.
        name: String,
        /// Why.
        code: protocol::RegisterCode,
    },
    /// The answer is not one to what was asked.
    #[error("the switch answered something else than was asked")]
    Nonsense,
    /// The switch is not reached, and to go on trying would not mend it.
    #[error("the switch is not reached: {trouble}")]
    Unreached {
        /// What stands between; where there are several endpoints, at the one that was tried last.
        trouble: Trouble,
    },
    /// No answer came in the time that the caller gave.
    #[error("no answer came in time{}", trouble_text(.trouble.as_ref()))]
    TimedOut {
        /// What stands between, if it is known.
        trouble: Option<Trouble>,
    },
}

impl From<Over> for RequestError {
    fn from(over: Over) -> Self {
        Self::Call(CallError::Over(over))
    }
}

impl RequestError {
    pub(crate) fn refused(error: &ErrorFrame<'_>) -> Self {
        let ErrorFrame { code, number, message, .. } = *error;
        Self::Refused { code, number, message: message.to_owned() }
    }
}

fn trouble_text(trouble: Option<&Trouble>) -> String {
    trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default()
}

fn refused_text(code: &ErrorCode, message: &str) -> String {
    let what = match code {
        ErrorCode::Unauthenticated => {
            "the switch does not believe who this is; check the node's id, and the secret or the \
             certificate that goes with it"
        }
        ErrorCode::Forbidden => "the switch does not allow it with this credential",
        ErrorCode::WrongGroup => "the switch is for another group of ports",
        ErrorCode::Version => "the switch does not speak this version",
        ErrorCode::Quota => "the node has as many as it may",
        ErrorCode::TooLarge => "the request is too large",
        ErrorCode::Grace => "the switch grants nothing yet",
        ErrorCode::Busy => "the switch has too much under way",
        ErrorCode::NoSession => "it takes a session",
        ErrorCode::NotMaster
        | ErrorCode::Quarantine
        | ErrorCode::Evicted
        | ErrorCode::Lapsed
        | ErrorCode::Ended
        | ErrorCode::WrongCluster
        | ErrorCode::Unsupported
        | ErrorCode::Malformed
        | ErrorCode::BadName
        | ErrorCode::State
        | ErrorCode::Leaving
        | ErrorCode::Other(_) => "the switch refused it",
    };
    if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") }
}
