//! The table against a map, in random bursts and in every short sequence of steps.

mod model;

use base::Rng;
use memory::PageChoice;

use self::model::{Model, Setup};
use super::{Deaths, Flags, Handle, Plan, PlanError, PortTable, Registered, Registrant, Slot};
use crate::limits::{LIST_LOOKS_MAX, MOVES_MAX, NAME_LEN_MAX, SWEEP_BATCH, SWEEP_LOOKS_PER_PORT};

/// The seed of a random test: `ABELE_SEED`, or the test's own.
#[expect(clippy::disallowed_methods, reason = "a knob of a test, not of the switch")]
fn seeded(test: &str, own: u64) -> Rng {
    let given = std::env::var("ABELE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(own);
    println!("{test}: ABELE_SEED={seed}");
    Rng::seeded(seed)
}

fn plan(ports_planned: u32, ports_max: u32) -> Plan {
    Plan { shard: 3, ports_planned, ports_max, slots: 8, key: [9; 32] }
}

fn table(ports_planned: u32, ports_max: u32) -> PortTable {
    PortTable::new(&plan(ports_planned, ports_max), PageChoice::Base).unwrap()
}

const ALIVE: &[bool] = &[false; 8];

/// Registers names for slot 0 and expects all to be granted.
fn fill(table: &mut PortTable, numbers: std::ops::Range<u32>) {
    let names: Vec<[u8; 16]> = numbers.map(name).collect();
    let names: Vec<&[u8]> = names.iter().map(<[u8; 16]>::as_slice).collect();
    let by = Registrant { slot: Slot(0), grants_max: u32::MAX };
    table.register(&names, by, ALIVE, &mut |item, what| panic!("{item}: {what:?}"));
}

fn name(number: u32) -> [u8; 16] {
    let mut name = *b"port/0000/......";
    name[10..14].copy_from_slice(&number.to_le_bytes());
    name
}

fn register(table: &mut PortTable, name: &[u8], slot: u32, deaths: &[bool]) -> Option<Registered> {
    let mut said = None;
    let by = Registrant { slot: Slot(slot), grants_max: 1 };
    table.register(&[name], by, deaths, &mut |_, what| said = Some(what));
    said
}

#[test]
fn table_agrees_with_a_map_while_it_grows_from_a_small_plan() {
    let rng = seeded("grows", 11);
    let setup = Setup { planned: 300, max: 40_000, names: 9_000, kept: u64::MAX };
    let mut model = Model::new(&setup, rng);
    model.run(1_000_000);
    let statistics = model.table().statistics();
    assert!(statistics.moves > 1_000, "{statistics:?}");
    assert!(statistics.moves_per_burst_max <= MOVES_MAX as u64, "{statistics:?}");
}

#[test]
fn table_agrees_with_a_map_when_it_is_often_full() {
    let setup = Setup { planned: 700, max: 700, names: 1_500, kept: u64::MAX };
    let mut model = Model::new(&setup, seeded("full", 12));
    model.run(300_000);
    assert!(model.was_full > 1_000, "full {} times", model.was_full);
}

#[test]
fn table_agrees_with_a_map_where_all_tags_and_few_homes_meet() {
    // The topmost bits choose one home of eight; the classes differ.
    let setup = Setup { planned: 500, max: 4_000, names: 700, kept: 0xe000_0000_0003_0000 };
    Model::new(&setup, seeded("tags meet", 13)).run(200_000);
}

#[test]
fn table_agrees_with_a_map_where_one_hash_is_all_names() {
    let setup = Setup { planned: 100, max: 19_000, names: 5_500, kept: 0 };
    let mut model = Model::new(&setup, seeded("one hash", 14));
    model.run(60_000);
    assert!(model.was_full > 0, "the spill was never full");
}

#[test]
fn every_sequence_of_five_steps_agrees_with_a_map() {
    let setup = Setup { planned: 8, max: 8, names: 2, kept: 0 };
    let mut model = Model::new(&setup, Rng::seeded(1));
    let steps = model::STEPS.len();
    for number in 0..steps.pow(5) {
        let mut left = number;
        for _ in 0..5 {
            model.step(model::STEPS[left % steps]);
            left /= steps;
        }
        model.check();
        model.empty();
    }
}

#[test]
fn second_of_two_equal_names_in_a_burst_is_mine() {
    let mut table = table(100, 100);
    let by = Registrant { slot: Slot(5), grants_max: 10 };
    let long = [7; 100];
    let names: [&[u8]; 6] = [b"a", b"b", b"a", &long, &long, b"b"];
    let mut said = Vec::new();
    let grants = table.register(&names, by, ALIVE, &mut |item, what| said.push((item, what)));
    assert_eq!((grants.first, grants.count), (3 << 56 | 1, 3));
    let items: Vec<usize> = said.iter().map(|&(item, _)| item).collect();
    assert_eq!(items, [2, 4, 5]);
    for (what, sequence) in said.iter().map(|&(_, what)| what).zip([1, 3, 2]) {
        let Registered::Mine(port) = what else { panic!("{what:?}") };
        assert_eq!((port.slot, port.sequence), (Slot(5), 3 << 56 | sequence));
    }
    let first = grants.first;
    let mut said = Vec::new();
    let sequences = [first, first, first + 2];
    let released =
        table.unregister(&[b"a", b"a", &long], &sequences, Slot(5), ALIVE, &mut |item, what| {
            said.push((item, what))
        });
    assert_eq!((released, said), (2, vec![(1, super::Unregistered::Free)]));
    assert_eq!((table.statistics().ports, table.ports_of(Slot(5))), (1, 1));
}

#[test]
fn dead_session_frees_at_once_and_the_sweep_ends_as_soon_as_nothing_is_left() {
    let mut table = table(10_000, 10_000);
    fill(&mut table, 0..5_000);
    let mut deaths = [false; 8];
    register(&mut table, b"other", 1, &deaths);
    assert_eq!(table.sweep(1_000, &deaths[..], &mut |_| ()).looks, 0, "nobody is dead");
    deaths[0] = true;
    assert_eq!(register(&mut table, &name(77), 1, &deaths), None, "free before the sweep");
    table.end(Slot(0));
    assert_eq!((table.ports_of(Slot(0)), table.ports_of(Slot(1))), (4_999, 2));
    let mut steps = 0;
    loop {
        // Each of 128 cells is looked at, and nearly each has a port to take out.
        let budget = 128 * (1 + SWEEP_LOOKS_PER_PORT);
        let swept = table.sweep(budget, &deaths[..], &mut |gone| panic!("{gone:?}"));
        assert!(swept.looks <= 128 + SWEEP_BATCH, "{swept:?}");
        steps += 1;
        if swept.is_done {
            break;
        }
    }
    assert!(steps <= 40, "{steps} steps of 128 for 5,001 cells");
    assert_eq!((table.ports_of(Slot(0)), table.ports_of(Slot(1))), (0, 2));
    assert_eq!(table.statistics().ports, 2);
}

#[test]
fn ports_with_marks_are_told_and_those_with_waiters_are_kept_for_them() {
    let mut table = table(100, 100);
    fill(&mut table, 0..3);
    table.set_flags(Handle(0), Flags::SUBSCRIBED);
    table.set_flags(Handle(1), Flags::SUBSCRIBED.with(Flags::AWAITED));
    let mut deaths = [false; 8];
    deaths[0] = true;
    table.end(Slot(0));
    let mut gone = Vec::new();
    assert!(table.sweep(100, &deaths[..], &mut |port| gone.push(port)).is_done);
    let seen: Vec<_> = gone.iter().map(|gone| (gone.port.handle, gone.is_kept)).collect();
    assert_eq!(seen, [(Handle(0), false), (Handle(1), true)]);
    // A newcomer does not pass those who stand in line.
    let said = register(&mut table, &name(1), 2, &deaths);
    assert!(matches!(said, Some(Registered::Awaited(gone)) if gone.is_kept), "{said:?}");
    let sequence = table.take_over(Handle(1), Slot(3));
    assert_eq!(sequence, 3 << 56 | 4);
    let said = register(&mut table, &name(1), 2, &deaths);
    assert!(matches!(said, Some(Registered::Held(port)) if port.slot == Slot(3)), "{said:?}");
    assert_eq!(table.ports_of(Slot(3)), 1);
}

#[test]
fn quota_refuses_what_is_beyond_it_and_nothing_else() {
    let mut table = table(100, 100);
    fill(&mut table, 0..1);
    let by = Registrant { slot: Slot(1), grants_max: 2 };
    let names = [name(0), name(1), name(2), name(3), name(1)];
    let names: Vec<&[u8]> = names.iter().map(<[u8; 16]>::as_slice).collect();
    let mut said = Vec::new();
    let grants = table.register(&names, by, ALIVE, &mut |item, what| said.push((item, what)));
    assert_eq!(grants.count, 2);
    assert!(matches!(
        said[..],
        [(0, Registered::Held(_)), (3, Registered::Quota), (4, Registered::Mine(_))]
    ));
}

#[test]
fn full_table_refuses_and_keeps_nothing_of_a_long_name() {
    let mut table = table(40, 40);
    fill(&mut table, 0..30);
    let long = [1; NAME_LEN_MAX];
    assert_eq!(register(&mut table, &long, 1, ALIVE), Some(Registered::Full));
    assert_eq!((table.statistics().cells, table.ports_of(Slot(1))), (30, 0));
    fill(&mut table, 30..40);
    assert_eq!(register(&mut table, b"one more", 1, ALIVE), Some(Registered::Full));
}

#[test]
fn listing_shows_what_stays_exactly_once_while_others_come_and_go() {
    let mut rng = seeded("listing", 15);
    let mut table = table(1_000, 30_000);
    fill(&mut table, 0..10_000);
    let (mut cursor, mut seen, mut come) = (0, vec![0; 10_000], 10_000);
    loop {
        let listed = table.list(cursor, 100, b"port/", ALIVE, &mut |port, name| {
            let number = u32::from_le_bytes(name[10..14].try_into().unwrap()) as usize;
            assert_eq!(port.slot, Slot(0));
            if number < 10_000 {
                seen[number] += 1;
            }
        });
        assert!(listed.count <= 100);
        cursor = listed.cursor;
        if cursor == 0 {
            break;
        }
        // One of the even ones goes, two others come.
        let number = u32::try_from(rng.below(5_000)).unwrap() * 2;
        let sequence = 3 << 56 | u64::from(number + 1);
        table.unregister(&[&name(number)], &[sequence], Slot(0), ALIVE, &mut |_, _| ());
        fill(&mut table, come..come + 2);
        come += 2;
    }
    assert!(seen.iter().skip(1).step_by(2).all(|&times| times == 1), "an odd one was lost");
    assert!(seen.iter().all(|&times| times <= 1), "one was shown twice");
}

#[test]
fn step_of_a_listing_is_bounded_where_nothing_fits_the_prefix() {
    let mut table = table(20_000, 20_000);
    fill(&mut table, 0..10_000);
    let listed = table.list(0, 100, b"none", ALIVE, &mut |_, name| panic!("{name:?}"));
    assert_eq!((listed.cursor, listed.count), (u64::from(LIST_LOOKS_MAX), 0));
}

#[test]
fn plans_that_make_no_sense_are_refused_with_what_would_be_right() {
    for (ports, max, slots) in [(0, 10, 1), (11, 10, 1), (1, u32::MAX, 1), (1, 1, 0)] {
        let plan = Plan { slots, ..plan(ports, max) };
        let refused = PortTable::new(&plan, PageChoice::Base).unwrap_err();
        assert!(matches!(refused, PlanError::Ports { .. } | PlanError::Slots { .. }));
        assert!(refused.to_string().contains("right is"), "{refused}");
    }
}

#[test]
fn deaths_are_asked_of_every_kind_of_view() {
    struct Even;
    impl Deaths for Even {
        fn is_dead(&self, slot: Slot) -> bool {
            slot.0.is_multiple_of(2)
        }
    }
    let mut table = table(10, 10);
    fill(&mut table, 0..1);
    table.find(&[&name(0)], &Even, &mut |_, found| assert_eq!(found, None));
    table.find(&[&name(0)], ALIVE, &mut |_, found| assert!(found.is_some()));
}

#[test]
fn a_table_is_never_larger_than_was_told_for_what_it_holds() {
    let (planned, max) = (1_000, 60_000);
    let mut table = table(planned, max);
    for held in (0..max).step_by(500) {
        let told = PortTable::len_at(planned, max, held);
        let taken = table.index.len_now() + table.cells.len_now();
        assert!(taken <= told, "{held} ports take {taken} bytes, told were {told}");
        fill(&mut table, held..held + 500);
    }
    assert_eq!(PortTable::len_at(planned, max, 0), PortTable::len_at_start(planned, max));
    assert_eq!(PortTable::len_at(planned, max, max), PortTable::len_at_start(max, max));
}

#[test]
fn what_others_leave_bounds_a_table_and_what_is_beyond_it_stays() {
    let mut table = table(100, 100);
    table.set_cells_max(10);
    fill(&mut table, 0..10);
    assert_eq!(register(&mut table, b"one more", 1, ALIVE), Some(Registered::Full));
    table.set_cells_max(5);
    assert_eq!((table.cells_used(), table.statistics().ports), (10, 10));
    table.unregister(&[&name(0)], &[3 << 56 | 1], Slot(0), ALIVE, &mut |_, _| ());
    assert_eq!(register(&mut table, b"one more", 1, ALIVE), Some(Registered::Full));
    table.set_cells_max(10);
    assert_eq!(register(&mut table, b"one more", 1, ALIVE), None);
}
