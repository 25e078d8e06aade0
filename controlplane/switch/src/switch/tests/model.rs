//! The switch against a plain model of the rules, over random conversations.
//!
//! Sessions of a few nodes ask, die, are evicted, go away and come back. The model says what every
//! answer and every push must be. In which order several ports of one dead session are passed on is
//! not laid down: there the sequences are read from what the switch says, and must be new.

mod rules;
mod run;
mod slow;
mod watched;

use base::Rng;

use super::given;

/// Items that go through the switch in the ordinary test: `ABELE_MODEL_ITEMS` names another count.
const ITEMS: u64 = 1_000_000;

#[test]
fn a_million_random_items_are_answered_as_the_rules_say() {
    converse(1);
}

#[test]
fn a_million_random_items_over_two_shards_are_answered_as_the_rules_say() {
    converse(2);
}

#[test]
fn a_million_random_items_over_five_shards_are_answered_as_the_rules_say() {
    converse(5);
}

fn converse(shards: u8) {
    let seed = given("ABELE_SEED").unwrap_or(20_260);
    let items = given("ABELE_MODEL_ITEMS").unwrap_or(ITEMS);
    println!("ABELE_SEED={seed} ABELE_MODEL_ITEMS={items}, {shards} shards");
    let mut run = run::Run::new(Rng::seeded(seed), shards);
    while run.items < items {
        run.step();
    }
    let counters = run.bed.switch.counters();
    println!("{counters:?}");
    // The conversations reach what the model is about.
    let reached = [
        counters.grants_told,
        counters.grants_taken_back,
        counters.gone_told,
        counters.flushes,
        counters.sessions_lapsed,
        counters.sessions_replaced,
        counters.sessions_dropped,
        counters.sessions_ended,
        counters.sessions_resumed,
        counters.yields,
        counters.register_draining,
        counters.unregister_stale,
        counters.messages_no_receiver,
        counters.notices_overflowed,
        counters.events_told,
        run.slow.flushed,
    ];
    assert!(reached.iter().all(|&count| count > 10), "{reached:?}");
}
