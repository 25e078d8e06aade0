//! A worker's side and the thread that holds the service, without sockets.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use base::{Duration, IdlePolicy, Instant};

use super::echo::Echo;
use super::served::{frame, stop};
use crate::keeper::{self, Keeper};
use crate::lane::{Bell, Sleeper, lane};
use crate::limits::{LANE_CAPACITY, LANE_FREE_LEN, LANE_LEN};
use crate::panel::Panel;
use crate::remote::Remote;
use crate::traffic::{KeeperEnds, WorkerEnds};
use crate::worker::{Peer, Service as _, orders};

const NOW: Instant = Instant::from_nanos(7);

/// Polls until something is so.
fn until(remote: &mut Remote, mut is_so: impl FnMut(&mut Remote) -> bool) {
    let begun = StdInstant::now();
    while !is_so(remote) {
        assert!(begun.elapsed() < StdDuration::from_secs(20), "{remote:?}");
        thread::sleep(StdDuration::from_millis(1));
        remote.poll(NOW);
    }
}

#[test]
fn room_in_the_lane_comes_back_from_those_who_are_gone_without_a_word_from_others() {
    let (switch, ordered) = orders().unwrap();
    let (bell, _rung) = UnixStream::pair().unwrap();
    let (sleeper, own) = (Sleeper::new(switch.bell().clone()), Sleeper::new(Bell::new(bell)));
    let (up, up_end) = lane(LANE_CAPACITY, &own, &sleeper);
    let (down_end, down) = lane(LANE_CAPACITY, &sleeper, &own);
    let kept = Keeper::new(keeper::Parts {
        service: Echo::default(),
        ends: vec![KeeperEnds { up: up_end, down: down_end }],
        sleeper,
        ordered,
        connections: 2,
        idle: IdlePolicy::Wait,
        spin: Duration::ZERO,
    });
    let thread = thread::spawn(|| kept.run().unwrap());
    let frame_len_max = u32::try_from(LANE_LEN).unwrap();
    let mut remote = Remote::new(WorkerEnds { up, down }, own, frame_len_max);
    let (long, short) = (frame(0, LANE_LEN), frame(0, LANE_FREE_LEN + 1));
    let open = |remote: &mut Remote, conn: u32| {
        remote.handle_opened(conn, Peer { certified: None, is_loopback: true }, NOW);
        // As a HELLO, the first frame is short.
        assert_eq!(remote.handle_bytes(conn, &frame(0, 12), NOW), 12);
    };
    open(&mut remote, 1);
    until(&mut remote, |remote| remote.handle_bytes(1, &short, NOW) > 0);
    for _ in 0..3 {
        open(&mut remote, 0);
        until(&mut remote, |remote| remote.handle_bytes(0, &long, NOW) > 0);
        // It is in the lane, or the keeper has it and has not said so.
        assert_eq!(remote.handle_bytes(1, &short, NOW), 0);
        remote.handle_closed(0, NOW);
        until(&mut remote, |remote| remote.next_unblocked() == Some(1));
        until(&mut remote, |remote| remote.handle_bytes(1, &short, NOW) > 0);
    }
    drop(remote);
    assert!(Panel::new(switch, Vec::new()).leave(&stop(Duration::from_secs(5))));
    thread.join().unwrap();
}
