//! Why a benchmark did not end well, and the exit code which says so.

use std::io;
use std::process::ExitCode;

use nix::errno::Errno;

/// The error of any benchmark; each kind has its own exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments are fine one by one but make no sense together.
    #[error("{wrong}; {right}")]
    BadArguments { wrong: String, right: String },
    /// The machine lacks what the benchmark needs.
    #[error("this machine lacks {what}; {mend}")]
    Lacks { what: String, mend: String },
    /// The machine lacks something, and the sentence says itself what and what mends it.
    #[error("{0}")]
    Refused(String),
    /// The system refused a call that should have worked.
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: io::Error },
    /// The other process of the benchmark ended or spoke nonsense.
    #[error("the {side} process failed: {what}")]
    Child { side: &'static str, what: String },
    /// Ctrl-C or SIGTERM: nothing is reported, for half a run is not a figure.
    #[error("interrupted: nothing is reported")]
    Interrupted,
}

impl Error {
    /// For `map_err`: names what was tried.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// The same for the calls that answer with a bare error number.
    pub(crate) fn errno(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { what, source: errno.into() }
    }

    /// 2 for bad arguments, 130 after Ctrl-C as shells have it, 3 for what the machine withholds.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::BadArguments { .. } => ExitCode::from(2),
            Self::Lacks { .. } | Self::Refused(_) | Self::System { .. } | Self::Child { .. } => {
                ExitCode::from(3)
            }
            Self::Interrupted => ExitCode::from(130),
        }
    }
}
