//! Every bound of this crate, with its derivation.

use std::time::Duration;

/// Bytes of a configuration at most: room for every route and listener there may be and for
/// [`ACCESS_RULES_MAX`] ranges of IPv6 on a line each, and a wrong file named by mistake is refused
/// before it is read.
pub(crate) const CONFIG_LEN_MAX: u64 = 1 << 23;
const _: () = assert!(ACCESS_RULES_MAX as u64 * 64 < CONFIG_LEN_MAX);

/// Bytes in front of what is written first into a frame: Ethernet (14), IPv6 (40) and the longest
/// TCP header (60) are 114, rounded up to whole cache lines.
pub(crate) const HEADROOM: u16 = 128;
const _: () = assert!(HEADROOM as usize >= nic::ETHERNET_HEADER_LEN + 40 + 60);

/// The largest MTU of a TAP device: what `tap` takes, with its 64 bytes of headroom in a frame of
/// 4,096 bytes. Our headroom is larger, so the frame is the bound.
pub(crate) const MTU_MAX: u16 = mtu_max(FRAME_LENS[1]);

/// The lengths that a frame may have.
pub(crate) const FRAME_LENS: [u32; 2] = [2048, 4096];

/// The largest MTU whose packets fit into frames of `frame_len` bytes: behind the headroom there
/// must be room for an Ethernet header and one byte more, which shows that a packet was cut off.
#[expect(clippy::cast_possible_truncation, reason = "a frame has at most 4,096 bytes")]
pub(crate) const fn mtu_max(frame_len: u32) -> u16 {
    assert!(frame_len <= FRAME_LENS[1]);
    frame_len as u16 - HEADROOM - nic::ETHERNET_HEADER_LEN as u16 - 1
}

/// The smallest MTU: the interface always has an IPv6 address of its own, the link-local one.
pub(crate) const MTU_MIN: u16 = ip::limits::MTU_MIN_V6;

/// Frames that the core keeps for ARP, control and close: one full transmit backlog of them.
pub(crate) const FRAMES_RESERVED: u32 = 256;
const _: () = assert!(FRAMES_RESERVED as usize >= stack::TX_BACKLOG);

/// Frames that are free before a SYN is admitted or data is kept: the reserve, which is among the
/// free ones, and a burst, so that a queue whose burst was kept whole is lent as many again.
pub(crate) const FRAMES_FREE_MIN: u32 = FRAMES_RESERVED + 64;
const _: () = assert!(FRAMES_FREE_MIN as usize == FRAMES_RESERVED as usize + stack::BURST);

/// While fewer frames than this are free, those who hold some and take nothing are reset. A burst
/// above what is kept free: below it, what a burst brings may find no room.
pub(crate) const FRAMES_SCARCE: u32 = FRAMES_FREE_MIN + 64;
const _: () = assert!(FRAMES_SCARCE as usize == FRAMES_FREE_MIN as usize + stack::BURST);

/// The fewest frames: the reserve, two bursts that are under way in both directions, and as many
/// again for data that waits.
pub(crate) const FRAMES_MIN: u32 = 1024;
const _: () = assert!(FRAMES_MIN as usize >= FRAMES_RESERVED as usize + 4 * stack::BURST);
const _: () = assert!(FRAMES_MIN > FRAMES_SCARCE, "an empty gateway lacks none");

/// The most frames: 64 GiB of short ones.
pub(crate) const FRAMES_MAX: u32 = 1 << 25;

// What all workers' rings hold and what they need besides is counted in 32 bits.
const _: () = assert!(
    (af_xdp::RING_SIZE_MAX as u64 + FRAMES_MIN as u64) * (base::CoreSet::CORES_MAX as u64)
        < u32::MAX as u64
);

/// Frames unless the file says otherwise: 32 MiB of short ones.
pub(crate) const FRAMES: u32 = 1 << 14;

/// Letters of an interface's name at most: `IFNAMSIZ` is 16 with the closing zero.
pub(crate) const NAME_LEN_MAX: usize = 15;

/// Addresses in the file at most; the link-local one comes on top.
pub(crate) const ADDRESSES_MAX: usize = ip::limits::ADDRESSES_MAX - 1;

/// Ranges in an access list at most: what the maps of the XDP program hold.
pub(crate) const ACCESS_RULES_MAX: usize = abi::RULES_MAX as usize;

/// Microseconds that one busy poll may take at most: a turn that took longer would let the rings of
/// a 10 Gbit/s card overflow.
pub(crate) const BUSY_POLL_US_MAX: u32 = 1_000;

