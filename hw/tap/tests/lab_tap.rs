//! TAP queue pairs against the kernel, in a network namespace of the test's own.
//!
//! It needs `/dev/net/tun` and either root or a user namespace. Without them it says loudly that
//! it was skipped; under `ABELE_REQUIRE=tap` that is a failure.
#![allow(unsafe_code, reason = "binding a packet socket to an interface has no safe call")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use memory::{CoreArena, Frame, FrameArena, FrameGeometry, PageChoice};
use nic::conformance::{ETHERTYPE, Rig};
use nic::{Burst, DropReason, QueuePair};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use tap::{Interface, Tap, TapConfig, TapError, TapQueue};

const INSIDE: &str = "ABELE_TEST_INSIDE_NAMESPACE";

/// Runs `check` in a fresh network namespace: as root in this thread, else in a second process
/// with a user namespace of its own (a process with several threads may not make one).
fn in_namespace(test: &str, check: impl FnOnce() + Send) {
    let is_inside = std::env::var_os(INSIDE).is_some();
    if is_inside || nix::unistd::geteuid().is_root() {
        let entered = if is_inside { Ok(()) } else { unshare(CloneFlags::CLONE_NEWNET) };
        return match entered.map_err(|errno| errno.to_string()).and_then(|()| try_tap()) {
            Ok(()) => check(),
            Err(why) => skip(test, &why),
        };
    }
    let binary = std::env::current_exe().expect("a test knows its binary");
    let probe = ["--user", "--map-root-user", "--net", "true"];
    let namespaces = Command::new("unshare").args(probe).output();
    match namespaces {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skip(test, &String::from_utf8_lossy(&output.stderr)),
        Err(error) => return skip(test, &format!("unshare: {error}")),
    }
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--kill-child", "--fork"])
        .arg(binary)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare ran a moment ago");
    assert!(status.success(), "{test} failed inside its namespace: {status}");
}

/// Whether a TAP device can be had at all.
fn try_tap() -> Result<(), String> {
    match tap::open(&TapConfig::default()) {
        Ok(_tap) => Ok(()),
        Err(
            error @ (TapError::ResourceNoDriver { .. }
            | TapError::ResourceClosed { .. }
            | TapError::ResourceNotPermitted { .. }),
        ) => Err(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(test: &str, why: &str) {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|what| what.trim() == "tap");
    assert!(!is_required, "ABELE_REQUIRE names tap, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// A TAP queue pair, and a packet socket on the kernel's end as the far side.
struct TapRig {
    arena: FrameArena,
    core: CoreArena,
    queue: TapQueue,
    interface: Interface,
    far: OwnedFd,
}

impl TapRig {
    fn new() -> Self {
        let geometry = FrameGeometry {
            frames: 512,
            frame_len: 2048,
            headroom: 256,
            cores: 1,
            reserve_per_core: 8,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).expect("a small arena");
        let Tap { interface, mut queues } =
            tap::open(&TapConfig::default()).expect("it could be opened a moment ago");
        interface.set_mac([2, 0, 0, 0, 0, 0x99]).expect("an address can be set");
        interface.set_up().expect("it can be taken up");
        Self {
            core: arena.core().expect("one core"),
            arena,
            queue: queues.remove(0),
            far: packet_socket(&interface),
            interface,
        }
    }

    fn frame(&mut self, bytes: &[u8]) -> Frame {
        let mut frame = self.core.allocate().expect("frames are free");
        self.core.set_len(&mut frame, bytes.len());
        self.core.bytes_mut(&mut frame).copy_from_slice(bytes);
        frame
    }

    /// Sends one packet of the suite's type; how many frames left the burst.
    fn send(&mut self) -> usize {
        let mut bytes = [0; 60];
        bytes[12..14].copy_from_slice(&ETHERTYPE);
        let frame = self.frame(&bytes);
        let mut burst = Burst::with_capacity(1);
        burst.push(frame).expect("room for one");
        let count = self.queue.tx_burst(&mut self.core, &mut burst);
        burst.clear_into(&mut self.core);
        count
    }
}

impl Rig for TapRig {
    type Queue = TapQueue;

    fn near(&mut self) -> (&mut TapQueue, &mut CoreArena) {
        (&mut self.queue, &mut self.core)
    }

    fn far_send(&mut self, packet: &[u8]) -> bool {
        match send(self.far.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT) {
            Ok(len) => len == packet.len(),
            Err(Errno::EAGAIN | Errno::ENOBUFS) => false,
            Err(errno) => panic!("the packet socket: {errno}"),
        }
    }

    fn far_receive(&mut self) -> Option<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_millis(100);
        while Instant::now() < deadline {
            let mut wanted = [PollFd::new(self.far.as_fd(), PollFlags::POLLIN)];
            poll(&mut wanted, PollTimeout::from(20_u8)).expect("a socket can be polled");
            let mut bytes = vec![0; 65_536];
            match recv(self.far.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Ok(len) => bytes.truncate(len),
                Err(_nothing) => continue,
            }
            if bytes.get(12..14) == Some(&ETHERTYPE) {
                return Some(bytes);
            }
        }
        None
    }

    fn settle(&mut self) {
        std::thread::sleep(Duration::from_millis(1));
    }

    fn dismantle(self) -> u32 {
        drop(self.queue);
        let gone = Interface::named(self.interface.name());
        assert!(gone.is_err(), "the interface vanishes with its last queue");
        self.arena.geometry().frames - self.core.frames_free() - self.arena.frames_home()
    }
}

/// A packet socket that sees and sends everything on the interface.
fn packet_socket(interface: &Interface) -> OwnedFd {
    let (family, kind) = (AddressFamily::Packet, SockType::Raw);
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(family, kind, flags, SockProtocol::EthAll).expect("as root here");
    // Room for the suite's largest burst. In a user namespace the system's limit holds, which has
    // room for it by default; beyond the limit only root may go.
    if setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20)).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &(4 << 20)).expect("it is cut to the limit");
    }
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).expect("17"),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).expect("3").to_be(),
        sll_ifindex: i32::try_from(interface.index()).expect("a small number"),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = libc::socklen_t::try_from(size_of_val(&address)).expect("20");
    // SAFETY: the descriptor is open, and `address` is a whole `sockaddr_ll` of `len` bytes.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    Errno::result(result).expect("the interface is there");
    socket
}

