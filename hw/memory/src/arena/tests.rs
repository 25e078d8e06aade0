//! Tests of the mappings against the real kernel.
#![cfg(not(any(loom, miri)))]

use std::{path::PathBuf, sync::atomic::Ordering};

use super::*;

/// Says loudly what is skipped; fails instead where the machine is said to have it.
fn skip(need: &str, why: &str) {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|one| one == need), "{need} is required, but {why}");
    println!("SKIPPED: {why}");
}

fn on_tmpfs() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir_in("/dev/shm").ok();
    if dir.is_none() {
        skip("tmpfs", "no folder can be made in /dev/shm");
    }
    dir
}

#[test]
fn anonymous_memory_is_zero_and_keeps_what_is_written() {
    let mut arena = Arena::anonymous(3 * BASE_PAGE_LEN + 1, PageChoice::Base).unwrap();
    assert_eq!(arena.len(), 4 * BASE_PAGE_LEN);
    assert_eq!(arena.pages(), Pages::Base);
    arena.touch_to(1).unwrap();
    arena.touch_all().unwrap();
    assert!(arena.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
    arena.words()[7].store(77, Ordering::Relaxed);
    arena.touch_all().unwrap();
    assert_eq!(arena.words()[7].load(Ordering::Relaxed), 77);
}

#[test]
fn best_takes_base_pages_for_a_small_mapping() {
    let arena = Arena::anonymous(HUGE_PAGE_LEN - 1, PageChoice::Best).unwrap();
    assert_eq!(arena.pages(), Pages::Base);
    assert_eq!(arena.len(), HUGE_PAGE_LEN);
}

#[test]
fn best_takes_aligned_huge_pages_where_the_machine_has_them() {
    let mut arena = Arena::anonymous(3 * HUGE_PAGE_LEN - 5, PageChoice::Best).unwrap();
    assert_eq!(arena.len(), 3 * HUGE_PAGE_LEN);
    assert!(arena.as_ptr().addr().is_multiple_of(HUGE_PAGE_LEN));
    arena.touch_all().unwrap();
    println!("best is: {}", arena.pages());
    let modes = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if modes.is_ok_and(|modes| !modes.contains("[never]")) {
        assert_ne!(arena.pages(), Pages::Base);
    } else {
        skip("hugepages", "transparent huge pages are switched off");
    }
}

/// What the kernel says of the mapping that an arena begins in.
fn mapping_of(arena: &Arena) -> String {
    let first = arena.as_ptr().addr();
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let is_ours = |line: &&str| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let (start, end) = range.unwrap_or_default();
        match (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16)) {
            (Ok(start), Ok(end)) => (start..end).contains(&first),
            _ => false,
        }
    };
    let ours = smaps.lines().skip_while(|line| !is_ours(line));
    // The flags are the last line of each mapping.
    let mut is_over = false;
    let lines = ours.take_while(|line| !std::mem::replace(&mut is_over, is_last(line)));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_last(line: &str) -> bool {
    line.starts_with("VmFlags:")
}

#[test]
fn what_was_got_agrees_with_what_the_kernel_says() {
    let mut arena = Arena::anonymous(8 * HUGE_PAGE_LEN, PageChoice::Best).unwrap();
    arena.touch_all().unwrap();
    let smaps = mapping_of(&arena);
    let is_zero = |line: &str| line.split_whitespace().nth(1) == Some("0");
    let find = |key| smaps.lines().find(|line| line.starts_with(key)).unwrap();
    match arena.pages() {
        Pages::Huge => assert!(!is_zero(find("Private_Hugetlb:"))),
        Pages::Transparent => assert!(!is_zero(find("AnonHugePages:"))),
        Pages::Base => assert!(is_zero(find("AnonHugePages:"))),
    }
}

#[test]
fn no_arena_is_part_of_a_core_dump() {
    let is_left_out = |arena: &Arena| {
        let mapping = mapping_of(arena);
        let flags = mapping.lines().find(|line| is_last(line)).unwrap_or_default();
        flags.split_whitespace().any(|flag| flag == "dd")
    };
    let choices = [(PageChoice::Base, 1), (PageChoice::Best, 3 * HUGE_PAGE_LEN)];
    for (choice, len) in choices {
        let mut arena = Arena::anonymous(len, choice).unwrap();
        arena.touch_all().unwrap();
        assert!(is_left_out(&arena), "{choice:?}: {}", mapping_of(&arena));
    }
    // The pool may be empty, and then the one above has shown transparent pages.
    if let Ok(arena) = Arena::anonymous(HUGE_PAGE_LEN, PageChoice::RequireHuge) {
        assert!(is_left_out(&arena), "{}", mapping_of(&arena));
    }
    let Some(dir) = on_tmpfs() else { return };
    let path = dir.path().join("arena");
    let named = Arena::named(&path, 10_000, PageChoice::Base).unwrap();
    assert!(is_left_out(&named), "{}", mapping_of(&named));
    let shared = map_shared(&std::fs::File::open(&path).unwrap(), 10_000, false).unwrap();
    assert!(is_left_out(&shared), "{}", mapping_of(&shared));
}

