//! Frames: they come back whole, in few calls, and to whoever reads.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration as StdDuration;

use super::served::{ALLOWED, Start, back, frame};

both_ways! {
    frames_come_back_whole_however_they_are_cut
    many_small_frames_are_taken_in_few_calls
    who_does_not_read_is_not_read_and_others_are_served_meanwhile
    last_words_are_read_although_more_was_sent
    who_has_sent_everything_still_gets_the_answers
}

fn frames_come_back_whole_however_they_are_cut(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let frames = [frame(0, 12), frame(0, 13), frame(0, 5_000), frame(0, 300)].concat();
    for cut in [1, 7, 11, 12, 13, 24, 26, 4_999] {
        for part in frames.chunks(cut) {
            stream.write_all(part).unwrap();
            if cut < 20 && part.len() == cut {
                continue;
            }
            thread::sleep(StdDuration::from_millis(1));
        }
        back(&mut stream, &frames);
    }
    // Longer than the buffer that is shared, and with one behind it.
    let both = [frame(0, (5 << 20) + 17), frame(0, 99)].concat();
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn({
        let both = both.clone();
        move || writer.write_all(&both).unwrap()
    });
    back(&mut stream, &both);
    sender.join().unwrap();
    let kept = served.panel.ask().unwrap().partial_len;
    assert!(
        kept <= crate::limits::PARTIAL_KEPT_LEN as u64,
        "{kept} bytes are kept of a frame that is gone"
    );
    served.end();
}

fn many_small_frames_are_taken_in_few_calls(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let frames = frame(0, 20).repeat(5_000);
    stream.write_all(&frames).unwrap();
    back(&mut stream, &frames);
    let counters = served.counters();
    assert!(counters.receives < 100, "{counters:?}");
    assert!(counters.sends < 100, "{counters:?}");
    assert!(served.most_in_one_call.load(Ordering::Relaxed) > 100);
    served.end();
}

fn who_does_not_read_is_not_read_and_others_are_served_meanwhile(start: Start) {
    let served = start(ALLOWED, None);
    let mut slow = served.connect();
    slow.set_write_timeout(Some(StdDuration::from_millis(500))).unwrap();
    // Each is answered with a hundred times more than both kernels keep for one who does not read.
    let request = frame(2, 8_192);
    let mut written = 0;
    let stopped = loop {
        match slow.write(&request[written % request.len()..]) {
            Ok(len) => written += len,
            Err(error) => break error,
        }
        assert!(written < 64 << 20, "the worker reads from who does not read");
    };
    assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(served.counters().blocked > 0);
    let mut other = served.connect();
    other.write_all(&frame(0, 100)).unwrap();
    back(&mut other, &frame(0, 100));
    // Everything that was asked for is answered once it is read.
    let whole = written / request.len();
    let rest = request[written % request.len()..].to_vec();
    let mut writer = slow.try_clone().unwrap();
    writer.set_write_timeout(None).unwrap();
    let sender = thread::spawn(move || writer.write_all(&rest).unwrap());
    for _ in 0..(whole + 1) * 1_000 {
        back(&mut slow, &request);
    }
    sender.join().unwrap();
    served.end();
}

fn last_words_are_read_although_more_was_sent(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let last = frame(1, 40);
    let mut bytes = last.clone();
    // What comes behind is on its way, and nobody will read it.
    bytes.resize(1 << 20, 0);
    stream.write_all(&bytes).unwrap();
    back(&mut stream, &last);
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "the end, and no reset");
    drop(stream);
    served.until("it is gone", |counters| counters.closed == 1);
    served.end();
}

fn who_has_sent_everything_still_gets_the_answers(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let frames = frame(0, 1_000).repeat(2_000);
    let mut writer = stream.try_clone().unwrap();
    let sent = frames.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    back(&mut stream, &frames);
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    sender.join().unwrap();
    served.until("it is gone", |counters| counters.closed == 1 && counters.closed_by_peer == 1);
    served.end();
}
