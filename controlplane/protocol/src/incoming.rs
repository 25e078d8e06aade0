//! What a client receives.

use crate::admin::{DropState, Figure, NodeEntry, Page, PortEntry};
use crate::cursor::Cursor;
use crate::error::ErrorFrame;
use crate::fault::{FrameError, Malformation};
use crate::header::{ANSWER, ERROR, Header, PushKind, RequestKind};
use crate::hello::{Greeting, Welcome};
use crate::limits::{HEADER_LEN, Limits};
use crate::list::List;
use crate::message::SendAnswer;
use crate::port::{NodeStatus, QueryPortAnswer, RegPortAnswer, UnregPortAnswer};
use crate::push::{self, Event, Flush, Gone, Granted, Leaving, Messages, Notice};
use crate::session::{ReletAnswer, WaitMsgAnswer};

/// A frame of the switch with its header.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The header; the `id` of an answer is that of its request.
    pub header: Header,
    /// What it says.
    pub body: IncomingBody<'a>,
}

/// What a switch says.
#[derive(Clone, Copy, Debug)]
pub enum IncomingBody<'a> {
    /// What was asked.
    Answer(Answer<'a>),
    /// What was not asked.
    Push(Push<'a>),
    /// Why a request was not done, or why the connection ends.
    Error(ErrorFrame<'a>),
}

/// What a request is answered.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// To `HELLO`.
    Welcome(Welcome<'a>),
    /// To `WAIT_MSG`.
    WaitMsg(WaitMsgAnswer),
    /// To `RELET`.
    Relet(ReletAnswer),
    /// To `REG_PORT`.
    RegPort(RegPortAnswer<'a>),
    /// To `UNREG_PORT`.
    UnregPort(UnregPortAnswer<'a>),
    /// To `QUERY_PORT`.
    QueryPort(QueryPortAnswer<'a>),
    /// To `SEND`.
    Send(SendAnswer),
    /// To `SEND_MANY`.
    SendMany(SendAnswer),
    /// To `BROADCAST`.
    Broadcast(SendAnswer),
    /// To `CANCEL_WAIT`.
    CancelWait {
        /// How many were waiting and are no more.
        count: u32,
    },
    /// To `UNSUBSCRIBE`.
    Unsubscribe {
        /// How many were subscribed and are no more.
        count: u32,
    },
    /// To `YIELD`.
    Yield,
    /// To `BYE`.
    Bye,
    /// To `QUERY_NODE`.
    QueryNode(List<'a, NodeStatus<'a>>),
    /// To `PING`.
    Ping,
    /// To `STATUS`.
    Status(List<'a, Figure<'a>>),
    /// To `LIST_NODES`.
    ListNodes(Page<'a, NodeEntry<'a>>),
    /// To `LIST_PORTS`.
    ListPorts(Page<'a, PortEntry<'a>>),
    /// To `DROP_NODE`.
    DropNode {
        /// What became of the node.
        state: DropState,
    },
    /// To `WATCH`.
    Watch,
}

/// What a switch says unasked.
#[derive(Clone, Copy, Debug)]
pub enum Push<'a> {
    /// `GREETING`.
    Greeting(Greeting),
    /// `MESSAGES`.
    Messages(Messages<'a>),
    /// `GRANT`.
    Grant(Notice<'a, Granted<'a>>),
    /// `PORT_GONE`.
    PortGone(Notice<'a, Gone<'a>>),
    /// `FLUSH`.
    Flush(Flush),
    /// `LEAVING`.
    Leaving(Leaving<'a>),
    /// `EVENTS`.
    Events(List<'a, Event<'a>>),
    /// A push of a later version, which is skipped.
    Unknown,
}

impl<'a> Incoming<'a> {
    /// Checks a whole frame, as [`crate::Framing`] finds it, and borrows what is in it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(frame: &'a [u8], limits: &Limits) -> Result<Self, FrameError> {
        let header = Header::of(frame)?;
        header.check_flags()?;
        let mut cursor = Cursor::new(frame, HEADER_LEN);
        let body = match header.kind {
            ERROR => {
                let error = ErrorFrame::read(&mut cursor)?;
                cursor.finish()?;
                IncomingBody::Error(error)
            }
            kind @ ANSWER.. => {
                let unknown = |_kind| FrameError::UnknownKind { kind };
                let request = RequestKind::try_from(kind - ANSWER).map_err(unknown)?;
                IncomingBody::Answer(Answer::read(request, &mut cursor)?)
            }
            kind @ 0x40..ANSWER => {
                IncomingBody::Push(Push::read(kind, &header, &mut cursor, limits)?)
            }
            kind => return Err(FrameError::UnknownKind { kind }),
        };
        Ok(Self { header, body })
    }
}

impl<'a> Answer<'a> {
    fn read(request: RequestKind, cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let answer = match request {
            // A later version says more in these two.
            RequestKind::Hello => return Ok(Self::Welcome(Welcome::read(cursor)?)),
            RequestKind::Relet => return Ok(Self::Relet(ReletAnswer::read(cursor)?)),
            RequestKind::WaitMsg => Self::WaitMsg(WaitMsgAnswer::read(cursor)?),
            RequestKind::RegPort => Self::RegPort(RegPortAnswer::read(cursor)?),
            RequestKind::UnregPort => Self::UnregPort(UnregPortAnswer::read(cursor)?),
            RequestKind::QueryPort => Self::QueryPort(QueryPortAnswer::read(cursor)?),
            RequestKind::Send => Self::Send(SendAnswer::read(cursor)?),
            RequestKind::SendMany => Self::SendMany(SendAnswer::read(cursor)?),
            RequestKind::Broadcast => Self::Broadcast(SendAnswer::read(cursor)?),
            RequestKind::CancelWait => Self::CancelWait { count: cursor.u32()? },
            RequestKind::Unsubscribe => Self::Unsubscribe { count: cursor.u32()? },
            RequestKind::Yield => Self::Yield,
            RequestKind::Bye => Self::Bye,
            RequestKind::QueryNode => Self::QueryNode(List::read_counted(cursor)?),
            RequestKind::Ping => Self::Ping,
            RequestKind::Status => Self::Status(List::read_counted(cursor)?),
            RequestKind::ListNodes => Self::ListNodes(Page::read(cursor)?),
            RequestKind::ListPorts => Self::ListPorts(Page::read(cursor)?),
            RequestKind::DropNode => Self::DropNode { state: cursor.u8()?.into() },
            RequestKind::Watch => Self::Watch,
        };
        cursor.finish()?;
        Ok(answer)
    }
}

impl<'a> Push<'a> {
    fn read(
        kind: u8,
        header: &Header,
        cursor: &mut Cursor<'a>,
        limits: &Limits,
    ) -> Result<Self, FrameError> {
        let Ok(kind) = PushKind::try_from(kind) else {
            return Ok(Self::Unknown);
        };
        if header.id != 0 && kind != PushKind::Events {
            return Err(FrameError::Malformed { at: 8, what: Malformation::NotZero });
        }
        let mut message_len = 0;
        let push = match kind {
            // A later version says more in it.
            PushKind::Greeting => return Ok(Self::Greeting(Greeting::read(cursor)?)),
            PushKind::Messages => {
                let (messages, longest) = push::read_messages(cursor)?;
                message_len = longest;
                Self::Messages(messages)
            }
            PushKind::Grant => Self::Grant(Notice::read(cursor)?),
            PushKind::PortGone => Self::PortGone(Notice::read(cursor)?),
            PushKind::Flush => Self::Flush(Flush::read(cursor)?),
            PushKind::Leaving => Self::Leaving(Leaving::read(cursor)?),
            PushKind::Events => Self::Events(List::read_counted(cursor)?),
        };
        cursor.finish()?;
        limits.check_message(message_len)?;
        Ok(push)
    }
}
