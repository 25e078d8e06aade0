//! Calls about the switch itself and its nodes, which operators and observers have.

use protocol::{Batch as Frame, write_bare, write_drop_node, write_watch};
use protocol::{ListNodes, ListPorts, RequestKind, check_name};

use super::Core;
use super::messages::fill;
use super::requests::Parts;
use crate::error::CallError;

impl Core {
    /// Asks for nodes.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn query_node(&mut self, nodes: &[&str]) -> Result<u64, CallError> {
        self.check(nodes.iter().copied(), 0)?;
        let limits = self.known_limits();
        let frame = |out: &mut Vec<u8>| fill(Frame::query_node(out, 0, &limits), nodes);
        self.solo_about(nodes, nodes.len(), RequestKind::QueryNode, frame)
    }

    /// Asks for the switch's figures.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn status(&mut self) -> Result<u64, CallError> {
        self.bare(RequestKind::Status, |out| write_bare(out, RequestKind::Status, 0))
    }

    /// Asks whether the switch is reached. It fails before it is answered where every endpoint has
    /// met a trouble that trying again does not mend ([`Trouble::is_final`]).
    ///
    /// [`Trouble::is_final`]: crate::Trouble::is_final
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn connect(&mut self) -> Result<u64, CallError> {
        let request = self.ping()?;
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.parts = Parts::Connect;
        }
        Ok(request)
    }

    /// Asks whether the switch is there.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn ping(&mut self) -> Result<u64, CallError> {
        self.bare(RequestKind::Ping, |out| write_bare(out, RequestKind::Ping, 0))
    }

    /// Asks for a part of the list of nodes.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn list_nodes(&mut self, cursor: u64, count_max: u32) -> Result<u64, CallError> {
        let list = ListNodes { cursor, count_max };
        self.bare(RequestKind::ListNodes, |out| list.write(out, 0))
    }

    /// Asks for a part of the list of ports.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn list_ports(
        &mut self,
        cursor: u64,
        count_max: u32,
        prefix: &str,
    ) -> Result<u64, CallError> {
        check_text(prefix, 0)?;
        let list = ListPorts { cursor, count_max, prefix };
        self.bare(RequestKind::ListPorts, |out| list.write(out, 0))
    }

    /// Drops a node: its ports drain.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn drop_node(&mut self, node: &str) -> Result<u64, CallError> {
        check_text(node, 1)?;
        self.bare(RequestKind::DropNode, |out| write_drop_node(out, 0, node))
    }

    /// Watches ports from now on, over connections: one prefix for each client. What happened while
    /// there was none is not told; that it is missing is. Who gives the call up has not ended the
    /// watch.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn watch(&mut self, prefix: &str) -> Result<u64, CallError> {
        check_text(prefix, 0)?;
        if self.watch.is_some() {
            return Err(CallError::Taken { what: "watches" });
        }
        let request = self.bare(RequestKind::Watch, |out| write_watch(out, 0, prefix))?;
        self.watch = Some(prefix.to_owned());
        Ok(request)
    }
}

fn check_text(text: &str, len_min: usize) -> Result<(), CallError> {
    if len_min == 0 && text.is_empty() {
        return Ok(());
    }
    check_name(text.as_bytes()).map_err(|source| CallError::Name { item: 0, source })
}
