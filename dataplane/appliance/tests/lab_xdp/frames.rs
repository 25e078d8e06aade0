//! Every frame is held by clients that write and never read: what must still work, works, and when
//! they go the gateway is as it was.
#![allow(clippy::print_stdout, reason = "what was measured is told")]

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};

use crate::lab::{
    Gateway, PATIENCE, abelectl, ask_tool, configuration, counted, fetch, in_lab, run,
    run_beside_gateway,
};

/// Clients that write and never read.
const GREEDY: usize = 200;
/// Clients that write nothing, and close while no frame is free.
const SILENT: usize = 20;
/// How long nobody must get on before all is held that can be.
const STUCK: Duration = Duration::from_secs(1);

/// A connection to the echo service that keeps little of what comes back itself.
fn client() -> TcpStream {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("anybody may");
    // The least that the kernel gives: what it held for the client would cost the gateway nothing.
    setsockopt(&socket, sockopt::RcvBuf, &1).expect("it is a socket");
    setsockopt(&socket, sockopt::SndBuf, &(64 << 10)).expect("it is a socket");
    connect(socket.as_raw_fd(), &SockaddrIn::new(10, 77, 0, 2, 7)).expect("there are frames yet");
    TcpStream::from(socket)
}

/// Writes on every connection until none takes more; the bytes that were taken.
fn write_all_that_goes(clients: &mut [TcpStream]) -> usize {
    let (mut written, mut got_on) = (0, Instant::now());
    let (begun, piece) = (Instant::now(), [b'x'; 16 << 10]);
    while got_on.elapsed() < STUCK && begun.elapsed() < 2 * PATIENCE {
        for client in &mut *clients {
            match client.write(&piece) {
                Ok(len) => (written, got_on) = (written + len, Instant::now()),
                // Whoever reads nothing while others wait for frames gives way after a while.
                Err(error) if error.kind() == ErrorKind::WouldBlock || is_reset(&error) => {}
                Err(error) => panic!("{error}"),
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    written
}

fn is_reset(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn assert_tools_answer(gateway: &Gateway) {
    let Some(tool) = abelectl() else { return };
    let stats = ask_tool(&tool, gateway, &["stats"]);
    assert!(stats.contains("frames_free"), "{stats}");
    println!("{stats}");
    let drops = ask_tool(&tool, gateway, &["drops"]);
    assert!(drops.contains("data_no_frames"), "{drops}");
    println!("{drops}");
    let top = ask_tool(&tool, gateway, &["top", "--count", "2", "--interval", "0.2"]);
    assert!(top.contains("core"), "{top}");
    let before = reset_so_far(&tool, gateway);
    let connections = ask_tool(&tool, gateway, &["connections"]);
    let listed = connections.lines().filter(|line| line.contains("10.77.0.2:7")).count();
    let after = reset_so_far(&tool, gateway);
    // Every one is listed that was not reset for the frames it held.
    assert!(
        (before..=after).contains(&(GREEDY + SILENT - listed)),
        "{before} {after} {connections}"
    );
    let listeners = ask_tool(&tool, gateway, &["listeners"]);
    assert!(listeners.contains("*:7 "), "{listeners}");
    let neighbours = ask_tool(&tool, gateway, &["neighbours"]);
    assert!(neighbours.contains("10.77.0.1"), "{neighbours}");
}

/// Connections that were reset for the frames they held, as the gateway shows it by now.
fn reset_so_far(tool: &Path, gateway: &Gateway) -> usize {
    // Longer than between two publications.
    thread::sleep(Duration::from_millis(200));
    let stats = ask_tool(tool, gateway, &["stats", "tcp.frames_reclaimed"]);
    let line = stats.lines().find(|line| line.starts_with("tcp.frames_reclaimed"));
    let last = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
    last.unwrap_or_else(|| panic!("it is not told: {stats}"))
}

/// One core, so that one pool of frames is all there is.
pub(crate) fn one_queue() {
    run(&["ethtool", "-L", "abele1", "rx", "1", "tx", "1"]);
    run_beside_gateway(&["ethtool", "-L", "abele0", "rx", "1", "tx", "1"]);
}

/// Connections of the kernel's to the gateway in that state.
pub(crate) fn in_state(state: &str) -> usize {
    run(&["ss", "-H", "-t", "-n", "state", state, "dst", "10.77.0.2"]).lines().count()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let (begun, patience) = (Instant::now(), 3 * PATIENCE);
    while !holds() {
        assert!(begun.elapsed() < patience, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

#[test]
fn with_every_frame_held_tools_pings_arp_and_closes_work_and_it_recovers_by_itself() {
    let test =
        "frames::with_every_frame_held_tools_pings_arp_and_closes_work_and_it_recovers_by_itself";
    in_lab(test, || {
        one_queue();
        hold_every_frame(1);
    });
}

#[test]
fn two_workers_whose_frames_are_all_held_do_the_same() {
    // Packets come in at either worker and are handed to the one that owns the flow, which takes
    // frames of both.
    in_lab("frames::two_workers_whose_frames_are_all_held_do_the_same", || hold_every_frame(2));
}

/// Frames of each worker.
const FRAMES: usize = 1024;

fn hold_every_frame(workers: usize) {
    let sections = format!("[memory]\nframes = {}\n[workers]\ncount = {workers}", workers * FRAMES);
    let gateway = Gateway::start(&configuration("ring_size = 128", &sections));
    let silent: Vec<_> = (0..SILENT).map(|_| client()).collect();
    let mut greedy: Vec<_> = (0..GREEDY).map(|_| client()).collect();
    greedy.iter().for_each(|client| client.set_nonblocking(true).expect("it is a socket"));
    let written = write_all_that_goes(&mut greedy);
    println!("{written} bytes were taken of {GREEDY} clients");
    assert_tools_answer(&gateway);
    run(&["ping", "-c", "5", "-i", "0.1", "-W", "2", "10.77.0.2"]);
    run(&["ip", "neighbour", "flush", "dev", "abele1"]);
    run(&["ping", "-c", "5", "-i", "0.1", "-W", "2", "10.77.0.2"]);
    // A FIN each way, and the acknowledgements: then the kernel's end rests in TIME-WAIT.
    drop(silent);
    let closed = wait_until("silent clients close", || in_state("time-wait") == SILENT);
    println!("{SILENT} silent clients closed within {closed:.2?}");
    // They have unread answers, so the kernel resets them.
    drop(greedy.split_off(GREEDY / 2));
    run(&["ping", "-c", "2", "-i", "0.1", "-W", "2", "10.77.0.2"]);
    let established = in_state("established");
    assert!(established <= GREEDY / 2, "{established}");
    if let Some(tool) = abelectl() {
        let reset = reset_so_far(&tool, &gateway);
        assert!(established + reset >= GREEDY / 2, "{established} live, {reset} were reset");
    }
    drop(greedy);
    let recovered = wait_until("the next fetch", || fetch("10.77.0.2"));
    println!("the next fetch came whole after {recovered:.2?}");
    // What they had written and nobody had room for comes first, then their ends.
    let gone = wait_until("the greedy ones end", || {
        in_state("established") + in_state("fin-wait-1") + in_state("fin-wait-2") == 0
    });
    println!("{GREEDY} greedy clients had ended after {gone:.2?} more");
    // A lost reset is made up for when the gateway sends again, which it does ever more seldom.
    if let Some(tool) = abelectl() {
        let gone = wait_until("the gateway's ends", || {
            let listed = ask_tool(&tool, &gateway, &["connections", "--state", "established"]);
            !listed.contains("10.77.0.2:7")
        });
        println!("the gateway had none of them after {gone:.2?} more");
    }
    for number in 0..50 {
        assert!(fetch("10.77.0.2"), "fetch {number}: {}", gateway.log());
    }
    let summary = gateway.stop();
    println!("{summary}");
    let of = |name: &str| counted(&summary, name).first().copied().unwrap_or(0);
    let names = ["tcp_data_no_frames", "tcp_syn_no_frames", "stack_no_frame", "rx_starved"];
    assert!(names.iter().any(|name| of(name) > 0), "it was never exhausted: {summary}");
    println!("{} greedy clients were reset", of("frames_reclaimed"));
    // The total, then each worker's.
    let of_each = names.iter().any(|name| counted(&summary, name).len() > workers);
    assert!(of_each || workers == 1, "one worker was never exhausted: {summary}");
}
