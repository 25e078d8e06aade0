//! Tests of the slab against a list of free indices.
#![cfg(not(loom))]

use std::collections::VecDeque;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::*;
use crate::seeded::Seeded;

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Record {
    generation: u32,
    next: u32,
    value: u64,
}

impl Linked for Record {
    fn link(&self) -> u32 {
        self.next
    }

    fn set_link(&mut self, next: u32) {
        self.next = next;
    }
}

fn slab(capacity: u32, reuse: Reuse) -> Slab<Record> {
    Slab::new(capacity, reuse, PageChoice::Base).unwrap()
}

/// The free indices in the order in which they are to be given out, front first.
fn follow_the_model(reuse: Reuse, name: &str) {
    let mut rng = Seeded::new(name);
    let capacity = 50;
    let mut slab = slab(capacity, reuse);
    let mut free: VecDeque<u32> = (0..capacity).collect();
    let mut used: Vec<(u32, u64)> = Vec::new();
    for step in 0..if cfg!(miri) { 500 } else { 50_000 } {
        // Long waves, so that full and empty are both met.
        let grows = (step / 200) % 2 == 0;
        if rng.below(4) < if grows { 3 } else { 1 } {
            let index = slab.allocate();
            assert_eq!(index, free.pop_front());
            if let Some(index) = index {
                let value = rng.next();
                slab[index].value = value;
                used.push((index, value));
            }
        } else if !used.is_empty() {
            let (index, value) = used.swap_remove(rng.below(used.len()));
            assert_eq!(slab[index].value, value);
            slab.free(index);
            match reuse {
                Reuse::Fifo => free.push_back(index),
                Reuse::Lifo => free.push_front(index),
            }
        }
        assert_eq!(slab.used() as usize, used.len());
        assert_eq!(free.len() + used.len(), capacity as usize);
    }
    for (index, value) in used {
        assert_eq!(slab[index].value, value);
    }
}

#[test]
fn first_in_first_out_follows_the_model() {
    follow_the_model(Reuse::Fifo, "first_in_first_out_follows_the_model");
}

#[test]
fn last_in_first_out_follows_the_model() {
    follow_the_model(Reuse::Lifo, "last_in_first_out_follows_the_model");
}

#[test]
fn all_records_are_given_out_once_and_no_more() {
    for reuse in [Reuse::Fifo, Reuse::Lifo] {
        let mut slab = slab(3, reuse);
        assert_eq!([(); 4].map(|()| slab.allocate()), [Some(0), Some(1), Some(2), None]);
        assert_eq!((slab.used(), slab.capacity()), (3, 3));
    }
}

#[test]
fn a_slab_of_nothing_gives_nothing() {
    assert_eq!(slab(0, Reuse::Fifo).allocate(), None);
}

#[test]
fn a_stale_handle_finds_the_generation_of_a_free_record() {
    let mut slab = slab(2, Reuse::Fifo);
    let index = slab.allocate().unwrap();
    slab[index].generation = 7;
    slab.free(index);
    assert_eq!(slab.get(index).unwrap().generation, 7);
    assert_eq!(slab.get(2), None);
}

#[test]
#[should_panic(expected = "free of record 1: 1 were ever used, 1 are")]
fn freeing_a_record_that_was_never_given_out_panics() {
    let mut slab = slab(2, Reuse::Lifo);
    slab.allocate().unwrap();
    slab.free(1);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "double free of record 0")]
fn a_double_free_is_found() {
    let mut slab = slab(2, Reuse::Lifo);
    let index = slab.allocate().unwrap();
    slab.allocate().unwrap();
    slab.free(index);
    slab.free(index);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "access to free record 0")]
fn an_access_to_a_free_record_is_found() {
    let mut slab = slab(2, Reuse::Lifo);
    let index = slab.allocate().unwrap();
    slab.free(index);
    slab[index].value = 1;
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "its link was overwritten")]
fn a_free_list_that_leads_to_a_record_in_use_is_found() {
    let mut slab = slab(3, Reuse::Lifo);
    let (first, second) = (slab.allocate().unwrap(), slab.allocate().unwrap());
    slab.free(second);
    slab.records[second as usize].set_link(first);
    slab.allocate().unwrap();
    slab.allocate();
}
