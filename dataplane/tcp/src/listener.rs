//! Listeners: which of our ports accept connections, and on what terms.

use thiserror::Error;

use crate::limits::LISTENERS_MAX;

/// The number of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// When a silent connection is probed, and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Seconds of silence before the first probe. RFC 9293 (MUST-28) asks for two hours by
    /// default where an application turns keep-alive on without saying more.
    pub idle_s: u32,
    /// Seconds between probes.
    pub interval_s: u32,
    /// Unanswered probes before the connection is given up, at most 14.
    pub probes_max: u8,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle_s: 7_200, interval_s: 75, probes_max: 9 }
    }
}

/// The terms of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Only connections to this one of our addresses (its index); otherwise to any.
    pub local: Option<u16>,
    /// Small segments are sent at once (Nagle's algorithm is off).
    pub is_nodelay: bool,
    /// Probing of silent connections.
    pub keep_alive: Option<KeepAlive>,
    /// Connections at once, half-open ones included.
    pub connections_max: u32,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self { local: None, is_nodelay: true, keep_alive: None, connections_max: u32::MAX }
    }
}

/// Why a listener could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ListenError {
    /// Port zero names no port.
    #[error("TCP port 0 cannot be listened on: choose 1 to 65535")]
    ConfigPortZero,
    /// Another listener has that address and port.
    #[error("TCP port {0} is already listened on for that address")]
    ConfigTaken(u16),
    /// Too many.
    #[error("more than {LISTENERS_MAX} listeners")]
    ResourceListeners,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) options: ListenerOptions,
    /// Connections and half-open connections now.
    pub(crate) connections: u32,
    /// Another listener on the same port.
    next: u16,
}

const NONE: u16 = u16::MAX;

/// All listeners of a core, found by port in one step.
#[derive(Debug)]
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    by_port: Box<[u16]>,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        let by_port = vec![NONE; 1 << 16].into_boxed_slice();
        Self { listeners: Vec::new(), by_port }
    }

    pub(crate) fn open(
        &mut self,
        port: u16,
        options: ListenerOptions,
    ) -> Result<ListenerId, ListenError> {
        if port == 0 {
            return Err(ListenError::ConfigPortZero);
        }
        if self.listeners.len() >= LISTENERS_MAX {
            return Err(ListenError::ResourceListeners);
        }
        let mut at = self.by_port[usize::from(port)];
        while at != NONE {
            let other = &self.listeners[usize::from(at)];
            if other.options.local == options.local {
                return Err(ListenError::ConfigTaken(port));
            }
            at = other.next;
        }
        let id = u16::try_from(self.listeners.len()).expect("at most LISTENERS_MAX");
        let next = core::mem::replace(&mut self.by_port[usize::from(port)], id);
        self.listeners.push(Listener { options, connections: 0, next });
        Ok(ListenerId(id))
    }

    /// The listener for a SYN to `port` at our address `local`: the exact address wins.
    pub(crate) fn find(&self, local: u16, port: u16) -> Option<u16> {
        let mut at = self.by_port[usize::from(port)];
        let mut any = None;
        while at != NONE {
            let listener = &self.listeners[usize::from(at)];
            match listener.options.local {
                Some(exact) if exact == local => return Some(at),
                Some(_) => {}
                None => any = Some(at),
            }
            at = listener.next;
        }
        any
    }

    pub(crate) fn entry(&self, id: u16) -> Option<&Listener> {
        self.listeners.get(usize::from(id))
    }

    pub(crate) fn entry_mut(&mut self, id: u16) -> Option<&mut Listener> {
        self.listeners.get_mut(usize::from(id))
    }
}

#[cfg(test)]
mod tests {
    use super::{ListenError, ListenerOptions, Listeners};

    #[test]
    fn exact_address_wins_over_any() {
        let mut listeners = Listeners::new();
        let any = listeners.open(80, ListenerOptions::default()).unwrap();
        let exact = ListenerOptions { local: Some(2), ..Default::default() };
        let second = listeners.open(80, exact).unwrap();
        assert_eq!(listeners.find(2, 80), Some(second.0));
        assert_eq!(listeners.find(1, 80), Some(any.0));
        assert_eq!(listeners.find(1, 81), None);
        assert_eq!(listeners.open(80, exact), Err(ListenError::ConfigTaken(80)));
        assert_eq!(
            listeners.open(0, exact),
            Err(ListenError::ConfigPortZero),
            "port zero is refused"
        );
    }
}
