//! What operators ask: figures, lists, the end of a node.

use crate::batch::Batch;
use crate::codes::open_codes;
use crate::cursor::Cursor;
use crate::fault::FrameError;
use crate::header::RequestKind;
use crate::ids::{Sequence, SessionId};
use crate::limits::{HEADER_LEN, Limits, TEXT_LEN_MAX};
use crate::list::{Item, List};
use crate::names;
use crate::port::NodeState;
use crate::writer::FrameWriter;

open_codes! {
    /// What became of a node that was to be dropped.
    DropState: u8 {
        /// There is none of that id.
        None = 0,
        /// Its ports drain.
        Drains = 1,
    }
}

/// One figure of the switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Figure<'a> {
    /// What it counts.
    pub key: &'a str,
    /// The count.
    pub value: u64,
}

impl<'a> Item<'a> for Figure<'a> {
    fn read(cursor: &mut Cursor<'a>, _item: u32) -> Result<Self, FrameError> {
        Ok(Self { key: cursor.text(1, TEXT_LEN_MAX)?, value: cursor.u64()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        names::write_name(out, self.key.as_bytes());
        out.extend_from_slice(&self.value.to_le_bytes());
    }
}

/// Appends the answer to a `STATUS`.
///
/// # Panics
///
/// If a key is empty or too long.
pub fn write_status_answer<'a>(
    out: &mut Vec<u8>,
    id: u32,
    figures: impl IntoIterator<Item = Figure<'a>>,
) {
    let mut frame = FrameWriter::answer(out, RequestKind::Status, id);
    frame.list(figures);
    frame.finish();
}

/// Where a listing is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListNodes {
    /// 0, or what the last answer had.
    pub cursor: u64,
    /// Entries of the answer.
    pub count_max: u32,
}

impl ListNodes {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, FrameError> {
        Ok(Self { cursor: cursor.u64()?, count_max: cursor.u32()? })
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>, id: u32) {
        let Self { cursor, count_max } = self;
        let mut frame = FrameWriter::request(out, RequestKind::ListNodes, 0, id);
        frame.u64(*cursor).u32(*count_max);
        frame.finish();
    }
}

/// Where a listing is, and of which ports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListPorts<'a> {
    /// 0, or what the last answer had.
    pub cursor: u64,
    /// Entries of the answer.
    pub count_max: u32,
    /// What the names begin with.
    pub prefix: &'a str,
}

impl<'a> ListPorts<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let (from, count_max) = (cursor.u64()?, cursor.u32()?);
        Ok(Self { cursor: from, count_max, prefix: cursor.text(0, TEXT_LEN_MAX)? })
    }

    /// Appends the frame.
    ///
    /// # Panics
    ///
    /// If the prefix is too long.
    pub fn write(&self, out: &mut Vec<u8>, id: u32) {
        let Self { cursor, count_max, prefix } = self;
        let mut frame = FrameWriter::request(out, RequestKind::ListPorts, 0, id);
        frame.u64(*cursor).u32(*count_max).text(prefix);
        frame.finish();
    }
}

/// A node of a listing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NodeEntry<'a> {
    /// Its id.
    pub node: &'a str,
    /// Where other nodes reach it.
    pub address: &'a str,
    /// Its session.
    pub session: SessionId,
    /// What it is.
    pub state: NodeState,
    /// What is left of its session's exclusion.
    pub lease_ms: u32,
    /// Ports that it holds.
    pub ports: u64,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: u64,
}

impl<'a> Item<'a> for NodeEntry<'a> {
    fn read(cursor: &mut Cursor<'a>, _item: u32) -> Result<Self, FrameError> {
        Ok(Self {
            node: cursor.node()?,
            address: cursor.address()?,
            session: SessionId(cursor.array()?),
            state: cursor.u8()?.into(),
            lease_ms: cursor.u32()?,
            ports: cursor.u64()?,
            queued_bytes: cursor.u64()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { node, address, session, state, lease_ms, ports, queued_bytes } = self;
        names::write_name(out, node.as_bytes());
        names::write_len(out, address.len());
        out.extend_from_slice(address.as_bytes());
        out.extend_from_slice(&session.0);
        out.push(u8::from(*state));
        out.extend_from_slice(&lease_ms.to_le_bytes());
        out.extend_from_slice(&ports.to_le_bytes());
        out.extend_from_slice(&queued_bytes.to_le_bytes());
    }
}

/// A port of a listing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PortEntry<'a> {
    /// Its grant.
    pub sequence: Sequence,
    /// The node that holds it.
    pub node: &'a str,
    /// Its name.
    pub name: &'a [u8],
}

