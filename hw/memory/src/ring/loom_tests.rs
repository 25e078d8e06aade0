//! Every interleaving of two threads over a small ring.
#![cfg(loom)]

use loom::thread;

use super::*;

#[test]
fn loom_single_items_arrive_in_order_and_once() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let pusher = thread::spawn(move || {
            for number in 0..3 {
                let mut item = Box::new(number);
                while let Err(back) = producer.push(item) {
                    item = back;
                    thread::yield_now();
                }
            }
        });
        for number in 0..3 {
            let item = loop {
                match consumer.pop() {
                    Some(item) => break item,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(*item, number);
        }
        pusher.join().unwrap();
        assert!(consumer.pop().is_none());
    });
}

#[test]
fn loom_batches_arrive_in_order_and_once() {
    // Unbounded this takes minutes; most known errors need two preemptions (loom's own advice).
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let (mut producer, mut consumer) = ring(2);
        let pusher = thread::spawn(move || {
            let mut items = (0..3).map(Box::new).peekable();
            while items.peek().is_some() {
                if producer.push_from(&mut items) == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < 3 {
            let popped = consumer.pop_into(2, |item| {
                assert_eq!(*item, next);
                next += 1;
            });
            if popped == 0 {
                thread::yield_now();
            }
        }
        pusher.join().unwrap();
    });
}

#[test]
fn loom_what_is_left_is_dropped_by_whoever_goes_last() {
    loom::model(|| {
        let dropped = Arc::new(());
        let (mut producer, mut consumer) = ring(2);
        let item = dropped.clone();
        let pusher = thread::spawn(move || {
            producer.push(item.clone()).unwrap();
            producer.push(item).unwrap();
            producer.is_abandoned()
        });
        drop(consumer.pop());
        drop(consumer);
        pusher.join().unwrap();
        assert_eq!(Arc::strong_count(&dropped), 1);
    });
}

#[test]
fn loom_an_abandoned_ring_shows_all_that_was_pushed() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let pusher = thread::spawn(move || producer.push(Box::new(5)).unwrap());
        while !consumer.is_abandoned() {
            thread::yield_now();
        }
        assert_eq!(consumer.pop().as_deref(), Some(&5));
        pusher.join().unwrap();
    });
}
