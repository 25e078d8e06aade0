//! The end of a worker, and its rest while nothing comes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use base::Duration;

use super::served::{ALLOWED, Start, frame, stop};

both_ways! {
    everybody_is_told_of_the_end_and_the_worker_ends_when_they_have_heard
    who_never_reads_the_last_words_is_not_waited_for
    a_worker_that_waits_does_not_turn
}

fn everybody_is_told_of_the_end_and_the_worker_ends_when_they_have_heard(start: Start) {
    let served = start(ALLOWED, None);
    let mut streams: Vec<_> = (0..3).map(|_| served.connect()).collect();
    assert!(served.panel.leave(&stop(Duration::from_secs(10))));
    for stream in &mut streams {
        let mut last = Vec::new();
        stream.read_to_end(&mut last).unwrap();
        assert_eq!(last, b"bye");
    }
    let begun = StdInstant::now();
    drop(streams);
    let address = served.address;
    served.join();
    assert!(begun.elapsed() < StdDuration::from_secs(5), "nobody is left to wait for");
    assert!(TcpStream::connect(address).is_err());
}

fn who_never_reads_the_last_words_is_not_waited_for(start: Start) {
    let served = start(ALLOWED, None);
    let mut slow = served.connect();
    for _ in 0..20 {
        slow.write_all(&frame(2, 8_192)).unwrap();
    }
    served.until("it does not read", |counters| counters.blocked > 0);
    assert!(served.panel.leave(&stop(Duration::from_millis(200))));
    let begun = StdInstant::now();
    served.join();
    assert!(begun.elapsed() < StdDuration::from_secs(5));
}

fn a_worker_that_waits_does_not_turn(start: Start) {
    let served = start(ALLOWED, None);
    let _stream = served.connect();
    let before = served.counters().rounds;
    thread::sleep(StdDuration::from_millis(300));
    let rounds = served.counters().rounds - before;
    // The question itself is one of each thread, and the longest sleep another.
    assert!(rounds < 12, "{rounds} rounds in 300 ms of silence");
    served.end();
}
