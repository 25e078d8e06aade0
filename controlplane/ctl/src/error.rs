//! Why nothing, or not everything, was told, and the exit code which says so.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use counters::{LayoutError, ListingError, OpenError};
use memory::SharedError;

use crate::instance::{Instance, Life};
use crate::limits::DEAD_TOLD_MAX;
use crate::rights;
use crate::shown::shown;

/// The exit code after Ctrl-C or SIGTERM.
pub(crate) const INTERRUPTED: u8 = 130;

/// The error of any command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no tools' file.
    #[error("no gateway runs: looked in {}; start one with: abele-gateway run FILE", list(looked))]
    NoGateway { looked: Vec<PathBuf> },
    /// There is none of that name.
    #[error(
        "no gateway {name:?} runs: looked in {}{}; start it with: abele-gateway run FILE",
        list(looked),
        others(found)
    )]
    NoInstance { name: String, looked: Vec<PathBuf>, found: Vec<Instance> },
    /// A folder cannot be looked into.
    #[error(
        "no right to look for gateways in {}; {}",
        folder.display(),
        rights::mend(folder, "...")
    )]
    FolderNotPermitted { folder: PathBuf },
    /// It is not clear which one is meant.
    #[error("several gateways run; choose one with --instance:{}", rows(found))]
    Several { found: Vec<Instance> },
    /// Several have died, and none runs.
    #[error("{}", all_dead_text(found, folder.as_deref()))]
    AllDead { found: Vec<Instance>, folder: Option<PathBuf> },
    /// The files of one that runs are not removed.
    #[error("{name:?} runs{}; only dead ones are removed", pid_text(*pid))]
    Lives { name: String, pid: Option<u32> },
    /// The files of one that has died were not removed.
    #[error("{}", clean_text(.0))]
    Clean(SharedError),
    /// The file was not opened.
    #[error("{}: {}", path.display(), open_text(source))]
    Open { path: PathBuf, source: OpenError },
    /// The gateway is dead, which was said.
    #[error("{}", dead_text(*pid))]
    Dead { pid: u64 },
    /// There is no such core.
    #[error("there is no core {core}; the gateway has cores 0 to {}", cores - 1)]
    NoCore { core: usize, cores: usize },
    /// There is no such counter.
    #[error("no counter is called or contains {pattern:?}{}", near_text(near))]
    NoCounter { pattern: String, near: Vec<String> },
    /// Connections cannot be listed.
    #[error("{}", listing_text(.0))]
    Listing(#[from] ListingError),
    /// The gateway has not done what it was asked for, or not all.
    #[error("{text}")]
    Refused { code: u8, text: String },
    /// The gateway is dead.
    #[error("the gateway (pid {pid}) has died; start it again with: abele-gateway run FILE")]
    AskedDead { pid: u64 },
    /// Nobody is there to be asked, or nobody who may be.
    #[error("{}", unreachable_text(path, request, source))]
    Unreachable { path: PathBuf, request: String, source: io::Error },
    /// The gateway took the request and said nothing.
    #[error(
        "{}: the gateway has not answered {request:?}; look at its log for what came of it",
        path.display()
    )]
    NoAnswer { path: PathBuf, request: String },
    /// The address to be asked at was not had.
    #[error("cannot listen at {address}: {source}; choose another address with --listen")]
    Listen { address: SocketAddr, source: io::Error },
    /// A part was told.
    #[error("{0}")]
    NotWhole(String),
    /// The kernel refused what should have worked.
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: io::Error },
    /// Standard output is gone or full.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// Of all echo requests none was answered, which was told.
    #[error("{address} has not answered")]
    NoEcho { address: String },
    /// The gateway has sent no echo request.
    #[error("nothing was sent to {address}: {reason}")]
    NoneSent { address: String, reason: String },
    /// A file cannot be made, or is full.
    #[error("cannot write {}: {source}", path.display())]
    OutputFile { path: PathBuf, source: io::Error },
    /// Nobody said where packets go.
    #[error(
        "packets do not go to a terminal; write them with -w FILE, or read them at once: abelectl \
         capture ... | tcpdump -n -r -"
    )]
    ToTerminal,
    /// The doctor has found something, and printed it.
    #[error("{}", findings_text(*bad, *warn))]
    Findings { bad: usize, warn: usize },
    /// There is no such interface.
    #[error(
        "there is no interface {name:?} in this network namespace; there are {}",
        there.join(", ")
    )]
    NoInterface { name: String, there: Vec<String> },
    /// The configuration cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    ConfigUnread { path: PathBuf, source: io::Error },
    /// The configuration is no TOML.
    #[error("{} is not TOML; abele-gateway check says more: {wrong}", path.display())]
    ConfigMalformed { path: PathBuf, wrong: String },
    /// The switch is not reached, or has ended the session.
    #[error("{0}")]
    SwitchAway(String),
    /// The arguments do not fit.
    #[error("{0}")]
    SwitchArguments(String),
    /// The secret cannot be read.
    #[error("cannot read the secret in {}: {source}", path.display())]
    SecretUnread { path: PathBuf, source: io::Error },
    /// The command that ran under a lock has failed, and said so itself.
    #[error("the command ended with exit code {code}")]
    CommandFailed { code: u8 },
    /// Ctrl-C, or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether whoever reads has closed the pipe, as `head` does.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The error of a switch, whose text has names in it that others chose: what does not print in
    /// them is escaped.
    pub(crate) fn shown(mut self) -> Self {
        if let Self::Refused { text, .. }
        | Self::NotWhole(text)
        | Self::SwitchAway(text)
        | Self::SwitchArguments(text) = &mut self
        {
            *text = shown(text).into_owned();
        }
        self
    }

    /// What the help text says.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused { code, .. } | Self::CommandFailed { code } => *code,
            Self::SwitchAway(_) => 3,
            Self::SwitchArguments(_) | Self::SecretUnread { .. } => 2,
            Self::NoAnswer { .. } => 1,
            Self::AskedDead { .. } | Self::Unreachable { .. } | Self::Listen { .. } => 3,
            Self::NotWhole(_)
            | Self::Output(_)
            | Self::OutputFile { .. }
            | Self::NoEcho { .. }
            | Self::NoneSent { .. }
            | Self::Findings { bad: 0, .. } => 1,
            Self::ToTerminal
            | Self::Several { .. }
            | Self::Lives { .. }
            | Self::NoCore { .. }
            | Self::NoCounter { .. }
            | Self::NoInterface { .. }
            | Self::ConfigUnread { .. }
            | Self::ConfigMalformed { .. } => 2,
            Self::NoGateway { .. }
            | Self::NoInstance { .. }
            | Self::FolderNotPermitted { .. }
            | Self::AllDead { .. }
            | Self::Clean(_)
            | Self::Open { .. }
            | Self::Dead { .. }
            | Self::Findings { .. }
            | Self::System { .. } => 3,
            Self::Listing(error) => match error {
                ListingError::Open(_) => 3,
                ListingError::Busy { .. }
                | ListingError::TakenOver
                | ListingError::Damaged { .. } => 1,
            },
            Self::Interrupted => INTERRUPTED,
        })
    }
}

