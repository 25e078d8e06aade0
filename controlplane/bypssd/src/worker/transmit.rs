//! From the service to the kernel: what a connection has to send goes in one call a round.

use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;

use base::Instant;

use super::Worker;
use super::connection::State;
use super::service::Service;
use crate::limits::SEND_LEN;

impl<S: Service> Worker<S> {
    /// Sends what a connection has, within its share of a round, and ends it if it is to end.
    pub(super) fn transmit(&mut self, index: u32, now: Instant) {
        let Some(connection) = self.connections.at(index) else { return };
        connection.is_sending = false;
        if !connection.is_served() {
            return;
        }
        let is_alive = if connection.tls.is_some() {
            self.send_tls(index, now)
        } else {
            self.send(index, now)
        };
        if is_alive {
            self.end_if_done(index, now);
        }
    }

    /// Sends once; whether the connection is still there.
    fn send(&mut self, index: u32, now: Instant) -> bool {
        let Some(connection) = self.connections.at(index) else { return false };
        let outgoing = self.service.outgoing(index);
        if outgoing.is_empty() || !connection.is_writable {
            return true;
        }
        let part = &outgoing[..outgoing.len().min(SEND_LEN)];
        let wanted = part.len();
        match connection.stream.write(part) {
            Ok(len) => {
                connection.is_writable = len == wanted;
                self.on_sent(index, len, now);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.is_writable = false;
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.queue_send(index);
                true
            }
            Err(_error) => {
                self.counters.closed_by_error += 1;
                self.close(index);
                false
            }
        }
    }

    /// The same through TLS, whose buffers are bounded.
    fn send_tls(&mut self, index: u32, now: Instant) -> bool {
        let mut share = SEND_LEN;
        while self.flush_tls(index) && share > 0 {
            let outgoing = self.service.outgoing(index);
            if outgoing.is_empty() {
                break;
            }
            let part = &outgoing[..outgoing.len().min(share)];
            let Some(connection) = self.connections.at(index) else { return false };
            let tls = connection.tls.as_mut().expect("only one with TLS sends through it");
            let Ok(len) = tls.writer().write(part) else { break };
            if len == 0 {
                break;
            }
            share -= len;
            self.on_sent(index, len, now);
        }
        self.connections.at(index).is_some()
    }

    fn on_sent(&mut self, index: u32, len: usize, now: Instant) {
        self.counters.sends += 1;
        self.counters.sent_bytes += len as u64;
        self.service.handle_sent(index, len, now);
        let has_more = !self.service.outgoing(index).is_empty();
        let Some(connection) = self.connections.at(index) else { return };
        if connection.is_blocked && connection.state == State::Open {
            self.queue_read(index);
        }
        if has_more {
            self.queue_send(index);
        }
    }

    /// Gives the kernel the records that there are; whether it has taken all of them. A connection
    /// that fails here fails again when it is read, and ends there.
    pub(super) fn flush_tls(&mut self, index: u32) -> bool {
        let Some(connection) = self.connections.at(index) else { return false };
        let Some(tls) = connection.tls.as_mut() else { return true };
        while tls.wants_write() {
            if !connection.is_writable {
                return false;
            }
            match tls.write_tls(&mut connection.stream) {
                Ok(_len) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    connection.is_writable = false;
                    connection.is_hung_up |= error.kind() != ErrorKind::WouldBlock;
                    return false;
                }
            }
        }
        true
    }

    /// Ends a connection that is to end and has nothing to send.
    fn end_if_done(&mut self, index: u32, now: Instant) {
        let is_closing = self.service.is_closing(index);
        let is_sent = !self.service.has_more(index);
        let Some(connection) = self.connections.at(index) else { return };
        let is_flushed = connection.tls.as_ref().is_none_or(|tls| !tls.wants_write());
        match connection.state {
            // The other end has closed already: there is nothing to wait for.
            State::Ending if is_sent && is_flushed && !is_closing => self.close(index),
            State::Open | State::Ending if is_closing && is_sent && is_flushed => {
                self.linger(index, now);
            }
            State::Open if is_closing => {
                connection.state = State::Ending;
                let key = self.connections.key(index);
                self.deadlines.end(key, now);
            }
            State::Open | State::Ending | State::Handshaking | State::Lingering { .. } => {}
        }
    }

    /// Closes our direction, and waits a moment for the other one: what is still on its way would
    /// reset the connection, and the reset would overtake our last words.
    fn linger(&mut self, index: u32, now: Instant) {
        if let Some(tls) = self.connections.at(index).and_then(|connection| connection.tls.as_mut())
        {
            tls.send_close_notify();
            self.flush_tls(index);
        }
        self.service.handle_closed(index, now);
        let Some(connection) = self.connections.at(index) else { return };
        self.partial_len -= connection.held_len() as u64;
        (connection.partial, connection.kept) = (Vec::new(), 0);
        connection.state = State::Lingering { thrown_away: 0 };
        if connection.stream.shutdown(Shutdown::Write).is_err() {
            return self.close(index);
        }
        let key = self.connections.key(index);
        self.deadlines.end(key, now);
        self.queue_read(index);
    }
}
