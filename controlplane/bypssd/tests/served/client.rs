//! A client that speaks plain frames and knows nothing more.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::{
    Answer, Batch, ClusterId, Epoch, ErrorCode, Framing, Hello, Holder, Incoming, IncomingBody,
    Limits, Name, Nonce, Outcome, Push, RegisterCode, RegisterFlags, RequestKind, Role, Sequence,
    SessionId, VERSION,
};

use crate::daemon::PATIENCE;

/// An error as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: ErrorCode,
    pub(crate) closes: bool,
    pub(crate) number: u64,
}

/// What a registration brought: the first grant of the first name that was granted, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) first: u64,
    pub(crate) granted: usize,
    pub(crate) failures: Vec<(u32, RegisterCode)>,
}

/// What became of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    Now(u64),
    Not(RegisterCode),
}

pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    received: Vec<u8>,
    pub(crate) nonce: Nonce,
    pub(crate) epoch: u64,
    pub(crate) cluster: ClusterId,
    pub(crate) shards: u8,
}

/// Who somebody says to be; the session follows from the node. None follows another connection of it.
pub(crate) fn hello(node: &str) -> Hello<'_> {
    static HELLOS: AtomicU64 = AtomicU64::new(0);
    let number = HELLOS.fetch_add(1, Ordering::Relaxed);
    let mut session = [1; 16];
    for (place, byte) in session.iter_mut().zip(node.bytes()) {
        *place = byte;
    }
    Hello {
        version: VERSION,
        role: Role::Node,
        features: 0,
        cluster: ClusterId::ANY,
        epoch_seen: Epoch(0),
        session: SessionId(session),
        index: u16::try_from(number % 64).expect("below it"),
        generation: number,
        map_version: 0,
        groups: 1,
        group: 0,
        node,
        address: "192.0.2.1:1",
    }
}

impl Client {
    /// Connects and reads the greeting.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Self::over(stream)
    }

    /// One that came in without a proof.
    pub(crate) fn enter(address: SocketAddr, node: &str) -> Self {
        let mut client = Self::connect(address).expect("it listens");
        client.hello(hello(node), None).expect("it comes in");
        client
    }

    /// One that came in and has its session.
    pub(crate) fn session(address: SocketAddr, node: &str) -> Self {
        let mut client = Self::enter(address, node);
        client.wait_msg();
        client
    }
}

impl<S: Read + Write> Client<S> {
    /// Reads the greeting of a stream.
    pub(crate) fn over(stream: S) -> io::Result<Self> {
        let (nonce, cluster) = (Nonce([0; 32]), ClusterId::ANY);
        let mut client = Self { stream, received: Vec::new(), nonce, epoch: 0, cluster, shards: 0 };
        let greeting = client.next(|_id, body| {
            let IncomingBody::Push(Push::Greeting(greeting)) = body else {
                panic!("a greeting comes first: {body:?}");
            };
            *greeting
        })?;
        let greeting = greeting.ok_or(io::ErrorKind::UnexpectedEof)?;
        client.nonce = greeting.nonce;
        (client.epoch, client.cluster) = (greeting.epoch.0, greeting.cluster);
        Ok(client)
    }

    /// Says who it is: the lease, or the refusal.
    pub(crate) fn hello(&mut self, hello: Hello<'_>, secret: Option<&[u8]>) -> Result<u32, Told> {
        let mut bytes = Vec::new();
        hello.write(&mut bytes, 1, secret.map(|secret| (secret, &self.nonce)));
        self.send(&bytes);
        let (shards, lease_ms) = self.read(|body| {
            let IncomingBody::Answer(Answer::Welcome(welcome)) = body else {
                return Err(error(body));
            };
            Ok((welcome.shards, welcome.lease_ms))
        })?;
        self.shards = shards;
        Ok(lease_ms)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it is read");
    }

