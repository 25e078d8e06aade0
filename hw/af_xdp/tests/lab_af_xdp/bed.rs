//! A network namespace with a veth pair: the queue under test on `near`, a packet socket on `far`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use af_xdp::{AfXdpQueue, Config, RingSizes};
use base::QueueId;
use memory::{CoreArena, Frame, FrameArena, FrameGeometry, PageChoice};
use nic::conformance::{ETHERTYPE, Rig};
use nic::{Burst, QueuePair};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};

use crate::program::{Mode, Program};

/// The interface of the queues.
pub(crate) const NEAR: &str = "near";
/// The other end of the cable.
pub(crate) const FAR: &str = "far";
/// Small rings, so that they are full within a test.
pub(crate) const RINGS: RingSizes = RingSizes { fill: 128, completion: 64, rx: 128, tx: 64 };
/// Frames of a test's arena.
pub(crate) const FRAMES: u32 = 1024;

/// Runs `check` in a fresh network namespace of this thread's, as root.
pub(crate) fn in_namespace(test: &str, check: impl FnOnce()) {
    if let Err(why) = enter_namespace() {
        return skip(test, &why);
    }
    check();
}

fn enter_namespace() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("it takes root".to_owned());
    }
    let said = |errno: Errno| errno.to_string();
    unshare(CloneFlags::CLONE_NEWNET).map_err(said)?;
    // SAFETY: three integers go in and a descriptor or an error comes out.
    let tried = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    let tried = Errno::result(tried).map_err(|errno| format!("no AF_XDP socket: {errno}"))?;
    // SAFETY: it was just opened here, and is closed once.
    let closed = unsafe { libc::close(tried) };
    Errno::result(closed).map_err(said)?;
    Command::new("ip").arg("-V").output().map_err(|error| format!("ip: {error}"))?;
    Ok(())
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn skip(test: &str, why: &str) {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|what| what.trim() == "af_xdp");
    assert!(!is_required, "ABELE_REQUIRE names af_xdp, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) {
    run("ip", words);
}

fn run(program: &str, words: &str) {
    let output = Command::new(program).args(words.split(' ')).output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {said}");
}

/// A veth pair, up at both ends. Dropped, it is deleted.
pub(crate) struct Cable;

impl Cable {
    pub(crate) fn new(queues: u16, mtu: u32) -> Self {
        let ends = |name| format!("{name} mtu {mtu} numrxqueues {queues} numtxqueues {queues}");
        ip(&format!("link add {} type veth peer name {}", ends(NEAR), ends(FAR)));
        let cable = Self;
        for name in [NEAR, FAR] {
            // Without an IPv6 address of its own the kernel says nothing by itself.
            ip(&format!("link set dev {name} addrgenmode none"));
            ip(&format!("link set dev {name} up"));
        }
        cable
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // A test may have deleted it, and the namespace goes anyway.
        let outcome = Command::new("ip").args(["link", "delete", NEAR]).output();
        drop(outcome);
    }
}

/// The kernel's number of an interface.
pub(crate) fn index_of(name: &str) -> u32 {
    if_nametoindex(name).expect("the cable is there")
}

/// An arena of [`FRAMES`] frames for `cores` cores.
pub(crate) fn arena(cores: u16, choice: PageChoice) -> FrameArena {
    let geometry = FrameGeometry {
        frames: FRAMES,
        frame_len: 2048,
        headroom: 256,
        cores,
        reserve_per_core: 8,
    };
    FrameArena::new(geometry, choice).expect("a small arena")
}

/// What the tests want of a queue where they want nothing special.
pub(crate) fn config(queue: u16) -> Config {
    Config { rings: RINGS, ..Config::new(NEAR, QueueId(queue)) }
}

/// One queue with an arena, a program that feeds it, and a packet socket at the far end.
pub(crate) struct Bed {
    pub(crate) core: CoreArena,
    pub(crate) arena: FrameArena,
    pub(crate) queue: AfXdpQueue,
    pub(crate) far: OwnedFd,
    pub(crate) program: Program,
    pub(crate) cable: Cable,
}

