//! What every peer made of the kernel's sockets needs: waiting, descriptors, counters.

use std::fs;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::Error;
use crate::limits::{DESCRIPTORS_SPARE, TIME_WAIT_DEFAULT, TIME_WAIT_LIMIT};

/// `epoll_wait`; a signal is no event.
pub(crate) fn wait(
    epoll: &Epoll,
    events: &mut [EpollEvent],
    timeout: EpollTimeout,
) -> Result<usize, Error> {
    match epoll.wait(events, timeout) {
        Err(Errno::EINTR) => Ok(0),
        waited => waited.map_err(Error::errno("wait for events")),
    }
}

/// Raises this process's limit of open descriptors as far as `connections` need it.
pub(crate) fn allow_descriptors(connections: u64) -> Result<(), Error> {
    let needed = connections + DESCRIPTORS_SPARE;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(Error::errno("ask for the limit of open descriptors"))?;
    if needed <= soft {
        return Ok(());
    }
    if needed > hard {
        return Err(Error::Lacks {
            what: format!("descriptors: {needed} are needed, {hard} are allowed per process"),
            mend: format!(
                "use at most {} connections, or as root `prlimit --pid $$ --nofile={needed}` before",
                hard.saturating_sub(DESCRIPTORS_SPARE)
            ),
        });
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard)
        .map_err(Error::errno("raise the limit of open descriptors"))
}

/// Segments that this thread's network namespace has sent again since it began; 0 if it does not
/// say.
pub(crate) fn retransmits() -> u64 {
    let snmp = fs::read_to_string("/proc/thread-self/net/snmp").unwrap_or_default();
    retransmits_in(&snmp).unwrap_or_default()
}

/// The file has a line of names and a line of values for each protocol.
fn retransmits_in(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let column = lines.next()?.split(' ').position(|name| name == "RetransSegs")?;
    lines.next()?.split(' ').nth(column)?.parse().ok()
}

/// How many tuples the kernel lets rest in TIME-WAIT, within what a table of ours can hold.
pub(crate) fn time_wait_max() -> u32 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_max_tw_buckets").unwrap_or_default();
    text.trim().parse().unwrap_or(TIME_WAIT_DEFAULT).clamp(1_024, TIME_WAIT_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_descriptors_are_refused_with_the_mend() {
        let error = allow_descriptors(1 << 31).expect_err("no process has so many");
        let message = error.to_string();
        assert!(message.contains("descriptors") && message.contains("prlimit"), "{message}");
    }

    #[test]
    fn retransmissions_are_found_by_the_name_of_their_column() {
        let snmp = "Ip: A B\nIp: 1 2\nTcp: RtoMin RetransSegs InErrs\nTcp: 200 17 3\n";
        assert_eq!(retransmits_in(snmp), Some(17));
        assert_eq!(retransmits_in("Tcp: RtoMin\nTcp: 200\n"), None);
    }
}
