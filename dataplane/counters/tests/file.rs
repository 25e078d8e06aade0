//! A gateway and its tools over one real file, within one process.
#![cfg(not(loom))]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use base::{Duration, Instant, Rng};
use counters::{
    CoreState, CoreWriter, Counter, Description, Filter, Listing, ListingError, Look, Part, Row,
    Schema, State, View, Writer, WriterError,
};
use memory::SharedError;

fn schema() -> Schema {
    let mut schema = Schema::new();
    schema
        .counter(Counter::new("stage", "rx").cycles())
        .counter(Counter::new("pool", "frames_free").gauge())
        .rows("tcp", ["segments_in", "tcp_paws"], |name| name == "tcp_paws")
        .fact("device")
        .fact("zero-copy");
    schema
}

fn describe(schema: &Schema, cores: usize) -> Description<'_> {
    Description {
        instance: "lab",
        version: "0.1.0",
        started_unix_ns: 1_700_000_000_000_000_000,
        clock_zero_ns: 1_000,
        cycles_per_s: 2_000_000_000,
        cores,
        schema,
    }
}

/// A folder and the file that instance `lab` has in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = counters::path(folder.path(), "lab").expect("a plain name");
    (folder, path)
}

fn publish(core: &mut CoreWriter, now: u64, values: [u64; 4]) {
    core.publish(Instant::from_nanos(now), now / 10, |section| {
        section.value(values[0]).value(values[1]);
        section.rows([("segments_in", values[2]), ("tcp_paws", values[3])]);
    });
}

#[expect(clippy::disallowed_methods, reason = "what tools do: they compare with the machine's")]
fn monotonic() -> Instant {
    static ZERO: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let elapsed = ZERO.get_or_init(std::time::Instant::now).elapsed();
    // Not at zero, which a claim of nobody has.
    Instant::from_nanos(u64::try_from(elapsed.as_nanos()).expect("584 years") + 1_000_000_000_000)
}

#[test]
fn reader_finds_what_the_gateway_described_and_published() {
    let (folder, path) = place();
    let schema = schema();
    let mut writer = Writer::create(&[folder.path()], &describe(&schema, 2)).unwrap();
    assert_eq!(writer.path(), path);
    let mut core = writer.core(1);
    core.set_fact(0, "abele0");
    core.set_fact(1, &"x".repeat(100));
    publish(&mut core, 5_000, [1, 2, 3, u64::MAX]);

    let view = View::open(&path).unwrap();
    let about = view.about();
    assert_eq!((about.instance.as_str(), about.version.as_str()), ("lab", "0.1.0"));
    assert_eq!((about.cores, about.generation, about.layout), (2, 1, [1, 0]));
    assert_eq!(about.pid, u64::from(std::process::id()));
    assert_eq!(view.counters(), schema.counters());
    assert_eq!(view.facts(), ["device", "zero-copy"]);
    assert_eq!(view.find(("tcp", "paws")), Some(3));
    assert!(view.is_alive().unwrap() && view.is_current());

    let first = view.core(0);
    assert_eq!((first.state, first.age(about, u64::MAX)), (CoreState::Starting, None));
    let second = view.core(1);
    assert!(second.is_whole);
    assert_eq!((second.state, second.turns), (CoreState::Running, 500));
    assert_eq!(second.values, [1, 2, 3, u64::MAX]);
    assert_eq!(second.facts, ["abele0".to_owned(), "x".repeat(64)]);
    assert_eq!(second.age(about, 1_000 + 5_000 + 77), Some(Duration::from_nanos(77)));
}

