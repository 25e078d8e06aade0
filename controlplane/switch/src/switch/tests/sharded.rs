//! Several shards: each answer is one, what a session may have counts over all of them, and what
//! ends ends in all of them.

use protocol::{Sequence, shard_of};

use super::bed::{
    Bed, PLAIN, SUBSCRIBE, WAIT, bare, cancel, config, open_entry, query, reg, send, unreg,
    unsubscribe,
};
use crate::access::AccessEntry;
use crate::config::SwitchConfig;
use crate::connection::ConnId;
use crate::interests::Kind;
use crate::quota::Quota;

const SHARDS: u8 = 5;

fn bed() -> Bed {
    with(Quota::default())
}

fn with(quota: Quota) -> Bed {
    let access = vec![AccessEntry { quota, ..open_entry() }];
    Bed::with(SwitchConfig { shards: SHARDS, access, ..config() })
}

/// So many names that every shard has some of them.
fn names(count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count).map(|number| format!("name {number}")).collect();
    let of = |shard| names.iter().any(|name| shard_of(name.as_bytes(), SHARDS) == shard);
    assert!((0..SHARDS).all(of), "{count} names leave out a shard");
    names
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The grants that a switch gives first to these names.
fn granted(names: &[String]) -> Vec<(&str, u64)> {
    let mut counts = [0; SHARDS as usize];
    let grant = |name: &String| {
        let shard = shard_of(name.as_bytes(), SHARDS);
        counts[usize::from(shard)] += 1;
        Sequence::new(shard, counts[usize::from(shard)]).to_bits()
    };
    let sequences: Vec<_> = names.iter().map(grant).collect();
    names.iter().map(String::as_str).zip(sequences).collect()
}

fn shown(grants: &[(&str, u64)]) -> String {
    (0..SHARDS).fold("reg".to_owned(), |text, shard| {
        let own = grants.iter().filter(|(_, bits)| Sequence::from_bits(*bits).shard() == shard);
        format!("{text} {}*{}", Sequence::new(shard, 1).to_bits(), own.count())
    })
}

#[test]
fn a_batch_over_all_shards_is_answered_by_item_with_one_entry_for_each_shard() {
    let mut bed = bed();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 2));
    let names = names(40);
    let grants = granted(&names);
    assert_eq!(bed.ask(a, reg(&texts(&names), PLAIN)), shown(&grants));
    let held: Vec<_> = (0..40).map(|item| format!("{item}:Held(a)")).collect();
    assert_eq!(bed.ask(b, reg(&texts(&names), PLAIN)), format!("reg {}", held.join(" ")));
    let owners: Vec<_> = grants.iter().map(|(_, bits)| format!("{bits}@a")).collect();
    assert_eq!(bed.ask(b, query(&texts(&names), false)), format!("query {}", owners.join(" ")));
    let mut items = grants.clone();
    items[7].1 += 1;
    items[31].0 = "never registered";
    assert_eq!(bed.ask(a, unreg(&items)), "unreg 7:Stale 31:Free");
    assert_eq!(bed.switch.shards.ports_of(0), 2);
}

#[test]
fn what_a_node_may_have_counts_over_all_shards() {
    let quota = Quota { ports_max: 30, subscriptions_max: 12, waiting_max: 9, ..Quota::default() };
    let mut bed = with(quota);
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 2));
    let all = names(60);
    let answer = bed.ask(a, reg(&texts(&all), PLAIN));
    assert_eq!(answer.matches("Quota").count(), 30, "{answer}");
    assert_eq!(bed.switch.shards.ports_of(0), 30);
    let held: Vec<&str> = (0_u32..)
        .zip(texts(&all))
        .filter_map(|(item, name)| (!answer.contains(&format!(" {item}:Quota"))).then_some(name))
        .take(30)
        .collect();
    let answer = bed.ask(b, reg(&held, SUBSCRIBE));
    assert_eq!(answer.matches("Subscriptions").count(), 18, "{answer}");
    assert_eq!(bed.switch.shards.places_of(Kind::Subscriber, 1), 12);
    // A query subscribes to all or to nothing, in whichever shard there is no room.
    assert_eq!(bed.ask(b, unsubscribe(&held)), "unsubscribed 12");
    assert_eq!(bed.ask(b, query(&held[..13], true)), "error Quota 12 subscriptions");
    assert_eq!(bed.switch.shards.places_of(Kind::Subscriber, 1), 0);
    assert!(bed.ask(b, query(&held[..12], true)).starts_with("query"));
    assert_eq!(bed.switch.shards.places_of(Kind::Subscriber, 1), 12);
    let answer = bed.ask(b, reg(&held, WAIT));
    assert_eq!(answer.matches("Waiting").count(), 9, "{answer}");
    assert_eq!(bed.ask(b, cancel(&held)), "cancelled 9");
}