impl<'a> Item<'a> for PortEntry<'a> {
    fn read(cursor: &mut Cursor<'a>, item: u32) -> Result<Self, FrameError> {
        let sequence = Sequence::from_bits(cursor.u64()?);
        Ok(Self { sequence, node: cursor.node()?, name: cursor.name(item)? })
    }

    fn check(&self, item: u32) -> Result<(), FrameError> {
        if names::is_utf8(self.name) { Ok(()) } else { Err(FrameError::BadName { item }) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { sequence, node, name } = self;
        out.extend_from_slice(&sequence.to_bits().to_le_bytes());
        names::write_name(out, node.as_bytes());
        names::write_name(out, name);
    }
}

/// A part of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a, T> {
    /// Where the next part begins; 0: there is none.
    pub cursor: u64,
    /// The entries of this part.
    pub entries: List<'a, T>,
}

impl<'a, T: Item<'a>> Page<'a, T> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(Self { cursor: cursor.u64()?, entries: List::read_counted(cursor)? })
    }
}

/// A part of a listing under way; its end says where the next begins.
#[derive(Debug)]
#[must_use = "a page is a frame only when it is finished"]
pub struct PageBatch<'o, T>(Batch<'o, T>);

impl<'o, T> PageBatch<'o, T> {
    fn begin(out: &'o mut Vec<u8>, kind: RequestKind, id: u32, limits: &Limits) -> Self {
        let mut frame = FrameWriter::answer(out, kind, id);
        frame.u64(0);
        Self(Batch::begin(frame, limits))
    }

    /// Appends an entry. `false`: it does not fit, and the frame is as it was.
    #[must_use = "an entry that does not fit goes into the next page"]
    pub fn push<'a>(&mut self, entry: T) -> bool
    where
        T: Item<'a>,
    {
        self.0.push(entry)
    }

    /// Entries so far.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.0.count()
    }

    /// Ends the frame; `cursor` is where the next page begins, 0 after the last.
    pub fn finish(self, cursor: u64) {
        self.0.finish_with(|frame| frame.patch(HEADER_LEN, &cursor.to_le_bytes()));
    }
}

impl<'o> PageBatch<'o, NodeEntry<'_>> {
    /// The answer to a `LIST_NODES`.
    pub fn nodes(out: &'o mut Vec<u8>, id: u32, limits: &Limits) -> Self {
        Self::begin(out, RequestKind::ListNodes, id, limits)
    }
}

impl<'o> PageBatch<'o, PortEntry<'_>> {
    /// The answer to a `LIST_PORTS`.
    pub fn ports(out: &'o mut Vec<u8>, id: u32, limits: &Limits) -> Self {
        Self::begin(out, RequestKind::ListPorts, id, limits)
    }
}

/// Appends a `DROP_NODE`.
///
/// # Panics
///
/// If `node` is empty or too long.
pub fn write_drop_node(out: &mut Vec<u8>, id: u32, node: &str) {
    let mut frame = FrameWriter::request(out, RequestKind::DropNode, 0, id);
    frame.name(node.as_bytes());
    frame.finish();
}

/// Appends the answer to a `DROP_NODE`.
pub fn write_drop_node_answer(out: &mut Vec<u8>, id: u32, state: DropState) {
    let mut frame = FrameWriter::answer(out, RequestKind::DropNode, id);
    frame.u8(u8::from(state));
    frame.finish();
}

/// Appends a `WATCH` of the ports that begin with `prefix`.
///
/// # Panics
///
/// If the prefix is too long.
pub fn write_watch(out: &mut Vec<u8>, id: u32, prefix: &str) {
    let mut frame = FrameWriter::request(out, RequestKind::Watch, 0, id);
    frame.text(prefix);
    frame.finish();
}
