//! What is handed on, and who waits for whom before it is.

use std::os::unix::net::UnixStream;

use base::Instant;

use super::{Remote, whole_len};
use crate::lane::{Bell, Receiver, Sender, Sleeper, lane};
use crate::limits::{LANE_FREE_LEN, LANE_LEN};
use crate::traffic::{Down, NOBODY, Up, WorkerEnds};
use crate::worker::{Peer, Service as _};

const NOW: Instant = Instant::from_nanos(7);

/// Half of what a lane takes.
const LONG: usize = LANE_LEN / 2;

/// More than what has room in any case.
const SHORT: usize = LANE_FREE_LEN + 1;

/// A worker's side, and the lanes as the keeper has them.
struct Bed {
    remote: Remote,
    up: Receiver<Up>,
    down: Sender<Down>,
    _rung: [UnixStream; 2],
}

impl Bed {
    /// One with so many connections, each of which has said its first words.
    fn new(conns: u32) -> Self {
        let [(own, own_rung), (keeper, keeper_rung)] = [(); 2].map(|()| {
            let (bell, rung) = UnixStream::pair().unwrap();
            (Sleeper::new(Bell::new(bell)), rung)
        });
        let (up, up_end) = lane(64, &own, &keeper);
        let (down_end, down) = lane(64, &keeper, &own);
        let frame_len_max = u32::try_from(LONG).unwrap();
        let remote = Remote::new(WorkerEnds { up, down }, own, frame_len_max);
        let mut bed = Self { remote, up: up_end, down: down_end, _rung: [own_rung, keeper_rung] };
        for conn in 0..conns {
            bed.remote.handle_opened(conn, Peer { certified: None, is_loopback: true }, NOW);
            assert_eq!(bed.send(conn, 12), 12);
            bed.tell(Down { conn, generation: 1, taken: 12, ..Down::default() });
        }
        bed.empty();
        bed
    }

    fn send(&mut self, conn: u32, len: usize) -> usize {
        self.remote.handle_bytes(conn, &frame(u32::try_from(len).unwrap()), NOW)
    }

    fn tell(&mut self, down: Down) {
        self.down.push(down).unwrap();
        self.remote.poll(NOW);
    }

    /// The keeper takes everything out of the lane, and says no more than that.
    fn empty(&mut self) {
        let ups = std::iter::from_fn(|| self.up.pop());
        let bytes = ups.map(|up| if let Up::Bytes { bytes, .. } = up { bytes.len() } else { 0 });
        let drained = bytes.sum();
        self.tell(Down { drained, conn: NOBODY, ..Down::default() });
    }

    /// The keeper has taken so much of what a connection sent, and keeps so much.
    fn judge(&mut self, conn: u32, taken: usize, kept: usize) {
        self.tell(Down { conn, generation: 1, taken, kept, ..Down::default() });
    }

    fn unblocked(&mut self) -> Vec<u32> {
        std::iter::from_fn(|| self.remote.next_unblocked()).collect()
    }
}

#[test]
fn what_is_kept_for_one_takes_no_room_of_others_and_stops_it_alone() {
    let mut bed = Bed::new(4);
    assert_eq!([bed.send(0, LONG), bed.send(1, LONG)], [LONG, LONG]);
    assert_eq!([bed.send(2, SHORT), bed.send(3, 20)], [0, 20], "what is small has room");
    assert_eq!(bed.send(3, 20), 0, "once");
    for conn in [0, 1] {
        bed.judge(conn, 0, LONG);
    }
    bed.empty();
    assert_eq!(bed.unblocked(), [2, 3]);
    assert_eq!([bed.send(2, SHORT), bed.send(3, 20)], [SHORT, 20]);
    assert_eq!(bed.remote.room.taken(), SHORT + 20);
    assert_eq!([0, 1, 2].map(|conn| bed.remote.kept_len(conn)), [LONG, LONG, 0]);
    assert_eq!(bed.send(0, 20), 0, "its answers are not taken");
    bed.remote.poll(NOW);
    assert!(bed.unblocked().is_empty());
    bed.judge(0, LONG, 0);
    assert_eq!((bed.unblocked(), bed.send(0, 20)), (vec![0], 20));
    bed.empty();
    assert_eq!(bed.remote.room.taken(), 0);
}

#[test]
fn who_waits_for_room_gets_it_in_turn_however_much_it_is() {
    let mut bed = Bed::new(6);
    assert_eq!([bed.send(0, LONG), bed.send(1, SHORT)], [LONG, SHORT]);
    assert_eq!([bed.send(2, LONG), bed.send(3, SHORT)], [0, 0], "nobody overtakes");
    assert_eq!(bed.send(4, LANE_FREE_LEN), LANE_FREE_LEN, "but what is small");
    bed.remote.poll(NOW);
    assert!(bed.unblocked().is_empty());
    bed.empty();
    assert_eq!(bed.unblocked(), [2, 3]);
    // Both have their room, and nobody takes it before they do.
    assert_eq!(bed.remote.room.taken(), LONG + SHORT);
    assert_eq!(bed.send(5, LONG), 0);
    assert_eq!([bed.send(3, SHORT), bed.send(2, LONG)], [SHORT, LONG]);
    assert_eq!(bed.remote.room.taken(), LONG + SHORT);
    bed.empty();
    assert_eq!((bed.unblocked(), bed.remote.room.taken()), (vec![5], LONG));
    bed.remote.handle_closed(5, NOW);
    assert_eq!(bed.remote.room.taken(), 0, "it has no use for it");
}

#[test]
fn what_is_in_the_lane_takes_room_until_it_is_out_even_if_its_connection_is_gone() {
    let mut bed = Bed::new(3);
    for conn in [0, 1] {
        assert_eq!(bed.send(conn, LONG), LONG);
        bed.remote.handle_closed(conn, NOW);
    }
    assert_eq!((bed.remote.room.taken(), bed.send(2, SHORT)), (LANE_LEN, 0));
    bed.empty();
    assert_eq!((bed.unblocked(), bed.send(2, SHORT)), (vec![2], SHORT));
    assert_eq!(bed.remote.room.taken(), SHORT);
}

fn frame(len: u32) -> Vec<u8> {
    let mut frame = vec![0; len as usize];
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame
}

#[test]
fn whole_frames_are_handed_on_and_what_is_wrong_with_all_behind_it() {
    let two = [frame(12), frame(30)].concat();
    for (len, whole) in [(0, 0), (11, 0), (12, 12), (41, 12), (42, 42)] {
        assert_eq!(whole_len(&two[..len], true, 100), whole, "{len}");
    }
    let long = [frame(12), frame(101)].concat();
    assert_eq!(whole_len(&long[..24], true, 100), 24, "its header is enough");
    assert_eq!(whole_len(&long[..23], true, 100), 12);
    // Before the first frame was handed on, only a short one is right.
    let greeting = frame(5_000);
    assert_eq!(whole_len(&greeting[..20], false, 1 << 20), 20);
    assert_eq!(whole_len(&greeting[..20], true, 1 << 20), 0);
    let behind = [frame(100), greeting].concat();
    assert_eq!(whole_len(&behind, false, 1 << 20), behind.len());
    assert_eq!(whole_len(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], true, 100), 12);
}
