//! Tests of shared files against the real kernel.
#![cfg(not(loom))]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
};

use tempfile::TempDir;

use super::*;

const LEN_MAX: usize = 1 << 20;

/// A folder in memory, and one that is wherever temporary files are.
fn folders() -> Vec<TempDir> {
    let in_memory = tempfile::tempdir_in("/dev/shm").ok();
    if in_memory.is_none() {
        println!("SKIPPED: no folder can be made in /dev/shm");
    }
    in_memory.into_iter().chain([tempfile::tempdir().unwrap()]).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn words_are_seen_once_they_are_published_and_gone_when_the_writer_ends() {
    for folder in folders() {
        let path = folder.path().join("run/lab/stats");
        let file = SharedFile::create(&path, 100).unwrap();
        assert_eq!(file.words().len(), 100);
        assert!(matches!(SharedView::open(&path, LEN_MAX), Err(SharedError::Missing { .. })));
        file.words()[99].store(7, Ordering::Relaxed);
        file.publish().unwrap();

        let view = SharedView::open(&path, LEN_MAX).unwrap();
        assert_eq!((view.len(), view.load(99), view.load(0)), (100, 7, 0));
        assert!(view.is_current() && view.is_held().unwrap());
        file.words()[0].store(8, Ordering::Relaxed);
        assert_eq!(view.load(0), 8, "it is the same memory");
        assert_eq!(mode(&path), 0o640);
        assert_eq!(mode(path.parent().unwrap()), 0o750);

        let target = fs::read_link(&path).ok();
        drop(file);
        assert_eq!(view.load(99), 7, "a reader keeps what was written");
        assert!(!view.is_current() && !view.is_held().unwrap());
        assert!(!path.parent().unwrap().exists(), "nothing is left");
        assert!(target.is_none_or(|target| !target.exists()));
    }
}

#[test]
fn words_on_a_disk_lie_in_memory_behind_a_link() {
    for folder in folders() {
        let path = folder.path().join("stats");
        let file = SharedFile::create(&path, 8).unwrap();
        file.publish().unwrap();
        assert!(!file.is_on_disk());
        let system = nix::sys::statfs::statfs(&fs::canonicalize(&path).unwrap()).unwrap();
        assert_eq!(system.filesystem_type(), nix::sys::statfs::TMPFS_MAGIC);
    }
}

#[test]
fn second_writer_is_refused_and_told_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats");
    let first = SharedFile::create(&path, 8).unwrap();
    let refused = SharedFile::create(&path, 8).unwrap_err();
    assert!(
        matches!(refused, SharedError::Held { pid, .. } if pid == Some(std::process::id())),
        "{refused}"
    );
    first.publish().unwrap();
    SharedView::open(&path, LEN_MAX).unwrap();
    first.remove();
    drop(first);
    drop(SharedFile::create(&path, 8).unwrap());
}

#[test]
fn file_that_was_removed_does_not_take_its_successor_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in/stats");
    let first = SharedFile::create(&path, 8).unwrap();
    first.publish().unwrap();
    first.remove();
    let second = SharedFile::create(&path, 8).unwrap();
    second.publish().unwrap();
    first.remove();
    drop(first);
    let view = SharedView::open(&path, LEN_MAX).unwrap();
    assert!(view.is_held().unwrap());
    assert!(SharedFile::create(&path, 8).is_err());
}

#[test]
fn guest_writes_what_the_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats");
    let file = SharedFile::create(&path, 8).unwrap();
    file.publish().unwrap();
    let guest = SharedGuest::open(&path, LEN_MAX).unwrap();
    assert_eq!(guest.words().len(), 8);
    guest.words()[3].store(11, Ordering::Release);
    assert_eq!(file.words()[3].load(Ordering::Acquire), 11);
}

#[test]
fn what_is_no_file_of_words_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats");
    for (content, words) in [(vec![], None), (vec![1; 7], None), (vec![1; 16], Some(2))] {
        fs::write(&path, &content).unwrap();
        let opened = SharedView::open(&path, LEN_MAX).map(|view| view.len());
        assert_eq!(opened.ok(), words, "{} bytes", content.len());
    }
    fs::write(&path, vec![0; LEN_MAX + 8]).unwrap();
    let refused = SharedView::open(&path, LEN_MAX).unwrap_err();
    assert!(matches!(refused, SharedError::NoWords { .. }), "{refused}");
    let refused = SharedView::open(folder.path(), LEN_MAX).unwrap_err();
    assert!(matches!(refused, SharedError::NoWords { .. }), "{refused}");
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let refused = SharedView::open(&pipe, LEN_MAX).unwrap_err();
    assert!(matches!(refused, SharedError::NoWords { .. }), "{refused}");
}

