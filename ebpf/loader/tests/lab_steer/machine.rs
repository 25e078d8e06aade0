//! What the tests need of the machine: a namespace, a program loaded in it, a socket, a veth pair.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};

use loader::{Config, Mode, Steering, SynBudget};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns, unshare};
use nix::unistd::{Pid, geteuid};

use crate::socket::unbound;

/// The gateway's addresses in all tests.
pub(crate) const OURS: [&str; 4] = ["10.77.0.2", "10.77.0.3", "fd77::2", "fe80::2"];
/// The gateway's Ethernet address.
pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Whether this machine can run the tests; says loudly that it cannot.
pub(crate) fn is_root(test: &str) -> bool {
    if geteuid().is_root() {
        return true;
    }
    skip(test, "root", "it takes root");
    false
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn skip(test: &str, what: &str, why: &str) {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == what);
    assert!(!is_required, "ABELE_REQUIRE names {what}, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// Puts this thread into a network namespace of its own.
pub(crate) fn enter_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).expect("root may make namespaces");
}

/// Keeps this thread on one CPU, so that what is counted per CPU is counted once.
pub(crate) fn stay_on_one_cpu() {
    let mut cpus = CpuSet::new();
    let here = nix::sched::sched_getcpu().expect("the kernel knows it");
    cpus.set(here).expect("it is below 1024");
    sched_setaffinity(Pid::from_raw(0), &cpus).expect("it is the CPU that we are on");
}

pub(crate) fn config(interface: &str, mode: Mode) -> Config {
    let addresses: Vec<IpAddr> = OURS.iter().map(|a| a.parse().expect("an address")).collect();
    Config {
        interface: interface.to_owned(),
        mode,
        queues: 4,
        addresses,
        mac: Some(MAC),
        syn_budget: SynBudget::default(),
    }
}

/// The program, loaded in a fresh namespace with a socket for queue 0, not attached; nothing if
/// this machine cannot.
pub(crate) fn rehearsal(test: &str) -> Option<(Steering, OwnedFd)> {
    if !is_root(test) {
        return None;
    }
    enter_namespace();
    let steering = match loader::load(&config("lo", Mode::Auto)) {
        Ok(steering) => steering,
        Err(error) => panic!("{error}"),
    };
    let socket = match unbound() {
        Ok(socket) => socket,
        Err(errno) => {
            skip(test, "af_xdp", &format!("no AF_XDP socket: {errno}"));
            return None;
        }
    };
    steering.set_socket(0, socket.as_fd()).expect("it is an AF_XDP socket");
    Some((steering, socket))
}

/// Runs a command of this namespace that must succeed; its standard output.
#[track_caller]
pub(crate) fn run(command: &str) -> String {
    let (is_right, output) = try_run(command);
    assert!(is_right, "{command}: {output}");
    output
}

/// Runs a command of this namespace; whether it succeeded, and what it said.
pub(crate) fn try_run(command: &str) -> (bool, String) {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command has a name");
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A veth pair: `abele0` here, with the kernel's 10.77.0.1 and fd77::1 and the gateway's Ethernet
/// address; `far0` in a second namespace, with 10.77.0.9 and fd77::9.
pub(crate) struct Pair {
    far: Child,
}

impl Pair {
    /// In a fresh namespace of this thread.
    pub(crate) fn new() -> Self {
        enter_namespace();
        // It lives until its standard input is closed, so it goes with this process.
        let mut far = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo && cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is installed");
        let mut ready = [0];
        far.stdout.as_mut().expect("it is piped").read_exact(&mut ready).expect("it has begun");
        let pair = Self { far };
        run(&format!(
            "ip link add abele0 numrxqueues 2 numtxqueues 2 type veth peer name far0 \
             numrxqueues 2 numtxqueues 2 netns {}",
            pair.far.id()
        ));
        run("ip link set abele0 address 02:00:00:00:00:02");
        run("ip link set abele0 up");
        run("ip address add 10.77.0.1/24 dev abele0");
        run("ip address add fd77::1/64 dev abele0 nodad");
        pair.run_far("ip link set far0 address 02:00:00:00:00:09");
        pair.run_far("ip link set far0 up");
        pair.run_far("ip address add 10.77.0.9/24 dev far0");
        pair.run_far("ip address add fd77::9/64 dev far0 nodad");
        pair
    }

    #[track_caller]
    pub(crate) fn run_far(&self, command: &str) -> String {
        run(&self.far_command(command))
    }

    pub(crate) fn try_run_far(&self, command: &str) -> bool {
        try_run(&self.far_command(command)).0
    }

    /// Runs `work` in a thread of the far namespace.
    pub(crate) fn in_far<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/proc/{}/ns/net", self.far.id());
        let far = File::open(path).expect("the far process lives");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(far, CloneFlags::CLONE_NEWNET).expect("root may enter it");
                work()
            });
            thread.join().expect("it has not panicked")
        })
    }

    fn far_command(&self, command: &str) -> String {
        format!("nsenter --net=/proc/{}/ns/net {command}", self.far.id())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        drop(self.far.stdin.take());
        self.far.wait().expect("it is our child");
    }
}
