//! From the kernel to the service: into one buffer that all connections share, and from there,
//! whole frames at a time, without another copy.
//!
//! What is left behind the last whole frame is kept with its connection and put in front of what
//! comes next. A frame that is longer than the buffer is put together where it is kept, and that
//! grows only as its bytes come, so that a length alone costs no memory.

use std::io::{self, ErrorKind, Read as _};

use super::Worker;
use super::connection::{Connection, State};
use super::service::{Peer, Service};
use crate::limits::{LINGER_LEN_MAX, PARTIAL_KEPT_LEN, RECEIVE_LEN};
use crate::tls;

/// Bytes of a frame's header, as the protocol has it.
const HEADER_LEN: usize = protocol::limits::HEADER_LEN;

/// Where received bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// So many at the front of the shared buffer.
    Shared(usize),
    /// In the connection's own.
    Own,
}

/// What came of an attempt to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulled {
    /// Something, and there may be more.
    More,
    /// Something, and that was all.
    Some,
    /// Nothing now.
    Empty,
    /// The connection is not to be read any more, or not now.
    Stop,
}

impl<S: Service> Worker<S> {
    /// Receives what a connection has, within its share of a round.
    pub(super) fn receive(&mut self, index: u32) {
        let Some(connection) = self.connections.at(index) else { return };
        connection.is_queued = false;
        let (state, is_blocked, kept) = (connection.state, connection.is_blocked, connection.kept);
        match state {
            State::Lingering { thrown_away } => self.throw_away(index, thrown_away),
            State::Ending => {}
            State::Handshaking => self.shake_hands(index),
            // It is put here again once nothing is kept.
            State::Open if kept > 0 => {}
            State::Open if is_blocked && !self.unblock(index) => {}
            State::Open => self.receive_frames(index),
        }
    }

    /// Tries again with frames that the service did not take; whether it has taken them.
    fn unblock(&mut self, index: u32) -> bool {
        if let Some(connection) = self.connections.at(index) {
            connection.is_blocked = false;
        }
        self.deliver(index, Filled::Own)
    }

    fn receive_frames(&mut self, index: u32) {
        let Some(connection) = self.connections.at(index) else { return };
        let pulled = if connection.tls.is_some() { self.pull_tls(index) } else { self.pull(index) };
        let Some(connection) = self.connections.at(index) else { return };
        match pulled {
            Pulled::More => self.queue_read(index),
            Pulled::Some | Pulled::Empty => {
                // The end of the stream may have come with the last bytes, and is told once.
                connection.is_readable = connection.is_hung_up && pulled == Pulled::Some;
                if connection.is_readable {
                    self.queue_read(index);
                }
            }
            Pulled::Stop => {}
        }
    }

