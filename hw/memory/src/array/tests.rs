//! Tests of the array of records.
#![cfg(not(loom))]

use super::*;

#[test]
fn a_new_array_is_zero_and_page_aligned() {
    let array = Array::<[u32; 3]>::new(1000, PageChoice::Base).unwrap();
    assert_eq!(array.len(), 1000);
    assert!(array.iter().all(|record| *record == [0; 3]));
    assert!(array.as_ptr().addr().is_multiple_of(BASE_PAGE_LEN));
}

#[test]
fn an_array_of_nothing_is_empty() {
    let array = Array::<u64>::new(0, PageChoice::Best).unwrap();
    assert!(array.is_empty());
}

#[test]
fn an_array_keeps_its_records_while_it_grows() {
    let mut array = Array::<u64>::reserve(5000, PageChoice::Best).unwrap();
    assert_eq!((array.len(), array.len_max()), (0, 5000));
    for len in [0, 1, 1, 600, 5000] {
        let old = array.len();
        array.grow_to(len).unwrap();
        assert_eq!(array.len(), len);
        for (index, record) in array.iter_mut().enumerate() {
            assert_eq!(*record, if index < old { index as u64 + 1 } else { 0 });
            *record = index as u64 + 1;
        }
    }
}

#[test]
#[should_panic(expected = "grow_to 11: 0 of 10 are shown")]
fn growing_beyond_the_reservation_panics() {
    Array::<u64>::reserve(10, PageChoice::Base).unwrap().grow_to(11).unwrap();
}

#[test]
#[should_panic(expected = "index out of bounds: the len is 10")]
fn a_record_out_of_range_panics_although_its_page_is_mapped() {
    let array = Array::<u64>::new(10, PageChoice::Base).unwrap();
    assert_eq!(array[10], 0);
}

#[test]
fn prefetch_takes_any_index() {
    let array = Array::<[u64; 8]>::new(10, PageChoice::Base).unwrap();
    for index in [0, 9, 10, 1 << 40, usize::MAX] {
        array.prefetch(index);
    }
    assert_eq!(array[9], [0; 8]);
}

#[test]
fn more_records_than_an_address_space_holds_are_refused() {
    let refused = Array::<u64>::new(usize::MAX / 4, PageChoice::Base).unwrap_err();
    assert!(matches!(refused, ArenaError::ConfigLen { .. }), "{refused}");
}

#[test]
fn growable_array_has_its_first_part_at_once_and_grows_in_place() {
    for choice in [PageChoice::Base, PageChoice::Best] {
        // The first part is over a huge page, and ends within one.
        let (first, len_max) = (300_000, 1_000_000);
        let mut array = Array::<u64>::growable(first, len_max, choice).unwrap();
        assert_eq!((array.len(), array.len_max()), (first, len_max));
        let address = array.as_ptr();
        array[first - 1] = 7;
        for len in [first + 1, 600_000, len_max] {
            array.grow_to(len).unwrap();
            assert!(array[first..].iter().all(|&record| record == 0));
        }
        assert_eq!((array[first - 1], array.as_ptr()), (7, address));
    }
}

#[test]
fn growable_array_that_cannot_grow_is_like_any_other() {
    let array = Array::<u64>::growable(1_000, 1_000, PageChoice::Best).unwrap();
    assert_eq!((array.len(), array.len_max()), (1_000, 1_000));
}

#[test]
fn required_huge_pages_of_a_growable_array_are_there_or_named() {
    match Array::<u64>::growable(1_000, 1_000_000, PageChoice::RequireHuge) {
        Ok(mut array) => {
            assert_eq!(array.pages(), Pages::Huge);
            array.grow_to(1_000_000).unwrap();
            assert_eq!(array[999_999], 0);
        }
        Err(refused) => assert!(refused.to_string().contains("nr_hugepages"), "{refused}"),
    }
}

#[cfg(not(miri))]
#[test]
fn what_was_asked_for_ahead_comes_without_the_owner_and_is_zero() {
    let (planned, most) = ((2 << 20) / 8, 3_000_000);
    let mut array = Array::<u64>::growable(planned, most, PageChoice::Best).unwrap();
    array[planned - 1] = 7;
    let begun = std::time::Instant::now();
    while array.ask_ahead(most) != Some(true) {
        assert!(begun.elapsed().as_secs() < 30, "the thread touches nothing");
        std::thread::yield_now();
    }
    assert_eq!(array.len(), planned, "nothing is shown before the owner says so");
    array.grow_to(most).unwrap();
    assert_eq!((array[planned - 1], array[planned], array[most - 1]), (7, 0, 0));
}

/// The owner writes all that is shown, now slower than the thread and now faster: a page that the
/// thread brought too late would take what the owner wrote with it.
#[cfg(not(miri))]
#[test]
fn nothing_is_lost_where_the_owner_and_the_thread_take_pages_in_turn() {
    let mut random = crate::seeded::Seeded::new("pages in turn");
    for round in 0..20 {
        let (planned, most) = (random.below(300_000), 4_000_000);
        let mut array = Array::<u64>::growable(planned, most, PageChoice::Best).unwrap();
        let number = |index: usize| u64::try_from(index + 1).unwrap();
        while array.len() < most && (round % 4 != 0 || array.len() < 1_000_000) {
            array.ask_ahead(array.len() + random.below(1_000_000));
            if random.below(64) == 0 {
                let micros = u64::try_from(random.below(2_000)).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(micros));
            }
            let old = array.len();
            array.grow_to((old + random.below(20_000)).min(most)).unwrap();
            for (index, record) in array.iter_mut().enumerate().skip(old) {
                assert_eq!(*record, 0, "new records are zero");
                *record = number(index);
            }
        }
        let mut shown = array.iter().enumerate().skip(planned);
        let wrong = shown.find(|&(index, &record)| record != number(index));
        assert_eq!(wrong, None, "round {round}");
    }
}