    /// The next frame; `None` at the end.
    pub(crate) fn next<T>(
        &mut self,
        read: impl FnOnce(u32, &IncomingBody<'_>) -> T,
    ) -> io::Result<Option<T>> {
        loop {
            let found = Framing::find(&self.received, u32::MAX).expect("the switch sends frames");
            if let Framing::Whole { header, frame, rest } = found {
                let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("and right ones");
                let value = read(header.id, &incoming.body);
                let used = self.received.len() - rest.len();
                self.received.drain(..used);
                return Ok(Some(value));
            }
            let mut bytes = [0; 65_536];
            match self.stream.read(&mut bytes)? {
                0 => return Ok(None),
                len => self.received.extend_from_slice(&bytes[..len]),
            }
        }
    }

    /// The next frame, which is there.
    pub(crate) fn read<T>(&mut self, read: impl FnOnce(&IncomingBody<'_>) -> T) -> T {
        self.next(|_id, body| read(body)).expect("it is sent").expect("and not the end")
    }

    /// The error that comes next, and whether the connection ends behind it.
    pub(crate) fn refusal(&mut self) -> Told {
        let told = self.read(error);
        if told.closes {
            assert_eq!(self.next(|_id, _body| ()).expect("an end, and no reset"), None);
        }
        told
    }

    fn bare(&mut self, kind: RequestKind) {
        let mut bytes = Vec::new();
        protocol::write_bare(&mut bytes, kind, 2);
        self.send(&bytes);
    }

    pub(crate) fn wait_msg(&mut self) {
        self.bare(RequestKind::WaitMsg);
        self.read(|body| {
            assert!(matches!(body, IncomingBody::Answer(Answer::WaitMsg(_))), "{body:?}")
        });
    }

    pub(crate) fn ping(&mut self) {
        self.bare(RequestKind::Ping);
        self.read(|body| assert!(matches!(body, IncomingBody::Answer(Answer::Ping)), "{body:?}"));
    }

    pub(crate) fn relet(&mut self) -> Result<u32, Told> {
        let mut bytes = Vec::new();
        protocol::write_relet(&mut bytes, 3, 99);
        self.send(&bytes);
        self.read(|body| {
            let IncomingBody::Answer(Answer::Relet(relet)) = body else { return Err(error(body)) };
            Ok(relet.lease_ms)
        })
    }

    pub(crate) fn register(&mut self, names: &[&str]) -> Result<Registered, Told> {
        let mut registered = Registered { first: 0, granted: 0, failures: Vec::new() };
        for (item, outcome) in (0..).zip(self.register_each(names)?) {
            match outcome {
                Granted::Now(sequence) => {
                    let is_first = registered.granted == 0;
                    registered.first = if is_first { sequence } else { registered.first };
                    registered.granted += 1;
                }
                Granted::Not(code) => registered.failures.push((item, code)),
            }
        }
        Ok(registered)
    }

    /// Registers names: what became of each.
    pub(crate) fn register_each(&mut self, names: &[&str]) -> Result<Vec<Granted>, Told> {
        let mut bytes = Vec::new();
        let flags = RegisterFlags::default();
        let mut batch = Batch::register(&mut bytes, 4, flags, &Limits::DEFAULT);
        names.iter().for_each(|name| assert!(batch.push(Name(name.as_bytes()))));
        batch.finish();
        self.send(&bytes);
        let shards = self.shards;
        self.read(|body| {
            let IncomingBody::Answer(Answer::RegPort(answer)) = body else {
                return Err(error(body));
            };
            let mut outcomes = answer.outcomes(names.iter().map(|name| name.as_bytes()), shards);
            let each = outcomes.by_ref().map(|outcome| match outcome {
                Outcome::Granted(sequence) => Granted::Now(sequence.to_bits()),
                Outcome::Failed(failure) => Granted::Not(failure.code),
                Outcome::Unanswered => panic!("{answer:?} leaves one out"),
            });
            let each = each.collect();
            assert!(outcomes.is_whole(), "grants of nothing: {answer:?}");
            Ok(each)
        })
    }

    /// Releases one; how many failures.
    pub(crate) fn unregister(&mut self, name: &str, sequence: u64) -> usize {
        let mut bytes = Vec::new();
        let items = std::iter::once((Sequence::from_bits(sequence), name.as_bytes()));
        protocol::write_unregister(&mut bytes, 5, items, &Limits::DEFAULT);
        self.send(&bytes);
        self.read(|body| {
            let IncomingBody::Answer(Answer::UnregPort(answer)) = body else { panic!("{body:?}") };
            answer.failures.iter().count()
        })
    }

    /// Gives every port of the session back.
    pub(crate) fn give_up(&mut self) {
        self.bare(RequestKind::Yield);
        self.read(|body| assert!(matches!(body, IncomingBody::Answer(Answer::Yield)), "{body:?}"));
    }

    /// How many of these ports somebody holds.
    pub(crate) fn count_held(&mut self, names: &[&str]) -> usize {
        self.send(&query(names));
        self.read(|body| {
            let IncomingBody::Answer(Answer::QueryPort(answer)) = body else { panic!("{body:?}") };
            let is_held = |holder: &Holder| matches!(holder, Holder::Owner(_));
            answer.iter().filter(|(_sequence, holder)| is_held(holder)).count()
        })
    }

    /// The node that holds a port: `free`, `unknown`, or its id.
    pub(crate) fn holder(&mut self, name: &str) -> String {
        let bytes = query(&[name]);
        self.send(&bytes);
        self.read(|body| {
            let IncomingBody::Answer(Answer::QueryPort(answer)) = body else { panic!("{body:?}") };
            match answer.iter().next().expect("one was asked for").1 {
                Holder::Free => "free".to_owned(),
                Holder::Unknown => "unknown".to_owned(),
                Holder::Owner(index) => {
                    let owner = answer.owners.iter().nth(index as usize).expect("it is there");
                    owner.node.to_owned()
                }
            }
        })
    }
}

/// A query of these names.
pub(crate) fn query(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut batch = Batch::query(&mut bytes, 6, false, &Limits::DEFAULT);
    names.iter().for_each(|name| assert!(batch.push(Name(name.as_bytes()))));
    batch.finish();
    bytes
}

pub(crate) fn error(body: &IncomingBody<'_>) -> Told {
    let IncomingBody::Error(error) = body else { panic!("an error was wanted: {body:?}") };
    Told { code: error.code, closes: error.closes, number: error.number }
}
