//! The program that is on an interface already, and how it goes away.

use std::fmt;
use std::fs;
use std::path::Path;

use libbpf_rs::ProgramHandle;
use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo};

use crate::sys::Attachment;

/// Somebody else's XDP program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    interface: String,
    program: u32,
    name: String,
    /// The word of `ip link set` for where it runs.
    place: &'static str,
    link: Option<u32>,
    /// A process that holds the link, and its name.
    holder: Option<(u32, String)>,
}

impl Foreign {
    /// One that no link holds, as far as is known.
    pub(crate) fn new(interface: &str, program: u32, name: &str, place: &'static str) -> Self {
        let (interface, name) = (interface.to_owned(), name.to_owned());
        Self { interface, program, name, place, link: None, holder: None }
    }

    /// One that a link holds.
    pub(crate) fn with_link(self, link: u32, holder: Option<(u32, String)>) -> Self {
        Self { link: Some(link), holder, ..self }
    }

    /// Looks it up. What cannot be read is left out.
    pub(crate) fn find(interface: &str, index: i32, attachment: Attachment) -> Self {
        let program = attachment.program;
        let name = match ProgramHandle::from_prog_id(program) {
            Ok(handle) => handle.name().to_string_lossy().into_owned(),
            Err(_gone_or_forbidden) => "?".to_owned(),
        };
        let place = match attachment.mode {
            libbpf_sys::XDP_ATTACHED_DRV => "xdpdrv",
            libbpf_sys::XDP_ATTACHED_SKB => "xdpgeneric",
            libbpf_sys::XDP_ATTACHED_HW => "xdpoffload",
            _several => "xdp",
        };
        let found = Self::new(interface, program, &name, place);
        match link_of(program, index) {
            Some(link) => found.with_link(link, holder_of(link)),
            None => found,
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, program, name, place, link, holder } = self;
        write!(f, "{name:?} (id {program}). ")?;
        match (link, holder) {
            (_, Some((process, command))) => {
                write!(f, "It goes with process {process} ({command}): kill {process}")
            }
            (Some(link), None) => {
                write!(
                    f,
                    "Link {link} holds it: bpftool link detach id {link} (link {link} may be "
                )?;
                write!(f, "pinned below /sys/fs/bpf)")
            }
            (None, None) => write!(f, "Take it off: ip link set dev {interface} {place} off"),
        }
    }
}

fn link_of(program: u32, index: i32) -> Option<u32> {
    let mut links = LinkInfoIter::default();
    let ours = links.find(|link| {
        let is_here = matches!(&link.info,
            LinkTypeInfo::Xdp(xdp) if i32::try_from(xdp.ifindex) == Ok(index));
        is_here && link.prog_id == program
    });
    ours.map(|link| link.id)
}

/// A process with a descriptor of the link, as /proc shows it.
fn holder_of(link: u32) -> Option<(u32, String)> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.map(|entry| entry.path()).find_map(|folder| {
        let process = folder.file_name()?.to_str()?.parse().ok()?;
        holds(&folder, link).then(|| {
            let command = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            (process, command.trim().to_owned())
        })
    })
}

fn holds(process: &Path, link: u32) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fdinfo")) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        let text = fs::read_to_string(descriptor.path()).unwrap_or_default();
        names_link(&text, link)
    })
}

fn names_link(fdinfo: &str, link: u32) -> bool {
    let numbers = fdinfo.lines().filter_map(|line| line.strip_prefix("link_id:"));
    numbers.map(str::trim).any(|number| number.parse() == Ok(link))
}

#[cfg(test)]
mod tests {
    use super::names_link;

    #[test]
    fn link_is_known_by_its_number_alone() {
        let text = "pos:\t0\nlink_type:\txdp\nlink_id:\t12\nprog_id:\t34\n";
        assert!(names_link(text, 12));
        assert!(!names_link(text, 1) && !names_link(text, 34));
    }
}
