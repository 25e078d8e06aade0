//! Why the program could not be loaded or attached, and the command that mends it.

use std::net::IpAddr;

use nix::errno::Errno;

use crate::config::Mode;
use crate::foreign::Foreign;
use crate::limits::{KERNEL_MIN, LOG_LINES_MAX};
use crate::machine::{CAP_PERFMON, Machine};

/// Why the program could not be loaded, attached or told something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No such number of queues.
    #[error("{queues} queues; use 1 to {most}")]
    ConfigQueues {
        /// What was asked for.
        queues: u32,
        /// The most that the program takes.
        most: u32,
    },
    /// No such queue.
    #[error("queue {queue}; the program was loaded for queues 0 to {last}")]
    ConfigQueue {
        /// What was asked for.
        queue: u32,
        /// The last one.
        last: u32,
    },
    /// No such number of addresses.
    #[error("{count} addresses; use 1 to {most}")]
    ConfigAddressCount {
        /// What was asked for.
        count: usize,
        /// The most that the program takes.
        most: u32,
    },
    /// An address that no station has.
    #[error("{address} is no address of one station; use a unicast address")]
    ConfigAddress {
        /// What was asked for.
        address: IpAddr,
    },
    /// There is no such interface.
    #[error("there is no interface {interface} in this network namespace; look: ip link show")]
    ResourceNoInterface {
        /// What was asked for.
        interface: String,
    },
    /// A right is missing.
    #[error(
        "{what}: not permitted; the process lacks {rights}. Run it as root, or give the program \
         the rights: setcap \
         cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock+ep PROGRAM (as root)"
    )]
    ResourceNotPermitted {
        /// What was tried.
        what: String,
        /// The missing rights.
        rights: String,
    },
    /// Rights over a user namespace are none over BPF.
    #[error(
        "{what}: not permitted in a user namespace, whoever is root in it. Run it as the \
         machine's root, or without XDP: kind = \"tap\""
    )]
    ResourceUserNamespace {
        /// What was tried.
        what: String,
    },
    /// All rights are there, and the kernel refuses all the same.
    #[error(
        "{what}: not permitted although the rights are there: a security module, a container's \
         seccomp profile or locked memory (ulimit -l) forbids it. Look: dmesg; in a container, \
         start it with --privileged; or raise the limit: ulimit -l unlimited"
    )]
    ResourceForbidden {
        /// What was tried.
        what: String,
    },
    /// The kernel is older than the program.
    #[error(
        "kernel {release} is too old; XDP over several buffers needs {}.{} or later: apt-get \
         dist-upgrade and start the machine again, or without XDP: kind = \"tap\"",
        KERNEL_MIN.0, KERNEL_MIN.1
    )]
    ResourceKernelTooOld {
        /// What runs.
        release: String,
    },
    /// The kernel has no BPF.
    #[error(
        "kernel {release} was built without BPF; look: grep CONFIG_BPF_SYSCALL \
         /boot/config-{release}; boot a kernel of your distribution, or without XDP: kind = \
         \"tap\""
    )]
    ResourceNoBpf {
        /// What runs.
        release: String,
    },
    /// No memory for the maps.
    #[error(
        "{what}: no memory for the maps, which take some 16 MiB of the kernel's; look: free -m, \
         and the limit of the service: systemctl show -p MemoryMax SERVICE"
    )]
    ResourceMemory {
        /// What was tried.
        what: String,
    },
    /// Somebody else's program is there.
    #[error("{interface} has an XDP program already: {foreign}")]
    ResourceTaken {
        /// The interface.
        interface: String,
        /// Whose it is, and how it goes away.
        foreign: Box<Foreign>,
    },
    /// The driver knows no XDP.
    #[error(
        "the driver of {interface} cannot run XDP programs ({errno}). Let the kernel run it behind \
         the driver: xdp_mode = \"generic\""
    )]
    ResourceNoNative {
        /// The interface.
        interface: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// The driver knows XDP, but not with these settings.
    #[error(
        "the driver of {interface} refuses the XDP program with the settings it has ({errno}), \
         {}; see its reason: dmesg; or let the kernel run it behind the driver: xdp_mode = \
         \"generic\"",
        most_often(interface, *errno)
    )]
    ResourceNativeRefused {
        /// The interface.
        interface: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// The verifier takes the program for unsafe: a bug of ours, or of the kernel.
    #[error("kernel {release} refuses the XDP program, and this is a bug to report: {log}")]
    ResourceVerifier {
        /// What runs.
        release: String,
        /// The last words of its log.
        log: String,
    },
    /// A map is full.
    #[error(
        "the access list is full: it takes {most} rules of a family; remove some, or join them"
    )]
    ResourceRulesFull {
        /// The most that it takes.
        most: u32,
    },
    /// The interface went away, or somebody put another program there.
    #[error(
        "{interface} no longer has our XDP program: it was deleted, or the program was taken off. \
         Look: ip -details link show {interface}; and start the gateway again"
    )]
    ResourceDetached {
        /// The interface.
        interface: String,
    },
    /// Anything else that the kernel refused.
    #[error("{what}: {errno}")]
    System {
        /// What was tried.
        what: String,
        /// What the kernel said.
        errno: Errno,
    },
}

