//! A node that only subscribes, and whose receive connection is read late or a little at a time.
//!
//! How many notices fit its queue is not laid down, so when the first is lost is taken from the
//! switch. Everything else follows: those before it stand in the stream, none comes between it and
//! the flush, and after the flush nothing is subscribed to.

use super::super::bed::Bed;
use super::rules::{Notice, Rules};
use super::run::heard;
use crate::access::{AccessEntry, NodePattern};
use crate::connection::ConnId;
use crate::quota::Quota;
use crate::sessions::Session;
use crate::switch::Switch;

/// Its name.
pub(super) const NODE: &str = "slow";

/// It may have a short queue.
pub(super) fn entry() -> AccessEntry {
    let quota = Quota { queue_len_max: 2_000, ..Quota::default() };
    AccessEntry { nodes: NodePattern::parse(NODE), quota, ..super::super::bed::open_entry() }
}

/// What its stream has, as far as it was not looked at.
#[derive(Debug, Default)]
pub(in super::super) struct Slow {
    expected: Vec<Notice>,
    /// Of these some were lost when the queue was full, and so many were not.
    either: Vec<Notice>,
    of_either: usize,
    pub(super) relets: usize,
    /// Streams that were looked at and had a flush.
    pub(super) flushed: u64,
}

fn session_of<'a>(switch: &'a Switch, rules: &Rules, session: usize) -> &'a Session {
    let node = switch.sessions.node_named(NODE).expect("its session lives");
    let found = switch.sessions.session(switch.sessions.live(node).expect("it lives"));
    assert_eq!(found.id[..4], rules.sessions[session].id.to_le_bytes());
    found
}

impl Slow {
    /// The connection is another, and nobody will read what waits on the one before it.
    pub(super) fn forget(&mut self) {
        *self = Self { flushed: self.flushed, ..Self::default() };
    }

    /// These notices belong into its stream by the rules.
    pub(super) fn expect(
        &mut self,
        (switch, rules): (&Switch, &mut Rules),
        session: usize,
        told: Vec<Notice>,
    ) {
        let found = session_of(switch, rules, session);
        let record = &mut rules.sessions[session];
        if found.lost.is_none() || record.is_lost {
            assert_eq!(found.notice, record.notice, "{told:?}");
            self.expected.extend(told);
            return;
        }
        let lost = usize::try_from(record.notice - found.notice).expect("no more than told");
        assert!((1..=told.len()).contains(&lost), "{lost} of {told:?}");
        self.of_either = told.len() - lost;
        self.either = told;
        record.notice = found.notice;
        record.is_lost = true;
        rules.unsubscribe_all(session);
    }

    /// It reads so many bytes, or all there is.
    pub(super) fn read(
        &mut self,
        (bed, rules): (&mut Bed, &mut Rules),
        session: usize,
        len: Option<usize>,
    ) {
        let Some(conn) = rules.sessions[session].receiver else { return };
        bed.clients[conn.0 as usize].reads = len;
        bed.carry(conn);
        bed.pump();
        bed.stop_reading(conn);
        let is_lost = session_of(&bed.switch, rules, session).lost.is_some();
        let record = &mut rules.sessions[session];
        if record.is_lost && !is_lost {
            record.is_lost = false;
            record.is_noticed = true;
            record.notice += 1;
            rules.unsubscribe_all(session);
            self.expected.push(Notice::Flush);
        }
        if len.is_none() {
            let stream = std::mem::take(&mut bed.clients[conn.0 as usize].inbox);
            self.compare(&stream);
        }
    }

    /// Its connection is about to go: what waits on it is looked at.
    pub(super) fn hear_unread(
        &mut self,
        (bed, rules): (&mut Bed, &Rules),
        session: usize,
        conn: ConnId,
    ) {
        if rules.sessions[session].node == NODE {
            let mut stream = bed.clients[conn.0 as usize].inbox.clone();
            bed.switch.connections.at_mut(conn).outbox.peek(&mut stream);
            self.compare(&stream);
        }
    }

    /// A whole stream has what it must have, and nothing else.
    fn compare(&mut self, stream: &[u8]) {
        let heard = heard(stream);
        assert_eq!(heard.answers, vec!["relet 7 3000"; self.relets]);
        let mut heard: Vec<Notice> = heard.notices.into_iter().map(|(notice, _)| notice).collect();
        self.flushed += u64::from(heard.contains(&Notice::Flush));
        for notice in &self.expected {
            let at = heard.iter().position(|heard| heard == notice);
            heard.swap_remove(at.unwrap_or_else(|| panic!("{notice:?} was not told")));
        }
        assert_eq!(heard.len(), self.of_either, "{heard:?} of {:?}", self.either);
        assert!(heard.iter().all(|notice| self.either.contains(notice)), "{heard:?}");
        self.forget();
    }
}
