//! Files that are read, and texts that are judged.

use std::fs;

use super::*;

const KEYS: Keys = Keys(&[("", &["name", "tcp"]), ("tcp", &["window"])]);

/// The window of `tcp`, and everything that is wrong with `text`.
fn window(text: &str) -> Result<u32, String> {
    let judged = parse(Path::new("a.toml"), text, KEYS, |root, ledger| {
        let tcp = root.table("tcp", "tcp", ledger);
        tcp.number("window", 7, 1..=9, ledger).map(|at| at.value)
    });
    judged.map_err(|found| found.to_string())
}

#[test]
fn a_text_without_a_finding_is_what_its_sections_mean() {
    assert_eq!(window(""), Ok(7));
    assert_eq!(window("[tcp]\nwindow = 3"), Ok(3));
}

#[test]
fn everything_that_is_wrong_is_told_in_the_order_of_the_file() {
    insta::assert_snapshot!(window("nam = 1\n[tcp]\n  window = 12").unwrap_err(), @r"
    a.toml:1:1: nam: unknown key; did you mean `name`?
    a.toml:3:12: tcp.window: 12 is out of range; use 1 to 9
    ");
}

#[test]
fn a_text_that_is_no_toml_is_told_its_syntax_and_nothing_else() {
    insta::assert_snapshot!(window("[tcp]\nwindow = 1\nwindow = 12").unwrap_err(), @"a.toml:3:1: syntax: duplicate key; keep one of them");
    insta::assert_snapshot!(window("[tcp\nwindow = 12").unwrap_err(), @"a.toml:1:5: syntax: unclosed table; write `]`");
}

#[test]
fn whether_another_machine_would_take_the_file_is_known() {
    let judged = |is_wrong: bool| {
        let judged = parse(Path::new("a.toml"), "", KEYS, |root, ledger| {
            ledger.lacks(root.place, "tcp", "there is no core 9", "name another");
            if is_wrong {
                ledger.refuse(root.place, "name", "it is missing", "name it");
            }
            None::<()>
        });
        judged.unwrap_err().are_of_the_machine()
    };
    assert!(judged(false) && !judged(true));
}

#[test]
fn a_file_of_the_greatest_length_is_read_and_a_longer_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    fs::write(&file, "a = 1").unwrap();
    assert_eq!(read_text(&file, 5).unwrap(), "a = 1");
    let error = read_text(&file, 4).unwrap_err().to_string();
    assert_eq!(error, "it has more than 4 bytes, which no configuration needs");
    fs::write(&file, [0xff]).unwrap();
    assert_eq!(read_text(&file, 5).unwrap_err().kind(), io::ErrorKind::InvalidData);
    fs::remove_file(&file).unwrap();
    assert_eq!(read_text(&file, 5).unwrap_err().kind(), io::ErrorKind::NotFound);
}
