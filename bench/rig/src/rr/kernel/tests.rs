//! The kernel peer against servers and clients that lie.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::server::Server;
use super::*;
use crate::args::{Queue, RoundArgs};
use crate::limits::DRAIN_MS_MAX;
use crate::pattern::Message;

fn args(connections: u32, size: u32, seconds: f64) -> RrArgs {
    let rounds = RoundArgs {
        queue: Queue::Kernel,
        cores: Cores::One,
        seconds,
        rounds: 1,
        vs: Vec::new(),
        attach: None,
        quick: true,
        json: false,
    };
    RrArgs { connections, size, rounds }
}

fn written(connection: u32, sequence: u32, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    Message { connection, sequence }.write(&mut bytes);
    bytes
}

/// A server for one connection and requests of 64 bytes, which answers as `answer` says; nothing
/// closes the connection.
fn faulty_server(
    answer: impl Fn(u32, &mut Vec<u8>) -> Option<()> + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client connects");
        stream.set_nodelay(true).expect("TCP has it");
        let mut request = [0; 64];
        // The client's reset ends the reading, the fault may end it before.
        for number in 0.. {
            if stream.read_exact(&mut request).is_err() {
                return;
            }
            let mut bytes = request.to_vec();
            if answer(number, &mut bytes).is_none() || stream.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    (address, thread)
}

/// What the client counts against such a server in a short round.
fn tally_against(answer: impl Fn(u32, &mut Vec<u8>) -> Option<()> + Send + 'static) -> ClientTally {
    let (address, server) = faulty_server(answer);
    let mut client =
        Client::connect(address, 1, 64, EpollTimeout::ZERO, &Stop::default()).expect("it listens");
    // Long enough for some requests, also where other programs have most of the cores.
    client.start(Duration::from_millis(300));
    while client.turn().expect("epoll works") {}
    client.look_for_surplus();
    let (_, tally) = client.close();
    server.join().expect("it ends with its connection");
    tally
}

/// Both ends in turn on this thread: the test program is no server that could be started.
fn round_on_one_thread(args: &RrArgs) -> Result<Round, Error> {
    let mut server = Server::listen(
        Ipv4Addr::LOCALHOST,
        args.connections,
        args.size_bytes(),
        EpollTimeout::ZERO,
    )?;
    let mut client = Client::connect(
        server.address()?,
        args.connections,
        args.size_bytes(),
        EpollTimeout::ZERO,
        &Stop::default(),
    )?;
    client.start(args.rounds.duration());
    while client.turn()? {
        server.turn()?;
    }
    client.look_for_surplus();
    let tally = server.tally();
    let (recorder, client) = client.close();
    Ok(round(args, recorder, client, tally, 0))
}

#[test]
fn quick_run_answers_every_byte_on_every_connection() {
    let round = round_on_one_thread(&args(4, 64, 0.2)).expect("loopback works");
    assert_eq!((round.bytes_lost, round.connections_lost), (0, 0));
    assert!(round.recorded.transactions > 100, "{round:?}");
    assert!(round.recorded.elapsed >= Duration::from_millis(200));
    assert!(!round.recorded.latency_ns.is_empty() && round.recorded.latency_ns.min() > 0);
}

#[test]
fn round_longer_than_the_patience_for_the_last_answer_loses_nothing() {
    let seconds = Duration::from_millis(DRAIN_MS_MAX + 200).as_secs_f64();
    let round = round_on_one_thread(&args(4, 64, seconds)).expect("loopback works");
    assert_eq!((round.bytes_lost, round.connections_lost), (0, 0));
}

#[test]
fn more_connections_than_events_of_a_turn_are_all_served() {
    let round = round_on_one_thread(&args(100, 64, 0.05)).expect("loopback works");
    assert_eq!((round.bytes_lost, round.connections_lost), (0, 0));
    assert!(round.recorded.transactions > 100, "{round:?}");
}

#[test]
fn messages_of_every_kind_of_size_come_back_whole() {
    for size in [8, 9, 1_448, 65_536] {
        let round = round_on_one_thread(&args(3, size, 0.02)).expect("loopback works");
        assert_eq!((round.bytes_lost, round.connections_lost), (0, 0), "size {size}");
        assert!(round.recorded.transactions > 0, "size {size}");
    }
}

#[test]
fn true_echo_loses_nothing() {
    let tally = tally_against(|_number, _bytes| Some(()));
    assert_eq!((tally.bytes_lost, tally.connections_lost), (0, 0));
    assert!(tally.messages > 1);
}

#[test]
fn corrupted_echo_is_found() {
    let tally = tally_against(|number, bytes| {
        if number == 3 {
            bytes[63] ^= 1;
        }
        Some(())
    });
    assert_eq!((tally.bytes_lost, tally.connections_lost), (1, 0));
}

#[test]
fn echo_of_the_request_before_is_found() {
    let tally = tally_against(|number, bytes| {
        if number == 3 {
            *bytes = written(0, 2, 64);
        }
        Some(())
    });
    assert!(tally.bytes_lost > 50, "{tally:?}");
}

#[test]
fn echo_with_a_byte_too_many_loses_its_connection() {
    let tally = tally_against(|number, bytes| {
        if number == 3 {
            bytes.push(0);
        }
        Some(())
    });
    assert_eq!(tally.connections_lost, 1);
    assert!(tally.bytes_lost >= 1, "{tally:?}");
}

#[test]
fn server_that_closes_early_loses_its_connection_and_the_answer() {
    let tally = tally_against(|number, _bytes| (number < 3).then_some(()));
    assert_eq!((tally.bytes_lost, tally.connections_lost, tally.messages), (64, 1, 4));
}

#[test]
fn server_that_falls_silent_is_given_up() {
    let tally = tally_against(|number, bytes| {
        if number >= 3 {
            bytes.clear();
        }
        Some(())
    });
    assert_eq!((tally.bytes_lost, tally.connections_lost, tally.messages), (64, 1, 4));
}

/// A server for two connections and requests of 64 bytes, and one that is open to it.
fn server_and_stream() -> (Server, TcpStream) {
    let server = Server::listen(Ipv4Addr::LOCALHOST, 2, 64, EpollTimeout::ZERO)
        .expect("loopback has free ports");
    let stream = connect(&server);
    (server, stream)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address().expect("it is bound")).expect("it listens");
    stream.set_nodelay(true).expect("TCP has it");
    stream
}

