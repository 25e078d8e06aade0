//! The processes that hold the silent connections, and ask on them.
//!
//! Several, because a process may have only so many descriptors. Each is this program, and speaks
//! as [`crate::child`] has it: it says when it holds its connections, then takes orders of so many
//! requests each until its standard input closes, and ends with its count.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use base::Rng;
use core_affinity::CoreId;
use serde::{Deserialize, Serialize};

use super::super::args::IdleHolderArgs;
use super::super::document::{self, Document};
use crate::child::{Child, say};
use crate::cores;
use crate::error::Error;
use crate::limits::{IDLE_CONNECTIONS_PER_PROCESS, IDLE_DOCUMENT_LEN};
use crate::sockets::allow_descriptors;
use crate::stop::Stop;

/// Between two requests: a sleeping gateway has gone back to sleep, and so has its core.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than an answer's head and the document: no answer fills it.
const ANSWER_LEN_MAX: usize = 4_096;
const _: () = assert!(IDLE_DOCUMENT_LEN * 4 < ANSWER_LEN_MAX);

/// What a process found, or all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answers {
    /// Connections that could not be made, or that the server did not keep.
    pub(super) connections_lost: u64,
    /// Answers that were not the document.
    pub(super) wrong: u64,
}

/// All of the processes.
#[derive(Debug)]
pub(super) struct Holders(Vec<Child>);

/// How many processes hold so many connections.
pub(super) fn processes(connections: u32) -> u32 {
    connections.div_ceil(IDLE_CONNECTIONS_PER_PROCESS)
}

impl Holders {
    /// Starts them on `core`, one after the other, until each holds its connections.
    pub(super) fn start(
        address: SocketAddr,
        connections: u32,
        core: CoreId,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let mut holders = Vec::new();
        let mut left = connections;
        while left > 0 {
            stop.check()?;
            let share = left.min(IDLE_CONNECTIONS_PER_PROCESS);
            left -= share;
            let mut holder = Child::spawn(
                "client",
                &[
                    "idle-holder".to_owned(),
                    format!("--core={}", core.id),
                    format!("--address={address}"),
                    format!("--connections={share}"),
                    format!("--seed={}", holders.len()),
                ],
            )?;
            let (): () = holder.read()?;
            holders.push(holder);
        }
        Ok(Self(holders))
    }

    /// Asks `count` times, on random connections of all; nanoseconds to the first byte, ascending.
    pub(super) fn sample(&mut self, count: u32, stop: &Stop) -> Result<Vec<u64>, Error> {
        let processes = u32::try_from(self.0.len()).expect("there are as many as `processes` says");
        let mut all = Vec::new();
        for (index, holder) in (0..).zip(&mut self.0) {
            stop.check()?;
            let share = count / processes + u32::from(index < count % processes);
            holder.write(&share)?;
            let samples: Vec<u64> = holder.read()?;
            all.extend(samples);
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Ends them; what they found.
    pub(super) fn finish(self) -> Result<Answers, Error> {
        let mut all = Answers::default();
        for holder in self.0 {
            let Answers { connections_lost, wrong } = holder.finish()?;
            all.connections_lost += connections_lost;
            all.wrong += wrong;
        }
        Ok(all)
    }
}

/// The process's main.
pub(crate) fn serve(args: &IdleHolderArgs) -> Result<(), Error> {
    cores::pin(CoreId { id: args.core })?;
    allow_descriptors(u64::from(args.connections))?;
    let mut holder = Holder {
        document: Document::new(IDLE_DOCUMENT_LEN),
        connections: Vec::new(),
        rng: Rng::seeded(args.seed),
        answers: Answers::default(),
    };
    for _connection in 0..args.connections {
        holder.open(args.address);
    }
    say(&())?;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(Error::io("read an order"))?;
        let count: u32 = line.parse().map_err(|_not_a_number| Error::Child {
            side: "measuring",
            what: format!("it said {line:?}"),
        })?;
        let samples: Vec<u64> = (0..count).filter_map(|_sample| holder.sample()).collect();
        say(&samples)?;
    }
    say(&holder.finish())
}

/// One process's connections.
#[derive(Debug)]
struct Holder {
    document: Document,
    connections: Vec<TcpStream>,
    rng: Rng,
    answers: Answers,
}

impl Holder {
    /// Opens a connection and asks once, as every connection has that is kept alive.
    fn open(&mut self, address: SocketAddr) {
        let opened = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => {
                self.ask(&stream);
                self.connections.push(stream);
            }
            Err(_) => self.answers.connections_lost += 1,
        }
    }

