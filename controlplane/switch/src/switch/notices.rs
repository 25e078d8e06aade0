//! Notices: what a session is told of ports, each with its number.
//!
//! Told is what stands in the outbox of the session's receive connection, or what its `FLUSH` will
//! stand for. Both happen here, before the answer that the event belongs to is written.

use protocol::{Flush, FlushReason, Gone, GoneReason, Granted, Sequence};

use super::Switch;
use crate::connection::{ConnId, Connections};
use crate::limits::NOTICES_LEN_MAX;
use crate::outbox::Pushed;
use crate::sessions::{Lost, Sessions};
use crate::shard::Event;
use crate::slots::Over;

/// Bytes that an item of a notice takes besides its name, with a frame of its own.
const NOTICE_OVERHEAD: usize = 64;

/// A fault on purpose.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(super) enum Forgets {
    /// Of so many notices one is forgotten.
    Every(u64),
    /// To this session the notice is forgotten before which there are so many, itself included.
    Once {
        /// As the switch numbers it.
        session: u32,
        /// Notices until then.
        left: u64,
    },
}

impl Switch {
    /// Delivers what the shards want told.
    #[inline]
    pub(super) fn tell_events(&mut self) {
        if !self.shards.is_silent() {
            self.tell_each();
        }
    }

    fn tell_each(&mut self) {
        while let Some((at, event)) = self.shards.next_event() {
            match event {
                #[cfg(test)]
                Event::Gone { session, .. } if self.is_forgotten(session) => {}
                Event::Gone { session, over, sequence, name } => {
                    let name = self.shards.name(at, name);
                    let sequence = Sequence::from_bits(sequence);
                    let gone = Gone { reason: reason(over), sequence, name };
                    let put = put(
                        (&mut self.connections, &mut self.sessions),
                        session,
                        name.len(),
                        |notice| Pushed::Gone(notice, gone),
                    );
                    match put {
                        Ok(()) => self.counters.gone_told += 1,
                        Err(lost) => self.lose(session, lost),
                    }
                }
                Event::Granted { session, sequence, name: place } => {
                    let name = self.shards.name(at, place);
                    let granted = Granted { sequence: Sequence::from_bits(sequence), name };
                    let put = put(
                        (&mut self.connections, &mut self.sessions),
                        session,
                        name.len(),
                        |notice| Pushed::Granted(notice, granted),
                    );
                    match put {
                        Ok(()) => self.counters.grants_told += 1,
                        Err(lost) => {
                            self.counters.grants_taken_back += 1;
                            self.lose(session, lost);
                            self.shards.take_back(at, session, sequence, place);
                        }
                    }
                }
                Event::Seen { what, node, sequence, name } => {
                    self.show(at, (what, node, sequence), name);
                }
            }
        }
    }

    /// Whether a notice is to be forgotten on purpose.
    #[cfg(test)]
    fn is_forgotten(&mut self, to: u32) -> bool {
        match &mut self.forgets {
            None => false,
            Some(Forgets::Every(every)) => {
                self.counters.gone_told += 1;
                self.counters.gone_told.is_multiple_of(*every)
            }
            Some(Forgets::Once { session, left }) => {
                if to == *session {
                    *left = left.wrapping_sub(1);
                }
                to == *session && *left == 0
            }
        }
    }

    /// Tells the session to forget everything; nothing that it subscribed to stands any more.
    pub(super) fn flush(&mut self, index: u32, conn: ConnId) {
        self.shards.unsubscribe_all(index);
        let session = self.sessions.session_mut(index);
        let Some(lost) = session.lost.take() else {
            return;
        };
        let reason = match lost {
            Lost::Overflow => FlushReason::Overflow,
            Lost::Away => FlushReason::Resumed,
        };
        let flush = Flush { notice: session.notice, reason };
        session.notice += 1;
        session.is_noticed = true;
        self.connections.push(conn, Pushed::Flush(flush));
        self.counters.flushes += 1;
    }

    /// Bytes of a connection have left: what did not fit may be told of now.
    pub(super) fn catch_up(&mut self, conn: ConnId) {
        let connection = self.connections.at(conn);
        if connection.outbox.pushes_len() > connection.queue_len_max as usize / 2 {
            return;
        }
        if let Some(known) = connection.session
            && self.sessions.is_same(known)
        {
            let session = self.sessions.session(known.index);
            if session.conn == Some(conn) && session.lost.is_some() {
                self.flush(known.index, conn);
            }
        }
        self.tell_of_missing(conn);
    }

    /// A notice to the session is lost. Its cache is worth nothing until it is told so, and with it
    /// its subscriptions.
    fn lose(&mut self, index: u32, lost: Lost) {
        match lost {
            Lost::Overflow => self.counters.notices_overflowed += 1,
            Lost::Away => self.counters.notices_away += 1,
        }
        let session = self.sessions.session_mut(index);
        session.lost = session.lost.or(Some(lost));
        self.shards.unsubscribe_all(index);
    }
}

/// Puts a notice into the queue of a session, or says why it does not get there.
fn put<'a>(
    (connections, sessions): (&mut Connections, &mut Sessions),
    index: u32,
    len: usize,
    make: impl FnOnce(u64) -> Pushed<'a>,
) -> Result<(), Lost> {
    let session = sessions.session_mut(index);
    let conn = session.conn.ok_or(Lost::Away)?;
    if let Some(lost) = session.lost {
        return Err(lost);
    }
    let connection = connections.at(conn);
    let len_max = connection.queue_len_max as usize + NOTICES_LEN_MAX;
    if connection.outbox.pushes_len() + len + NOTICE_OVERHEAD > len_max {
        return Err(Lost::Overflow);
    }
    connections.push(conn, make(session.notice));
    session.notice += 1;
    session.is_noticed = true;
    Ok(())
}

fn reason(over: Over) -> GoneReason {
    match over {
        Over::Released => GoneReason::Released,
        Over::Lost => GoneReason::NodeLost,
        Over::Replaced => GoneReason::Replaced,
    }
}