/// Half of the records that TCP could number: two bits of an index say the table.
pub(crate) const CONNECTIONS_MAX: u32 = tcp::limits::RECORDS_MAX / 2;

/// Bytes of a window or a send queue: the least holds two segments, the most is what window
/// scaling can name.
pub(crate) const WINDOW_MIN: u32 = 2_048;
/// See [`WINDOW_MIN`].
pub(crate) const WINDOW_MAX: u32 = 1 << 30;

/// Unanswered keep-alive probes at most: a record counts them in four bits.
pub(crate) const PROBES_MAX: u8 = 14;

/// Seconds of a keep-alive interval at most: a day.
pub(crate) const KEEP_ALIVE_S_MAX: u32 = 86_400;

/// Documents at most. They are read into memory at start; more is a case for a server behind.
pub(crate) const DOCUMENTS_MAX: usize = 4_096;

/// Bytes of all documents together at most.
pub(crate) const DOCUMENTS_LEN_MAX: u64 = 256 << 20;

/// Folders below one another in a document root at most.
pub(crate) const DEPTH_MAX: usize = 16;

/// Microseconds that an idle core may be told to spin at most: beyond a second it never sleeps.
pub(crate) const SPIN_US_MAX: u32 = 1_000_000;

/// Microseconds that an idle core spins unless told otherwise: about what waking a sleeping core
/// costs, so that spinning never costs more than twice what it could have saved.
pub(crate) const SPIN_US: u32 = 50;

/// The longest sleep, so that a clock that was set, or a deadline that was missed, is noticed.
pub(crate) const SLEEP_MAX: Duration = Duration::from_secs(10);
const _: () = assert!(SLEEP_MAX.as_millis() <= u16::MAX as u128);

/// The longest sleep over a queue pair that wakes nobody: the shortest that `epoll` knows.
pub(crate) const SLEEP_UNWAKEABLE: Duration = Duration::from_millis(1);

/// A core that has not turned for less than this does not hang: it may sleep for [`SLEEP_MAX`], and
/// shows its turns once a second.
pub(crate) const TURN_LATE_MIN: base::Duration = base::Duration::from_secs(12);
const _: () = assert!(TURN_LATE_MIN.as_millis() as u128 > SLEEP_MAX.as_millis() + 1_000);

/// Between two looks whether every core has made its first turn.
pub(crate) const FIRST_TURNS_LOOK: base::Duration = base::Duration::from_millis(1);

/// Seconds of `--for` at most: a year.
pub(crate) const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// How long a core may take to do what it was told: it looks in every turn, and a turn takes well
/// below a millisecond.
pub(crate) const CORE_PATIENCE: Duration = Duration::from_secs(5);

/// Entries of a table that a core looks at between two turns, for who asks: each is a line or two
/// of memory, one behind the other, so that it takes a few microseconds.
pub(crate) const LOOKS_MAX: u16 = 256;

/// How often is looked whether it has.
pub(crate) const LOOK_EVERY: Duration = Duration::from_micros(200);

/// How long who asks at the control socket may take to say what, and to take the answer.
pub(crate) const ASKER_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of what is asked there at most: a capture's longest filter, of 64 steps with an IPv6 prefix
/// each.
pub(crate) const REQUEST_LEN_MAX: usize = 4_096;

/// Milliseconds between two looks at the device and at what the XDP program has counted: soon enough
/// for a person, and for a gateway whose interface was deleted.
pub(crate) const SUPERVISE_EVERY: u16 = 250;

/// How often cores are asked for documents that are served no more, while they keep some.
pub(crate) const COLLECT_EVERY: Duration = Duration::from_secs(1);

/// Seconds that connections have to end, unless the file says otherwise: well below the 30 after
/// which the service manager kills.
pub(crate) const DRAIN_S: u64 = 10;

/// The most: an hour.
pub(crate) const DRAIN_S_MAX: u64 = 3_600;

/// Entries of the tables that a core which ends looks at in one turn: so many can be reset or ended
/// with room in the transmit backlog.
pub(crate) const DRAIN_STEP: usize = 128;
const _: () = assert!(2 * DRAIN_STEP <= stack::TX_BACKLOG);

/// Between two walks over the connections of a core that ends.
pub(crate) const DRAIN_EVERY: base::Duration = base::Duration::from_millis(10);

/// How long a core that ends waits for handshakes under way: a SYN-ACK that was lost is sent again
/// after a second.
pub(crate) const DRAIN_HANDSHAKE: base::Duration = base::Duration::from_millis(2_000);