    /// Asks on a random connection after a pause; nanoseconds to the first byte of a right answer.
    fn sample(&mut self) -> Option<u64> {
        thread::sleep(PAUSE);
        let count = u64::try_from(self.connections.len()).expect("it was 32 bits");
        if count == 0 {
            return None;
        }
        let index = usize::try_from(self.rng.below(count)).expect("it is an index");
        let stream = self.connections[index].try_clone().ok()?;
        self.ask(&stream)
    }

    fn ask(&mut self, stream: &TcpStream) -> Option<u64> {
        let asked = exchange(stream, &self.document);
        if asked.is_none() {
            self.answers.wrong += 1;
        }
        asked
    }

    /// Counts the connections that the server has ended.
    fn finish(mut self) -> Answers {
        for mut stream in self.connections {
            let kept = matches!(
                stream.read(&mut [0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            );
            self.answers.connections_lost += u64::from(!kept);
        }
        self.answers
    }
}

/// One request on a connection that stays open; `None` if the answer is not the document.
fn exchange(mut stream: &TcpStream, document: &Document) -> Option<u64> {
    let request = format!("GET /{} HTTP/1.1\r\nHost: abele\r\n\r\n", document::NAME);
    let mut answer = Vec::with_capacity(ANSWER_LEN_MAX);
    let begin = Instant::now();
    stream.write_all(request.as_bytes()).ok()?;
    let mut first_byte = None;
    while begin.elapsed() < PATIENCE {
        let mut bytes = [0; ANSWER_LEN_MAX];
        match stream.read(&mut bytes) {
            Ok(0) => return None,
            Ok(count) => {
                first_byte.get_or_insert_with(|| begin.elapsed());
                answer.extend_from_slice(&bytes[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
        if document.is_answer(&answer) {
            return u64::try_from(first_byte?.as_nanos()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that answers `count` requests on each of `connections` in turn, and then ends them.
    fn server(answer: Vec<u8>) -> (SocketAddr, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
        let address = listener.local_addr().expect("it is bound");
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the test connects");
            for _request in 0..2 {
                let mut request = [0; 512];
                assert!(stream.read(&mut request).expect("the test asks") > 0);
                // In two parts, of which the first is not the whole.
                let (head, rest) = answer.split_at(answer.len() / 2);
                stream.write_all(head).expect("the test reads");
                thread::yield_now();
                stream.write_all(rest).expect("the test reads");
            }
        });
        (address, thread)
    }

    fn holder() -> Holder {
        Holder {
            document: Document::new(IDLE_DOCUMENT_LEN),
            connections: Vec::new(),
            rng: Rng::seeded(1),
            answers: Answers::default(),
        }
    }

    fn answer(document: &Document) -> Vec<u8> {
        [b"HTTP/1.1 200 OK\r\nServer: test\r\n\r\n", document.bytes()].concat()
    }

    #[test]
    fn connection_is_asked_twice_and_its_end_is_noticed() {
        let mut holder = holder();
        let (address, server) = server(answer(&holder.document));
        holder.open(address);
        assert!(holder.sample().is_some());
        server.join().expect("it was asked twice");
        // The server has ended the connection, and its FIN has been sent.
        assert_eq!(holder.finish(), Answers { connections_lost: 1, wrong: 0 });
    }

    #[test]
    fn connection_that_the_server_ends_in_the_middle_of_an_answer_is_a_wrong_answer() {
        let mut holder = holder();
        let mut answer = answer(&holder.document);
        let last = answer.len() - 1;
        answer[last] ^= 1;
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
        let address = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the test connects");
            let mut request = [0; 512];
            assert!(stream.read(&mut request).expect("the test asks") > 0);
            stream.write_all(&answer).expect("the test reads");
        });
        holder.open(address);
        server.join().expect("it was asked");
        assert_eq!(holder.answers, Answers { connections_lost: 0, wrong: 1 });
    }

    #[test]
    fn server_that_is_not_there_is_a_lost_connection() {
        let mut holder = holder();
        holder.open("127.0.0.1:1".parse().expect("an address"));
        assert_eq!(holder.answers, Answers { connections_lost: 1, wrong: 0 });
        assert_eq!(holder.sample(), None);
    }

    #[test]
    fn processes_are_as_many_as_their_descriptors_ask_for() {
        assert_eq!(processes(1), 1);
        assert_eq!(processes(10_000), 2);
    }
}
