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
