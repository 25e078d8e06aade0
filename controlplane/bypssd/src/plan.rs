//! What a configuration means: everything that `run` does, and what it takes.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use base::IdlePolicy;
use logging::Log;
use protocol::limits::answer_len_max_of;
use settings::{grouped, show_size};
use switch::limits::{ANSWERS_LEN_MAX, NOTICES_LEN_MAX, QUEUE_LEN_MAX, page_len_max};
use switch::{LenAtMost, tables_len_at_most, tables_len_at_start};

use crate::config::{
    Access, Bounds, Cluster, Ending, Grace, Lease, Listener, Ports, Proof, Role, Worker,
};
use crate::identity;
use crate::limits::{PROCESS_LEN, SESSION_LEN, SESSION_SHARD_LEN, SHARD_LEN};
use crate::tls::Tls;

/// A configuration that was found right.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What clients are told as the switch's name.
    pub(crate) name: String,
    /// Where the epoch is remembered.
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) cluster: Cluster,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) tls: Option<Tls>,
    pub(crate) access: Vec<Access>,
    pub(crate) ports: Ports,
    pub(crate) lease: Lease,
    pub(crate) bounds: Bounds,
    pub(crate) worker: Worker,
    /// Where metrics are told.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) stop: Ending,
    pub(crate) log: Log,
}

impl Plan {
    /// Bytes that the process has when it is ready, with its plan's ports held or not.
    pub(crate) fn memory_at_start(&self) -> u64 {
        let Ports { planned, max, shards } = self.ports;
        tables_len_at_start(number(planned), number(max), shards) + self.memory_beside()
    }

    /// The same when all ports that there may be are held.
    fn memory_at_most(&self) -> LenAtMost {
        let Ports { planned, max, shards } = self.ports;
        let LenAtMost { even, skewed } = tables_len_at_most(number(planned), number(max), shards);
        let beside = self.memory_beside();
        LenAtMost { even: even + beside, skewed: skewed + beside }
    }

    /// Bytes that the process has beside the ports, as long as nobody is connected.
    fn memory_beside(&self) -> u64 {
        let shards = u64::from(self.ports.shards);
        let session_len = SESSION_LEN + shards * SESSION_SHARD_LEN;
        PROCESS_LEN + (shards - 1) * SHARD_LEN + u64::from(self.bounds.sessions) * session_len
    }
}

fn number(ports: u64) -> u32 {
    u32::try_from(ports).expect("the configuration was judged")
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, cluster, listeners, access, bounds, stop, .. } = self;
        let incarnation = identity::show_incarnation(&cluster.incarnation);
        writeln!(f, "switch     {name}, of the cluster {} ({incarnation})", cluster.name)?;
        self.show_epoch(f)?;
        for listener in listeners {
            writeln!(f, "listener   {}", Shown(listener))?;
        }
        self.show_tls(f)?;
        for entry in access {
            show_access(f, entry)?;
        }
        self.show_clear_text(f)?;
        self.show_lease(f)?;
        self.show_ports(f)?;
        let Bounds { connections, sessions, items, frame_len, message_len, partial_len, .. } =
            bounds;
        writeln!(
            f,
            "clients    {} connections, {} sessions",
            grouped((*connections).into()),
            grouped((*sessions).into())
        )?;
        let (frame_len, message_len) =
            (show_size((*frame_len).into()), show_size((*message_len).into()));
        let partial = show_size(*partial_len);
        writeln!(
            f,
            "frames     of up to {frame_len}, {} items, messages of {message_len}; {partial} of partial ones",
            grouped((*items).into())
        )?;
        self.show_waiting(f)?;
        self.show_worker(f)?;
        match self.metrics {
            Some(address) => writeln!(f, "metrics    http://{address}/metrics, /livez, /readyz")?,
            None => writeln!(f, "metrics    none")?,
        }
        let Ending { timeout, hint } = stop;
        let sent = match hint.as_str() {
            "" => String::new(),
            hint => format!("; clients are sent to {hint}"),
        };
        writeln!(f, "stop       within {timeout}{sent}")
    }
}