/// Sends one request in `pieces` and takes its echo, the server running in between.
fn exchange(server: &mut Server, stream: &mut TcpStream, pieces: &[&[u8]]) -> [u8; 64] {
    for piece in pieces {
        stream.write_all(piece).expect("it is open");
        // The first turn accepts, the second reads.
        for _turn in 0..2 {
            server.turn().expect("epoll works");
        }
    }
    let mut echo = [0; 64];
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("it is no zero");
    stream.read_exact(&mut echo).expect("it was served");
    echo
}

#[test]
fn request_in_pieces_is_echoed_whole() {
    let (mut server, mut stream) = server_and_stream();
    let request = written(1, 0, 64);
    let pieces = [&request[..3], &request[3..9], &request[9..]];
    assert_eq!(exchange(&mut server, &mut stream, &pieces)[..], request);
    let expected = ServerTally { connections: 1, messages: 1, bytes_wrong: 0 };
    assert_eq!(server.tally(), expected);
}

#[test]
fn corrupted_request_is_found_by_the_server() {
    let (mut server, mut stream) = server_and_stream();
    let mut request = written(1, 0, 64);
    request[40] ^= 0x80;
    exchange(&mut server, &mut stream, &[&request]);
    assert_eq!(server.tally().bytes_wrong, 1);
}

#[test]
fn request_with_a_skipped_sequence_number_is_found_by_the_server() {
    let (mut server, mut stream) = server_and_stream();
    exchange(&mut server, &mut stream, &[&written(0, 0, 64)]);
    exchange(&mut server, &mut stream, &[&written(0, 2, 64)]);
    let tally = server.tally();
    assert!(tally.messages == 2 && tally.bytes_wrong > 50, "{tally:?}");
}

#[test]
fn connection_number_that_comes_twice_or_is_too_large_is_found_by_the_server() {
    let (mut server, mut stream) = server_and_stream();
    exchange(&mut server, &mut stream, &[&written(1, 0, 64)]);
    let mut twin = connect(&server);
    exchange(&mut server, &mut twin, &[&written(1, 0, 64)]);
    assert_eq!(server.tally().bytes_wrong, 4);
    let mut stranger = connect(&server);
    exchange(&mut server, &mut stranger, &[&written(2, 0, 64)]);
    assert_eq!(server.tally().bytes_wrong, 8);
}

#[test]
fn connection_that_goes_is_not_counted_as_alive() {
    let (mut server, mut stream) = server_and_stream();
    exchange(&mut server, &mut stream, &[&written(1, 0, 64)]);
    drop(stream);
    server.turn().expect("epoll works");
    assert_eq!(server.tally().connections, 0);
}

#[test]
fn counts_that_disagree_are_losses() {
    let args = args(4, 64, 1.0);
    let client = ClientTally { messages: 10, bytes_lost: 1, connections_lost: 1 };
    let server = ServerTally { connections: 2, messages: 8, bytes_wrong: 3 };
    let round = round(&args, Recorder::new(Duration::ZERO), client, server, 0);
    assert_eq!((round.bytes_lost, round.connections_lost), (1 + 3 + 2 * 64, 2));
}
