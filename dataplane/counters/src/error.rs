//! Why a tools' file was not written, not read or not listed from.

use memory::SharedError;

/// Why a gateway has no tools' file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "fields are named in the messages")]
pub enum WriterError {
    /// The name of the instance is no folder's.
    #[error(
        "the instance name {name:?} must have 1 to {max} letters, digits, '-', '_' or '.', and not \
         begin with '.'"
    )]
    ConfigInstance { name: String, max: usize },

    /// More than the layout holds.
    #[error("{count} {what}; the tools' file holds at most {max}")]
    ConfigCount { what: &'static str, count: usize, max: usize },

    /// A name is too long.
    #[error("the name {name:?} is too long for the tools' file")]
    ConfigNameLen { name: String },

    /// Two things of one name.
    #[error("the tools' file would have {name:?} twice")]
    ConfigNameTwice { name: String },

    /// The file was not had.
    #[error(transparent)]
    Shared(#[from] SharedError),
}

/// Why words are no tools' file for this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "fields are named in the messages")]
pub enum LayoutError {
    /// It does not begin as one.
    #[error("this is no tools' file of an Abele gateway")]
    Foreign,

    /// Another major version.
    #[error(
        "the gateway writes layout {found_major}.{found_minor}, and this program reads \
         {own_major}.x; use the abelectl that came with the gateway"
    )]
    Version { found_major: u32, found_minor: u32, own_major: u32 },

    /// It begins rightly and goes on wrongly.
    #[error("the tools' file is damaged: {what} does not fit")]
    Damaged { what: &'static str },
}

/// Why a file of that path was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file was not had.
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// It is none.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Why connections are not listed, or no further.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "fields are named in the messages")]
pub enum ListingError {
    /// The file was not had for writing.
    #[error(transparent)]
    Open(#[from] OpenError),

    /// Another tool lists.
    #[error("another listing is under way (pid {pid}); wait until it is done")]
    Busy { pid: u32 },

    /// Another tool thought that this one was dead.
    #[error("this listing stood still for too long, and another one has taken its place")]
    TakenOver,

    /// The rows of a core make no sense.
    #[error("the rows of core {core} are damaged")]
    Damaged { core: usize },
}
