//! The processes below one, and the end of all of them.

use std::fs;
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};

use crate::limits::{KILL_ROUNDS_MAX, KILL_SLICE};

/// A process, as `/proc` shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: Pid,
    pub(super) group: Pid,
    /// It has ended, and nobody has asked for its exit code yet.
    pub(super) is_over: bool,
}

/// Every process below `root`, parents first.
pub(super) fn below(root: Pid) -> Vec<Process> {
    let folders = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let numbers = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<Process> = numbers
        .filter_map(|pid| parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            // Numbers are read one after the other, and one that was given anew meanwhile could make
            // a ring.
            if process.pid != root && found.iter().all(|other| other.pid != process.pid) {
                found.push(*process);
                parents.push(process.pid);
            }
        }
    }
    found
}

/// A line of `stat`; the name, which may hold anything, ends at the last bracket.
fn parse(stat: &str) -> Option<Process> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let mut rest = stat.rsplit_once(") ")?.1.split(' ');
    let is_over = matches!(rest.next()?, "Z" | "X");
    let (parent, group) = (rest.next()?.parse().ok()?, rest.next()?.parse().ok()?);
    let [pid, parent, group] = [pid, parent, group].map(Pid::from_raw);
    Some(Process { pid, parent, group, is_over })
}

/// A signal to each; it may just have ended.
pub(super) fn signal(processes: &[Process], signal: Signal) {
    for process in processes {
        kill(process.pid, signal).ok();
    }
}

/// Kills everything below this process, which collects what loses its parent, until nothing is left.
pub(super) fn end_all() {
    for _round in 0..KILL_ROUNDS_MAX {
        // One that forks meanwhile is met in the next round.
        signal(&below(getpid()), Signal::SIGKILL);
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(status) if status.pid().is_none() => break,
                Ok(_ended) => {}
                Err(Errno::EINTR) => {}
                Err(_no_child) => return,
            }
        }
        thread::sleep(KILL_SLICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let [pid, parent, group] = [12, 3, 4].map(Pid::from_raw);
        let process = Process { pid, parent, group, is_over: false };
        assert_eq!(parse("12 (a) S 9 (b) S 3 4 5 0 -1"), Some(process));
        assert_eq!(parse("12 (a) Z 3 4"), Some(Process { is_over: true, ..process }));
        for wrong in ["", "12", "12 (a)", "12 (a) S", "12 (a) S x 4", "x (a) S 3 4"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_below_this_process_is_found_and_nothing_else() {
        let mut child = std::process::Command::new("sleep").arg("5").spawn().expect("it is there");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("it is small"));
        let found = below(getpid());
        assert!(found.iter().any(|process| process.pid == pid), "{found:?}");
        assert!(below(pid).is_empty());
        child.kill().expect("it lives");
        child.wait().expect("it ends");
    }
}
