//! The beginning of a connection: `GREETING`, `HELLO`, `WELCOME`.

use crate::codes::closed_codes;
use crate::cursor::Cursor;
use crate::fault::{FrameError, Malformation};
use crate::header::{PushKind, RequestKind};
use crate::ids::{ClusterId, Epoch, Nonce, SessionId};
use crate::limits::{CONNECTIONS_PER_SESSION_MAX, HEADER_LEN, Limits, NODE_LEN_MAX};
use crate::proof;
use crate::writer::FrameWriter;

/// "BYPS", which no other protocol begins with.
pub const MAGIC: u32 = 0x5350_5942;

/// The version that this crate speaks.
pub const VERSION: u16 = 1;

/// A feature: the switch grants nothing before every lease of an earlier epoch is over, so that what
/// was held in one is held until then.
pub const WAITS_OUT: u64 = 1;

closed_codes! {
    /// What a connection may do.
    Role: u8 {
        /// All that a node does.
        Node = 0,
        /// Queries, lists and watches.
        Observer = 1,
        /// Also `DROP_NODE`.
        Operator = 2,
    }
}

closed_codes! {
    /// How a node shows who it is.
    Credential: u8 {
        /// Not at all, or by a certificate of TLS.
        None = 0,
        /// By a secret that the cluster shares.
        SharedSecret = 1,
    }
}

fn magic(cursor: &mut Cursor<'_>) -> Result<(), FrameError> {
    let before = *cursor;
    if cursor.u32()? == MAGIC { Ok(()) } else { Err(before.malformed(Malformation::Value)) }
}

/// What a switch says first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Greeting {
    /// The lowest version that it speaks.
    pub version_min: u16,
    /// The highest version that it speaks.
    pub version_max: u16,
    /// What it can besides.
    pub features: u64,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The epoch of everything on this connection.
    pub epoch: Epoch,
    /// For the proof.
    pub nonce: Nonce,
}

impl Greeting {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        magic(cursor)?;
        Ok(Self {
            version_min: cursor.u16()?,
            version_max: cursor.u16()?,
            features: cursor.u64()?,
            cluster: ClusterId(cursor.array()?),
            epoch: Epoch(cursor.u64()?),
            nonce: Nonce(cursor.array()?),
        })
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { version_min, version_max, features, cluster, epoch, nonce } = self;
        let mut frame = FrameWriter::push(out, PushKind::Greeting, 0);
        frame.u32(MAGIC).u16(*version_min).u16(*version_max).u64(*features);
        frame.bytes(&cluster.0).u64(epoch.0).bytes(&nonce.0);
        frame.finish();
    }
}

fn index(cursor: &mut Cursor<'_>) -> Result<u16, FrameError> {
    let before = *cursor;
    let index = cursor.u16()?;
    if index < CONNECTIONS_PER_SESSION_MAX {
        Ok(index)
    } else {
        Err(before.malformed(Malformation::Value))
    }
}

/// What a client says first, without its proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello<'a> {
    /// The version that it speaks.
    pub version: u16,
    /// What it wants to do.
    pub role: Role,
    /// What it asks for of the features that were named.
    pub features: u64,
    /// The cluster that it knows.
    pub cluster: ClusterId,
    /// The highest epoch that it ever heard of.
    pub epoch_seen: Epoch,
    /// Its session.
    pub session: SessionId,
    /// Which of the session's connections it is, below [`CONNECTIONS_PER_SESSION_MAX`].
    pub index: u16,
    /// Larger than of every earlier connection of that index: of those nothing more is done.
    pub generation: u64,
    /// The version of the map by which it chose this switch.
    pub map_version: u64,
    /// How many groups of ports that map has.
    pub groups: u16,
    /// The group that it wants.
    pub group: u16,
    /// Its id, 1 to 64 bytes.
    pub node: &'a str,
    /// Where other nodes reach it, at most 255 bytes.
    pub address: &'a str,
}

impl Hello<'_> {
    /// Appends the frame; with a secret, and the nonce of the greeting, also a proof.
    ///
    /// # Panics
    ///
    /// If `node` or `address` have not the length that they may have, or `index` is too large.
    pub fn write(&self, out: &mut Vec<u8>, id: u32, secret: Option<(&[u8], &Nonce)>) {
        let start = out.len() + HEADER_LEN;
        let mut frame = self.begin(out, id, secret.is_some());
        let signed = &frame.out()[start..];
        let proof = secret.map(|(secret, nonce)| proof::make(secret, nonce, signed));
        frame.bytes(&proof.unwrap_or_default());
        frame.finish();
    }

    fn begin<'o>(&self, out: &'o mut Vec<u8>, id: u32, has_proof: bool) -> FrameWriter<'o> {
        let Self { version, role, features, cluster, epoch_seen, session, .. } = self;
        let Self { index, generation, map_version, groups, group, node, address, .. } = self;
        assert!(*index < CONNECTIONS_PER_SESSION_MAX, "index {index}");
        let node_len = node.len();
        assert!((1..=NODE_LEN_MAX).contains(&node_len), "the node's id has {node_len} bytes");
        let address_len = address.len();
        assert!(address_len <= crate::limits::ADDRESS_LEN_MAX, "{address_len} bytes of address");
        let mut frame = FrameWriter::request(out, RequestKind::Hello, 0, id);
        frame.u32(MAGIC).u16(*version).u8(u8::from(*role)).u8(u8::from(has_proof));
        frame.u64(*features).bytes(&cluster.0).u64(epoch_seen.0).bytes(&session.0);
        frame.u16(*index).u64(*generation);
        frame.u64(*map_version).u16(*groups).u16(*group).name(node.as_bytes()).text(address);
        frame
    }
}

