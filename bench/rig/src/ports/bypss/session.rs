//! A session of one node: how its connections begin, and the lease that its receive connection
//! holds.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use protocol::{
    Answer, ClusterId, Ends, Epoch, Framing, Hello, Incoming, IncomingBody, Limits, Push,
    RequestKind, Role, SessionId, VERSION, Welcome, limits::CONNECTIONS_PER_SESSION_MAX,
    write_bare, write_bye, write_relet,
};

use super::{Bypss, bad_frame};
use crate::error::Error;
use crate::limits::PORTS_SILENCE_MAX;
use crate::ports::dialect::nonsense;
use crate::ports::engine::{Input, is_for_later, open};

/// The node that this client is where there is but one.
pub(crate) const NODE: &str = "abele-bench";

/// A session that holds its lease.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) shards: u8,
    pub(crate) limits: Limits,
    node: String,
    id: SessionId,
    receive: Conn,
    /// Connections that it has opened.
    opened: u64,
    /// How long the session may act after the sending of a `RELET` that was answered.
    pub(crate) lease: Duration,
    /// How long the switch keeps its ports after it received one.
    pub(crate) exclusion: Duration,
    /// When the last `RELET` that was answered was sent.
    pub(crate) renewed_at: Instant,
    /// The `RELET` that is under way: its number and when it was sent.
    under_way: Option<(u64, Instant)>,
    relets: u64,
}

/// One connection, and what came on it.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: TcpStream,
    input: Input,
    blocks: bool,
}

impl Conn {
    /// On a stream that blocks.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, input: Input::new(), blocks: true }
    }
}

impl Session {
    /// Opens the receive connection of a node and begins a session on it.
    pub(crate) fn begin(address: SocketAddr, node: &str) -> Result<Self, Error> {
        let id = chosen_id()?;
        let mut receive = Conn::new(open(address, None)?);
        let begin = Instant::now();
        let agreed = receive.greet(node, (id, 0, 1), Role::Node)?;
        let mut out = Vec::new();
        write_bare(&mut out, RequestKind::WaitMsg, 2);
        receive.say(&out)?;
        receive.next(&agreed.limits, "WAIT_MSG", |body| {
            matches!(body, IncomingBody::Answer(Answer::WaitMsg(_))).then_some(())
        })?;
        receive.set_blocks(false)?;
        Ok(Self {
            shards: agreed.shards,
            limits: agreed.limits,
            node: node.to_owned(),
            id,
            receive,
            opened: 1,
            lease: agreed.lease,
            exclusion: agreed.exclusion,
            renewed_at: begin,
            under_way: None,
            relets: 0,
        })
    }

    /// Begins another connection of the session.
    pub(crate) fn greet(&mut self, stream: &mut TcpStream) -> Result<(), Error> {
        let stream = stream.try_clone().map_err(Error::io("share a connection"))?;
        self.introduce(&mut Conn::new(stream))
    }

    fn introduce(&mut self, conn: &mut Conn) -> Result<(), Error> {
        // Those of an earlier round have ended when an index comes again; 0 is the receive connection's.
        let index = 1 + self.opened % u64::from(CONNECTIONS_PER_SESSION_MAX - 1);
        let index = u16::try_from(index).expect("it is below their number");
        self.opened += 1;
        conn.greet(&self.node, (self.id, index, self.opened), Role::Node).map(|_agreed| ())
    }

    /// Whose session it is.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// Opens another connection of the session, which does not block.
    pub(crate) fn open(&mut self, address: SocketAddr) -> Result<Conn, Error> {
        let mut conn = Conn::new(open(address, None)?);
        self.introduce(&mut conn)?;
        conn.set_blocks(false)?;
        Ok(conn)
    }

    /// Renews the lease as often as it must be; fails once it is over.
    pub(crate) fn keep(&mut self, now: Instant) -> Result<(), Error> {
        let due = self.renewed_at + self.lease / 3;
        if now < due {
            return Ok(());
        }
        if now > self.renewed_at + self.lease {
            return Err(nonsense::<Bypss>("a lease was not renewed in time"));
        }
        let Some((relet, sent_at)) = self.under_way else {
            self.relets += 1;
            let mut out = Vec::new();
            write_relet(&mut out, 3, self.relets);
            self.under_way = Some((self.relets, now));
            return self.receive.say(&out);
        };
        self.receive.read()?;
        if self.receive.has_frame(&self.limits)? {
            self.receive.use_frame(&self.limits, "RELET", |_id, body| match body {
                IncomingBody::Answer(Answer::Relet(answer)) => {
                    (answer.relet == relet).then_some(())
                }
                IncomingBody::Answer(_) | IncomingBody::Push(_) | IncomingBody::Error(_) => None,
            })?;
            self.renewed_at = sent_at;
            self.under_way = None;
        }
        Ok(())
    }

    /// Gives back every port at once, and ends.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        self.receive.set_blocks(true)?;
        let mut out = Vec::new();
        write_bare(&mut out, RequestKind::Yield, 4);
        write_bye(&mut out, 5, Ends::Session);
        self.receive.say(&out)?;
        for wanted in [RequestKind::Yield, RequestKind::Bye] {
            // The answer to a RELET may be under way.
            while !self.receive.next(&self.limits, "YIELD and BYE", |body| {
                let IncomingBody::Answer(answer) = body else { return None };
                match (wanted, answer) {
                    (RequestKind::Yield, Answer::Yield) | (RequestKind::Bye, Answer::Bye) => {
                        Some(true)
                    }
                    (_, Answer::Relet(_)) => Some(false),
                    (_, _) => None,
                }
            })? {}
        }
        Ok(())
    }
}

