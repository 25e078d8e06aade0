//! Who a client is, and how much of everything it may have.

use protocol::limits::{ADDRESS_LEN_MAX, NODE_LEN_MAX};
use protocol::{Role, SessionId};

use crate::limits::{CACHE_ENTRIES, CACHE_ENTRIES_MAX, ENDPOINTS_MAX, SEND_CONNECTIONS_MAX};

/// Who a client is, and where its switches are.
#[derive(Clone, Debug)]
pub struct Config {
    /// `host:port` of each switch that may be the master.
    pub endpoints: Vec<String>,
    /// The id of the node, unique in the cluster.
    pub node: String,
    /// Where other nodes reach it; may be empty.
    pub address: String,
    /// What the cluster shares, if its switches want it.
    pub secret: Option<Vec<u8>>,
    /// `Node` has a session; the others only ask.
    pub role: Role,
    /// Whether a `Node` has one, too. Without, it queries and sends, and no other session of its id
    /// is ended by it.
    pub has_session: bool,
    /// Connections besides the receive connection.
    pub send_connections: u8,
    /// Owners that are kept.
    pub cache_entries: usize,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// No endpoint, or too many.
    #[error("there are {0} endpoints; 1 to {ENDPOINTS_MAX} would be right")]
    Endpoints(usize),
    /// Not a host and a port.
    #[error("{0:?} is no endpoint; host:port would be right, such as 127.0.0.1:7400")]
    Endpoint(String),
    /// The node's id.
    #[error("the node's id has {0} bytes; 1 to {NODE_LEN_MAX} would be right")]
    Node(usize),
    /// The node's address.
    #[error("the node's address has {0} bytes; up to {ADDRESS_LEN_MAX} would be right")]
    Address(usize),
    /// The pool.
    #[error("there are {0} send connections; 1 to {SEND_CONNECTIONS_MAX} would be right")]
    SendConnections(u8),
    /// The cache.
    #[error("the cache has {0} entries; 1 to {CACHE_ENTRIES_MAX} would be right")]
    Cache(usize),
    /// A secret that everybody knows.
    #[error("the secret is empty; leave it out where the switch wants none")]
    Secret,
}

impl Config {
    /// A node at one switch, without a secret.
    ///
    /// ```
    /// let config = client::Config::new("127.0.0.1:7400", "node-1");
    /// assert_eq!(config.check(), Ok(()));
    /// ```
    #[must_use]
    pub fn new(endpoint: &str, node: &str) -> Self {
        Self {
            endpoints: vec![endpoint.to_owned()],
            node: node.to_owned(),
            address: String::new(),
            secret: None,
            role: Role::Node,
            has_session: true,
            send_connections: 1,
            cache_entries: CACHE_ENTRIES,
        }
    }

    /// Whether ports may be held with it.
    pub(crate) fn wants_session(&self) -> bool {
        self.role == Role::Node && self.has_session
    }

    /// Whether it can be worked with.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self {
            endpoints,
            node,
            address,
            secret,
            role: _,
            has_session: _,
            send_connections,
            cache_entries,
        } = self;
        if endpoints.is_empty() || endpoints.len() > ENDPOINTS_MAX {
            return Err(ConfigError::Endpoints(endpoints.len()));
        }
        if let Some(wrong) = endpoints.iter().find(|endpoint| !is_endpoint(endpoint)) {
            return Err(ConfigError::Endpoint(wrong.clone()));
        }
        if !(1..=NODE_LEN_MAX).contains(&node.len()) {
            return Err(ConfigError::Node(node.len()));
        }
        if address.len() > ADDRESS_LEN_MAX {
            return Err(ConfigError::Address(address.len()));
        }
        if !(1..=SEND_CONNECTIONS_MAX).contains(send_connections) {
            return Err(ConfigError::SendConnections(*send_connections));
        }
        if !(1..=CACHE_ENTRIES_MAX).contains(cache_entries) {
            return Err(ConfigError::Cache(*cache_entries));
        }
        if secret.as_ref().is_some_and(Vec::is_empty) {
            return Err(ConfigError::Secret);
        }
        Ok(())
    }
}

/// Whether a text is a host and a TCP port.
pub(crate) fn is_endpoint(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, tcp_port)| {
        !host.is_empty() && tcp_port.parse::<u16>().is_ok_and(|tcp_port| tcp_port != 0)
    })
}

/// What a core takes from outside besides time: 192 random bits at its start.
#[derive(Clone, Copy, Debug)]
pub struct Entropy {
    /// The first session; the library chooses another after one has lapsed.
    pub session: SessionId,
    /// For the jitter of pauses and for later sessions.
    pub seed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_worked_with_is_named() {
        let good = Config::new("switch.example:7400", "n");
        assert_eq!(good.check(), Ok(()));
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.check().unwrap_err()
        };
        assert_eq!(wrong(|c| c.endpoints.clear()), ConfigError::Endpoints(0));
        for text in ["a", ":1", "a:0", "a:x", "a:70000"] {
            let mut config = good.clone();
            config.endpoints = vec![text.to_owned()];
            assert_eq!(config.check(), Err(ConfigError::Endpoint(text.to_owned())));
        }
        assert_eq!(wrong(|c| c.node.clear()), ConfigError::Node(0));
        assert_eq!(wrong(|c| c.send_connections = 9), ConfigError::SendConnections(9));
        assert_eq!(wrong(|c| c.cache_entries = 0), ConfigError::Cache(0));
        assert_eq!(wrong(|c| c.secret = Some(Vec::new())), ConfigError::Secret);
    }
}
