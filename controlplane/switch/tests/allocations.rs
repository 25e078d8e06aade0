//! The table allocates nothing after it was made, and the counting allocator would notice.

use memory::{PageChoice, counting};
use switch::limits::NAME_LEN_MAX;
use switch::{Flags, Handle, Plan, PortTable, Registrant, Slot};

#[global_allocator]
static ALLOCATOR: counting::CountingAllocator = counting::CountingAllocator;

#[test]
fn growing_releasing_sweeping_and_listing_allocate_nothing() {
    let plan = Plan { shard: 1, ports_planned: 500, ports_max: 60_000, slots: 4, key: [1; 32] };
    let mut table = PortTable::new(&plan, PageChoice::Base).unwrap();
    let all: Vec<Vec<u8>> = (0..20_000_usize).map(name).collect();
    let names: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    let sequences: Vec<u64> = (0..10_000).map(|number| 1 << 56 | (number + 1)).collect();
    let mut deaths = [false; 4];
    let by = Registrant { slot: Slot(0), grants_max: u32::MAX };
    let (mut told, mut listed_len) = (0, 0);

    let forbidden = counting::forbid();
    let grants = table.register(&names, by, &deaths[..], &mut |_, _| told += 1);
    table.set_flags(Handle(0), Flags::SUBSCRIBED);
    let (left, right) = names.split_at(10_000);
    let released = table.unregister(left, &sequences, Slot(0), &deaths[..], &mut |_, _| told += 1);
    let mut cursor = 0;
    loop {
        let listed = table.list(cursor, 100, b"port", &deaths[..], &mut |_, _| listed_len += 1);
        cursor = listed.cursor;
        if cursor == 0 {
            break;
        }
    }
    deaths[0] = true;
    table.end(Slot(0));
    while !table.sweep(1_000, &deaths[..], &mut |_| ()).is_done {}
    table.find(right, &deaths[..], &mut |_, found| told += usize::from(found.is_some()));
    drop(forbidden);

    assert_eq!((grants.count, released, told), (20_000, 10_000, 1), "the marked one is told");
    assert_eq!(listed_len, 10_000);
    assert!(table.statistics().moves > 500 && table.statistics().ports == 0);
}

/// Most names are short, some go on in further cells, one is as long as may be.
fn name(number: usize) -> Vec<u8> {
    let mut name = format!("port{number}").into_bytes();
    match number {
        77 => name.resize(NAME_LEN_MAX, b'.'),
        _ if number % 50 == 1 => name.resize(17 + number % 60, b'.'),
        _ => (),
    }
    name
}
