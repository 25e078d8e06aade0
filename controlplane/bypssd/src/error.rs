//! Why the switch did not start or did not go on, and the exit code which says so.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use logging::LogError;
use nix::errno::Errno;
use settings::Findings;

/// The error of any command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file is wrong, or wrong for this machine: a line each.
    #[error("{0}")]
    Configuration(Findings),
    /// An argument that only the whole of them shows to be wrong.
    #[error("{name}: {wrong}; {right}")]
    Argument { name: &'static str, wrong: String, right: String },
    /// There is no such file, or it is none.
    #[error("{}: cannot be read: {wrong}; name a configuration, such as docs/bypssd.example.toml", file.display())]
    File { file: PathBuf, wrong: String },
    /// An address was not had.
    #[error("cannot listen on {address}: {}; {right}", error_text(source))]
    Listen { address: SocketAddr, source: io::Error, right: &'static str },
    /// The epoch's file was not read or not written.
    #[error("{}: {wrong}; {right}", file.display())]
    State { file: PathBuf, wrong: String, right: &'static str },
    /// The switch was not made of what the file says.
    #[error("the switch cannot be made: {0}; change the configuration")]
    Switch(#[from] switch::SwitchError),
    /// The log was not had.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The machine lacks something else.
    #[error("this machine lacks {what}; {mend}")]
    Lacks { what: String, mend: String },
    /// The kernel refused what should have worked.
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: io::Error },
    /// A thread ended by a panic, whose message stands above.
    #[error("a thread has failed; this is a fault of bypssd: report the message above")]
    ThreadFailed,
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

    /// 1 for what failed while it ran, 2 for a wrong configuration, 3 for what the machine lacks.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The same as a number.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Configuration(findings) if findings.are_of_the_machine() => 3,
            Self::Configuration(_) | Self::File { .. } | Self::Argument { .. } => 2,
            Self::Switch(_)
            | Self::Listen { .. }
            | Self::State { .. }
            | Self::Log(_)
            | Self::Lacks { .. }
            | Self::System { .. } => 3,
            Self::ThreadFailed => 1,
        }
    }
}

/// The error without the number that the standard library adds.
pub(crate) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
