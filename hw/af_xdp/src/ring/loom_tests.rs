//! Every interleaving of the two sides over a small ring.
#![cfg(loom)]

use loom::thread;

use super::heap::HeapRing;

#[test]
fn loom_entries_arrive_in_order_and_once_across_the_wrap() {
    let mut model = loom::model::Builder::new();
    // Unbounded this takes minutes; most known errors need two preemptions (loom's own advice).
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = HeapRing::<u64>::new(2, u32::MAX);
        let mut producer = shared.producer_side();
        let mut consumer = shared.consumer_side();
        let pusher = thread::spawn(move || {
            let mut next = 0;
            while next < 3 {
                let room = producer.free(2).min(3 - next);
                for _entry in 0..room {
                    producer.stage(u64::from(next) + 70);
                    next += 1;
                }
                producer.publish();
                if room == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < 3 {
            let ready = consumer.ready(2);
            for _entry in 0..ready {
                assert_eq!(consumer.take(), next + 70);
                next += 1;
            }
            consumer.release();
            if ready == 0 {
                thread::yield_now();
            }
        }
        pusher.join().unwrap();
        assert_eq!(consumer.ready(1), 0);
    });
}

#[test]
fn loom_a_staged_entry_is_not_seen_before_it_is_published() {
    loom::model(|| {
        let shared = HeapRing::<u64>::new(2, 0);
        let mut producer = shared.producer_side();
        let mut consumer = shared.consumer_side();
        let pusher = thread::spawn(move || {
            producer.stage(1);
            producer.stage(2);
            producer.publish();
            producer
        });
        // Both or none: one index shows them.
        let ready = consumer.ready(2);
        assert!(ready == 0 || ready == 2, "{ready} of two entries");
        if ready == 2 {
            assert_eq!((consumer.peek(1), consumer.peek(0)), (2, 1));
        }
        pusher.join().unwrap();
    });
}
