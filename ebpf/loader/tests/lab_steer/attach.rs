//! On a veth pair: what the kernel keeps, what goes with the process, what a frame counts.

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loader::{Attached, LoadError, Mode, Reason, Rule, Steering, Verdict};

use nix::net::if_::if_nametoindex;

use crate::machine::{Pair, config, is_root, run, skip, try_run};
use crate::socket::Bound;

/// The interface that a second process of a test attaches to, if this is one.
const HOLD: &str = "ABELE_TEST_HOLD";

fn attached(mode: Mode) -> Steering {
    let mut steering = loader::load(&config("abele0", mode)).unwrap_or_else(|e| panic!("{e}"));
    steering.attach().unwrap_or_else(|e| panic!("{e}"));
    steering
}

fn packets(steering: &Steering, reason: Reason) -> u64 {
    steering.counters().expect("counters can be read").of(reason).packets
}

/// Waits until the counter stands at `count` at least: packets cross a pair in a moment.
#[track_caller]
fn assert_reaches(steering: &Steering, reason: Reason, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while packets(steering, reason) < count {
        assert!(Instant::now() < deadline, "{reason:?}: {} of {count}", packets(steering, reason));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn kernels_addresses_stay_the_kernels_in_both_modes() {
    if !is_root("kernels_addresses_stay_the_kernels_in_both_modes") {
        return;
    }
    let pair = Pair::new();
    let generic = Attached::Generic { native_refused: None };
    let modes = [(Mode::Native, Attached::Native), (Mode::Generic, generic)];
    for (mode, expected) in modes.into_iter().chain([(Mode::Auto, Attached::Native)]) {
        let mut steering = loader::load(&config("abele0", mode)).expect("root may");
        assert_eq!((steering.attached(), steering.read_back()), (None, Ok(None)));
        assert_eq!(steering.attach(), Ok(expected));
        assert_eq!(steering.attach(), Ok(expected), "twice is once");
        assert_eq!(steering.attached(), Some(expected));
        assert_eq!(steering.read_back(), Ok(Some(expected)));
        // ARP and neighbour discovery of the kernel's own addresses begin anew.
        pair.run_far("ip neigh flush dev far0");
        pair.run_far("ping -n -q -c 3 -i 0.01 -W 2 10.77.0.1");
        pair.run_far("ping -n -q -c 3 -i 0.01 -W 2 fd77::1");
        run("ping -n -q -c 1 -W 2 10.77.0.9");
        let counters = steering.counters().expect("counters can be read");
        let passed = counters.total(Verdict::Pass).packets;
        assert!(passed >= 7, "{mode:?}: {passed}");
        assert_eq!(counters.total(Verdict::Redirect).packets, 0, "{mode:?}: {counters:?}");
        steering.detach();
        assert_eq!((steering.attached(), steering.read_back()), (None, Ok(None)));
    }
}

#[test]
fn gateways_addresses_never_reach_the_kernel() {
    if !is_root("gateways_addresses_never_reach_the_kernel") {
        return;
    }
    let pair = Pair::new();
    for mode in [Mode::Native, Mode::Generic] {
        let steering = attached(mode);
        pair.run_far("ip neigh flush dev far0");
        assert!(!pair.try_run_far("ping -n -q -c 1 -W 0.2 10.77.0.2"), "nobody answers ARP");
        assert_reaches(&steering, Reason::DropNoSocket, 1);
        assert!(!pair.try_run_far("ping -n -q -c 1 -W 0.2 fd77::2"), "nobody answers for it");
        assert_reaches(&steering, Reason::DropNoSocket, 2);
        pair.run_far("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:02 dev far0");
        let before = packets(&steering, Reason::DropNoSocket);
        assert!(!pair.try_run_far("ping -n -q -c 3 -i 0.01 -W 0.2 10.77.0.2"));
        assert_reaches(&steering, Reason::DropNoSocket, before + 3);
        // The access list is about real packets as well.
        let all = "0.0.0.0/0".parse().expect("a prefix");
        steering.set_rule(all, Rule::Deny).expect("there is room");
        assert!(!pair.try_run_far("ping -n -q -c 3 -i 0.01 -W 0.2 10.77.0.2"));
        assert_reaches(&steering, Reason::DropDenied, 3);
        pair.run_far("ping -n -q -c 1 -W 2 10.77.0.1");
    }
}

#[test]
fn frames_go_to_the_socket_of_their_queue() {
    let test = "frames_go_to_the_socket_of_their_queue";
    if !is_root(test) {
        return;
    }
    let pair = Pair::new();
    let index = if_nametoindex("abele0").expect("it is there");
    for mode in [Mode::Native, Mode::Generic] {
        let steering = attached(mode);
        let sockets = match (Bound::new(index, 0), Bound::new(index, 1)) {
            (Ok(zero), Ok(one)) => [zero, one],
            (zero, one) => {
                let why = format!("no AF_XDP: {:?} {:?}", zero.err(), one.err());
                return skip(test, "af_xdp", &why);
            }
        };
        for (queue, socket) in (0..).zip(&sockets) {
            steering.set_socket(queue, socket.as_fd()).expect("it is an AF_XDP socket");
        }
        pair.run_far("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:02 dev far0");
        pair.run_far("ip neigh replace fd77::2 lladdr 02:00:00:00:00:02 dev far0");
        assert!(!pair.try_run_far("ping -n -q -c 3 -i 0.01 -W 0.2 10.77.0.2"));
        assert!(!pair.try_run_far("ping -n -q -c 3 -i 0.01 -W 0.2 fd77::2"));
        assert_reaches(&steering, Reason::RedirectIcmp, 6);
        pair.in_far(|| {
            for _flow in 0..64 {
                let flow = UdpSocket::bind("0.0.0.0:0").expect("a free port");
                flow.send_to(b"x", "10.77.0.2:9").expect("its neighbour is known");
            }
        });
        assert_reaches(&steering, Reason::RedirectUdp, 64);
        // Each frame came to the socket of the queue that it came in at, and to no other: the
        // kernel refuses it there.
        let came = sockets.each_ref().map(Bound::came);
        let redirected = steering.counters().expect("they can be read").total(Verdict::Redirect);
        assert_eq!(came.iter().sum::<u64>(), redirected.packets, "{mode:?}: {came:?}");
        // Behind the driver of veth every frame is one of queue 0.
        let used = came.iter().filter(|&&count| count > 0).count();
        assert_eq!(used, if mode == Mode::Native { 2 } else { 1 }, "{mode:?}: {came:?}");
        // What is closed is forgotten, and nothing of it reaches the kernel.
        drop(sockets);
        let before = packets(&steering, Reason::DropNoSocket);
        assert!(!pair.try_run_far("ping -n -q -c 3 -i 0.01 -W 0.2 10.77.0.2"));
        assert_reaches(&steering, Reason::DropNoSocket, before + 3);
    }
}

#[test]
fn what_is_no_socket_is_refused() {
    if !is_root("what_is_no_socket_is_refused") {
        return;
    }
    let _pair = Pair::new();
    let steering = loader::load(&config("abele0", Mode::Auto)).expect("root may");
    let refused = steering.set_socket(0, std::io::stdin().as_fd());
    let error = refused.expect_err("standard input is no socket").to_string();
    assert!(error.contains("queue 0 of abele0"), "{error}");
    let refused = steering.set_socket(4, std::io::stdin().as_fd());
    assert_eq!(refused, Err(LoadError::ConfigQueue { queue: 4, last: 3 }));
}

/// Starts this binary again, in this namespace, with the one test `test`; it attaches and says so.
fn start_holder(test: &str) -> Child {
    let mut holder = Command::new(std::env::current_exe().expect("a test knows its binary"))
        .args(["--exact", test, "--nocapture"])
        .env(HOLD, "abele0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs, so it can be started");
    let lines = BufReader::new(holder.stdout.as_mut().expect("it is piped")).lines();
    let ready = lines.map_while(Result::ok).any(|line| line.contains("attached: generic"));
    assert!(ready, "the second process has not attached");
    holder
}

/// The second process: attaches and waits for its end.
#[allow(clippy::print_stdout, reason = "this is how it tells its parent")]
fn hold() {
    let steering = attached(Mode::Generic);
    println!("\nattached: {}", steering.attached().expect("it is"));
    // It ends with its parent at the latest, which holds the other end.
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn program_goes_with_a_killed_process_and_the_next_starts_at_once() {
    let test = "attach::program_goes_with_a_killed_process_and_the_next_starts_at_once";
    if std::env::var_os(HOLD).is_some() {
        return hold();
    }
    if !is_root(test) {
        return;
    }
    let pair = Pair::new();
    let mut second = loader::load(&config("abele0", Mode::Generic)).expect("root may");
    for round in 0..3 {
        let mut holder = start_holder(test);
        assert!(run("ip -details link show abele0").contains("xdp"), "round {round}");
        let refused = second.attach().expect_err("the other process has it");
        assert!(matches!(refused, LoadError::ResourceTaken { .. }), "{refused}");
        let kill = format!("kill {}", holder.id());
        assert!(refused.to_string().contains(&kill), "{refused}");
        holder.kill().expect("SIGKILL needs no consent");
        holder.wait().expect("it is our child");
        assert!(!run("ip -details link show abele0").contains("xdp"), "round {round}");
        let generic = Attached::Generic { native_refused: None };
        assert_eq!(second.attach(), Ok(generic), "round {round}: at once");
        second.detach();
    }
    pair.run_far("ping -n -q -c 1 -W 2 10.77.0.1");
}

#[test]
fn deleted_interface_is_noticed_and_dropping_is_harmless() {
    if !is_root("deleted_interface_is_noticed_and_dropping_is_harmless") {
        return;
    }
    let _pair = Pair::new();
    let steering = attached(Mode::Native);
    run("ip link delete abele0");
    assert_eq!(steering.read_back(), Ok(None));
    assert!(steering.counters().is_ok(), "the maps are still ours");
}

#[test]
fn program_can_be_taken_off_by_nobody_but_its_process() {
    if !is_root("program_can_be_taken_off_by_nobody_but_its_process") {
        return;
    }
    let _pair = Pair::new();
    let steering = attached(Mode::Generic);
    let (is_off, _said) = try_run("ip link set dev abele0 xdpgeneric off");
    assert!(!is_off, "the kernel keeps what a link holds");
    let generic = Attached::Generic { native_refused: None };
    assert_eq!(steering.read_back(), Ok(Some(generic)));
}
