//! Tests of the ring against a `VecDeque`, and across two threads.
#![cfg(not(loom))]

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc as StdArc};

use super::*;
use crate::seeded::Seeded;

#[test]
fn a_ring_follows_the_model() {
    let mut rng = Seeded::new("a_ring_follows_the_model");
    for capacity in [1, 2, 8, 64] {
        let (mut producer, mut consumer) = ring(capacity);
        let mut model = VecDeque::new();
        for step in 0..if cfg!(miri) { 300 } else { 20_000_u64 } {
            match rng.below(4) {
                0 => {
                    let pushed = producer.push(Box::new(step));
                    assert_eq!(pushed.is_ok(), model.len() < capacity);
                    if pushed.is_ok() {
                        model.push_back(step);
                    }
                }
                1 => assert_eq!(consumer.pop().map(|item| *item), model.pop_front()),
                2 => {
                    let offered = rng.below(2 * capacity + 1);
                    let mut items = (0..offered as u64).map(|item| step + item);
                    let pushed = producer.push_from(&mut items.by_ref().map(Box::new));
                    assert_eq!(pushed, offered.min(capacity - model.len()));
                    assert_eq!(items.count(), offered - pushed, "an item was lost");
                    model.extend((0..pushed as u64).map(|item| step + item));
                }
                _ => {
                    let max = rng.below(2 * capacity + 1);
                    let mut got = Vec::new();
                    let popped = consumer.pop_into(max, |item| got.push(*item));
                    let expected: Vec<u64> = model.drain(..max.min(model.len())).collect();
                    assert_eq!((popped, got), (expected.len(), expected));
                }
            }
            assert_eq!(consumer.len(), model.len());
            assert_eq!(consumer.is_empty(), model.is_empty());
            assert_eq!(producer.free(), capacity - model.len());
        }
    }
}

#[test]
fn items_cross_threads_whole_in_order_and_once() {
    let total = if cfg!(miri) { 200 } else { 200_000_u64 };
    for capacity in [1, 16, 1024] {
        let (mut producer, mut consumer) = ring(capacity);
        let pusher = std::thread::spawn(move || {
            let mut rng = Seeded::new("items_cross_threads_whole_in_order_and_once");
            let mut items = (0..total).map(|item| Box::new([item; 3])).peekable();
            while items.peek().is_some() {
                let most = rng.below(2 * capacity) + 1;
                if producer.push_from(&mut items.by_ref().take(most)) == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < total {
            let before = next;
            consumer.pop_into(7, |item| {
                assert_eq!(*item, [next; 3]);
                next += 1;
            });
            if before == next {
                assert!(!consumer.is_abandoned() || !consumer.is_empty(), "lost after {next}");
                std::thread::yield_now();
            }
        }
        pusher.join().unwrap();
        assert!(consumer.is_abandoned() && consumer.pop().is_none());
    }
}

#[test]
fn what_is_left_is_dropped_once() {
    let item = StdArc::new(());
    let (mut producer, mut consumer) = ring(4);
    for _turn in 0..3 {
        // Around the end, so that the cursors are masked.
        assert_eq!(producer.push_from(&mut std::iter::repeat_n(item.clone(), 3)), 3);
        assert_eq!(consumer.pop_into(2, drop), 2);
        drop(consumer.pop());
    }
    producer.push(item.clone()).unwrap();
    producer.push(item.clone()).unwrap();
    drop(consumer);
    assert!(producer.is_abandoned());
    assert_eq!(StdArc::strong_count(&item), 3);
    drop(producer);
    assert_eq!(StdArc::strong_count(&item), 1);
}

#[test]
fn a_panic_in_the_middle_of_a_batch_loses_and_doubles_nothing() {
    let item = StdArc::new(());
    let (mut producer, mut consumer) = ring(8);
    let mut items = (0..5).map(|number| {
        assert!(number < 3, "the iterator fails");
        item.clone()
    });
    let fill = AssertUnwindSafe(|| producer.push_from(&mut items));
    assert!(std::panic::catch_unwind(fill).is_err());
    assert_eq!(consumer.len(), 3);
    let mut taken = 0;
    let empty = AssertUnwindSafe(|| {
        consumer.pop_into(8, |_item| {
            taken += 1;
            assert!(taken < 2, "the callback fails");
        })
    });
    assert!(std::panic::catch_unwind(empty).is_err());
    assert_eq!(consumer.len(), 1);
    assert_eq!(StdArc::strong_count(&item), 2);
    drop((producer, consumer));
    assert_eq!(StdArc::strong_count(&item), 1);
}

#[test]
fn cursors_may_wrap_around() {
    let (mut producer, mut consumer) = ring(4);
    let near = usize::MAX - 1;
    (producer.tail, producer.head_seen, consumer.head, consumer.tail_seen) =
        (near, near, near, near);
    producer.shared.head.0.store(near, Ordering::Relaxed);
    producer.shared.tail.0.store(near, Ordering::Relaxed);
    for number in 0..20 {
        producer.push(number).unwrap();
        producer.push(number + 100).unwrap();
        assert_eq!((consumer.len(), producer.free()), (2, 2));
        assert_eq!((consumer.pop(), consumer.pop()), (Some(number), Some(number + 100)));
    }
}

#[test]
#[should_panic(expected = "a ring of 6 items; use a power of two")]
fn a_capacity_that_is_no_power_of_two_is_refused() {
    drop(ring::<u8>(6));
}

#[test]
fn the_ends_can_move_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<Producer<Box<u8>>>();
    is_send::<Consumer<std::cell::Cell<u8>>>();
}
