//! Listeners: which of our ports accept connections, and on what terms.
//!
//! They may come and go while the core serves. One that is closed accepts nobody from then on; its
//! connections live on, and so does its number, until the last of them has ended.

use base::NIL;
use thiserror::Error;

use crate::Tcp;
use crate::limits::LISTENERS_MAX;
use crate::user_timeout::UserTimeout;

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
    /// How slowly a peer may take what is sent to it; without it, as slowly as it likes.
    pub user_timeout: Option<UserTimeout>,
    /// Seconds for which a connection may be idle ([`Tcp::set_idle`]) before its service is told.
    pub idle_s: Option<u32>,
    /// Connections at once, half-open ones included.
    pub connections_max: u32,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            local: None,
            is_nodelay: true,
            keep_alive: None,
            user_timeout: None,
            idle_s: None,
            connections_max: u32::MAX,
        }
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

/// A listener, as who asks is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerSeen {
    /// The port.
    pub port: u16,
    /// Its terms.
    pub options: ListenerOptions,
    /// Whether it accepts: it was not closed.
    pub is_open: bool,
    /// Connections and half-open connections now.
    pub connections: u32,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) options: ListenerOptions,
    /// Connections and half-open connections now.
    pub(crate) connections: u32,
    port: u16,
    /// Whether it accepts: it was not closed.
    is_open: bool,
    /// Another listener on the same port.
    next: u16,
}

const NONE: u16 = u16::MAX;

/// Numbers of listeners: one that was closed keeps its own while connections of it live, and a
/// configuration may change a few times within the life of a connection.
const NUMBERS: usize = 4 * LISTENERS_MAX;
const _: () = assert!(NUMBERS < NONE as usize);

/// All listeners of a core, found by port in one step.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// By their numbers; room for all there may be, so that nothing is allocated later.
    listeners: Vec<Listener>,
    by_port: Box<[u16]>,
    open: usize,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        let by_port = vec![NONE; 1 << 16].into_boxed_slice();
        Self { listeners: Vec::with_capacity(NUMBERS), by_port, open: 0 }
    }

    /// Opens one, with a number that nobody has had.
    pub(crate) fn open(
        &mut self,
        port: u16,
        options: ListenerOptions,
    ) -> Result<ListenerId, ListenError> {
        self.open_as(port, options, false)
    }

    /// Opens one; `may_reuse` says whether the number of one that was closed and has no
    /// connection may be given again.
    fn open_as(
        &mut self,
        port: u16,
        options: ListenerOptions,
        may_reuse: bool,
    ) -> Result<ListenerId, ListenError> {
        if port == 0 {
            return Err(ListenError::ConfigPortZero);
        }
        let mut at = self.by_port[usize::from(port)];
        while at != NONE {
            let other = &self.listeners[usize::from(at)];
            if other.options.local == options.local {
                return Err(ListenError::ConfigTaken(port));
            }
            at = other.next;
        }
        if self.open >= LISTENERS_MAX {
            return Err(ListenError::ResourceListeners);
        }
        let at = self.number(may_reuse).ok_or(ListenError::ResourceListeners)?;
        let id = u16::try_from(at).expect("below NUMBERS");
        let next = core::mem::replace(&mut self.by_port[usize::from(port)], id);
        let listener = Listener { options, connections: 0, port, is_open: true, next };
        if at == self.listeners.len() {
            self.listeners.push(listener);
        } else {
            self.listeners[at] = listener;
        }
        self.open += 1;
        Ok(ListenerId(id))
    }

    /// A number that nobody has.
    fn number(&self, may_reuse: bool) -> Option<usize> {
        let is_free = |listener: &Listener| !listener.is_open && listener.connections == 0;
        let reused = self.listeners.iter().position(is_free).filter(|_| may_reuse);
        reused.or_else(|| Some(self.listeners.len()).filter(|next| *next < NUMBERS))
    }

    /// How many could be opened now besides those that are, if ports are free.
    fn room(&self) -> usize {
        let used = |listener: &&Listener| listener.is_open || listener.connections > 0;
        let used = self.listeners.iter().filter(used).count();
        (NUMBERS - used).min(LISTENERS_MAX - self.open)
    }

    fn close(&mut self, id: u16) -> bool {
        let Some(closed) = self.listeners.get_mut(usize::from(id)) else { return false };
        if !core::mem::replace(&mut closed.is_open, false) {
            return false;
        }
        let (port, next) = (usize::from(closed.port), closed.next);
        self.open -= 1;
        if self.by_port[port] == id {
            self.by_port[port] = next;
            return true;
        }
        let mut at = self.by_port[port];
        while at != NONE {
            let listener = &mut self.listeners[usize::from(at)];
            if listener.next == id {
                listener.next = next;
            }
            at = listener.next;
        }
        true
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

impl Tcp {
    /// The number of a listener is below this.
    pub const LISTENER_NUMBERS: usize = NUMBERS;

    /// Accepts connections on `port` as [`Tcp::listen`] does, while the core serves: it takes no
    /// memory, and may give the number of a listener that was closed and has no connection left.
    ///
    /// # Errors
    /// The port is taken, zero, or one too many.
    pub fn listen_again(
        &mut self,
        port: u16,
        options: ListenerOptions,
    ) -> Result<ListenerId, ListenError> {
        // One that has ended still has its listener's number until its service was told.
        let may_reuse = self.ended.head == NIL;
        self.listeners.open_as(port, options, may_reuse)
    }

    /// Accepts nobody any more by a listener; whether it accepted until now. A handshake that is
    /// under way comes to its end, and connections live on. It takes no memory and gives none back.
    pub fn close_listener(&mut self, listener: ListenerId) -> bool {
        self.listeners.close(listener.0)
    }

    /// Changes the terms of a listener: those of keep-alive hold at once for all connections that
    /// were accepted with any, the user time-out from its next stretch on and the idle time at
    /// once for all, the others for those to come. Its address stays as it is.
    pub fn set_listener(&mut self, listener: ListenerId, options: ListenerOptions) {
        if let Some(listener) = self.listeners.entry_mut(listener.0) {
            let local = listener.options.local;
            listener.options = ListenerOptions { local, ..options };
        }
    }

    /// The listener with this number, as it is now; `None` where no listener has had it. One that
    /// was closed is told of until its number is given again.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<ListenerSeen> {
        let Listener { options, connections, port, is_open, next: _ } =
            *self.listeners.entry(id.0)?;
        Some(ListenerSeen { port, options, is_open, connections })
    }

    /// How many listeners could be opened now, on ports that are free: those that were closed and
    /// have connections left count as long as these live.
    #[must_use]
    pub fn listeners_room(&self) -> usize {
        self.listeners.room()
    }
}

