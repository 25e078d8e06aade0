//! What a switch receives.

use crate::admin::{ListNodes, ListPorts};
use crate::cursor::Cursor;
use crate::fault::FrameError;
use crate::header::{Header, RequestKind};
use crate::hello::SignedHello;
use crate::limits::{HEADER_LEN, Limits, TEXT_LEN_MAX};
use crate::message::{self, SendItems, SendMany};
use crate::names::Names;
use crate::port::{QueryPort, RegPort, RegisterFlags, UnregPort};
use crate::session::Ends;

/// A request with its header.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The header; its `id` is echoed by the answer.
    pub header: Header,
    /// What is asked.
    pub body: RequestBody<'a>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum RequestBody<'a> {
    /// `HELLO`.
    Hello(SignedHello<'a>),
    /// `WAIT_MSG`.
    WaitMsg,
    /// `RELET`.
    Relet {
        /// Echoed by the answer.
        relet: u64,
    },
    /// `REG_PORT`.
    RegPort(RegPort<'a>),
    /// `UNREG_PORT`.
    UnregPort(UnregPort<'a>),
    /// `QUERY_PORT`.
    QueryPort(QueryPort<'a>),
    /// `SEND`.
    Send(SendItems<'a>),
    /// `SEND_MANY`.
    SendMany(SendMany<'a>),
    /// `BROADCAST`.
    Broadcast(&'a [u8]),
    /// `CANCEL_WAIT`.
    CancelWait(Names<'a>),
    /// `UNSUBSCRIBE`.
    Unsubscribe(Names<'a>),
    /// `YIELD`.
    Yield,
    /// `BYE`.
    Bye {
        /// What ends.
        ends: Ends,
    },
    /// `QUERY_NODE`; the names are those of nodes.
    QueryNode(Names<'a>),
    /// `PING`.
    Ping,
    /// `STATUS`.
    Status,
    /// `LIST_NODES`.
    ListNodes(ListNodes),
    /// `LIST_PORTS`.
    ListPorts(ListPorts<'a>),
    /// `DROP_NODE`.
    DropNode {
        /// The id of the node.
        node: &'a str,
    },
    /// `WATCH`.
    Watch {
        /// What the names of the ports begin with.
        prefix: &'a str,
    },
}

impl<'a> Request<'a> {
    /// Checks a whole frame, as [`crate::Framing`] finds it, and borrows what is in it.
    ///
    /// # Errors
    ///
    /// What is wrong with it; [`FrameError::to_frame`] tells the client.
    pub fn parse(frame: &'a [u8], limits: &Limits) -> Result<Self, FrameError> {
        let header = Header::of(frame)?;
        let kind =
            RequestKind::try_from(header.kind).map_err(|kind| FrameError::UnknownKind { kind })?;
        header.check_flags()?;
        let mut cursor = Cursor::new(frame, HEADER_LEN);
        let parsed = Parsed::read(kind, header.flags, &mut cursor)?;
        // A later version says more in its HELLO.
        if kind != RequestKind::Hello {
            cursor.finish()?;
        }
        if kind == RequestKind::QueryNode {
            limits.check_nodes(parsed.count)?;
        } else {
            limits.check_items(parsed.count)?;
        }
        limits.check_message(parsed.longest)?;
        Ok(Self { header, body: parsed.body })
    }
}

/// A body, and what of it the limits of the connection bound.
struct Parsed<'a> {
    body: RequestBody<'a>,
    count: u32,
    longest: usize,
}

impl<'a> Parsed<'a> {
    fn read(kind: RequestKind, flags: u8, cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let bare = |body| Ok(Self { body, count: 0, longest: 0 });
        match kind {
            RequestKind::Hello => bare(RequestBody::Hello(SignedHello::read(cursor)?)),
            RequestKind::WaitMsg => bare(RequestBody::WaitMsg),
            RequestKind::Relet => bare(RequestBody::Relet { relet: cursor.u64()? }),
            RequestKind::RegPort => Self::names(cursor, |names| {
                RequestBody::RegPort(RegPort { flags: RegisterFlags::from_bits(flags), names })
            }),
            RequestKind::UnregPort => {
                let unreg = UnregPort::read(cursor)?;
                let count = unreg.names.len();
                Ok(Self { body: RequestBody::UnregPort(unreg), count, longest: 0 })
            }
            RequestKind::QueryPort => Self::names(cursor, |names| {
                RequestBody::QueryPort(QueryPort { subscribe: flags & 1 != 0, names })
            }),
            RequestKind::Send => {
                let (items, longest) = message::read_send(cursor)?;
                Ok(Self { body: RequestBody::Send(items), count: items.len(), longest })
            }
            RequestKind::SendMany => {
                let blob = cursor.blob()?;
                let send = |names| RequestBody::SendMany(SendMany { blob, names });
                Ok(Self { longest: blob.len(), ..Self::names(cursor, send)? })
            }
            RequestKind::Broadcast => {
                let blob = cursor.blob()?;
                Ok(Self { body: RequestBody::Broadcast(blob), count: 0, longest: blob.len() })
            }
            RequestKind::CancelWait => Self::names(cursor, RequestBody::CancelWait),
            RequestKind::Unsubscribe => Self::names(cursor, RequestBody::Unsubscribe),
            RequestKind::Yield => bare(RequestBody::Yield),
            RequestKind::Bye => bare(RequestBody::Bye { ends: cursor.code()? }),
            RequestKind::QueryNode => Self::names(cursor, RequestBody::QueryNode),
            RequestKind::Ping => bare(RequestBody::Ping),
            RequestKind::Status => bare(RequestBody::Status),
            RequestKind::ListNodes => bare(RequestBody::ListNodes(ListNodes::read(cursor)?)),
            RequestKind::ListPorts => bare(RequestBody::ListPorts(ListPorts::read(cursor)?)),
            RequestKind::DropNode => bare(RequestBody::DropNode { node: cursor.node()? }),
            RequestKind::Watch => {
                bare(RequestBody::Watch { prefix: cursor.text(0, TEXT_LEN_MAX)? })
            }
        }
    }

    fn names(
        cursor: &mut Cursor<'a>,
        body: impl FnOnce(Names<'a>) -> RequestBody<'a>,
    ) -> Result<Self, FrameError> {
        let names = Names::read_counted(cursor)?;
        Ok(Self { body: body(names), count: names.len(), longest: 0 })
    }
}
