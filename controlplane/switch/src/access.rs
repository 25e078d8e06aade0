//! Who may come in under which name, and what they may do there.
//!
//! The list is read in its order: the first entry whose pattern fits the node and whose proof the
//! node gave decides. Who fits none is not told whether the name or the proof was wrong.

#[cfg(test)]
mod tests;

use protocol::Role;

use crate::quota::Quota;

/// Which nodes an entry is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePattern {
    /// The node of exactly this id.
    Exact(String),
    /// Every node whose id begins so; the empty one is every node.
    Prefix(String),
}

impl NodePattern {
    /// `web-*` is a prefix, anything without the star is exact.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    fn fits(&self, node: &str) -> bool {
        match self {
            Self::Exact(id) => id == node,
            Self::Prefix(prefix) => node.starts_with(prefix.as_str()),
        }
    }
}

/// What a node has to show.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// A certificate whose name is the node's id.
    Certificate,
    /// Knowledge of this secret.
    Secret(Vec<u8>),
    /// Nothing: it is on this machine.
    Loopback,
}

impl std::fmt::Debug for Proof {
    /// Its kind only: a secret stays one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate => "Certificate",
            Self::Secret(_) => "Secret(..)",
            Self::Loopback => "Loopback",
        })
    }
}

/// Beginnings of names. Without any, no name begins so; with an empty one, every name does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    prefixes: Vec<String>,
    is_any: bool,
}

impl Prefixes {
    /// Names that begin with one of these.
    #[must_use]
    pub fn new(prefixes: Vec<String>) -> Self {
        let is_any = prefixes.iter().any(String::is_empty);
        Self { prefixes, is_any }
    }

    /// Every name.
    #[must_use]
    pub fn any() -> Self {
        Self::new(vec![String::new()])
    }

    /// Whether every name begins so, so that none has to be looked at.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.is_any
    }

    /// Whether `name` begins so.
    #[must_use]
    pub fn allows(&self, name: &[u8]) -> bool {
        self.is_any || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessEntry {
    /// For which nodes.
    pub nodes: NodePattern,
    /// What they show.
    pub proof: Proof,
    /// The highest role that they get.
    pub role: Role,
    /// Names that they may register.
    pub register: Prefixes,
    /// Names whose owners they may send to. A broadcast needs all.
    pub send: Prefixes,
    /// Names that they may query, list and watch.
    pub query: Prefixes,
    /// How much they may have.
    pub quota: Quota,
}

/// What TLS and the socket say of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The node's id in the certificate that was verified.
    pub certified: Option<String>,
    /// The role in that certificate; none: whatever the list says.
    pub certified_role: Option<Role>,
    /// The connection comes from this machine.
    pub is_loopback: bool,
}

/// Why somebody does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No entry for this node with the proof that it gave.
    Unauthenticated,
    /// The role is higher than the entry or the certificate gives.
    Role,
}

/// Finds the entry for `node`. `is_known` says whether the node has proved that it knows a secret; where
/// it `offers` a proof, that must be right for some entry of the node, whichever entry lets it in.
pub(crate) fn admit(
    entries: &[AccessEntry],
    peer: &Peer,
    node: &str,
    role: Role,
    offers: bool,
    is_known: impl Fn(&[u8]) -> bool,
) -> Result<u32, Denied> {
    let is_proved = |proof: &Proof| match proof {
        Proof::Certificate => peer.certified.as_deref() == Some(node),
        Proof::Secret(secret) => is_known(secret),
        Proof::Loopback => peer.is_loopback,
    };
    let knows_any = |entry: &AccessEntry| {
        entry.nodes.fits(node) && matches!(&entry.proof, Proof::Secret(secret) if is_known(secret))
    };
    if offers && !entries.iter().any(knows_any) {
        return Err(Denied::Unauthenticated);
    }
    let found = entries.iter().position(|entry| entry.nodes.fits(node) && is_proved(&entry.proof));
    let index = found.ok_or(Denied::Unauthenticated)?;
    let entry = &entries[index];
    let certified = match entry.proof {
        Proof::Certificate => peer.certified_role.unwrap_or(entry.role),
        Proof::Secret(_) | Proof::Loopback => entry.role,
    };
    if role > entry.role || role > certified {
        return Err(Denied::Role);
    }
    Ok(u32::try_from(index).expect("the list is bounded when the switch is made"))
}
