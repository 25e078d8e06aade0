//! What tells one grant, one session, one cluster from another.

use std::fmt;

use crate::limits::NODE_LEN_MAX;

/// The number of a grant: the shard in the top 8 bits, the count of that shard's grants in the
/// others. The count begins at 1, so 0 is no grant.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// No grant: a port that is free, a message that is for no port.
    pub const NONE: Self = Self(0);

    /// The highest count that a shard reaches: at ten million grants a second, in 228 years.
    pub const COUNT_MAX: u64 = (1 << 56) - 1;

    /// As it is on the wire.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As it is on the wire.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The grant `count` of a shard.
    ///
    /// # Panics
    ///
    /// If `count` is above [`Sequence::COUNT_MAX`].
    #[inline]
    #[must_use]
    pub const fn new(shard: u8, count: u64) -> Self {
        assert!(count <= Self::COUNT_MAX, "a shard's count of grants fits 56 bits");
        // `From` is not const.
        Self(u64::from_be_bytes([shard, 0, 0, 0, 0, 0, 0, 0]) | count)
    }

    /// The shard that gave it.
    #[inline]
    #[must_use]
    pub const fn shard(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Which of the shard's grants it is.
    #[inline]
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0 & Self::COUNT_MAX
    }

    /// Whether it is no grant.
    #[inline]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The grant that is `count` after this one in its shard; wraps, since it may be a peer's.
    #[inline]
    #[must_use]
    pub const fn after(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count as u64))
    }
}

/// The number of a mastership; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

/// What a grant is known by for ever. Of two grants of one port the later has the greater token.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token {
    /// The mastership that gave it.
    pub epoch: Epoch,
    /// The grant.
    pub sequence: Sequence,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch: Epoch(epoch), sequence } = self;
        write!(f, "{epoch}.{}.{}", sequence.shard(), sequence.count())
    }
}

/// Which start of the cluster this is; random.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// Any cluster.
    pub const ANY: Self = Self([0; 16]);
}

/// Which start of a library this is; random.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// A connection without a session.
    pub const NONE: Self = Self([0; 16]);

    /// Whether it is no session.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// What a switch says once to each connection, so that a proof is for this connection alone.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Nonce(pub [u8; 32]);

/// The id of a node, kept in place: 1 to 64 bytes of UTF-8.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct NodeId {
    len: u8,
    bytes: [u8; NODE_LEN_MAX],
}

/// Why a text is not the id of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a node has {0} bytes; 1 to {NODE_LEN_MAX} would be right")]
pub struct NodeIdError(pub usize);

impl NodeId {
    /// Keeps `text`.
    ///
    /// # Errors
    ///
    /// If it is empty or longer than 64 bytes.
    pub fn new(text: &str) -> Result<Self, NodeIdError> {
        let error = NodeIdError(text.len());
        let len = u8::try_from(text.len()).map_err(|_error| error)?;
        let mut bytes = [0; NODE_LEN_MAX];
        let kept = bytes.get_mut(..text.len()).filter(|kept| !kept.is_empty()).ok_or(error)?;
        kept.copy_from_slice(text.as_bytes());
        Ok(Self { len, bytes })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("it was made from a text")
    }

    /// The bytes of the id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeId").field(&self.as_str()).finish()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_a_shard_and_a_count() {
        let sequence = Sequence::new(255, Sequence::COUNT_MAX);
        assert_eq!((sequence.shard(), sequence.count()), (255, Sequence::COUNT_MAX));
        assert_eq!(sequence.to_bits(), u64::MAX);
        assert_eq!(Sequence::new(2, 5).to_bits(), 0x0200_0000_0000_0005);
        assert_eq!(Sequence::new(2, 5).after(3), Sequence::new(2, 8));
        assert!(Sequence::new(0, 0).is_none());
    }

    #[test]
    fn a_token_is_ordered_by_epoch_and_then_by_sequence() {
        let token = |epoch, count| Token { epoch: Epoch(epoch), sequence: Sequence::new(1, count) };
        assert!(token(1, 9) < token(2, 1));
        assert!(token(2, 1) < token(2, 2));
        assert_eq!(token(7, 9).to_string(), "7.1.9");
    }

    #[test]
    fn the_id_of_a_node_has_1_to_64_bytes() {
        assert_eq!(NodeId::new(""), Err(NodeIdError(0)));
        assert_eq!(NodeId::new(&"a".repeat(65)), Err(NodeIdError(65)));
        assert_eq!(NodeId::new(&"a".repeat(300)), Err(NodeIdError(300)));
        let longest = "a".repeat(64);
        assert_eq!(NodeId::new(&longest).map(|id| id.as_str() == longest), Ok(true));
        assert_eq!(NodeId::new("knoten-ä").expect("short").to_string(), "knoten-ä");
    }
}
