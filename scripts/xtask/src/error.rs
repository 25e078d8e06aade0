//! What keeps a command from checking, as opposed to a check that fails.

use std::io;

use crate::workspace;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The manifests cannot be read.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// A program that the command needs is not on this machine.
    #[error("{program} does not start ({source}); {mend}")]
    Missing {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
        /// What a user does about it.
        mend: &'static str,
    },
    /// A program says something that is not understood.
    #[error("{program}: {message}")]
    Answer {
        /// The program.
        program: String,
        /// What it said.
        message: String,
    },
    /// A folder or file of the tree cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The folder or file.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// The exit status: 3 where the machine lacks something, 1 for all else.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Missing { .. } => 3,
            Self::Workspace(_) | Self::Answer { .. } | Self::Io { .. } => 1,
        }
    }
}