/// A `HELLO` as it came, with what its proof is about.
#[derive(Clone, Copy, Debug)]
pub struct SignedHello<'a> {
    /// What it says.
    pub hello: Hello<'a>,
    /// How the client shows who it is.
    pub credential: Credential,
    signed: &'a [u8],
    proof: [u8; 32],
}

impl<'a> SignedHello<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let start = cursor.at();
        magic(cursor)?;
        let version = cursor.u16()?;
        let role = cursor.code()?;
        let credential = cursor.code()?;
        let hello = Hello {
            version,
            role,
            features: cursor.u64()?,
            cluster: ClusterId(cursor.array()?),
            epoch_seen: Epoch(cursor.u64()?),
            session: SessionId(cursor.array()?),
            index: index(cursor)?,
            generation: cursor.u64()?,
            map_version: cursor.u64()?,
            groups: cursor.u16()?,
            group: cursor.u16()?,
            node: cursor.node()?,
            address: cursor.address()?,
        };
        let signed = cursor.since(start);
        let before = *cursor;
        let proof = cursor.array()?;
        if credential == Credential::None && proof != [0; 32] {
            return Err(before.malformed(Malformation::NotZero));
        }
        Ok(Self { hello, credential, signed, proof })
    }

    /// Whether the client knows the secret, and answers the greeting with this nonce. A `HELLO`
    /// without a credential does not.
    #[must_use]
    pub fn proves(&self, secret: &[u8], nonce: &Nonce) -> bool {
        self.credential == Credential::SharedSecret
            && proof::is_right(secret, nonce, self.signed, &self.proof)
    }

    /// The proof as it came.
    #[must_use]
    pub const fn proof(&self) -> &[u8; 32] {
        &self.proof
    }

    /// Appends the frame with the proof that it came with.
    pub fn write(&self, out: &mut Vec<u8>, id: u32) {
        let mut frame = self.hello.begin(out, id, self.credential == Credential::SharedSecret);
        frame.bytes(&self.proof);
        frame.finish();
    }
}

/// What a switch answers to a `HELLO`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Welcome<'a> {
    /// The version that is spoken.
    pub version: u16,
    /// What the connection may do.
    pub role: Role,
    /// Shards of the switch, at least 1.
    pub shards: u8,
    /// The features that are in force.
    pub features: u64,
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch of everything on this connection.
    pub epoch: Epoch,
    /// The version of the map of groups.
    pub map_version: u64,
    /// How many groups of ports there are.
    pub groups: u16,
    /// The group of this switch.
    pub group: u16,
    /// How long a `RELET` gives authority, from the instant it was sent.
    pub lease_ms: u32,
    /// How long the switch keeps a silent session's ports.
    pub exclusion_ms: u32,
    /// What frames may have.
    pub limits: Limits,
    /// The switch's own name, 1 to 64 bytes.
    pub switch: &'a str,
}

impl<'a> Welcome<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let version = cursor.u16()?;
        let role = cursor.code()?;
        let before = *cursor;
        let shards = cursor.u8()?;
        if shards == 0 {
            return Err(before.malformed(Malformation::Value));
        }
        Ok(Self {
            version,
            role,
            shards,
            features: cursor.u64()?,
            cluster: ClusterId(cursor.array()?),
            epoch: Epoch(cursor.u64()?),
            map_version: cursor.u64()?,
            groups: cursor.u16()?,
            group: cursor.u16()?,
            lease_ms: cursor.u32()?,
            exclusion_ms: cursor.u32()?,
            limits: limits(cursor)?,
            switch: cursor.node()?,
        })
    }

    /// Appends the frame.
    ///
    /// # Panics
    ///
    /// If `switch` is empty or too long.
    pub fn write(&self, out: &mut Vec<u8>, id: u32) {
        let Self { version, role, shards, features, cluster, epoch, map_version, .. } = self;
        let Self { groups, group, lease_ms, exclusion_ms, limits, switch, .. } = self;
        assert!(switch.len() <= NODE_LEN_MAX, "the switch's name has {} bytes", switch.len());
        let mut frame = FrameWriter::answer(out, RequestKind::Hello, id);
        frame.u16(*version).u8(u8::from(*role)).u8(*shards).u64(*features).bytes(&cluster.0);
        frame.u64(epoch.0).u64(*map_version).u16(*groups).u16(*group);
        frame.u32(*lease_ms).u32(*exclusion_ms).u32(limits.frame_len_max());
        frame.u32(limits.items_max()).u32(limits.message_len_max()).name(switch.as_bytes());
        frame.finish();
    }
}

fn limits(cursor: &mut Cursor<'_>) -> Result<Limits, FrameError> {
    let before = *cursor;
    let (frame_len_max, items_max, message_len_max) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    Limits::new(frame_len_max, items_max, message_len_max)
        .map_err(|_error| before.malformed(Malformation::Value))
}