#[test]
fn core_that_stops_publishing_counts_as_stuck_and_one_that_sleeps_does_not() {
    let (_folder, path) = place();
    let schema = schema();
    let mut writer = Writer::create_at(&path, &describe(&schema, 1)).unwrap();
    let mut core = writer.core(0);
    let view = View::open(&path).unwrap();
    let is_stuck = |ms: u64| view.core(0).is_stuck(view.about(), 1_000 + ms * 1_000_000);
    assert!(!is_stuck(1_000_000), "it has not begun");
    assert!(core.is_due(Instant::from_nanos(1)));
    publish(&mut core, 1_000_000, [0; 4]);
    assert!(!core.is_due(Instant::from_nanos(50_999_999)));
    assert!(core.is_due(Instant::from_nanos(51_000_000)));
    assert!(!is_stuck(900) && is_stuck(1_100));
    core.mark(CoreState::Asleep);
    assert!(!is_stuck(20_000) && is_stuck(40_000));
    core.mark(CoreState::Ended);
    assert!(!is_stuck(1_000_000));
}

#[test]
fn second_gateway_of_the_name_is_refused_and_one_after_the_end_is_not() {
    let (folder, path) = place();
    let schema = schema();
    let writer = Writer::create_at(&path, &describe(&schema, 1)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let folders = [folder.path(), elsewhere.path()];
    let refused = Writer::create(&folders, &describe(&schema, 1)).unwrap_err();
    assert!(
        matches!(&refused, WriterError::Shared(SharedError::Held { pid: Some(pid), .. })
            if *pid == std::process::id()),
        "{refused}"
    );
    let view = View::open(&path).unwrap();
    drop(writer);
    assert!(view.has_ended() && !view.is_alive().unwrap() && !view.is_current());
    assert!(!path.exists());
    Writer::create(&folders, &describe(&schema, 1)).unwrap();
}

#[test]
fn folder_that_cannot_be_written_is_passed_over() {
    let (folder, _path) = place();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let second = folder.path().join("second");
    let schema = schema();
    let writer = Writer::create(&[&file, &second], &describe(&schema, 1)).unwrap();
    assert_eq!(writer.path(), second.join("lab/stats"));
    assert!(Writer::create(&[&file], &describe(&schema, 1)).is_err());
}

#[test]
fn what_cannot_be_described_is_refused() {
    let (_folder, path) = place();
    let schema = schema();
    assert!(Writer::create_at(&path, &describe(&schema, 0)).is_err());
    assert!(Writer::create_at(&path, &describe(&schema, 1_025)).is_err());
    assert!(!path.parent().unwrap().exists(), "nothing is left of a refusal");
}

#[test]
#[should_panic(expected = "values given and counters of the schema")]
fn publication_that_leaves_a_counter_out_is_our_own_error() {
    let (_folder, path) = place();
    let schema = schema();
    let mut writer = Writer::create_at(&path, &describe(&schema, 1)).unwrap();
    writer.core(0).publish(Instant::ZERO, 0, |section| {
        section.value(1);
    });
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is given where the schema has tcp.segments_in")]
fn publication_in_another_order_is_our_own_error() {
    let (_folder, path) = place();
    let schema = schema();
    let mut writer = Writer::create_at(&path, &describe(&schema, 1)).unwrap();
    writer.core(0).publish(Instant::ZERO, 0, |section| {
        section.value(1).value(2).rows([("tcp_paws", 1), ("segments_in", 2)]);
    });
}

/// Reads at random moments, and counts the publications that were seen.
fn read_until(is_over: &AtomicBool, seen: &AtomicU64, path: &Path, mut rng: Rng) {
    let view = View::open(path).expect("the writer is there");
    let mut last = 0;
    while !is_over.load(Ordering::Relaxed) {
        let found = view.core(0);
        if !found.is_whole {
            continue;
        }
        let first = found.values[0];
        assert!(found.values.iter().all(|&value| value == first), "torn");
        assert_eq!(found.heartbeat.as_nanos(), first);
        assert!(first >= last, "back from {last} to {first}");
        seen.fetch_add(u64::from(first > last), Ordering::Relaxed);
        last = first;
        (0..rng.below(1_000)).for_each(|_pause| std::hint::spin_loop());
    }
}

#[test]
fn readers_beside_a_writer_never_see_a_torn_section() {
    let seed = 0x5eed_0001;
    println!("seed {seed:#x}");
    let (_folder, path) = place();
    let mut schema = Schema::new();
    (0..200).for_each(|number| {
        schema.counter(Counter::new("tcp", &format!("c{number}")));
    });
    schema.fact("publication");
    let mut writer = Writer::create_at(&path, &describe(&schema, 1)).unwrap();
    let mut core = writer.core(0);
    let (is_over, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for reader in 0..2 {
            let (is_over, seen, path) = (&is_over, &seen, &path);
            scope.spawn(move || read_until(is_over, seen, path, Rng::seeded(seed + reader)));
        }
        let mut rng = Rng::seeded(seed ^ u64::MAX);
        let mut value = 0;
        // Until the readers have seen enough, however busy the machine is.
        while seen.load(Ordering::Relaxed) < 2_000 {
            value += 1 + rng.below(3);
            core.publish(Instant::from_nanos(value), value, |section| {
                (0..200).for_each(|_counter| {
                    section.value(value);
                });
            });
            (0..rng.below(300)).for_each(|_pause| std::hint::spin_loop());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// What core threads share with the test.
struct FakeCores {
    is_over: AtomicBool,
    /// Nanoseconds spent in `poll`, of all cores.
    spent: AtomicU64,
}

/// A core that has nothing to do but to be asked: `records` of which all are connections.
fn turn(walk: &mut counters::Walk, core: usize, records: u64, shared: &FakeCores) {
    while !shared.is_over.load(Ordering::Relaxed) {
        let began_at = monotonic();
        let worked = walk.poll(began_at, |cursor| {
            if cursor == records {
                return Look::End;
            }
            let [.., a, b, c] = cursor.to_be_bytes();
            let remote = std::net::Ipv4Addr::new(10, a, b, c).to_ipv6_mapped().octets();
            let state =
                if cursor.is_multiple_of(10) { State::CloseWait } else { State::Established };
            let index = u32::try_from(cursor).expect("few records");
            let listener = u16::try_from(core).expect("few cores");
            Look::Row(cursor + 1, Row { index, listener, ..Row::new(state, remote, 4_000) })
        });
        if worked {
            let spent = monotonic().saturating_since(began_at).as_nanos();
            shared.spent.fetch_add(spent, Ordering::Relaxed);
        }
        thread::yield_now();
    }
}

/// Runs `tool` while `cores` fake cores answer.
fn with_cores(path: &Path, cores: usize, records: u64, tool: impl FnOnce(&FakeCores)) {
    /// Ends the cores also when the tool panics.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let schema = schema();
    let mut writer = Writer::create_at(path, &describe(&schema, cores)).expect("a free place");
    let shared = FakeCores { is_over: AtomicBool::new(false), spent: AtomicU64::new(0) };
    thread::scope(|scope| {
        for core in 0..cores {
            let mut walk = writer.core(core).walk();
            let shared = &shared;
            scope.spawn(move || turn(&mut walk, core, records, shared));
        }
        let _over = Over(&shared.is_over);
        tool(&shared);
    });
}

fn drain_all(listing: &mut Listing, mut on_row: impl FnMut(usize, Row)) {
    while !listing.is_done() {
        if listing.drain(monotonic(), &mut on_row).expect("the only tool") == 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn hundred_thousand_connections_are_listed_once_each() {
    let (_folder, path) = place();
    with_cores(&path, 2, 50_000, |shared| {
        let began_at = monotonic();
        let mut listing = Listing::begin(&path, &Filter::default(), began_at).unwrap();
        let mut next = [0_u32; 2];
        drain_all(&mut listing, |core, row| {
            assert_eq!(row.index, next[core], "in order and once");
            assert_eq!(usize::from(row.listener), core);
            next[core] += 1;
        });
        assert_eq!(next, [50_000, 50_000]);
        assert!(listing.parts().all(|part| part == Part::Complete));
        let elapsed = monotonic().saturating_since(began_at).as_nanos();
        let spent = shared.spent.load(Ordering::Relaxed);
        // Of time that others took, on a busy machine, nothing is asserted here; the share is
        // asserted in virtual time.
        println!("{} ms, of which each core spent {} ms", elapsed / 1_000_000, spent / 2_000_000);
        assert!(elapsed > 500_000_000, "the cores keep to their share of the time");
    });
}

#[test]
fn cores_apply_the_filter_and_a_second_listing_begins_anew() {
    let (_folder, path) = place();
    with_cores(&path, 2, 1_000, |_shared| {
        for _round in 0..3 {
            let filter = Filter { state: Some(State::CloseWait), ..Filter::default() };
            let mut listing = Listing::begin(&path, &filter, monotonic()).unwrap();
            let mut count = 0;
            drain_all(&mut listing, |_core, row| {
                assert_eq!(row.state, State::CloseWait);
                count += 1;
            });
            assert_eq!(count, 200);
        }
    });
}

#[test]
fn one_tool_lists_at_a_time_and_a_dead_ones_claim_is_taken_over() {
    let (_folder, path) = place();
    with_cores(&path, 1, 100_000, |_shared| {
        let now = monotonic();
        let mut dead = Listing::begin(&path, &Filter::default(), now).unwrap();
        while dead.drain(monotonic(), |_core, _row| {}).unwrap() == 0 {
            thread::yield_now();
        }
        let refused = Listing::begin(&path, &Filter::default(), now).unwrap_err();
        assert!(
            matches!(refused, ListingError::Busy { pid } if pid == std::process::id()),
            "{refused}"
        );
        // It does not show itself any more, for all that the next one can see.
        let later = monotonic() + Duration::from_millis(2_100);
        let mut next = Listing::begin(&path, &Filter::default(), later).unwrap();
        let taken = dead.drain(monotonic(), |_core, _row| panic!("rows of another listing"));
        assert!(matches!(taken, Err(ListingError::TakenOver)), "{taken:?}");
        drop(dead);
        let mut first = None;
        while first.is_none() {
            next.drain(later, |_core, row| first = first.or(Some(row.index))).unwrap();
        }
        assert_eq!(first, Some(0), "the dead one's end did not end the next one");
        drop(next);
        Listing::begin(&path, &Filter::default(), monotonic()).unwrap();
    });
}

#[test]
fn core_that_does_not_answer_is_told_apart() {
    let (_folder, path) = place();
    let schema = schema();
    let mut writer = Writer::create_at(&path, &describe(&schema, 2)).unwrap();
    let mut walk = writer.core(0).walk();
    let mut listing = Listing::begin(&path, &Filter::default(), monotonic()).unwrap();
    assert!(walk.poll(monotonic(), |_cursor| Look::End));
    assert_eq!(listing.drain(monotonic(), |_core, _row| {}).unwrap(), 0);
    assert_eq!(listing.parts().collect::<Vec<_>>(), [Part::Complete, Part::Waiting]);
    assert!(!listing.is_done());
}

#[test]
fn restarted_gateway_counts_its_generations_after_a_crash() {
    let (_folder, path) = place();
    let schema = schema();
    let writer = Writer::create_at(&path, &describe(&schema, 1)).unwrap();
    // What a killed gateway leaves: the file without a lock.
    let left = path.with_file_name("left");
    std::fs::copy(&path, &left).unwrap();
    drop(writer);
    std::fs::rename(left, &path).unwrap();
    let dead = View::open(&path).unwrap();
    assert!(!dead.is_alive().unwrap() && !dead.has_ended() && dead.is_current());
    let writer = Writer::create_at(&path, &describe(&schema, 1)).unwrap();
    let view = View::open(&path).unwrap();
    assert_eq!(view.about().generation, 2);
    assert!(!dead.is_current() && view.is_alive().unwrap());
    drop(writer);
}
