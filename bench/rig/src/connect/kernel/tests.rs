//! The kernel peer against servers and clients that lie.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::pattern::Message;

/// Long enough for some exchanges, also where other programs have most of the cores.
const LENGTH: Duration = Duration::from_millis(300);

fn server(slots: u32) -> Server {
    Server::listen(&addresses(Ipv4Addr::LOCALHOST), slots, EpollTimeout::ZERO)
        .expect("loopback has free ports")
}

/// Both ends in turn on this thread: the test program is no server that could be started.
fn round_on_one_thread(slots: u32) -> Round {
    let mut server = server(slots);
    let port = server.port().expect("it is bound");
    let servers =
        addresses(Ipv4Addr::LOCALHOST).into_iter().map(|ip| SocketAddrV4::new(ip, port)).collect();
    let mut client =
        Client::new(servers, slots, LENGTH, EpollTimeout::ZERO).expect("epoll is there");
    while client.turn().expect("epoll works") {
        server.turn().expect("epoll works");
    }
    server.settle().expect("epoll works");
    let (recorder, client) = client.finish();
    round(recorder, client, server.tally(), 0)
}

#[test]
fn every_connection_is_whole_and_counted_at_both_ends() {
    for slots in [1, 4, 100] {
        let round = round_on_one_thread(slots);
        assert_eq!((round.bytes_lost, round.connections_lost), (0, 0), "{slots} at once");
        assert!(round.recorded.transactions > 10, "{slots} at once: {round:?}");
    }
}

/// A server that takes connections one by one and does with the number of each, and its stream,
/// as `answer` says.
fn faulty_server(
    answer: impl Fn(u32, &mut TcpStream, [u8; EXCHANGE_LEN]) + Send + 'static,
) -> (SocketAddrV4, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    let thread = thread::spawn(move || {
        for number in 0.. {
            let (mut stream, _) = listener.accept().expect("the client connects");
            let mut request = [0; EXCHANGE_LEN];
            // A connection without a request is how the test ends it.
            if stream.read_exact(&mut request).is_err() {
                return;
            }
            answer(number, &mut stream, request);
        }
    });
    (SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), thread)
}

fn tally_against(
    answer: impl Fn(u32, &mut TcpStream, [u8; EXCHANGE_LEN]) + Send + 'static,
) -> ClientTally {
    let (address, thread) = faulty_server(answer);
    let mut client =
        Client::new(vec![address], 1, LENGTH, EpollTimeout::ZERO).expect("epoll is there");
    while client.turn().expect("epoll works") {}
    let (_, tally) = client.finish();
    drop(TcpStream::connect(address).expect("it listens"));
    thread.join().expect("it ends with a connection that asks nothing");
    tally
}

fn echo(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the client waits for it");
}

#[test]
fn true_echo_loses_nothing() {
    let tally = tally_against(|_number, stream, request| echo(stream, &request));
    assert_eq!((tally.bytes_lost, tally.connections_lost), (0, 0));
    assert!(tally.exchanged > 1 && tally.opened == tally.exchanged, "{tally:?}");
}

#[test]
fn corrupted_echo_is_found() {
    let tally = tally_against(|number, stream, mut request| {
        request[63] ^= u8::from(number == 1);
        echo(stream, &request);
    });
    assert_eq!((tally.bytes_lost, tally.connections_lost), (1, 0));
}

#[test]
fn connection_that_ends_before_its_answer_is_lost() {
    let tally = tally_against(|number, stream, request| {
        let len = if number == 1 { 60 } else { EXCHANGE_LEN };
        echo(stream, &request[..len]);
    });
    assert_eq!((tally.bytes_lost, tally.connections_lost), (4, 1));
}

#[test]
fn server_that_falls_silent_is_given_up() {
    let tally = tally_against(|number, stream, request| {
        if number < 1 {
            return echo(stream, &request);
        }
        // Until the client gives up.
        stream.read_to_end(&mut Vec::new()).expect("it closes");
    });
    assert_eq!((tally.bytes_lost, tally.connections_lost, tally.exchanged), (64, 1, 1));
}

fn written(connection: u32, sequence: u32) -> [u8; EXCHANGE_LEN] {
    let mut bytes = [0; EXCHANGE_LEN];
    Message { connection, sequence }.write(&mut bytes);
    bytes
}

/// One connection that says `request` in two pieces, takes what comes, and closes.
fn visit(server: &mut Server, request: &[u8]) -> Vec<u8> {
    let address = (Ipv4Addr::LOCALHOST, server.port().expect("it is bound"));
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("TCP has it");
    let (first, second) = request.split_at(request.len() / 2);
    for piece in [first, second] {
        stream.write_all(piece).expect("it is open");
        server.turn().expect("epoll works");
        server.turn().expect("epoll works");
    }
    let mut answer = vec![0; if request.len() < EXCHANGE_LEN { 0 } else { EXCHANGE_LEN }];
    stream.read_exact(&mut answer).expect("it was served");
    drop(stream);
    server.settle().expect("epoll works");
    answer
}

#[test]
fn request_in_pieces_is_echoed_whole_and_its_end_is_seen() {
    let mut server = server(2);
    assert_eq!(visit(&mut server, &written(1, 0)), written(1, 0));
    let expected = ServerTally { accepted: 1, answered: 1, closed: 1, bytes_wrong: 0 };
    assert_eq!(server.tally(), expected);
}

#[test]
fn corrupted_or_repeated_request_or_one_of_no_slot_is_found_by_the_server() {
    let mut server = server(2);
    let mut request = written(0, 0);
    request[40] ^= 0x80;
    visit(&mut server, &request);
    assert_eq!(server.tally().bytes_wrong, 1);
    visit(&mut server, &written(0, 0));
    assert!(server.tally().bytes_wrong > 50, "the sequence is repeated");
    let before = server.tally().bytes_wrong;
    visit(&mut server, &written(2, 0));
    assert_eq!(server.tally().bytes_wrong, before + EXCHANGE_LEN as u64);
}

#[test]
fn connection_that_asks_too_little_is_not_counted_as_closed() {
    let mut server = server(1);
    visit(&mut server, &[0; 30]);
    let expected = ServerTally { accepted: 1, ..ServerTally::default() };
    assert_eq!(server.tally(), expected);
}

#[test]
fn counts_that_disagree_are_losses() {
    let client = ClientTally { opened: 10, exchanged: 9, bytes_lost: 1, connections_lost: 1 };
    let server = ServerTally { accepted: 8, answered: 7, closed: 5, bytes_wrong: 3 };
    let round = round(Recorder::new(Duration::ZERO), client, server, 0);
    assert_eq!((round.bytes_lost, round.connections_lost), (1 + 3 + 2 * 64, 1 + 2 + 3));
}