fn list(folders: &[PathBuf]) -> String {
    let shown: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    shown.join(" and ")
}

fn others(found: &[Instance]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let (told, rest) = found.split_at(found.len().min(DEAD_TOLD_MAX));
    let names: Vec<_> = told.iter().map(|instance| instance.name.as_str()).collect();
    let rest = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!(", where there is {}{rest}", names.join(", "))
}

fn rows(found: &[Instance]) -> String {
    found.iter().fold(String::new(), |mut text, instance| {
        let state = match instance.life {
            Life::Alive => "runs",
            Life::Dead => "has died",
            Life::Unknown => "may run: it cannot be looked at",
        };
        write!(text, "\n  {}  ({}, {state})", instance.name, instance.path.display())
            .expect("a string takes everything");
        text
    })
}

/// The newest few, and the command that removes what they left.
fn all_dead_text(found: &[Instance], folder: Option<&Path>) -> String {
    let (told, rest) = found.split_at(found.len().min(DEAD_TOLD_MAX));
    let mut text = "no gateway runs; these have died:".to_owned();
    for instance in told {
        write!(text, "\n  {}  ({})", instance.name, instance.path.display())
            .expect("a string takes everything");
    }
    if !rest.is_empty() {
        write!(text, "\n  and {} older ones", rest.len()).expect("a string takes everything");
    }
    let folder = folder.map(|folder| format!(" --folder {}", folder.display())).unwrap_or_default();
    text + "\n--instance tells what one told last; to remove their files: abelectl clean" + &folder
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

fn clean_text(error: &SharedError) -> String {
    match error {
        SharedError::NotPermitted { path, operation } => format!(
            "no right to {operation} {}; ask as the gateway's user, or as root: sudo abelectl clean",
            path.display()
        ),
        SharedError::Missing { .. }
        | SharedError::Held { .. }
        | SharedError::NoWords { .. }
        | SharedError::System { .. } => error.to_string(),
    }
}

fn open_text(error: &OpenError) -> String {
    match error {
        OpenError::Shared(SharedError::NotPermitted { path, operation }) => {
            format!("no right to {operation} it; {}", rights::mend(path, "..."))
        }
        OpenError::Shared(SharedError::Missing { .. }) => {
            "it is gone: the gateway has ended".to_owned()
        }
        OpenError::Shared(error) => error.to_string(),
        OpenError::Layout(error @ LayoutError::Foreign) => format!("{error}"),
        OpenError::Layout(error) => error.to_string(),
    }
}

fn unreachable_text(path: &Path, request: &str, error: &io::Error) -> String {
    let kind = error.kind();
    if kind == io::ErrorKind::PermissionDenied {
        let mend = rights::mend(path, request);
        return format!("no right to ask at {}; {mend}", path.display());
    }
    let path = path.display();
    if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
        return format!(
            "{path}: no gateway listens there: it starts, or it ends, or it has died; start it \
             with: abele-gateway run FILE"
        );
    }
    let signal = if request == "reload" { "; kill -HUP does the same" } else { "" };
    format!("{path}: the gateway cannot be asked: {error}{signal}")
}

fn dead_text(pid: u64) -> String {
    format!(
        "the gateway (pid {pid}) has died; this is what it told last. Start it again with: \
         abele-gateway run FILE"
    )
}

fn findings_text(bad: usize, warn: usize) -> String {
    let of = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 finding is {one}")),
        _ => Some(format!("{count} findings are {many}")),
    };
    let parts = [of(bad, "bad", "bad"), of(warn, "a warning", "warnings")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn near_text(near: &[String]) -> String {
    if near.is_empty() {
        return "; `abelectl stats --all` prints all of them".to_owned();
    }
    format!("; near it are {}", near.join(", "))
}

fn listing_text(error: &ListingError) -> String {
    match error {
        ListingError::Open(OpenError::Shared(SharedError::NotPermitted { path, .. })) => format!(
            "no right to write {}, which asking for connections takes; ask as the gateway's user, \
             or as root: sudo abelectl connections ...",
            path.display()
        ),
        ListingError::Open(error) => open_text(error),
        ListingError::Busy { .. } | ListingError::TakenOver | ListingError::Damaged { .. } => {
            error.to_string()
        }
    }
}
