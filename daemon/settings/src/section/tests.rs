//! Every reader of a value: what it takes, and what it says of anything else.

use std::fmt::Debug;

use super::*;
use crate::keys::Keys;

const KEYS: Keys = Keys(&[("", &["key", "other"]), ("key", &["inner"])]);

/// What `read` makes of the lines of a file, or what is wrong with them.
fn read<T: Debug>(
    text: &str,
    read: impl FnOnce(Section<'_>, &mut Ledger<'_>) -> Option<T>,
) -> String {
    match crate::parse(Path::new("f"), text, KEYS, read) {
        Ok(value) => format!("{value:?}"),
        Err(found) => found.to_string(),
    }
}

#[test]
fn a_number_is_whole_and_in_its_range() {
    let number = |text: &str| {
        read(text, |root, ledger| root.number("key", 5_u8, 1..=9, ledger).map(|at| at.value))
    };
    assert_eq!(number(""), "5");
    assert_eq!(number("key = 9"), "9");
    assert_eq!(number("key = 0x9"), "9");
    assert_eq!(number("key = 10"), "f:1:7: key: 10 is out of range; use 1 to 9");
    assert_eq!(number("key = -1"), "f:1:7: key: -1 is out of range; use 1 to 9");
    assert_eq!(number("key = 1.5"), "f:1:7: key: 1.5 is a float; use a whole number");
    assert_eq!(number("key = '3'"), "f:1:7: key: \"3\" is a string; write 3 without quotes");
}

#[test]
fn numbers_are_judged_one_by_one() {
    let numbers = |text: &str| {
        read(text, |root, ledger| {
            let all = root.numbers("key", 1_u8..=9, ledger);
            Some(all.iter().map(|at| at.value).collect::<Vec<_>>())
        })
    };
    assert_eq!(numbers(""), "[]");
    assert_eq!(numbers("key = [1, 9]"), "[1, 9]");
    assert_eq!(numbers("key = 1"), "f:1:7: key: 1 is an integer; use a list in brackets");
    assert_eq!(
        numbers("key = [0,\n true]"),
        "f:1:8: key: 0 is out of range; use 1 to 9\n\
         f:2:2: key: true is a boolean; use a whole number"
    );
}

#[test]
fn a_size_has_a_unit_or_none() {
    let size = |text: &str| {
        read(text, |root, ledger| root.size("key", 5_u32, 1..=4_096, ledger).map(|at| at.value))
    };
    assert_eq!(size(""), "5");
    assert_eq!(size("key = 12"), "12");
    assert_eq!(size("key = '4 KiB'"), "4096");
    assert_eq!(size("key = '5 KiB'"), "f:1:7: key: 5120 is out of range; use 1 to 4096");
    assert_eq!(
        size("key = '4 kb'"),
        "f:1:7: key: \"4 kb\" is no size; did you mean \"4 KiB\"? \
         use a number of bytes, or text such as \"256 KiB\" (B, KiB, MiB, GiB)"
    );
}

#[test]
fn what_may_be_absent_is_told_apart_from_what_is_wrong() {
    let number = |text: &str| read(text, |root, ledger| root.maybe_number("key", 1..=9, ledger));
    assert_eq!(number(""), "None");
    assert_eq!(number("key = 9"), "Some(9)");
    assert_eq!(number("key = 10"), "f:1:7: key: 10 is out of range; use 1 to 9");
    let size = |text: &str| read(text, |root, ledger| root.maybe_size("key", 1..=9, ledger));
    assert_eq!(size(""), "None");
    assert_eq!(size("key = '9 B'"), "Some(9)");
    assert_eq!(size("key = 10"), "f:1:7: key: 10 is out of range; use 1 to 9");
}

#[test]
fn a_path_begins_at_its_folder_unless_it_is_whole() {
    let path = |text: &str| {
        read(text, |root, ledger| Some(root.path_of("key", Path::new("/etc"), ledger)?.value))
    };
    assert_eq!(path("key = 'a'"), "\"/etc/a\"");
    assert_eq!(path("key = '/tmp/a'"), "\"/tmp/a\"");
    assert_eq!(path("key = ''"), "f:1:7: key: it is empty; name a file, or remove the key");
}

#[test]
fn a_choice_is_one_of_its_words() {
    let choice = |text: &str| {
        read(text, |root, ledger| {
            root.choice("key", 0, &[("spin", 1), ("wait", 2)], ledger).map(|at| at.value)
        })
    };
    assert_eq!(choice(""), "0");
    assert_eq!(choice("key = 'wait'"), "2");
    assert_eq!(
        choice("key = 'wai'"),
        "f:1:7: key: \"wai\" is unknown; did you mean \"wait\"? use \"spin\" or \"wait\""
    );
    assert_eq!(choice("key = 1"), "f:1:7: key: 1 is an integer; use text in quotes");
}

#[test]
fn a_flag_is_true_or_false() {
    let flag = |text: &str| read(text, |root, ledger| root.flag("key", true, ledger));
    assert_eq!(flag(""), "true");
    assert_eq!(flag("key = false"), "false");
    assert_eq!(flag("key = 1"), "f:1:7: key: 1 is an integer; use true or false");
    assert_eq!(
        flag("key = 'false'"),
        "f:1:7: key: \"false\" is a string; write false without quotes"
    );
}

#[test]
fn texts_are_judged_one_by_one() {
    let texts = |text: &str| {
        read(text, |root, ledger| {
            let all = root.texts("key", ledger);
            Some(all.iter().map(|at| at.value.to_owned()).collect::<Vec<_>>())
        })
    };
    assert_eq!(texts(""), "[]");
    assert_eq!(texts("key = ['a', 'b']"), "[\"a\", \"b\"]");
    assert_eq!(texts("key = ['a', []]"), "f:1:13: key: this is an array; use text in quotes");
}

#[test]
fn tables_know_their_keys_and_say_which_there_are() {
    let inner = |text: &str| {
        read(text, |root, ledger| {
            let sections = root.tables("key", "key", ledger);
            let numbers = sections.iter().map(|section| section.number("inner", 0, 0..=9, ledger));
            numbers.map(|at| at.map(|at| at.value)).collect::<Option<Vec<u8>>>()
        })
    };
    assert_eq!(inner(""), "[]");
    assert_eq!(inner("[[key]]\ninner = 1\n[[key]]\n"), "[1, 0]");
    assert_eq!(inner("[key]\n"), "f:1:1: key: one table; begin each with [[key]]");
    assert_eq!(
        inner("[[key]]\nother = 1\n"),
        "f:2:1: key.other: unknown key; `other` belongs above the first section"
    );
    assert_eq!(inner("key = [1]"), "f:1:8: key: 1 is an integer; use a table");
}

#[test]
fn a_section_that_is_absent_is_at_its_defaults() {
    let number = read("other = 1", |root, ledger| {
        let section = root.table("key", "key", ledger);
        assert_eq!(section.path("inner"), "key.inner");
        section.number("inner", 3, 0..=9, ledger)
    });
    assert_eq!(number, "At { value: 3, place: Place { line: 1, column: 1 } }");
}

#[test]
#[should_panic(expected = "inner is not in the table of keys")]
fn a_key_that_nobody_may_write_is_not_looked_for() {
    read("", |root, ledger| root.flag("inner", true, ledger));
}
