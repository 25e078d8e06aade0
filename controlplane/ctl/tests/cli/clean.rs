//! Gateways that have died: how they are told of, and how their files are removed.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::fake::{self, Fake, Plan, Words};
use crate::{folder, printed, run};

/// Leaves what a gateway `lab` leaves that was killed.
fn kill_one(folder: &Path) -> Words {
    let words = fake::killed(folder);
    // The fake has none: the socket that a gateway has beside it.
    drop(UnixListener::bind(folder.join("lab/control")).expect("a free name"));
    words
}

/// Leaves the same under further names, the last of them the newest. Their words lie beside their
/// locks, as on a memory file system.
fn kill_more(folder: &Path, names: &[String]) {
    for (age, name) in (1..).zip(names.iter().rev()) {
        let copy = folder.join(name);
        fs::create_dir(&copy).expect("the test takes new names");
        fs::copy(folder.join("lab/stats"), copy.join("stats")).expect("it is there");
        fs::copy(folder.join("lab/stats.lock"), copy.join("stats.lock")).expect("it is there");
        let lock = File::options().write(true).open(copy.join("stats.lock")).expect("it is ours");
        let then = SystemTime::now() - Duration::from_secs(3_600 + age);
        lock.set_modified(then).expect("it is ours");
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("readable"));
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().into_string().expect("a plain name")).collect();
    names.sort();
    names
}

#[test]
fn of_many_dead_ones_the_newest_few_are_told_with_the_command_that_removes_them() {
    let folder = folder();
    let _words = kill_one(folder.path());
    kill_more(folder.path(), &["older".to_owned()]);
    for command in ["stats", "top --count 1", "drops --json", "connections"] {
        let (code, stdout, stderr) = run(folder.path(), command);
        assert_eq!((code, stdout.as_str()), (Some(3), ""), "{command}: {stderr}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(stderr, @r"
            abelectl: no gateway runs; these have died:
              lab  (DIR/lab/stats)
              older  (DIR/older/stats)
            --instance tells what one told last; to remove their files: abelectl clean --folder DIR
            ");
        }
    }
    let many: Vec<String> = (10..60).map(|number| format!("run{number}")).collect();
    kill_more(folder.path(), &many);
    let (code, _, stderr) = run(folder.path(), "stats");
    assert_eq!(code, Some(3));
    insta::assert_snapshot!(stderr, @r"
    abelectl: no gateway runs; these have died:
      lab  (DIR/lab/stats)
      run59  (DIR/run59/stats)
      older  (DIR/older/stats)
      run58  (DIR/run58/stats)
      run57  (DIR/run57/stats)
      and 47 older ones
    --instance tells what one told last; to remove their files: abelectl clean --folder DIR
    ");
    let (code, _, stderr) = run(folder.path(), "stats --instance three");
    assert_eq!((code, stderr.lines().count()), (Some(3), 1), "{stderr}");
    assert!(stderr.len() < 300, "fifty names are no help: {stderr}");
}

#[test]
fn one_that_lives_is_meant_and_not_the_dead_ones_beside_it() {
    let folder = folder();
    let _words = kill_one(folder.path());
    kill_more(folder.path(), &["other".to_owned(), "third".to_owned()]);
    let _alive = Fake::start(folder.path(), &Plan::new("alive"));
    assert!(printed(folder.path(), "stats").starts_with("gateway alive"));
    let (code, stdout, stderr) = run(folder.path(), "stats --instance lab");
    assert_eq!(code, Some(3));
    assert!(stdout.contains("DEAD") && stderr.contains("has died"), "{stdout}{stderr}");
    let _second = Fake::start(folder.path(), &Plan::new("second"));
    let (code, _, stderr) = run(folder.path(), "stats");
    assert_eq!(code, Some(2));
    assert!(!stderr.contains("other") && stderr.contains("second"), "{stderr}");
}

#[test]
fn clean_removes_what_dead_ones_left_and_nothing_else() {
    let folder = folder();
    let words = kill_one(folder.path());
    kill_more(folder.path(), &["other".to_owned(), "third".to_owned()]);
    fs::write(folder.path().join("third/notes"), "an operator's own").expect("it is ours");
    fs::create_dir(folder.path().join("no-instance")).expect("it is ours");
    let _alive = Fake::start(folder.path(), &Plan::new("alive"));
    let told = printed(folder.path(), "clean").replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(told, @r"
    removed lab  (DIR/lab)
    removed other  (DIR/other)
    removed third  (DIR/third; the folder stays, for there is more in it)
    ");
    assert_eq!(names_in(folder.path()), ["alive", "no-instance", "third"]);
    assert_eq!(names_in(&folder.path().join("third")), ["notes"]);
    assert!(!words.0.exists(), "{} is left", words.0.display());
    assert!(printed(folder.path(), "stats").starts_with("gateway alive"));
    assert_eq!(printed(folder.path(), "clean"), "no gateway has died\n");
}

#[test]
fn clean_of_one_instance_leaves_the_others_and_refuses_one_that_lives() {
    let folder = folder();
    let _words = kill_one(folder.path());
    kill_more(folder.path(), &["other".to_owned()]);
    assert!(printed(folder.path(), "clean --instance lab").starts_with("removed lab "));
    assert_eq!(names_in(folder.path()), ["other"]);
    let _alive = Fake::start(folder.path(), &Plan::new("alive"));
    let before = names_in(&folder.path().join("alive"));
    let (code, stdout, stderr) = run(folder.path(), "clean --instance alive");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    let pid = std::process::id();
    let expected = format!("abelectl: \"alive\" runs (pid {pid}); only dead ones are removed\n");
    assert_eq!(stderr, expected);
    assert_eq!(names_in(&folder.path().join("alive")), before);
    let (code, _, stderr) = run(folder.path(), "clean --instance lab");
    assert_eq!(code, Some(3));
    assert!(stderr.contains("there is alive, other"), "{stderr}");
}

#[test]
fn clean_removes_what_died_before_anybody_saw_it() {
    let folder = folder();
    let words = kill_one(folder.path());
    // Killed twice at the same place, the second time before it published.
    let place = folder.path().join("lab");
    fs::rename(place.join("stats"), place.join("stats.14.new")).expect("it is ours");
    assert_eq!(printed(folder.path(), "clean").lines().count(), 1);
    assert!(names_in(folder.path()).is_empty());
    assert!(!words.0.exists(), "{} is left", words.0.display());
}

#[test]
fn clean_spares_one_that_starts_at_the_same_moment() {
    for _round in 0..20 {
        let folder = folder();
        let _words = kill_one(folder.path());
        // A gateway that starts would take it over; the fake does not.
        fs::remove_file(folder.path().join("lab/control")).expect("it is there");
        let cleaner = {
            let folder = folder.path().to_owned();
            std::thread::spawn(move || run(&folder, "clean"))
        };
        let next = Fake::try_start(folder.path(), &Plan::new("lab"));
        let (code, _, stderr) = cleaner.join().expect("it asserts nothing");
        assert_eq!(code, Some(0), "{stderr}");
        // Whoever was first, the other one has seen it.
        if let Some(_next) = next {
            assert!(printed(folder.path(), "stats").starts_with("gateway lab"));
        }
        assert!(names_in(folder.path()).is_empty(), "{:?}", names_in(folder.path()));
    }
}