#[cfg(test)]
mod tests {
    use super::{LISTENERS_MAX, ListenError, ListenerOptions, Listeners, NUMBERS};

    const OPTIONS: ListenerOptions = ListenerOptions {
        local: None,
        is_nodelay: true,
        keep_alive: None,
        user_timeout: None,
        idle_s: None,
        connections_max: 9,
    };

    #[test]
    fn a_closed_listener_is_found_no_more_and_its_neighbours_are() {
        let mut listeners = Listeners::new();
        let at = |local| ListenerOptions { local, ..OPTIONS };
        let ids: Vec<_> = [None, Some(1), Some(2)]
            .map(|local| listeners.open_as(80, at(local), true).unwrap().0)
            .into();
        for (closed, left) in [(1, [0, 0, 2]), (2, [0, 0, 0])] {
            assert!(listeners.close(ids[closed]));
            assert!(!listeners.close(ids[closed]), "it was closed before");
            for (local, expected) in [(0, left[0]), (1, left[1]), (2, left[2])] {
                assert_eq!(listeners.find(local, 80), Some(ids[expected]), "{local}");
            }
        }
        assert!(listeners.close(ids[0]));
        assert_eq!(listeners.find(1, 80), None);
        assert!(!listeners.close(77), "there was never such a one");
    }

    #[test]
    fn a_number_is_given_again_when_its_last_connection_has_ended() {
        let mut listeners = Listeners::new();
        let first = listeners.open_as(80, OPTIONS, true).unwrap();
        listeners.entry_mut(first.0).unwrap().connections = 1;
        listeners.close(first.0);
        let second = listeners.open_as(80, OPTIONS, true).unwrap();
        assert_ne!(first, second, "a connection has the first one's number");
        assert_eq!(listeners.entry(first.0).unwrap().options, OPTIONS, "and its terms");
        listeners.entry_mut(first.0).unwrap().connections = 0;
        let third = listeners.open_as(81, OPTIONS, false).unwrap();
        assert_ne!(third, first, "one that has ended was not told of yet");
        assert_eq!(listeners.open_as(82, OPTIONS, true).unwrap(), first);
    }

    #[test]
    fn a_thousand_changes_take_no_more_numbers_than_there_are_connections() {
        let mut listeners = Listeners::new();
        let capacity = listeners.listeners.capacity();
        for port in (1..1_000).chain(1..1_000) {
            let id = listeners.open_as(port, OPTIONS, true).unwrap();
            assert!(usize::from(id.0) < 12, "{id:?}");
            // Ten of them keep a connection for good.
            listeners.entry_mut(id.0).unwrap().connections = u32::from(port % 200 == 0);
            listeners.close(id.0);
        }
        assert_eq!(listeners.listeners.capacity(), capacity, "nothing was allocated");
    }

    #[test]
    fn room_is_told_as_it_is() {
        let mut listeners = Listeners::new();
        let mut next = 1;
        while listeners.room() > 0 {
            let id = listeners.open_as(next, OPTIONS, true).unwrap();
            listeners.entry_mut(id.0).unwrap().connections = 1;
            // All but every fifth are closed, and live on.
            if next % 5 != 0 {
                listeners.close(id.0);
            }
            next += 1;
        }
        assert_eq!(listeners.listeners.len(), NUMBERS);
        assert!(listeners.open < LISTENERS_MAX, "numbers ran out first");
        let refused = listeners.open_as(next, OPTIONS, true);
        assert_eq!(refused, Err(ListenError::ResourceListeners));
    }

    #[test]
    fn exact_address_wins_over_any() {
        let mut listeners = Listeners::new();
        let any = listeners.open_as(80, ListenerOptions::default(), true).unwrap();
        let exact = ListenerOptions { local: Some(2), ..Default::default() };
        let second = listeners.open_as(80, exact, true).unwrap();
        assert_eq!(listeners.find(2, 80), Some(second.0));
        assert_eq!(listeners.find(1, 80), Some(any.0));
        assert_eq!(listeners.find(1, 81), None);
        assert_eq!(listeners.open_as(80, exact, true), Err(ListenError::ConfigTaken(80)));
        assert_eq!(
            listeners.open_as(0, exact, true),
            Err(ListenError::ConfigPortZero),
            "port zero is refused"
        );
    }
}
