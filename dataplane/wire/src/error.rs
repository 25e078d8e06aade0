//! Why bytes from the wire were not accepted.

/// Why a packet is not one of the protocol it claims to be.
///
/// The peer, or the path, is always at fault: none of these can be caused by our own state. The
/// variants are few on purpose, because every one of them becomes a counted drop reason per
/// protocol in the layers above.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// The bytes end before the header does.
    #[error("the bytes end before the header does")]
    Truncated,
    /// A length field contradicts the bytes that are there, or another length field.
    #[error("a length field contradicts the bytes that are there")]
    BadLength,
    /// The version field names another protocol.
    #[error("the version field names another protocol")]
    BadVersion,
    /// The checksum does not match.
    #[error("the checksum does not match")]
    BadChecksum,
    /// An option, or an extension header, is malformed.
    #[error("an option or extension header is malformed")]
    BadOption,
    /// A field has a value that the protocol forbids.
    #[error("a field has a value that the protocol forbids")]
    BadField,
}