    /// Receives once.
    fn pull(&mut self, index: u32) -> Pulled {
        let Some(connection) = self.connections.at(index) else { return Pulled::Stop };
        let before = connection.partial.len();
        let filled = fill(connection, &mut self.shared);
        self.note_partial(index, before);
        match filled {
            Ok((_filled, 0, _wanted)) => {
                self.on_end(index);
                Pulled::Stop
            }
            Ok((filled, len, wanted)) => {
                self.counters.receives += 1;
                self.counters.received_bytes += len as u64;
                if let Some(connection) = self.connections.at(index) {
                    connection.progress = connection.progress.saturating_add(len);
                }
                match self.deliver(index, filled) {
                    true if len == wanted => Pulled::More,
                    true => Pulled::Some,
                    false => Pulled::Stop,
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Pulled::Empty,
            Err(error) if error.kind() == ErrorKind::Interrupted => Pulled::More,
            Err(_error) => {
                self.counters.closed_by_error += 1;
                self.close(index);
                Pulled::Stop
            }
        }
    }

    /// Receives records and takes out what is in them, until a round's share has come.
    fn pull_tls(&mut self, index: u32) -> Pulled {
        let mut share = RECEIVE_LEN;
        loop {
            match self.pull(index) {
                Pulled::Stop => return Pulled::Stop,
                Pulled::More | Pulled::Some => continue,
                Pulled::Empty => {}
            }
            if share == 0 {
                return Pulled::More;
            }
            match self.feed(index) {
                Some(len) => share = share.saturating_sub(len),
                None => return Pulled::Empty,
            }
        }
    }

    /// Moves records from the kernel to TLS; `None`: there are none now, or the connection is gone.
    fn feed(&mut self, index: u32) -> Option<usize> {
        let connection = self.connections.at(index)?;
        let tls = connection.tls.as_mut().expect("only one with TLS is fed");
        let read = tls.read_tls(&mut connection.stream);
        match read {
            // Whether that is the end or an attack, TLS says when it is asked for what is in it.
            Ok(0) => connection.is_readable = false,
            Ok(_len) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Some(0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(_error) => {
                self.counters.closed_by_error += 1;
                self.close(index);
                return None;
            }
        }
        let is_end = matches!(read, Ok(0));
        if tls.process_new_packets().is_err() {
            self.counters.tls_failed += 1;
            // It has an alert to send, which says why.
            self.flush_tls(index);
            self.close(index);
            return None;
        }
        if is_end {
            self.on_end(index);
            return None;
        }
        read.ok()
    }

    /// Hands frames to the service and keeps what is left. Whether the connection may be read on.
    fn deliver(&mut self, index: u32, filled: Filled) -> bool {
        let now = self.clock.now();
        let Some(connection) = self.connections.at(index) else { return false };
        let before = connection.partial.len();
        let used = match filled {
            Filled::Shared(len) => {
                let bytes = &self.shared[..len];
                let used = self.service.handle_bytes(index, bytes, now);
                connection.partial.clear();
                connection.partial.extend_from_slice(&bytes[used..]);
                used
            }
            Filled::Own => {
                let used = self.service.handle_bytes(index, &connection.partial, now);
                connection.partial.drain(..used);
                used
            }
        };
        if used > 0 {
            connection.progress = usize::MAX;
        }
        if connection.partial.is_empty() && connection.partial.capacity() > PARTIAL_KEPT_LEN {
            connection.partial = Vec::new();
        }
        let is_closing = self.service.is_closing(index);
        let frame_len = frame_len(&connection.partial);
        if !is_closing && frame_len.is_some_and(|len| len <= connection.partial.len()) {
            connection.is_blocked = true;
            self.counters.blocked += 1;
        }
        let is_blocked = connection.is_blocked;
        // The service refuses a longer one by its header; that it has not is no reason to grow.
        let is_too_long = frame_len.is_some_and(|len| len > self.frame_len_max);
        self.note_partial(index, before);
        if !is_closing && is_too_long {
            self.counters.closed_partial_full += 1;
            self.close(index);
            return false;
        }
        self.time_partial(index, now);
        if self.partial_len > self.partial_len_max {
            self.end_hoarders();
        }
        !is_closing && !is_blocked && self.connections.at(index).is_some()
    }

    /// The other end sends no more: what it asked for is still answered.
    fn on_end(&mut self, index: u32) {
        let now = self.clock.now();
        self.counters.closed_by_peer += 1;
        let Some(connection) = self.connections.at(index) else { return };
        if connection.state == State::Handshaking {
            return self.close(index);
        }
        self.service.handle_end(index);
        if !self.service.has_more(index) {
            return self.close(index);
        }
        connection.state = State::Ending;
        let key = self.connections.key(index);
        self.deadlines.end(key, now);
        self.queue_send(index);
    }

    /// Goes on with the handshake as far as the kernel lets it, and opens the connection behind it.
    fn shake_hands(&mut self, index: u32) {
        loop {
            let Some(connection) = self.connections.at(index) else { return };
            let tls = connection.tls.as_mut().expect("only one with TLS shakes hands");
            if !tls.is_handshaking() {
                let certificates = tls.peer_certificates().unwrap_or_default();
                let certified = certificates.first().and_then(tls::node_of);
                let peer = Peer { certified, is_loopback: connection.is_loopback };
                connection.state = State::Open;
                let now = self.clock.now();
                self.service.handle_opened(index, peer, now);
                return self.queue_read(index);
            }
            if self.feed(index).is_none() {
                self.flush_tls(index);
                return;
            }
            self.flush_tls(index);
        }
    }

    /// Reads what nobody wants any more, so that it does not reset the connection.
    fn throw_away(&mut self, index: u32, thrown_away: usize) {
        let Some(connection) = self.connections.at(index) else { return };
        match (&connection.stream).read(&mut self.shared) {
            Ok(len) if len > 0 && thrown_away < LINGER_LEN_MAX => {
                connection.state = State::Lingering { thrown_away: thrown_away + len };
                self.queue_read(index);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => self.queue_read(index),
            Ok(_) | Err(_) => self.close(index),
        }
    }
}

/// Receives once, behind what was kept: where the bytes lie, how many came, how many could have.
fn fill(connection: &mut Connection, shared: &mut [u8]) -> io::Result<(Filled, usize, usize)> {
    let kept = connection.partial.len();
    match frame_len(&connection.partial).filter(|len| *len > shared.len()) {
        None => {
            shared[..kept].copy_from_slice(&connection.partial);
            let room = &mut shared[kept..];
            let wanted = room.len();
            let len = read(connection, |_partial| room)?;
            Ok((Filled::Shared(kept + len), len, wanted))
        }
        Some(frame_len) => {
            let whole = frame_len.min(kept + RECEIVE_LEN);
            if connection.partial.capacity() < whole {
                // Twice what is there, so that a byte is moved twice at most; never more than the frame.
                let room = frame_len.min(whole.max(2 * kept));
                connection.partial.reserve_exact(room - kept);
            }
            connection.partial.resize(whole, 0);
            let read = read(connection, |partial| &mut partial[kept..]);
            let len = *read.as_ref().unwrap_or(&0);
            connection.partial.truncate(kept + len);
            Ok((Filled::Own, read?, whole - kept))
        }
    }
}

/// Reads through TLS or without, into a part of what is kept or elsewhere.
fn read<'a>(
    connection: &'a mut Connection,
    into: impl FnOnce(&'a mut Vec<u8>) -> &'a mut [u8],
) -> io::Result<usize> {
    let Connection { stream, tls, partial, .. } = connection;
    let room = into(partial);
    match tls {
        None => stream.read(room),
        Some(tls) => tls.reader().read(room),
    }
}

/// The length of the frame that begins here, if so much of it is here.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..HEADER_LEN)?;
    let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    usize::try_from(len).ok()
}