const CHILD_PATH: &str = "ABELE_TEST_SHARED_CHILD";

/// A process of its own that publishes a file and stays until it is killed.
fn child(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shared::tests::child_that_holds_a_file", "--nocapture"])
        .env(CHILD_PATH, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("published")));
    child
}

#[test]
fn child_that_holds_a_file() {
    let Some(path) = std::env::var_os(CHILD_PATH).map(PathBuf::from) else { return };
    let file = SharedFile::create(&path, 16).unwrap();
    file.words()[1].store(41, Ordering::Relaxed);
    file.publish().unwrap();
    println!("published");
    // Until it is killed, or the test that made it has ended.
    io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn killed_writer_leaves_its_words_and_the_next_one_takes_over() {
    for folder in folders() {
        let path = folder.path().join("lab/stats");
        let mut child = child(&path);
        let refused = SharedFile::create(&path, 32).unwrap_err();
        assert!(matches!(refused, SharedError::Held { pid, .. } if pid == Some(child.id())));
        let view = SharedView::open(&path, LEN_MAX).unwrap();
        assert!(view.is_held().unwrap());

        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!view.is_held().unwrap() && view.is_current());
        assert_eq!(SharedView::open(&path, LEN_MAX).unwrap().load(1), 41, "read after its death");

        let old = fs::read_link(&path).ok();
        let next = SharedFile::create(&path, 32).unwrap();
        next.words()[1].store(42, Ordering::Relaxed);
        assert!(view.is_current(), "nothing is replaced before it is whole");
        next.publish().unwrap();
        assert!(!view.is_current());
        assert_eq!((view.load(1), view.len()), (41, 16), "the old mapping is whole");
        assert_eq!(SharedView::open(&path, LEN_MAX).unwrap().load(1), 42);
        assert!(old.is_none_or(|old| !old.exists()), "no litter in memory");
    }
}

/// A process number that nobody has: that of a child which has ended.
fn pid_of_nobody() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn words_whose_folder_is_gone_are_removed_and_no_others() {
    let memory = tempfile::tempdir().unwrap();
    let pid = pid_of_nobody();
    let make = |name: String| {
        let path = memory.path().join(name);
        fs::write(&path, "12345678").unwrap();
        path
    };
    let orphan = make(format!("abele.{pid}.18ec3728f22ea8e2"));
    let linked = make(format!("abele.{pid}.18ec3728f22ea8e3"));
    let held = make(format!("abele.{pid}.18ec3728f22ea8e4"));
    let living = make(format!("abele.{}.18ec3728f22ea8e5", std::process::id()));
    for other in ["abele.x.18ec", "abele.1", "abele.-1.18ec", "abele.0.18ec", "other", "abele."] {
        make(other.to_owned());
    }
    std::os::unix::fs::symlink(&living, memory.path().join(format!("abele.{pid}.1"))).unwrap();
    fs::create_dir(memory.path().join(format!("abele.{pid}.2"))).unwrap();
    let link = memory.path().join("stats");
    std::os::unix::fs::symlink(&linked, &link).unwrap();
    let holder = File::options().write(true).open(&held).unwrap();
    let lock = nix::fcntl::FcntlArg::F_OFD_SETLK(&lock::whole_file());
    nix::fcntl::fcntl(&holder, lock).unwrap();

    let count = || fs::read_dir(memory.path()).unwrap().count();
    let before = count();
    let links = [link, memory.path().join("no-such/stats")];
    assert_eq!(orphans::remove_in(memory.path(), &links), std::slice::from_ref(&orphan));
    assert!(!orphan.exists() && linked.exists() && held.exists() && living.exists());
    assert_eq!(count(), before - 1);
    drop(holder);
    assert_eq!(orphans::remove_in(memory.path(), &links), [held]);
    assert_eq!(orphans::remove_in(&memory.path().join("no-such"), &[]), [] as [PathBuf; 0]);
}

#[test]
fn words_of_a_writer_that_lives_are_locked() {
    for folder in folders() {
        let path = folder.path().join("stats");
        let file = SharedFile::create(&path, 8).unwrap();
        file.publish().unwrap();
        let other = File::options().read(true).write(true).open(&path).unwrap();
        let whole = lock::whole_file();
        let take = || nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole));
        assert!(take().is_err(), "somebody holds it");
        drop(file);
        take().unwrap();
    }
}
