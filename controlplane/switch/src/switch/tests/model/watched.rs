//! One who watches everything: of each port a grant is seen, then its end, then the next.

use std::collections::BTreeMap;

use protocol::{EventKind, Hello, Incoming, IncomingBody, Limits, Push, Role};

use super::super::bed::{Bed, hello};
use super::rules::Rules;
use super::run::frames;
use crate::connection::ConnId;

/// See the file's first words.
pub(super) struct Watcher {
    conn: ConnId,
    /// By name: the sequence and the node of the grant that was seen last and has not ended.
    held: BTreeMap<String, (u64, String)>,
}

impl Watcher {
    pub(super) fn begin(bed: &mut Bed) -> Self {
        let conn = bed.connect_as(Hello { role: Role::Observer, ..hello("watcher", 0) });
        assert_eq!(bed.ask(conn, |out| protocol::write_watch(out, 9, "")), "watching");
        Self { conn, held: BTreeMap::new() }
    }

    /// Looks at what was seen, which must be how the rules have it in the end.
    pub(super) fn compare(&mut self, bed: &mut Bed, rules: &Rules) {
        let bytes = std::mem::take(&mut bed.clients[self.conn.0 as usize].inbox);
        if bytes.is_empty() {
            return;
        }
        for frame in frames(&bytes) {
            let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch's frame");
            let IncomingBody::Push(Push::Events(events)) = incoming.body else {
                panic!("{incoming:?} is not what was asked for")
            };
            for event in events {
                let name = str::from_utf8(event.name).expect("a text").to_owned();
                let grant = (event.sequence.to_bits(), event.node.to_owned());
                match event.event {
                    EventKind::Registered => {
                        let before = self.held.insert(name.clone(), grant);
                        assert_eq!(before, None, "{name} is registered again, and was not lost");
                    }
                    EventKind::Released | EventKind::Lost => {
                        assert_eq!(self.held.remove(&name), Some(grant), "{name} is over");
                    }
                    EventKind::Missing | EventKind::Other(_) => panic!("{:?}", event.event),
                }
            }
        }
        let ports = rules.ports.iter().map(|(name, port)| {
            let sequence = port.sequence.expect("all grants were seen");
            (name, sequence, &rules.sessions[port.owner].node)
        });
        let held = self.held.iter().map(|(name, (sequence, node))| (name, *sequence, node));
        assert!(held.eq(ports), "{:?} were seen", self.held);
    }
}
