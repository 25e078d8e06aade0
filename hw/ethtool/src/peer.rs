//! The other end of a veth pair, where it can be seen.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use crate::error::EthtoolError;
use crate::features::{Features, features};
use crate::limits::PROCESSES_MAX;
use crate::netlink::{Netlink, after, attribute, find, u32_of};
use crate::rtnetlink::{self, Interface};

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethPeer {
    /// Its name where it is.
    pub name: String,
    /// A file that stands for its network namespace; `None` if that is ours.
    pub namespace: Option<PathBuf>,
    /// What it does to packets.
    pub features: Features,
}

/// What is known of the other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VethEnd {
    /// The interface is no end of such a pair.
    NotVeth,
    /// It was found.
    Found(VethPeer),
    /// No process and no name that can be looked at holds its namespace, or it may not be entered.
    OutOfSight,
}

/// Looks for the other end of a veth pair. In another namespace it is looked at by a thread that
/// goes there, which takes CAP_SYS_ADMIN.
///
/// # Errors
/// There is no such interface, or the kernel refused to answer.
pub fn veth_peer(name: &str) -> Result<VethEnd, EthtoolError> {
    let interface = rtnetlink::interface(name)?;
    let Interface { kind, tied_to: Some(index), tied_in, .. } = interface else {
        return Ok(VethEnd::NotVeth);
    };
    if kind.as_deref() != Some("veth") {
        return Ok(VethEnd::NotVeth);
    }
    let failed = |errno| EthtoolError::of(name, "the other end", errno);
    let found = match tied_in {
        None => look(index).map(|(name, features)| (name, None, features)),
        Some(id) => {
            let Some((path, file)) = namespace(id).map_err(failed)? else {
                return Ok(VethEnd::OutOfSight);
            };
            look_there(file, index).map(|(name, features)| (name, Some(path), features))
        }
    };
    match found {
        Ok((name, namespace, features)) => {
            Ok(VethEnd::Found(VethPeer { name, namespace, features }))
        }
        Err(Errno::EPERM | Errno::EACCES | Errno::ENODEV | Errno::EOPNOTSUPP) => {
            Ok(VethEnd::OutOfSight)
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// Name and features of interface `index` of this thread's namespace.
fn look(index: u32) -> Result<(String, Features), Errno> {
    let name = rtnetlink::interface_of(index)?.name;
    match features(&name) {
        Ok(Some(features)) => Ok((name, features)),
        Ok(None) => Err(Errno::EOPNOTSUPP),
        Err(EthtoolError::System { errno, .. }) => Err(errno),
        Err(_gone_or_foreign) => Err(Errno::ENODEV),
    }
}

/// The same in another namespace, by a thread of its own: a thread that has gone there stays.
fn look_there(namespace: File, index: u32) -> Result<(String, Features), Errno> {
    let thread = thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        look(index)
    });
    thread.join().unwrap_or(Err(Errno::EIO))
}

/// The namespace that ours knows by this number, with a file of its: processes hold it, and names
/// that `ip netns` has given.
fn namespace(id: u32) -> Result<Option<(PathBuf, File)>, Errno> {
    let netlink = Netlink::route()?;
    let numbered = fs::read_dir("/proc").into_iter().flatten().take(PROCESSES_MAX);
    let held = numbered.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        Some(entry.path().join("ns/net"))
    });
    let named = fs::read_dir("/run/netns").into_iter().flatten();
    let named = named.filter_map(|entry| Some(entry.ok()?.path()));
    let mut seen = BTreeSet::new();
    for path in named.chain(held) {
        // What is gone meanwhile, or may not be looked at, is not the one.
        let Ok(file) = File::open(&path) else { continue };
        let Ok(about) = file.metadata() else { continue };
        if seen.insert((about.dev(), about.ino())) && number_of(&netlink, &file) == Ok(Some(id)) {
            return Ok(Some((path, file)));
        }
    }
    Ok(None)
}

/// The number by which our namespace knows that one, if it does.
fn number_of(netlink: &Netlink, namespace: &File) -> Result<Option<u32>, Errno> {
    const GET_ID: u16 = 90;
    // `struct rtgenmsg`, padded.
    const HEAD_LEN: usize = 4;
    const ID: u16 = 1;
    const FILE: u16 = 3;
    let file = u32::try_from(namespace.as_raw_fd()).map_err(|_negative| Errno::EBADF)?;
    let mut body = vec![0; HEAD_LEN];
    body.extend(attribute(FILE, &file.to_ne_bytes()));
    let answer = netlink.ask(GET_ID, &body)?;
    // All ones: it has no number.
    Ok(find(after(&answer, HEAD_LEN), ID).and_then(u32_of).filter(|id| *id != u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{VethEnd, veth_peer};
    use crate::error::EthtoolError;

    #[test]
    fn loopback_has_no_other_end_and_what_is_missing_is_an_error() {
        assert_eq!(veth_peer("lo"), Ok(VethEnd::NotVeth));
        let name = "no-such-link".to_owned();
        assert_eq!(veth_peer(&name), Err(EthtoolError::ConfigNoInterface { name }));
    }
}