/// The id of a session that begins.
pub(crate) fn chosen_id() -> Result<SessionId, Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Error::System {
        what: "choose a session",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(SessionId(id))
}

/// What a `WELCOME` says that matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) shards: u8,
    pub(crate) limits: Limits,
    pub(crate) lease: Duration,
    pub(crate) exclusion: Duration,
}

impl Conn {
    /// Hears `GREETING`, says `HELLO`, hears `WELCOME`; the stream blocks. A session's connections have
    /// an index and a generation.
    pub(crate) fn greet(
        &mut self,
        node: &str,
        session: (SessionId, u16, u64),
        role: Role,
    ) -> Result<Agreed, Error> {
        self.stream.set_read_timeout(Some(PORTS_SILENCE_MAX)).map_err(Error::io("bound a wait"))?;
        let limits = Limits::BEFORE_WELCOME;
        let (cluster, epoch) = self.next(&limits, "a connection", |body| {
            let IncomingBody::Push(Push::Greeting(greeting)) = body else { return None };
            Some((greeting.cluster, greeting.epoch))
        })?;
        let mut out = Vec::new();
        let hello = hello(node, session, (cluster, epoch), role);
        hello.write(&mut out, 1, None);
        self.say(&out)?;
        self.next(&limits, "HELLO", |body| {
            let IncomingBody::Answer(Answer::Welcome(welcome)) = body else { return None };
            Some(agreed(welcome))
        })
    }

    pub(crate) fn say(&mut self, out: &[u8]) -> Result<(), Error> {
        // So few bytes find room in a socket that has sent nothing for long.
        self.stream.write_all(out).map_err(Error::io("write to bypssd"))
    }

    /// The next frame, as `use_it` takes it, if it is an answer to `to`; the stream blocks.
    pub(crate) fn next<T>(
        &mut self,
        limits: &Limits,
        to: &str,
        use_it: impl FnOnce(&IncomingBody<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        while !self.has_frame(limits)? {
            self.read()?;
        }
        self.use_frame(limits, to, |_id, body| use_it(body))
    }

    pub(crate) fn has_frame(&self, limits: &Limits) -> Result<bool, Error> {
        let framing = Framing::find(self.input.filled(), limits.incoming_len_max());
        Ok(matches!(framing.map_err(bad_frame)?, Framing::Whole { .. }))
    }

    pub(crate) fn use_frame<T>(
        &mut self,
        limits: &Limits,
        to: &str,
        use_it: impl FnOnce(u32, &IncomingBody<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        let framing = Framing::find(self.input.filled(), limits.incoming_len_max());
        let Framing::Whole { frame, .. } = framing.map_err(bad_frame)? else {
            return Err(nonsense::<Bypss>("less than a frame"));
        };
        let Incoming { header, body } = Incoming::parse(frame, limits).map_err(bad_frame)?;
        let used = use_it(header.id, &body).ok_or_else(|| unexpected(to, &body))?;
        let len = frame.len();
        self.input.on_taken(len);
        Ok(used)
    }

    pub(crate) fn read(&mut self) -> Result<(), Error> {
        let room = self.input.room().ok_or_else(|| nonsense::<Bypss>("a frame without end"))?;
        match self.stream.read(room) {
            Ok(0) => Err(nonsense::<Bypss>("it closed the receive connection")),
            Ok(len) => {
                self.input.on_received(len);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            // On a stream that blocks it has waited as long as it may.
            Err(error) if is_for_later(&error) && !self.blocks => Ok(()),
            Err(error) => Err(Error::System { what: "read from bypssd", source: error }),
        }
    }

    /// The connection, once it has given all that it was asked for.
    pub(crate) fn into_stream(self) -> Result<TcpStream, Error> {
        if self.input.filled().is_empty() {
            return Ok(self.stream);
        }
        Err(nonsense::<Bypss>("it said more than it was asked for"))
    }

    pub(crate) fn set_blocks(&mut self, blocks: bool) -> Result<(), Error> {
        self.blocks = blocks;
        self.stream.set_nonblocking(!blocks).map_err(Error::io("set how a connection waits"))
    }
}

fn hello(
    node: &str,
    (session, index, generation): (SessionId, u16, u64),
    (cluster, epoch_seen): (ClusterId, Epoch),
    role: Role,
) -> Hello<'_> {
    Hello {
        version: VERSION,
        role,
        features: 0,
        cluster,
        epoch_seen,
        session,
        index,
        generation,
        map_version: 0,
        groups: 1,
        group: 0,
        node,
        address: "",
    }
}

fn agreed(welcome: &Welcome<'_>) -> Agreed {
    Agreed {
        shards: welcome.shards,
        limits: welcome.limits,
        lease: Duration::from_millis(welcome.lease_ms.into()),
        exclusion: Duration::from_millis(welcome.exclusion_ms.into()),
    }
}

fn unexpected(to: &str, body: &IncomingBody<'_>) -> Error {
    let said = match body {
        IncomingBody::Error(error) => error.message.to_owned(),
        IncomingBody::Answer(_) | IncomingBody::Push(_) => format!("{body:?}"),
    };
    nonsense::<Bypss>(format!("it said to {to}: {said}"))
}