/// The silence after which a connection is ended, in differences of whole seconds: it was silent for
/// more than one, and so not about to ask.
pub(crate) const DRAIN_IDLE_S: u32 = 2;

/// How long connections that were not in time are reset, one after the other.
pub(crate) const CUT_PATIENCE: base::Duration = base::Duration::from_secs(1);

/// What ending takes besides the time that connections have: the resets of those that are left, and
/// giving the device back.
pub(crate) const DRAIN_SLACK: base::Duration = base::Duration::from_secs(5);
const _: () = assert!(DRAIN_SLACK.as_millis() > CUT_PATIENCE.as_millis());

/// Packets after which a capture ends, unless it says otherwise: what people look at.
pub(crate) const CAPTURE_COUNT: u64 = 10_000;

/// The most: with 64 bytes of each packet a disk of 80 GB.
pub(crate) const CAPTURE_COUNT_MAX: u64 = 1_000_000_000;

/// Seconds after which a capture ends, unless it says otherwise: one that was forgotten.
pub(crate) const CAPTURE_SECONDS: u64 = 60;

/// The most: a day.
pub(crate) const CAPTURE_SECONDS_MAX: u64 = 86_400;

/// Milliseconds between two looks at what cores have copied: at 10 Gbit/s their blocks hold what
/// comes in three.
pub(crate) const CAPTURE_LOOK_MS: u8 = 2;

/// How long a copy waits for older ones of other cores: ten times what a core may keep it, so that
/// only a core that was interrupted comes late.
pub(crate) const CAPTURE_REORDER: base::Duration = base::Duration::from_millis(10);

/// Bytes that are sent at once, and those that wait for a slow reader beside the cores' blocks.
pub(crate) const CAPTURE_PIECE_LEN: usize = 256 << 10;

/// How long a core may take from the sending of a packet to the copy of it: no time, unless it was
/// interrupted between the two.
pub(crate) const CAPTURE_NOTED: Duration = Duration::from_millis(10);

/// How long the last copies may take to come: a core hands them over within a few turns.
pub(crate) const CAPTURE_LAST: Duration = Duration::from_millis(200);

/// How long whoever asked may take nothing of the rest at the end.
pub(crate) const CAPTURE_PATIENCE: Duration = Duration::from_secs(5);

/// How long cores listen for what becomes of an echo request, at most: longer than anybody waits.
pub(crate) const ECHO_LISTEN_MS_MAX: u64 = 120_000;

/// How long somebody who asks for echoes may let others wait who ask for something else.
pub(crate) const ECHO_WAIT_MS_MAX: u64 = 50;

/// Between two looks whether something was heard of an echo: short at first, as a reply takes tens
/// of microseconds on a link, and then so that cores which sleep are not woken for nothing.
pub(crate) const ECHO_PAUSE_MIN: Duration = Duration::from_micros(200);
/// See [`ECHO_PAUSE_MIN`].
pub(crate) const ECHO_PAUSE_MAX: Duration = Duration::from_millis(20);

/// News of echoes that a core tells at once: what `ip` keeps.
pub(crate) const ECHO_NEWS_TOLD: usize = 64;

/// Records of each core on their way to the access log, unless the file says otherwise: at 384 bytes
/// each 1.5 MiB, and 200,000 lines a second at the pace at which they are taken.
pub(crate) const ACCESS_QUEUE: u32 = 4_096;
const _: () = assert!(size_of::<gateway::AccessRecord>() <= 384);

/// The least: as many as a core tells in a burst.
pub(crate) const ACCESS_QUEUE_MIN: u32 = 64;
const _: () = assert!(ACCESS_QUEUE_MIN as usize >= stack::BURST);

/// The most: 24 MiB for each core.
pub(crate) const ACCESS_QUEUE_MAX: u32 = 1 << 16;

/// Of so many requests one may be told of at least.
pub(crate) const ACCESS_SAMPLE_MAX: u32 = 1_000_000;

/// Records of a core that become lines before those of the next one are looked at.
pub(crate) const ACCESS_BATCH: usize = 256;

/// Between two looks at the rings while they are empty: waking the writer would cost a core a system
/// call, so it wakes by itself.
pub(crate) const ACCESS_EVERY: Duration = Duration::from_millis(20);

/// Between two looks whether the path of the access log still leads to the file that is written.
pub(crate) const ACCESS_LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the end waits for the last lines of the access log: the cores may take as long to reset
/// who is left.
pub(crate) const ACCESS_PATIENCE: Duration = Duration::from_secs(2);
const _: () = assert!(ACCESS_PATIENCE.as_millis() > CUT_PATIENCE.as_millis() as u128);
