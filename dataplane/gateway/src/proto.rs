//! The protocols, a file each; each is a [`stack::Service`] for the connections of its listeners.

pub(crate) mod echo;
pub(crate) mod http;
