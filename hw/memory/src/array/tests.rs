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