#[test]
fn required_huge_pages_are_given_or_refused_with_the_command_that_mends_it() {
    match Arena::anonymous(2 * HUGE_PAGE_LEN, PageChoice::RequireHuge) {
        Ok(mut arena) => {
            assert_eq!(arena.pages(), Pages::Huge);
            arena.touch_all().unwrap();
        }
        Err(error) => {
            assert!(matches!(error, ArenaError::ResourceHugePages { needed: 2, .. }), "{error}");
            assert!(error.to_string().contains("> /proc/sys/vm/nr_hugepages"), "{error}");
            skip("hugepages", "the kernel's pool has no two free huge pages");
        }
    }
}

#[test]
fn impossible_lengths_are_refused() {
    for len in [0, usize::MAX, usize::MAX / 2 + 1] {
        for choice in [PageChoice::Best, PageChoice::RequireHuge, PageChoice::Base] {
            let refused = Arena::anonymous(len, choice).unwrap_err();
            assert_eq!(refused, ArenaError::ConfigLen { len });
        }
    }
    let len = 1 << 60;
    let refused = Arena::anonymous(len, PageChoice::Best).unwrap_err();
    assert!(matches!(refused, ArenaError::ResourceMap { .. }), "{refused}");
}

#[test]
#[should_panic(expected = "touch_to 8192 of 4096 bytes")]
fn touching_beyond_the_mapping_panics() {
    let mut arena = Arena::anonymous(1, PageChoice::Base).unwrap();
    arena.touch_to(2 * BASE_PAGE_LEN).unwrap();
}

#[test]
fn named_memory_is_shared_and_outlives_its_mapping() {
    let Some(dir) = on_tmpfs() else { return };
    let path = dir.path().join("arena");
    let mut one = Arena::named(&path, 10_000, PageChoice::Best).unwrap();
    one.touch_all().unwrap();
    let other = Arena::named(&path, 10_000, PageChoice::Base).unwrap();
    one.words()[3].store(33, Ordering::Release);
    assert_eq!(other.words()[3].load(Ordering::Acquire), 33);
    drop((one, other));
    let mut again = Arena::named(&path, 10_000, PageChoice::Best).unwrap();
    again.touch_all().unwrap();
    assert_eq!(again.words()[3].load(Ordering::Acquire), 33);
    assert_eq!(again.len(), 3 * BASE_PAGE_LEN);
}

#[test]
fn a_named_file_of_another_length_is_refused_and_left_alone() {
    let Some(dir) = on_tmpfs() else { return };
    let path = dir.path().join("arena");
    std::fs::write(&path, b"something else").unwrap();
    let refused = Arena::named(&path, 4096, PageChoice::Best).unwrap_err();
    assert_eq!(refused, ArenaError::ConfigFileLen { path: path.clone(), found: 14, len: 4096 });
    assert_eq!(std::fs::read(&path).unwrap(), b"something else");
}

#[test]
fn required_huge_pages_are_not_taken_from_tmpfs() {
    let Some(dir) = on_tmpfs() else { return };
    let path = dir.path().join("arena");
    let refused = Arena::named(&path, 4096, PageChoice::RequireHuge).unwrap_err();
    assert_eq!(refused, ArenaError::ConfigNotHuge { path: path.clone() });
    assert!(!path.exists(), "a refused file was left behind");
}

#[test]
fn a_file_on_disk_is_refused() {
    // The folder of the test binary: on nearly every machine a disk.
    let binary = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir_in(binary.parent().unwrap()).unwrap();
    let path = dir.path().join("arena");
    match Arena::named(&path, 4096, PageChoice::Best) {
        Err(refused) => {
            assert_eq!(refused, ArenaError::ConfigFileSystem { path: path.clone() });
            assert!(!path.exists(), "a refused file was left behind");
        }
        Ok(_arena) => skip("disk", "the test binary lies on tmpfs"),
    }
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let path = PathBuf::from("/dev/shm/no such folder/arena");
    let refused = Arena::named(&path, 4096, PageChoice::Best).unwrap_err();
    assert!(matches!(refused, ArenaError::ConfigFile { .. }), "{refused}");
    assert!(refused.to_string().contains("no such folder"), "{refused}");
}

/// A folder on hugetlbfs with two free pages, if the machine has one.
fn on_hugetlbfs() -> Option<tempfile::TempDir> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    let mount = mounts.find_map(|mut fields| {
        let (_device, folder, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "hugetlbfs").then(|| folder.to_owned())
    });
    let free = Arena::anonymous(2 * HUGE_PAGE_LEN, PageChoice::RequireHuge).is_ok();
    let dir = mount.filter(|_mount| free).and_then(|mount| tempfile::tempdir_in(mount).ok());
    if dir.is_none() {
        skip("hugepages", "no hugetlbfs is mounted, or its pool has no two free pages");
    }
    dir
}

#[test]
fn a_named_file_on_hugetlbfs_is_made_of_huge_pages() {
    let Some(dir) = on_hugetlbfs() else { return };
    let path = dir.path().join("arena");
    let mut arena = Arena::named(&path, HUGE_PAGE_LEN + 1, PageChoice::RequireHuge).unwrap();
    assert_eq!((arena.pages(), arena.len()), (Pages::Huge, 2 * HUGE_PAGE_LEN));
    arena.touch_all().unwrap();
    arena.words()[HUGE_PAGE_LEN / 8].store(8, Ordering::Relaxed);
    drop(arena);
    let again = Arena::named(&path, 2 * HUGE_PAGE_LEN, PageChoice::Best).unwrap();
    assert_eq!(again.words()[HUGE_PAGE_LEN / 8].load(Ordering::Relaxed), 8);
}
