//! What cannot be had is refused in one line that says what mends it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use af_xdp::{AfXdpError, Config, CopyMode, MultiBuffer};
use base::QueueId;
use memory::PageChoice;
use nix::errno::Errno;

use crate::bed::{Cable, arena, config, in_namespace};

/// Set in the process that holds a queue until it is killed.
const HOLDS: &str = "ABELE_TEST_HOLDS_QUEUE";
const CAP_NET_RAW: u32 = 13;
const CAP_IPC_LOCK: u32 = 14;

fn refused(config: &Config) -> AfXdpError {
    let arena = arena(1, PageChoice::Base);
    let error = af_xdp::open(config, &arena).expect_err("it cannot be had");
    let said = error.to_string();
    assert!(!said.contains('\n') && !said.contains("  "), "one line: {said:?}");
    error
}

#[test]
fn zero_copy_that_is_required_is_never_replaced_by_a_copy() {
    in_namespace("zero_copy_that_is_required_is_never_replaced_by_a_copy", || {
        let _cable = Cable::new(1, 1500);
        let error = refused(&Config { copy: CopyMode::ZeroCopy, ..config(0) });
        let AfXdpError::ResourceNoZeroCopy { driver, errno, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((driver.as_str(), *errno), ("veth", Errno::EOPNOTSUPP));
        assert!(error.to_string().contains("copy = \"auto\""), "{error}");
    });
}

#[test]
fn a_taken_queue_is_waited_for_and_then_named() {
    in_namespace("a_taken_queue_is_waited_for_and_then_named", || {
        let _cable = Cable::new(1, 1500);
        let arena = arena(1, PageChoice::Base);
        let first = af_xdp::open(&config(0), &arena).expect("the interface is ours alone");
        let began = Instant::now();
        let error = refused(&config(0));
        assert!(began.elapsed() >= Duration::from_secs(2), "it gave up early");
        let said = error.to_string();
        assert!(said.contains("queue 0 of near is taken by another socket"), "{said}");
        drop(first);
        af_xdp::open(&config(0), &arena).expect("it is free again in a moment");
    });
}

#[test]
fn the_queue_of_a_killed_process_can_be_had_at_once() {
    in_namespace("the_queue_of_a_killed_process_can_be_had_at_once", || {
        let _cable = Cable::new(1, 1500);
        let binary = std::env::current_exe().expect("a test knows its binary");
        let mut holder = Command::new(binary)
            .args(["--exact", "refusals::holds_a_queue_until_it_is_killed", "--nocapture"])
            .env(HOLDS, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary runs");
        let lines = BufReader::new(holder.stdout.take().expect("it is piped")).lines();
        let said = lines.map_while(Result::ok).find(|line| line.contains("has its queue"));
        assert!(said.is_some(), "the other process got no queue");
        holder.kill().expect("it runs");
        holder.wait().expect("it was killed");
        let began = Instant::now();
        let arena = arena(1, PageChoice::Base);
        af_xdp::open(&config(0), &arena).expect("a dead process has no queue");
        println!("the queue was free again after {:?}", began.elapsed());
    });
}

/// No test of its own: the process that the one above kills.
#[test]
fn holds_a_queue_until_it_is_killed() {
    if std::env::var_os(HOLDS).is_none() {
        return;
    }
    let arena = arena(1, PageChoice::Base);
    let queue = af_xdp::open(&config(0), &arena).expect("the interface is ours alone");
    println!("{} has its queue", queue.truth());
    std::thread::sleep(Duration::from_secs(30));
}

#[test]
fn a_missing_interface_or_queue_is_named() {
    in_namespace("a_missing_interface_or_queue_is_named", || {
        let _cable = Cable::new(1, 1500);
        let none = refused(&Config { interface: "nowhere".into(), ..config(0) });
        assert!(none.to_string().starts_with("there is no interface nowhere"), "{none}");
        let none = refused(&Config { interface: 9_999.into(), ..config(0) });
        assert!(matches!(none, AfXdpError::ResourceNoInterface { .. }), "{none}");
        let none = refused(&Config { queue: QueueId(5), ..config(0) });
        assert!(none.to_string().contains("ethtool -L near rx 6 tx 6"), "{none}");
    });
}

#[test]
fn packets_that_no_frame_takes_need_several_frames() {
    in_namespace("packets_that_no_frame_takes_need_several_frames", || {
        let _cable = Cable::new(1, 3500);
        let error = refused(&Config { multi_buffer: MultiBuffer::Off, ..config(0) });
        assert!(error.to_string().contains("ip link set dev near mtu 1778"), "{error}");
    });
}

#[test]
fn a_fill_ring_that_takes_every_frame_is_refused() {
    in_namespace("a_fill_ring_that_takes_every_frame_is_refused", || {
        let _cable = Cable::new(1, 1500);
        let mut config = config(0);
        config.rings.fill = 1024;
        let error = refused(&config);
        assert!(matches!(error, AfXdpError::ConfigFrames { .. }), "{error}");
    });
}

#[test]
fn no_right_to_open_sockets_is_said_with_what_gives_it() {
    in_namespace("no_right_to_open_sockets_is_said_with_what_gives_it", || {
        let _cable = Cable::new(1, 1500);
        let error = without(CAP_NET_RAW, || refused(&config(0)));
        assert!(error.to_string().contains("setcap cap_net_raw"), "{error}");
    });
}

#[test]
fn too_little_locked_memory_is_said_with_both_figures() {
    in_namespace("too_little_locked_memory_is_said_with_both_figures", || {
        let _cable = Cable::new(1, 1500);
        let before = lock_limit(libc::rlimit { rlim_cur: 64 << 10, rlim_max: libc::RLIM_INFINITY });
        let error = without(CAP_IPC_LOCK, || refused(&config(0)));
        lock_limit(before);
        let (needed_kib, limit_kib) = (2048, 64);
        assert_eq!(error, AfXdpError::ResourceLockedMemory { needed_kib, limit_kib });
        assert!(error.to_string().contains("ulimit -l"), "{error}");
    });
}

/// Sets the limit on locked memory of this process; what it was.
fn lock_limit(limit: libc::rlimit) -> libc::rlimit {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `struct rlimit`, which `before` is.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut before) };
    Errno::result(read).expect("limits can be read");
    let limit = libc::rlimit { rlim_cur: limit.rlim_cur, rlim_max: before.rlim_max };
    // SAFETY: the kernel reads one `struct rlimit`, which `limit` is.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    Errno::result(set).expect("a limit can be lowered and raised again below its maximum");
    before
}

/// Runs `check` while this thread's effective rights lack one.
fn without<R>(capability: u32, check: impl FnOnce() -> R) -> R {
    let before = capabilities();
    let mut less = before;
    less[0] &= !(1 << capability);
    set_capabilities(less);
    let result = check();
    set_capabilities(before);
    result
}

/// `struct __user_cap_data_struct` twice: effective, permitted and inheritable, low and high words.
type Rights = [u32; 6];

const HEADER: [u32; 2] = [0x2008_0522, 0];

fn capabilities() -> Rights {
    let (header, mut rights) = (HEADER, [0; 6]);
    // SAFETY: version 3 has a header of two words, and the kernel writes six words of rights.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const header, &raw mut rights) };
    Errno::result(result).expect("a thread may read its rights");
    rights
}

fn set_capabilities(rights: Rights) {
    let header = HEADER;
    // SAFETY: version 3 has a header of two words, and the kernel reads six words of rights.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const rights) };
    Errno::result(result).expect("a thread may give up rights and take them again");
}