#[test]
fn everything_a_dead_session_held_is_free_at_once_in_every_shard() {
    let mut bed = bed();
    let (_a, b) = (bed.receiver("a", 1), bed.receiver("b", 2));
    let holder = bed.connect("a", 1);
    let names = names(40);
    bed.ask(holder, reg(&texts(&names), PLAIN));
    assert!(bed.ask(b, query(&texts(&names[..20]), true)).starts_with("query"));
    for _ in 0..3 {
        bed.now += base::Duration::from_millis(1_000);
        bed.say(b, super::bed::relet(1));
    }
    // The switch was not polled: nothing was swept, and all of them are free all the same.
    let answer = bed.ask(b, reg(&texts(&names), PLAIN));
    assert!(!answer.contains("Held") && answer.contains("gone #1"), "{answer}");
    assert_eq!(answer.matches("NodeLost").count(), 20, "{answer}");
    let told = answer.rfind("gone").expect("it was told");
    assert!(told < answer.find("reg ").expect("it was granted"), "told first: {answer}");
    bed.settle();
    assert_eq!(bed.switch.shards.statistics().ports, 40);
    assert_eq!(bed.switch.shards.swept(), 0, "all of them were granted again");
}

#[test]
fn messages_find_their_owners_whatever_shard_they_are_in() {
    let mut bed = bed();
    let a = bed.receiver("a", 1);
    let names = names(30);
    bed.ask(a, reg(&texts(&names), PLAIN));
    let b = bed.connect("b", 2);
    bed.say(b, |out| bare(out, protocol::RequestKind::WaitMsg));
    bed.heard(b);
    let items: Vec<(&str, &str)> = texts(&names).into_iter().map(|name| (name, name)).collect();
    let twice: Vec<_> = items.iter().chain(&items).copied().chain([("nobody's", "x")]).collect();
    assert_eq!(bed.ask(b, send(&twice)), "sent 60 nobody 1 dropped 0");
    let heard = bed.heard(a).join(" ");
    for (name, bits) in granted(&names) {
        assert_eq!(heard.matches(&format!(" {bits}:{name}")).count(), 2, "{name}: {heard}");
    }
}

#[test]
fn a_listing_goes_through_all_shards_and_shows_each_port_once() {
    let mut bed = bed();
    let a = bed.receiver("a", 1);
    let names = names(50);
    bed.ask(a, reg(&texts(&names), PLAIN));
    let (mut cursor, mut entries) = (0, Vec::new());
    loop {
        let page = protocol::ListPorts { cursor, count_max: 3, prefix: "name" };
        let answer = bed.ask(a, |out| page.write(out, 9));
        let mut words = answer.strip_prefix("ports next ").expect("a page").splitn(2, ' ');
        cursor = words.next().expect("a cursor").parse().expect("a number");
        entries.extend(words.next().map(|text| text.matches('=').count()));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(entries.iter().sum::<usize>(), 50, "{entries:?}");
    for cursor in [u64::from(SHARDS) << 32, u64::MAX] {
        let page = protocol::ListPorts { cursor, count_max: 3, prefix: "" };
        assert_eq!(bed.ask(a, |out| page.write(out, 9)), "ports next 0");
    }
}

/// A switch of as many shards as there can be, and room for so many ports.
fn crowded(ports_max: u32) -> Bed {
    let config = SwitchConfig { shards: 255, ports_planned: 1_024, ports_max, ..config() };
    Bed::with(config)
}

/// Registers names one after the other, some at a time, and says how many were granted.
fn granted_of(bed: &mut Bed, by: ConnId, names: &[String]) -> u64 {
    let before = bed.switch.counters().ports_granted;
    for names in names.chunks(100) {
        bed.ask(by, reg(&texts(names), PLAIN));
    }
    bed.switch.counters().ports_granted - before
}

#[test]
fn as_many_ports_fit_as_the_switch_may_have_however_they_are_spread() {
    let any: Vec<_> = (0..10_001).map(|number| format!("user/{number}")).collect();
    let of_one = (0..).map(|number| format!("user/{number}"));
    let of_one = of_one.filter(|name| shard_of(name.as_bytes(), 255) == 77);
    for names in [any, of_one.take(2_001).collect()] {
        let count = u32::try_from(names.len() - 1).expect("some thousands");
        let mut bed = crowded(count);
        let a = bed.receiver("a", 1);
        assert_eq!(granted_of(&mut bed, a, &names[..names.len() - 1]), u64::from(count));
        assert_eq!(bed.switch.counters().register_full, 0);
        let last = names.last().map(String::as_str).expect("thousands");
        assert_eq!(bed.ask(a, reg(&[last], PLAIN)), "reg 0:Full");
        // What one shard gives back is room for any other.
        let sequence = Sequence::new(shard_of(names[0].as_bytes(), 255), 1).to_bits();
        assert_eq!(bed.ask(a, unreg(&[(&names[0], sequence)])), "unreg");
        assert_eq!(granted_of(&mut bed, a, &names[names.len() - 1..]), 1);
        assert_eq!(bed.ask(a, reg(&[&names[0]], PLAIN)), "reg 0:Full");
    }
}

#[test]
fn a_long_name_takes_of_the_whole_what_its_pieces_take() {
    let mut bed = crowded(1_024);
    let a = bed.receiver("a", 1);
    // 12 bytes, and 4 pieces of 24.
    let long: Vec<_> = (0..205).map(|number| format!("{number:0108}")).collect();
    assert_eq!(granted_of(&mut bed, a, &long), 204, "5 cells each");
    let short: Vec<_> = (0..10).map(|number| format!("short {number}")).collect();
    assert_eq!(granted_of(&mut bed, a, &short), 4);
    assert_eq!(bed.switch.shards.statistics().cells, 1_024);
}