impl LoadError {
    /// The refusal to load the program or to make a map of it.
    pub(crate) fn of_load(errno: Errno, log: &str, machine: &Machine) -> Self {
        let release = machine.release.clone();
        if machine.version().is_some_and(|version| version < KERNEL_MIN) {
            return Self::ResourceKernelTooOld { release };
        }
        if errno == Errno::ENOSYS {
            return Self::ResourceNoBpf { release };
        }
        let what = "loading the XDP program";
        // A verifier that refuses says EACCES or EINVAL, and always why.
        if log.contains("BEGIN PROG LOAD LOG") {
            if machine.lacks.contains(&CAP_PERFMON) {
                return Self::of_call(what.to_owned(), Errno::EPERM, machine);
            }
            return Self::ResourceVerifier { release, log: last_words(log) };
        }
        // For these libbpf guesses, and worse than we can; else it knows more than the number.
        let is_clear = matches!(errno, Errno::EPERM | Errno::EACCES | Errno::ENOMEM);
        let said = if is_clear { String::new() } else { last_words(log) };
        let what = if said.is_empty() { what.to_owned() } else { format!("{what} ({said})") };
        Self::of_call(what, errno, machine)
    }

    /// The refusal to attach it. `mode` is not [`Mode::Auto`]: that tries both.
    pub(crate) fn of_attach(interface: &str, mode: Mode, errno: Errno, machine: &Machine) -> Self {
        let interface = interface.to_owned();
        if errno == Errno::ENODEV {
            return Self::ResourceNoInterface { interface };
        }
        let is_refusal = matches!(
            errno,
            Errno::EINVAL | Errno::ERANGE | Errno::EMSGSIZE | Errno::E2BIG | Errno::ENOSPC
        );
        if mode == Mode::Native && errno == Errno::EOPNOTSUPP {
            return Self::ResourceNoNative { interface, errno };
        }
        if mode == Mode::Native && is_refusal {
            return Self::ResourceNativeRefused { interface, errno };
        }
        Self::of_call(format!("attaching the XDP program to {interface}"), errno, machine)
    }

    /// The refusal of anything else.
    pub(crate) fn of_call(what: String, errno: Errno, machine: &Machine) -> Self {
        if errno == Errno::ENOMEM {
            return Self::ResourceMemory { what };
        }
        if !matches!(errno, Errno::EPERM | Errno::EACCES) {
            return Self::System { what, errno };
        }
        if machine.is_in_user_namespace {
            return Self::ResourceUserNamespace { what };
        }
        if machine.lacks.is_empty() {
            return Self::ResourceForbidden { what };
        }
        Self::ResourceNotPermitted { what, rights: machine.lacks.join(" and ") }
    }
}

/// What makes a driver refuse its settings with this number, and the command that mends it.
fn most_often(interface: &str, errno: Errno) -> String {
    // veth says so, and the drivers that want a queue to send on for each core.
    if errno == Errno::ENOSPC {
        return format!(
            "most often too few queues, as of a veth whose other end sends on more than it \
             receives on. Make more: ethtool -L {interface} rx NUMBER; or fewer at the other end: \
             ethtool -L PEER tx NUMBER"
        );
    }
    format!(
        "most often a frame too long for it. Make it shorter: ip link set dev {interface} mtu 1500"
    )
}

/// The refusal of a call of this process.
pub(crate) fn refused(what: &str, errno: Errno) -> LoadError {
    LoadError::of_call(what.to_owned(), errno, &Machine::read())
}

/// The last lines that say something, as one line.
fn last_words(log: &str) -> String {
    let says = |line: &&str| {
        !line.is_empty()
            && !line.contains("-- END PROG LOAD LOG --")
            && !line.starts_with("processed ")
            && !line.starts_with("libbpf: failed to load object")
            && !line.contains("failed to load: -")
    };
    let lines = log.lines().map(str::trim).filter(says);
    let last: Vec<&str> = lines.collect();
    last[last.len().saturating_sub(LOG_LINES_MAX)..].join(" | ")
}

#[cfg(test)]
mod tests;