/// Mappings of this process, and kilobytes in huge pages of them, that lie in the array.
#[cfg(not(miri))]
fn mappings_of<T: Plain>(array: &Array<T>) -> (usize, u64) {
    let (first, len) = (array.as_ptr().addr(), array.len_max() * size_of::<T>());
    let (mut count, mut huge, mut is_ours) = (0, 0, false);
    for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let (name, rest) = line.split_once(' ').unwrap();
        if let Some((start, end)) = name.split_once('-') {
            let address = |text| usize::from_str_radix(text, 16).unwrap();
            is_ours = address(start) < first + len && first < address(end);
            count += usize::from(is_ours);
        } else if is_ours && name == "AnonHugePages:" {
            huge += rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
    }
    (count, huge)
}

#[cfg(not(miri))]
#[test]
fn what_the_thread_brings_is_one_mapping_of_huge_pages() {
    let (planned, most) = ((2 << 20) / 8, 8_000_000);
    let mut array = Array::<u64>::growable(planned, most, PageChoice::Best).unwrap();
    let begun = std::time::Instant::now();
    while array.ask_ahead(most) != Some(true) {
        assert!(begun.elapsed().as_secs() < 30, "the thread touches nothing");
        std::thread::yield_now();
    }
    array.grow_to(most).unwrap();
    let (count, huge) = mappings_of(&array);
    assert!(count <= 3, "{count} mappings for 29 pages that were moved");
    if array.pages() == Pages::Transparent {
        assert!(huge >= 28 * 2_048, "{huge} kB in huge pages");
    }
}

#[cfg(not(miri))]
#[test]
fn owner_that_is_faster_takes_base_pages_to_the_end_of_a_huge_one() {
    let mut array = Array::<u64>::growable(0, 2_000_000, PageChoice::Best).unwrap();
    array.grow_to(1_000).unwrap();
    assert_eq!(mappings_of(&array).1, 0, "nobody zeroes two megabytes for a thousand records");
    assert_eq!(array.ask_ahead(2_000_000), None, "the next page is the owner's");
    assert_eq!(array.ask_ahead(500), Some(true), "the owner has touched it");
    // The thread may have brought all others by now: 16 MB begin eight pages.
    let (_count, huge) = mappings_of(&array);
    assert!(huge <= 7 * 2_048, "{huge} kB in huge pages: the owner's page is one of them");
    array.grow_to((2 << 20) / 8).unwrap();
    let begun = std::time::Instant::now();
    while array.ask_ahead(1_000_000) != Some(true) {
        assert!(begun.elapsed().as_secs() < 30, "the thread goes on behind it");
        std::thread::yield_now();
    }
    array.grow_to(1_000_000).unwrap();
    assert!(array.iter().all(|record| *record == 0));
}

#[cfg(not(miri))]
#[test]
fn array_may_go_while_the_thread_is_at_it() {
    for _ in 0..20 {
        let mut array = Array::<u64>::growable(1, 4_000_000, PageChoice::Best).unwrap();
        array.ask_ahead(4_000_000);
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
}

#[test]
fn nobody_goes_ahead_of_an_array_on_base_pages_or_one_that_is_full() {
    for (len, choice) in [(1, PageChoice::Base), (2_000, PageChoice::Best)] {
        let mut array = Array::<u64>::growable(len, 2_000, choice).unwrap();
        assert_eq!(array.ask_ahead(2_000), None);
    }
}

#[cfg(not(miri))]
#[test]
fn what_an_array_may_grow_to_takes_address_space_only() {
    // Eight terabytes: more than the machine has, and than it would promise to anybody.
    for choice in [PageChoice::Base, PageChoice::Best] {
        for first in [1_000, 1_000_000] {
            let mut array = Array::<u64>::growable(first, 1 << 40, choice).unwrap();
            array.grow_to(first + 1_000).unwrap();
            assert_eq!((array[first - 1], array[first + 999]), (0, 0));
        }
    }
}

#[test]
fn nobody_goes_ahead_before_it_is_worth_it() {
    let mut array = Array::<u64>::growable(1_000, 3_000_000, PageChoice::Best).unwrap();
    assert_eq!(array.ask_ahead(10_000), None);
    array.grow_to(10_000).unwrap();
    assert_eq!(array[9_999], 0);
}

/// Where the pool has no huge pages, or not as many, an array takes others: what was tried before must
/// not take away what another thread maps in that moment.
#[cfg(not(miri))]
#[test]
fn arrays_that_are_made_and_go_leave_alone_what_other_threads_map() {
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let map_and_look = || {
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            let mut blocks = Vec::new();
            for number in 1..=4_u64 {
                let mut block = Array::<u64>::new(256 << 10, PageChoice::Base).unwrap();
                block.iter_mut().step_by(64 << 10).for_each(|word| *word = number);
                blocks.push((number, block));
            }
            for (number, block) in &blocks {
                assert!(block.iter().step_by(64 << 10).all(|word| word == number));
            }
        }
    };
    std::thread::scope(|scope| {
        let others = [scope.spawn(map_and_look), scope.spawn(map_and_look)];
        for _ in 0..150 {
            let array = Array::<u64>::growable(256 << 10, 1 << 20, PageChoice::Best).unwrap();
            assert_eq!(array.len(), 256 << 10);
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        for other in others {
            other.join().expect("its memory is its own");
        }
    });
}