impl Bed {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::with(mode, 1500, &config(0), PageChoice::Base)
    }

    pub(crate) fn with(mode: Mode, mtu: u32, config: &Config, choice: PageChoice) -> Self {
        let cable = Cable::new(1, mtu);
        let arena = arena(1, choice);
        let program = Program::attach(index_of(NEAR), mode).expect("root may attach a program");
        let queue = af_xdp::open(config, &arena).expect("the interface is ours alone");
        program.set_socket(0, queue.as_fd()).expect("the map has room");
        let core = arena.core().expect("one core");
        Self { core, arena, queue, far: packet_socket(FAR), program, cable }
    }

    /// A frame with these bytes.
    pub(crate) fn frame(&mut self, bytes: &[u8]) -> Frame {
        let mut frame = self.core.allocate().expect("frames are free");
        self.core.set_len(&mut frame, bytes.len());
        self.core.bytes_mut(&mut frame).copy_from_slice(bytes);
        frame
    }

    /// Sends one packet; how many frames left the burst.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        let mut burst = Burst::with_capacity(1);
        burst.push(self.frame(bytes)).expect("room for one");
        let count = self.queue.tx_burst(&mut self.core, &mut burst);
        burst.clear_into(&mut self.core);
        count
    }

    /// Receives into a burst of `capacity` until a packet of the tests comes, a second at most:
    /// its frames' lengths and its bytes.
    pub(crate) fn receive(&mut self, capacity: usize) -> Option<(Vec<usize>, Vec<u8>)> {
        let mut out = Burst::with_capacity(capacity);
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            self.queue.rx_burst(&mut self.core, &mut out);
            while let Some((segments, _len)) = out.front_packet() {
                let lens = out.iter().take(segments).map(Frame::len).collect();
                let bytes: Vec<_> =
                    out.iter().take(segments).flat_map(|f| self.core.bytes(f).to_vec()).collect();
                out.free_front(segments, &mut self.core);
                if bytes.get(12..14) == Some(&ETHERTYPE) {
                    out.clear_into(&mut self.core);
                    return Some((lens, bytes));
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Lends frames before anything is sent from the far side.
    pub(crate) fn prime(&mut self) {
        let mut out = Burst::with_capacity(16);
        self.queue.rx_burst(&mut self.core, &mut out);
        out.clear_into(&mut self.core);
    }
}

/// A packet of the tests: `len` bytes, each of which depends on `number`.
pub(crate) fn packet(number: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0x02, 0, 0, 0, 0, 0x99, 0x02, 0xab, 0, 0, 0, number];
    bytes.extend(ETHERTYPE);
    let mut value = number;
    while bytes.len() < len {
        value = value.wrapping_mul(5).wrapping_add(1);
        bytes.push(value);
    }
    bytes.truncate(len);
    bytes
}

impl Rig for Bed {
    type Queue = AfXdpQueue;

    fn near(&mut self) -> (&mut AfXdpQueue, &mut CoreArena) {
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

    fn drops_when_starved(&self) -> bool {
        true
    }

    fn dismantle(mut self) -> u32 {
        let counters = self.queue.device_counters();
        assert_eq!((counters.rx_bad_descriptors, counters.tx_bad_completions), (0, 0));
        assert_eq!((counters.rx_invalid_descs, counters.tx_invalid_descs), (0, 0));
        assert_eq!(counters.tx_odd_refusals, 0);
        assert_eq!(self.queue.close(&mut self.core), 0, "copy mode keeps nothing");
        drop((self.program, self.cable));
        self.arena.geometry().frames - self.core.frames_free() - self.arena.frames_home()
    }
}

/// A packet socket that sees and sends everything on the interface.
pub(crate) fn packet_socket(interface: &str) -> OwnedFd {
    let (family, kind) = (AddressFamily::Packet, SockType::Raw);
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll);
    let socket = socket.expect("as root here");
    setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20)).expect("as root here");
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).expect("17"),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).expect("3").to_be(),
        sll_ifindex: i32::try_from(index_of(interface)).expect("a small number"),
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
