//! Why nothing, or not everything, was told, and the exit code which says so.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use counters::{LayoutError, ListingError, OpenError};
use memory::SharedError;

use crate::instance::Instance;

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
        "no right to look for gateways in {}; ask as the gateway's user, or as root: \
         sudo abelectl ...", folder.display()
    )]
    FolderNotPermitted { folder: PathBuf },
    /// It is not clear which one is meant.
    #[error("several gateways run; choose one with --instance:{}", rows(found))]
    Several { found: Vec<Instance> },
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
    /// A part was told.
    #[error("{0}")]
    NotWhole(String),
    /// The kernel refused what should have worked.
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: io::Error },
    /// Standard output is gone or full.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// Ctrl-C, or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether whoever reads has closed the pipe, as `head` does.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What the help text says.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NotWhole(_) | Self::Output(_) => 1,
            Self::Several { .. } | Self::NoCore { .. } | Self::NoCounter { .. } => 2,
            Self::NoGateway { .. }
            | Self::NoInstance { .. }
            | Self::FolderNotPermitted { .. }
            | Self::Open { .. }
            | Self::Dead { .. }
            | Self::System { .. } => 3,
            Self::Listing(error) => match error {
                ListingError::Open(_) => 3,
                ListingError::Busy { .. }
                | ListingError::TakenOver
                | ListingError::Damaged { .. } => 1,
            },
            Self::Interrupted => 130,
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
    let names: Vec<_> = found.iter().map(|instance| instance.name.as_str()).collect();
    format!(", where there is {}", names.join(", "))
}

fn rows(found: &[Instance]) -> String {
    found.iter().fold(String::new(), |mut text, instance| {
        let state = if instance.is_alive { "runs" } else { "has died" };
        write!(text, "\n  {}  ({}, {state})", instance.name, instance.path.display())
            .expect("a string takes everything");
        text
    })
}

fn open_text(error: &OpenError) -> String {
    match error {
        OpenError::Shared(SharedError::NotPermitted { operation, .. }) => format!(
            "no right to {operation} it; ask as the gateway's user, or as root: sudo abelectl ..."
        ),
        OpenError::Shared(SharedError::Missing { .. }) => {
            "it is gone: the gateway has ended".to_owned()
        }
        OpenError::Shared(error) => error.to_string(),
        OpenError::Layout(error @ LayoutError::Foreign) => format!("{error}"),
        OpenError::Layout(error) => error.to_string(),
    }
}

fn dead_text(pid: u64) -> String {
    format!(
        "the gateway (pid {pid}) has died; this is what it told last. Start it again with: \
         abele-gateway run FILE"
    )
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
