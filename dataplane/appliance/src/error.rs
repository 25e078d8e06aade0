//! Why the gateway did not start or did not go on, and the exit code which says so.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use af_xdp::AfXdpError;
use counters::WriterError;
use ethtool::EthtoolError;
use gateway::{DocumentsError, GatewayError};
use loader::LoadError;
use logging::LogError;
use memory::ArenaError;
use nix::errno::Errno;
use settings::Findings;
use tap::TapError;

/// The error of any command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file is wrong, or wrong for this machine: a line each.
    #[error("{0}")]
    Configuration(Findings),
    /// There is no such file, or it is none.
    #[error("{}: cannot be read: {wrong}; {right}", file.display())]
    File { file: PathBuf, wrong: String, right: String },
    /// A document changed between the check and the reading.
    #[error("{}: cannot be read: {source}; leave the documents alone while the gateway starts", file.display())]
    Document { file: PathBuf, source: io::Error },
    /// The device was not had.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// A queue of a NIC was not had.
    #[error(transparent)]
    AfXdp(#[from] AfXdpError),
    /// The XDP program was not had.
    #[error(transparent)]
    Xdp(#[from] LoadError),
    /// The NIC did not say what it is.
    #[error(transparent)]
    Ethtool(#[from] EthtoolError),
    /// The tools' file was not had.
    #[error(transparent)]
    Tools(#[from] WriterError),
    /// The memory was not had.
    #[error(transparent)]
    Memory(#[from] ArenaError),
    /// The stack was not made.
    #[error(transparent)]
    Stack(#[from] stack::ConfigError),
    /// The service was not made.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The documents cannot be served.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// A TCP port was not had.
    #[error(transparent)]
    Listen(#[from] tcp::ListenError),
    /// A UDP port was not had.
    #[error(transparent)]
    Bind(#[from] udp::BindError),
    /// The log was not had.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The machine lacks something else.
    #[error("this machine lacks {what}; {mend}")]
    Lacks { what: String, mend: String },
    /// The kernel refused what should have worked.
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: io::Error },
    /// Somebody deleted the device.
    #[error("the interface {0} is gone: somebody deleted it; start the gateway again")]
    DeviceGone(String),
    /// The worker ended by a panic, whose message stands above.
    #[error("the worker has failed; this is a fault of the gateway: report the message above")]
    WorkerFailed,
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
            Self::Configuration(_)
            | Self::File { .. }
            | Self::Documents(_)
            | Self::Listen(_)
            | Self::Bind(_)
            | Self::Gateway(
                GatewayError::ConfigRange { .. } | GatewayError::ConfigTimeout { .. },
            ) => 2,
            Self::Tap(error) => match error {
                TapError::ConfigName { .. }
                | TapError::ConfigMtu { .. }
                | TapError::ConfigQueues { .. }
                | TapError::ConfigPrefix { .. } => 2,
                TapError::ResourceNoDriver { .. }
                | TapError::ResourceClosed { .. }
                | TapError::ResourceNotPermitted { .. }
                | TapError::ResourceNameTaken { .. }
                | TapError::System { .. } => 3,
            },
            Self::Stack(stack::ConfigError::Ip(_)) => 2,
            Self::Stack(stack::ConfigError::Tcp(error)) => match error {
                tcp::ConfigError::ConfigRange { .. } => 2,
                tcp::ConfigError::ResourceMemory(_) => 3,
            },
            Self::Stack(stack::ConfigError::ResourceMemory(_))
            | Self::Gateway(GatewayError::ResourceMemory(_))
            | Self::AfXdp(_)
            | Self::Xdp(_)
            | Self::Ethtool(_)
            | Self::Tools(_)
            | Self::Memory(_)
            | Self::Document { .. }
            | Self::Log(_)
            | Self::Lacks { .. }
            | Self::System { .. } => 3,
            Self::DeviceGone(_) | Self::WorkerFailed => 1,
        }
    }
}

/// The error without the number that the standard library adds.
pub(crate) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
