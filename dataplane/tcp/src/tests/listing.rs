//! What a tool sees of the tables.

use base::Duration;
use wire::tcp::Flags as Bits;

use super::{End, PORT, Pair};
use crate::{Listed, ListenerId, Phase, Seen, State};

/// Everything that one walk sees, and how many steps it took.
fn walk(end: &End, now: base::Instant) -> (Vec<Listed>, usize) {
    let (mut cursor, mut seen, mut steps) = (0, Vec::new(), 0);
    loop {
        steps += 1;
        match end.tcp.look(cursor, now) {
            Seen::Connection(next, listed) => {
                seen.push(listed);
                assert!(next > cursor);
                cursor = next;
            }
            Seen::Nothing(next) => {
                assert!(next > cursor);
                cursor = next;
            }
            Seen::End => return (seen, steps),
        }
    }
}

#[test]
fn each_connection_is_seen_once_with_what_it_is_doing() {
    let mut pair = Pair::new();
    let conns: Vec<_> = (0..5).map(|_| pair.connect()).collect();
    pair.settle();
    pair.pass(Duration::from_secs(7));
    let (seen, _) = walk(&pair.b, pair.now);
    assert_eq!(seen.len(), 5);
    for listed in &seen {
        assert_eq!(listed.phase, Phase::Record(State::Established));
        assert!(!listed.is_active && !listed.is_busy, "{listed:?}");
        assert!((6..=7).contains(&listed.idle_s), "{listed:?}");
    }
    assert!(walk(&pair.a, pair.now).0.iter().all(|listed| listed.is_active));

    // One is in the middle of something that its peer does not hear.
    pair.loses = Box::new(|_, _| true);
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    tcp.send(&mut cx, conns[3], b"five!").unwrap();
    pair.settle();
    let (seen, _) = walk(&pair.a, pair.now);
    let busy: Vec<_> = seen.iter().filter(|listed| listed.is_busy).collect();
    assert_eq!(busy.len(), 1, "{seen:?}");
    let bytes = (busy[0].bytes_in_flight, busy[0].bytes_queued, busy[0].bytes_unread);
    assert_eq!((bytes, busy[0].index, busy[0].idle_s), ((5, 0, 0), conns[3].index, 0));
    assert!(busy[0].cwnd > 0 && busy[0].generation == conns[3].generation, "{busy:?}");
}

#[test]
fn half_open_and_resting_ones_are_told_apart_and_what_has_ended_is_gone() {
    let mut pair = Pair::new();
    let first = pair.connect();
    pair.settle();
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    tcp.close_send(&mut cx, first);
    pair.settle();
    let second = pair.b.opened[0];
    let (tcp, mut cx) = pair.b.cx(now);
    tcp.close_send(&mut cx, second);
    pair.settle();
    let phases = |end: &End| walk(end, now).0.iter().map(|l| l.phase).collect::<Vec<_>>();
    assert_eq!(phases(&pair.a), [Phase::TimeWait]);
    assert_eq!(phases(&pair.b), []);

    // The acknowledgement of the SYN-ACK is lost.
    pair.loses = Box::new(|_, flying| !flying.repr.flags.contains(Bits::SYN));
    pair.connect();
    pair.settle();
    assert_eq!(phases(&pair.b), [Phase::HalfOpen]);
    pair.loses = Box::new(|_, _| true);
    pair.pass(Duration::from_secs(600));
    assert_eq!(phases(&pair.b), []);
}

#[test]
fn any_number_is_a_cursor() {
    let pair = Pair::new();
    for cursor in [1, 1 << 31, u64::from(u32::MAX), 1 << 32, 2 << 32, 3 << 32, u64::MAX] {
        let seen = pair.a.tcp.look(cursor, pair.now);
        assert!(!matches!(seen, Seen::Connection(..)), "{cursor:#x}: {seen:?}");
    }
    // Empty tables cost a step each, and the ring of resting ones a step an entry.
    assert!(walk(&pair.a, pair.now).1 <= 4 + 16);
}

#[test]
fn a_listener_is_told_of_with_its_connections_also_after_it_was_closed() {
    let mut pair = Pair::new();
    let id = ListenerId(0);
    let before = pair.b.tcp.listener(id).expect("it was opened first");
    assert_eq!((before.port, before.is_open, before.connections), (PORT, true, 0));
    assert_eq!(pair.b.tcp.listener(ListenerId(1)), None, "nobody has had that number");
    for _ in 0..3 {
        pair.connect();
    }
    pair.settle();
    assert!(pair.b.tcp.close_listener(id));
    let closed = pair.b.tcp.listener(id).expect("its connections live on");
    assert_eq!((closed.port, closed.is_open, closed.connections), (PORT, false, 3));
    assert_eq!(closed.options, before.options);
}
