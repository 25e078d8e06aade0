//! Places against plain lists, and what ends them.

use base::Rng;

use super::{Added, Grant, Interests, Kind};
use crate::table::{Handle, Slot};

fn grant(sequence: u64, slot: u32) -> Grant {
    Grant { sequence, slot: Slot(slot), handle: Handle(1) }
}

fn is_followed(interests: &Interests, slot: u32) -> bool {
    interests.first_of(Slot(slot)).is_some()
}

#[test]
fn waiters_are_taken_in_the_order_in_which_they_came() {
    let mut interests = Interests::new(8, 8, 4);
    for session in [3, 1, 2, 1] {
        interests.add(Kind::Waiter, grant(7, 0), session, 100);
    }
    assert!(interests.remove(Kind::Waiter, 7, 1));
    assert!(!interests.remove(Kind::Waiter, 7, 1));
    assert_eq!(interests.add(Kind::Waiter, grant(7, 0), 1, 100), Added::New);
    assert_eq!(interests.add(Kind::Waiter, grant(7, 0), 3, 100), Added::Already);
    let taken: Vec<_> = std::iter::from_fn(|| interests.take_first(Kind::Waiter, 7)).collect();
    assert_eq!(taken, [3, 2, 1]);
    interests.forget(7);
    assert_eq!((interests.places_used(), is_followed(&interests, 0)), (0, false));
}

#[test]
fn a_new_grant_keeps_who_waits_and_moves_to_its_new_owner() {
    let mut interests = Interests::new(8, 8, 4);
    interests.add(Kind::Waiter, grant(7, 0), 1, 100);
    interests.add(Kind::Waiter, grant(7, 0), 2, 100);
    assert_eq!(interests.take_first(Kind::Waiter, 7), Some(1));
    assert!(interests.regrant(7, 9, Slot(3)));
    assert_eq!((is_followed(&interests, 0), is_followed(&interests, 3)), (false, true));
    assert_eq!(interests.first_of(Slot(3)).map(|grant| grant.sequence), Some(9));
    assert_eq!(interests.take_first(Kind::Waiter, 9), Some(2));
    assert!(!interests.regrant(9, 10, Slot(1)));
    assert!(!is_followed(&interests, 3));
}

#[test]
fn without_room_nobody_gets_a_place() {
    let mut interests = Interests::new(2, 8, 4);
    assert_eq!(interests.add(Kind::Subscriber, grant(7, 0), 1, 100), Added::New);
    assert_eq!(interests.add(Kind::Waiter, grant(7, 0), 1, 100), Added::New);
    assert_eq!(interests.add(Kind::Subscriber, grant(8, 0), 1, 100), Added::Full);
    assert_eq!(interests.add(Kind::Subscriber, grant(7, 0), 1, 100), Added::Already);
    interests.end_all(Kind::Subscriber, 1);
    // It counts no more, but its room is there only after the sweep.
    assert_eq!(interests.count(Kind::Subscriber, 1), 0);
    assert_eq!(interests.add(Kind::Subscriber, grant(8, 0), 2, 100), Added::Full);
    assert!(!interests.sweep(1));
    assert_eq!(interests.add(Kind::Subscriber, grant(8, 0), 2, 100), Added::New);
}

#[test]
fn what_ended_at_once_is_never_told_and_comes_back_at_the_end() {
    let mut interests = Interests::new(8, 8, 4);
    interests.add(Kind::Subscriber, grant(7, 0), 1, 100);
    interests.add(Kind::Subscriber, grant(7, 0), 2, 100);
    interests.end_all(Kind::Subscriber, 1);
    interests.add(Kind::Subscriber, grant(7, 0), 1, 100);
    let taken: Vec<_> = std::iter::from_fn(|| interests.take_first(Kind::Subscriber, 7)).collect();
    assert_eq!(taken, [2, 1]);
}

/// One grant in the model: its slot and who has places at it, by kind.
struct Model {
    sequence: u64,
    slot: u32,
    lists: [Vec<u32>; 2],
}

#[test]
fn it_behaves_as_plain_lists_do() {
    let seed = 5;
    println!("seed {seed}");
    let mut rng = Rng::seeded(seed);
    let mut interests = Interests::new(200, 6, 3);
    let mut models: Vec<Model> = (1..20)
        .map(|sequence| Model { sequence, slot: 0, lists: [Vec::new(), Vec::new()] })
        .collect();
    let mut sequence_next = 100;
    for step in 0..200_000 {
        let kind = if rng.below(2) == 0 { Kind::Subscriber } else { Kind::Waiter };
        let session = u32::try_from(rng.below(6)).unwrap();
        let at = usize::try_from(rng.below(19)).unwrap();
        let model = &mut models[at];
        let list = &mut model.lists[kind as usize];
        match rng.below(100) {
            0 => {
                interests.end_all(kind, session);
                models.iter_mut().for_each(|m| m.lists[kind as usize].retain(|&s| s != session));
            }
            1..5 => {
                sequence_next += 1;
                let slot = u32::try_from(rng.below(3)).unwrap();
                interests.regrant(model.sequence, sequence_next, Slot(slot));
                (model.sequence, model.slot) = (sequence_next, slot);
            }
            5..50 => {
                let added = interests.add(kind, grant(model.sequence, model.slot), session, 100);
                assert_eq!(added == Added::Already, list.contains(&session), "step {step}");
                if added == Added::New {
                    list.push(session);
                }
            }
            50..75 => {
                let was = list.iter().position(|&s| s == session);
                let is_removed = interests.remove(kind, model.sequence, session);
                assert_eq!(is_removed, was.is_some(), "step {step}");
                was.map(|at| list.remove(at));
            }
            75..95 => {
                let expected = (!list.is_empty()).then(|| list.remove(0));
                assert_eq!(interests.take_first(kind, model.sequence), expected, "step {step}");
            }
            _ => {
                interests.sweep(3);
            }
        }
        let total: usize = models.iter().map(|m| m.lists[kind as usize].len()).sum();
        let counted: u32 = (0..6).map(|session| interests.count(kind, session)).sum();
        assert_eq!(counted as usize, total, "step {step}");
    }
    while interests.sweep(10) {}
    for model in &models {
        for kind in [Kind::Subscriber, Kind::Waiter] {
            while interests.take_first(kind, model.sequence).is_some() {}
        }
        interests.forget(model.sequence);
    }
    assert_eq!(interests.places_used(), 0);
    assert!((0..3).all(|slot| !is_followed(&interests, slot)));
}