#[test]
fn tap_passes_the_suite() {
    in_namespace("tap_passes_the_suite", || nic::conformance::run(TapRig::new));
}

#[test]
fn what_is_sent_while_the_interface_is_down_is_dropped_by_name() {
    in_namespace("what_is_sent_while_the_interface_is_down_is_dropped_by_name", || {
        let mut rig = TapRig::new();
        rig.interface.set_down().expect("it can be taken down");
        assert_eq!(rig.send(), 1);
        let dropped = rig.queue.counters().dropped(DropReason::TxLinkDown);
        assert_eq!((dropped, rig.queue.counters().tx_packets), (1, 0));
        rig.interface.set_up().expect("it can be taken up");
        assert_eq!(rig.send(), 1);
        assert_eq!(rig.queue.counters().tx_packets, 1);
        assert!(!rig.queue.is_gone());
        assert_eq!(rig.dismantle(), 0);
    });
}

#[test]
fn a_deleted_interface_is_noticed_and_no_crash() {
    in_namespace("a_deleted_interface_is_noticed_and_no_crash", || {
        let mut rig = TapRig::new();
        let name = rig.interface.name().to_owned();
        let status = Command::new("ip").args(["link", "delete", &name]).status();
        let Ok(status) = status else {
            return skip("a_deleted_interface_is_noticed_and_no_crash", "ip is not installed");
        };
        assert!(status.success());
        assert_eq!(rig.send(), 1);
        assert_eq!(rig.queue.counters().dropped(DropReason::TxDevice), 1);
        let mut out = Burst::with_capacity(4);
        assert_eq!(rig.queue.rx_burst(&mut rig.core, &mut out), 0);
        assert!(rig.queue.is_gone());
        assert_eq!(rig.core.frames_held(), 0);
    });
}

#[test]
fn a_name_can_be_chosen_and_is_refused_while_it_is_taken() {
    in_namespace("a_name_can_be_chosen_and_is_refused_while_it_is_taken", || {
        let config = TapConfig { name: Some("mine".to_owned()), ..TapConfig::default() };
        let first = tap::open(&config).expect("the namespace is empty");
        assert_eq!(first.interface.name(), "mine");
        let name = "mine".to_owned();
        let refused = tap::open(&config).expect_err("it is taken");
        assert_eq!(refused, TapError::ResourceNameTaken { name });
        drop(first);
        tap::open(&config).expect("it is free again");
    });
}

#[test]
fn several_queues_make_one_interface() {
    in_namespace("several_queues_make_one_interface", || {
        let config = TapConfig { queues: 4, ..TapConfig::default() };
        let tap = tap::open(&config).expect("the kernel has multi-queue TAP");
        let numbers: Vec<_> = tap.queues.iter().map(|q| q.capabilities().queue.0).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!(tap.interface.name(), "abele0");
    });
}

#[test]
fn the_kernel_answers_on_the_addresses_it_was_given_at_once() {
    in_namespace("the_kernel_answers_on_the_addresses_it_was_given_at_once", || {
        let mut rig = TapRig::new();
        let v4 = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
        let v6 = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1));
        for (address, prefix_len) in [(v4, 24), (v6, 64)] {
            rig.interface.add_address(address, prefix_len).expect("as root here");
            rig.interface.add_address(address, prefix_len).expect("twice is once");
            UdpSocket::bind((address, 7000)).expect("the address works without a delay");
        }
        let too_long = rig.interface.add_address(v4, 33);
        assert!(matches!(too_long, Err(TapError::ConfigPrefix { .. })));

        // Whoever asks for 10.77.0.1 gets the Ethernet address that was set.
        let mut request = vec![0xff; 6];
        request.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1]);
        request.extend([10, 77, 0, 2, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1]);
        let frame = rig.frame(&request);
        let mut burst = Burst::with_capacity(16);
        burst.push(frame).expect("room for one");
        assert_eq!(rig.queue.tx_burst(&mut rig.core, &mut burst), 1);
        let mut answer = None;
        for _try in 0..100 {
            rig.queue.rx_burst(&mut rig.core, &mut burst);
            while let Some(frame) = burst.pop_front() {
                let bytes = rig.core.bytes(&frame).to_vec();
                rig.core.free(frame);
                if bytes[12..14] == [8, 6] && bytes[21] == 2 {
                    answer = Some(bytes[22..28].to_vec());
                }
            }
            rig.settle();
        }
        assert_eq!(answer.expect("the kernel answers ARP"), [2, 0, 0, 0, 0, 0x99]);
    });
}
