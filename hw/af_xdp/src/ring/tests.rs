//! The rings against a model, across the wrap of the indices, and against a kernel that lies.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use base::Rng;

use super::heap::HeapRing;

/// From `ABELE_SEED` if it is set, else from the clock. Prints it.
fn seeded(test: &str) -> Rng {
    let given = std::env::var("ABELE_SEED").ok().and_then(|seed| seed.parse().ok());
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
    let seed = given.unwrap_or_else(|| u64::try_from(clock()).expect("before year 586912"));
    println!("{test}: ABELE_SEED={seed}");
    Rng::seeded(seed)
}

/// Random steps of both sides; the model is two queues: staged, and published but not taken.
fn run_model(rng: &mut Rng, size: u32, start: u32, steps: u32) {
    let shared = HeapRing::<u64>::new(size, start);
    let (mut producer, mut consumer) = (shared.producer_side(), shared.consumer_side());
    let (mut staged, mut published) = (VecDeque::new(), VecDeque::new());
    // Taken and not yet released: their places are not free.
    let (mut unreleased, mut next) = (0_usize, 0_u64);
    for _step in 0..steps {
        let amount = u32::try_from(rng.below(u64::from(size) + 2)).expect("small");
        match rng.below(5) {
            0 => {
                let room = producer.free(amount);
                let held = staged.len() + published.len() + unreleased;
                assert!(room as usize <= size as usize - held, "more room than there is");
                let is_exact = room as usize == size as usize - held;
                assert!(is_exact || room >= amount, "room is hidden: {room} for {amount}");
                for _entry in 0..room.min(amount) {
                    producer.stage(next);
                    staged.push_back(next);
                    next += 1;
                }
            }
            1 => {
                producer.publish();
                published.append(&mut staged);
            }
            2 => {
                let ready = consumer.ready(amount);
                assert!(ready as usize <= published.len());
                assert!(ready >= amount || ready as usize == published.len());
                for ahead in 0..ready {
                    assert_eq!(consumer.peek(ahead), published[ahead as usize]);
                }
                for _entry in 0..ready.min(amount) {
                    assert_eq!(Some(consumer.take()), published.pop_front());
                    unreleased += 1;
                }
            }
            3 => {
                consumer.release();
                unreleased = 0;
            }
            _ => assert_eq!(producer.waiting() as usize, published.len() + unreleased),
        }
    }
}

#[test]
fn rings_do_as_their_model_does() {
    let mut rng = seeded("rings_do_as_their_model_does");
    let steps = if cfg!(miri) { 300 } else { 20_000 };
    for size in [1, 2, 8, 64] {
        for start in [0, u32::MAX - 5, 1 << 31] {
            run_model(&mut rng, size, start, steps);
        }
    }
}

#[test]
fn two_threads_pass_every_entry_in_order_across_the_wrap() {
    let count: u64 = if cfg!(miri) { 200 } else { 200_000 };
    let shared = HeapRing::<u64>::new(16, u32::MAX - 100);
    let (mut producer, mut consumer) = (shared.producer_side(), shared.consumer_side());
    let pusher = std::thread::spawn(move || {
        let mut next = 0;
        while next < count {
            for _entry in 0..u64::from(producer.free(16)).min(count - next) {
                producer.stage(next);
                next += 1;
            }
            producer.publish();
            std::thread::yield_now();
        }
    });
    let mut next = 0;
    while next < count {
        for _entry in 0..consumer.ready(16) {
            assert_eq!(consumer.take(), next);
            next += 1;
        }
        consumer.release();
        std::thread::yield_now();
    }
    pusher.join().expect("the producer ends");
}

#[test]
fn what_lies_in_a_ring_when_a_side_is_made_is_kept() {
    let shared = HeapRing::<u64>::new(4, 9);
    let mut first = shared.producer_side();
    assert_eq!(first.free(2), 4);
    first.stage(5);
    first.publish();
    let (mut second, mut consumer) = (shared.producer_side(), shared.consumer_side());
    assert_eq!((second.free(4), second.waiting(), second.size()), (3, 1, 4));
    assert_eq!((consumer.ready(1), consumer.peek(0), consumer.size()), (1, 5, 4));
}

#[test]
fn a_flag_asks_for_a_wake_up() {
    let shared = HeapRing::<u64>::new(4, 0);
    let producer = shared.producer_side();
    assert!(!producer.needs_wakeup());
    shared.flags.store(libc::XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
    assert!(producer.needs_wakeup());
}

#[test]
#[should_panic(expected = "the kernel broke a ring of 4: producer 7, consumer 0")]
fn a_producer_beyond_the_ring_is_refused_by_name() {
    let shared = HeapRing::<u64>::new(4, 0);
    let mut consumer = shared.consumer_side();
    shared.producer.store(7, Ordering::Relaxed);
    consumer.ready(1);
}

#[test]
#[should_panic(expected = "the kernel broke a ring of 4: producer 0, consumer 1")]
fn a_consumer_that_took_what_was_not_there_is_refused_by_name() {
    let shared = HeapRing::<u64>::new(4, 0);
    let mut producer = shared.producer_side();
    shared.consumer.store(1, Ordering::Relaxed);
    producer.free(5);
}

#[test]
#[should_panic(expected = "staged into a full ring")]
fn an_entry_too_many_is_refused() {
    let shared = HeapRing::<u64>::new(1, 0);
    let mut producer = shared.producer_side();
    producer.stage(1);
    producer.stage(2);
}

#[test]
#[should_panic(expected = "entry 1 is read of a ring with 1")]
fn an_entry_that_is_not_there_is_not_read() {
    let shared = HeapRing::<u64>::new(2, 0);
    let mut producer = shared.producer_side();
    producer.stage(1);
    producer.publish();
    let mut consumer = shared.consumer_side();
    assert_eq!(consumer.ready(1), 1);
    consumer.peek(1);
}