impl Plan {
    /// What waits for those who take nothing: of one, and of as many as there may be.
    fn show_waiting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { connections, sessions, items, frame_len, .. } = self.bounds;
        let pushes_of = |access: &Access| access.quota.queue_len.unwrap_or(QUEUE_LEN_MAX);
        let pushes = u64::from(self.access.iter().map(pushes_of).max().unwrap_or_default());
        let pushes = pushes + NOTICES_LEN_MAX as u64;
        let lists = self.access.iter().any(|entry| entry.role != Role::Node);
        let page = if lists { page_len_max(items).min(frame_len.into()) } else { 0 };
        let answers = ANSWERS_LEN_MAX as u64 + answer_len_max_of(items, sessions).max(page);
        writeln!(
            f,
            "waiting    for one that takes nothing: {} of answers, {} of pushes; for all of them {} and {}",
            show_size(answers),
            show_size(pushes),
            show_size(answers * u64::from(connections)),
            show_size(pushes * u64::from(sessions)),
        )
    }

    fn show_ports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ports { planned, max, shards } = self.ports;
        let (at_start, at_most) = (show_size(self.memory_at_start()), self.memory_at_most());
        write!(f, "ports      {} ports: {at_start} at start", grouped(planned))?;
        if max > planned {
            write!(f, "; at most {} ports: {}", grouped(max), show_size(at_most.even))?;
        }
        if shards > 1 {
            let skewed = show_size(at_most.skewed);
            write!(f, ", in {shards} shards; {skewed} if one shard has them all")?;
        }
        writeln!(
            f,
            "\n           with names of up to 16 bytes; each 24 bytes beyond the first 12 of a longer one take 32 more"
        )
    }

    fn show_epoch(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state_dir {
            Some(folder) => {
                let folder = folder.display();
                writeln!(f, "epoch      the time of day, and above what {folder}/epoch remembers")
            }
            None => writeln!(f, "epoch      the time of day at start"),
        }
    }

    fn show_tls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Tls { files, chain, .. }) = &self.tls else { return Ok(()) };
        let certificates = chain.len();
        let asks = match &files.client_ca {
            Some(file) => format!("clients' certificates by {}", file.display()),
            None => "no certificates of clients".to_owned(),
        };
        let file = files.certificate.display();
        writeln!(f, "tls        1.3, {certificates} certificates of {file}, {asks}")
    }

    fn show_clear_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_clear = |listener: &&Listener| !listener.is_tls && !listener.is_local();
        for listener in self.listeners.iter().filter(is_clear) {
            let address = listener.address;
            writeln!(
                f,
                "warning    names and messages at {address} travel in clear: anybody on the way reads them"
            )?;
        }
        Ok(())
    }

    fn show_lease(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lease { lease_ms, rho_ppm, grace } = self.lease;
        let exclusion = self.lease.exclusion_ms();
        let grace = match grace {
            Grace::Wait => format!("grants nothing for {exclusion} ms after its start"),
            Grace::None => {
                "grants at once: UNSAFE, two may own one port after a restart".to_owned()
            }
        };
        writeln!(
            f,
            "lease      {lease_ms} ms, clocks within {rho_ppm} ppm; a silent session's ports are free after {exclusion} ms"
        )?;
        writeln!(f, "grace      {grace}")
    }

    fn show_worker(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Worker { core, count, ref cores, idle, spin_us } = self.worker;
        let core = core.map_or("any core".to_owned(), |core| format!("core {core}"));
        let after = if idle == IdlePolicy::Adaptive {
            format!(" after {spin_us} us")
        } else {
            String::new()
        };
        let idle = idle.name();
        if count == 1 {
            return writeln!(f, "worker     1 on {core}, idle = \"{idle}\"{after}");
        }
        let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
        let cores = match &cores[..] {
            [] => "any cores".to_owned(),
            cores => format!("cores {}", cores.join(" ")),
        };
        writeln!(f, "workers    {count} on {cores}, the switch on {core}, idle = \"{idle}\"{after}")
    }
}

struct Shown<'a>(&'a Listener);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listener { address, is_tls } = self.0;
        let tls = if *is_tls { ", TLS" } else { "" };
        let local = if self.0.is_local() { ", this machine only" } else { "" };
        write!(f, "{address}{tls}{local}")
    }
}

fn show_access(f: &mut fmt::Formatter<'_>, entry: &Access) -> fmt::Result {
    let Access { node, proof, role, register, send, query, quota } = entry;
    write!(f, "access     {node} by {} as {}", proof.name(), role.name())?;
    if let Proof::Secret { file, .. } = proof {
        write!(f, " ({})", file.display())?;
    }
    for (verb, prefixes) in [("register", register), ("send to", send), ("query", query)] {
        if !prefixes.iter().any(String::is_empty) {
            let prefixes: Vec<_> = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
            let names = if prefixes.is_empty() { "nothing".to_owned() } else { prefixes.join(" ") };
            write!(f, "; may {verb} {names}")?;
        }
    }
    if let Some(ports) = quota.ports_max {
        write!(f, "; at most {} ports", grouped(ports))?;
    }
    writeln!(f)
}
