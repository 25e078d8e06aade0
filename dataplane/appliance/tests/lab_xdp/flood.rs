//! Who is refused costs no frame, and a flood of SYNs keeps nobody else out.
#![allow(clippy::print_stdout, reason = "what was measured is told")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::write;

use crate::lab::{
    Gateway, PATIENCE, configuration, counted, fetch, in_lab, run, run_beside_gateway,
};

/// SYNs per second that are sent; a machine with less to give sends fewer, and says so.
const FLOOD_PER_S: u32 = 250_000;
/// Time enough for what the budgets let in to fill `tcp.half_open` of each core, 4,096 by default.
const FLOOD_TIME: Duration = Duration::from_secs(10);
/// Packets between two looks at the clock.
const BURST: u32 = 32;
/// What sources that nobody knows may ask for on each core that receives, which are two at most.
const STRANGERS_PER_S: u64 = 1_000;
const STRANGERS_BURST: u64 = 2_000;
const SOURCE_PER_S: u64 = 100;
const SOURCE_BURST: u64 = 200;
/// SYNs per second of the flood that no budget stops: each costs a frame and an answer.
const UNSTOPPED_PER_S: u32 = 20_000;
/// SYNs per second of the floods whose sources are many and come again.
const POOL_PER_S: u32 = 50_000;
/// Sources of the flood that comes of few.
const FEW: u8 = 10;

/// Numbers that are the same again for the same seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    /// Of a seed that is printed, for who wants the same ones again.
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("1970 is over");
        let seed = u64::from(now.subsec_nanos());
        println!("seed {seed}");
        Self(seed)
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from(mixed >> 32).expect("32 bits")
    }

    /// Any address that a stranger may have: none of the lab's, and one station's.
    fn stranger(&mut self) -> Ipv4Addr {
        loop {
            let address = Ipv4Addr::from(self.next());
            if (1..224).contains(&address.octets()[0]) && !matches!(address.octets()[0], 10 | 127) {
                return address;
            }
        }
    }
}

/// The sum of 16-bit words that checksums are made of.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum()
}

fn folded(sum: u32) -> [u8; 2] {
    let once = (sum & 0xffff) + (sum >> 16);
    let twice = (once & 0xffff) + (once >> 16);
    (!u16::try_from(twice).expect("it is folded")).to_be_bytes()
}

/// A socket that writes frames to the gateway, of whatever source.
struct Spoofer {
    socket: OwnedFd,
    frame: [u8; 54],
}

impl Spoofer {
    fn new() -> Self {
        let shown = run_beside_gateway(&["ip", "-oneline", "link", "show", "dev", "abele0"]);
        let mut words = shown.split_whitespace().skip_while(|word| *word != "link/ether");
        let mac = words.nth(1).expect("a veth has an address");
        let mac = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("two digits"));
        let mut frame = [0; 54];
        frame.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        frame[12..14].copy_from_slice(&[8, 0]);
        // IPv4: 40 bytes, not to be fragmented, 64 hops, TCP.
        frame[14..26].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame[30..34].copy_from_slice(&[10, 77, 0, 2]);
        // TCP: to port 80, five words, SYN, a window.
        frame[36..38].copy_from_slice(&[0, 80]);
        frame[46..50].copy_from_slice(&[0x50, 0x02, 0xff, 0xff]);
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None).expect("root may");
        let interfaces = getifaddrs().expect("the kernel lists them");
        let mut ours = interfaces.filter(|entry| entry.interface_name == "abele1");
        let link: Option<LinkAddr> = ours.find_map(|entry| entry.address?.as_link_addr().copied());
        bind(socket.as_raw_fd(), &link.expect("the lab has it")).expect("it is up");
        Self { socket, frame }
    }

    /// Sends one SYN.
    fn syn(&mut self, source: Ipv4Addr, port: u16, number: u32) {
        let frame = &mut self.frame;
        frame[26..30].copy_from_slice(&source.octets());
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        frame[38..42].copy_from_slice(&number.to_be_bytes());
        frame[24..26].fill(0);
        frame[50..52].fill(0);
        let header = folded(sum(&frame[14..34]));
        // The pseudo header: both addresses, the protocol and 20 bytes of TCP.
        let segment = folded(sum(&frame[26..34]) + 6 + 20 + sum(&frame[34..54]));
        frame[24..26].copy_from_slice(&header);
        frame[50..52].copy_from_slice(&segment);
        while let Err(errno) = write(&self.socket, frame) {
            assert_eq!(errno, Errno::ENOBUFS, "frames can be written");
        }
    }
}

/// Packets by reason, from what a gateway that ended has logged.
fn verdicts(log: &str) -> Vec<(String, u64)> {
    let line = log.lines().find_map(|line| Some(line.split_once("xdp program: ")?.1));
    let line = line.unwrap_or_else(|| panic!("no counters: {log}"));
    let rows = line.split(", ").map(|row| row.split_once(' ').expect("a name and a number"));
    rows.map(|(name, count)| (name.to_owned(), count.parse().expect("a number"))).collect()
}

fn verdict(verdicts: &[(String, u64)], name: &str) -> u64 {
    verdicts.iter().find(|row| row.0 == name).map_or(0, |row| row.1)
}

/// Packets that the kernel's end had no room for on the wire.
fn lost_on_the_wire() -> u64 {
    let shown = run(&["ip", "-statistics", "-oneline", "link", "show", "dev", "abele1"]);
    let (_, sent) = shown.split_once("TX:").expect("it sends");
    let numbers = sent.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.collect::<Vec<u64>>()[3]
}

#[test]
fn a_denied_source_costs_no_frame_and_an_allowed_one_among_them_comes_in() {
    in_lab("flood::a_denied_source_costs_no_frame_and_an_allowed_one_among_them_comes_in", || {
        for host in ["198.18.0.7/32", "198.18.0.8/32"] {
            run(&["ip", "address", "add", host, "dev", "abele1"]);
        }
        let sections = "[[route]]\ndestination = \"198.18.0.0/15\"\ngateway = \"10.77.0.1\"\n\
                        [access]\ndeny = [\"198.18.0.0/15\"]\nallow = [\"198.18.0.7\"]\n\
                        [workers]\ncount = 2";
        let gateway = Gateway::start(&configuration("", sections));
        assert!(fetch("10.77.0.2"), "{}", gateway.log());
        let (mut spoofer, mut numbers) = (Spoofer::new(), Numbers::new());
        for number in 0..10_000 {
            // Of the upper half of the range, where no host of ours is.
            let source = Ipv4Addr::from(0xc613_0000 | (numbers.next() & 0xffff));
            spoofer.syn(source, 1024, number);
            if number % BURST == 0 {
                thread::sleep(Duration::from_micros(100));
            }
        }
        for (host, comes_in) in [("198.18.0.7", true), ("198.18.0.8", false)] {
            assert_eq!(connects(host.parse().expect("an address"), 1), comes_in, "{host}");
        }
        assert!(fetch("10.77.0.2"), "{}", gateway.log());
        assert_eq!(lost_on_the_wire(), 0, "the test's own end lost packets");
        let log = gateway.log_after_stop();
        let (summary, verdicts) = (log.0, verdicts(&log.1));
        println!("{verdicts:?}\n{summary}");
        // The one SYN of the denied host, which is sent again after a second, comes on top.
        assert!((10_001..=10_002).contains(&verdict(&verdicts, "drop_denied")), "{verdicts:?}");
        let redirected: u64 =
            verdicts.iter().filter(|row| row.0.starts_with("redirect_")).map(|row| row.1).sum();
        let received = counted(&summary, "rx_packets")[0];
        // The last ones may come when the gateway no longer looks.
        assert!(received <= redirected && received + 4 > redirected, "{summary}");
        assert!(received < 100, "the denied ones cost frames: {summary}");
    });
}

/// Fetches the document from an address of the kernel's end; whether it came whole within `seconds`.
fn connects(from: Ipv4Addr, seconds: i64) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("anybody may");
    let limit = TimeVal::new(seconds, 0);
    setsockopt(&socket, sockopt::SendTimeout, &limit).expect("it is a socket");
    setsockopt(&socket, sockopt::ReceiveTimeout, &limit).expect("it is a socket");
    let [a, b, c, d] = from.octets();
    bind(socket.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0)).expect("the address is ours");
    if connect(socket.as_raw_fd(), &SockaddrIn::new(10, 77, 0, 2, 80)).is_err() {
        return false;
    }
    let mut stream = TcpStream::from(socket);
    let request = b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let asked = stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write));
    let told = asked.and_then(|()| stream.read_to_string(&mut answer));
    told.is_ok() && answer.ends_with("\r\n\r\nhello from the lab")
}

/// What came of a flood.
struct Outcome {
    sent: u64,
    lost: u64,
    time: Duration,
    /// Honest fetches, each over a connection of its own.
    fetched: u64,
    /// The longest of them.
    slowest: Duration,
    summary: String,
    verdicts: Vec<(String, u64)>,
}

/// Sends SYNs at the rate of the flood; how many, and in what time.
fn send_flood(per_s: u32, mut source: impl FnMut(&mut Numbers) -> Ipv4Addr) -> (u64, Duration) {
    let (mut spoofer, mut numbers) = (Spoofer::new(), Numbers::new());
    let (begun, mut sent) = (Instant::now(), 0_u64);
    while begun.elapsed() < FLOOD_TIME {
        let due = begun.elapsed().as_micros() * u128::from(per_s) / 1_000_000;
        if u128::from(sent) >= due {
            std::hint::spin_loop();
            continue;
        }
        for _ in 0..BURST {
            let (from, port, number) = (source(&mut numbers), numbers.next(), numbers.next());
            spoofer.syn(from, 1024 | u16::try_from(port >> 17).expect("15 bits"), number);
        }
        sent += u64::from(BURST);
    }
    (sent, begun.elapsed())
}

/// Addresses of clients that the gateway has never seen before the flood.
const NEWCOMERS: u8 = 20;

/// Lets honest clients fetch during a flood, all of which must be served: one that comes again and
/// again, and some that nobody knows.
fn honest_during(
    per_s: u32,
    has_budget: bool,
    source: impl FnMut(&mut Numbers) -> Ipv4Addr + Send,
) -> Outcome {
    let budget = format!(
        "[syn_budget]\nper_source_per_s = {SOURCE_PER_S}\nper_source_burst = {SOURCE_BURST}\n\
         strangers_per_s = {STRANGERS_PER_S}\nstrangers_burst = {STRANGERS_BURST}\n"
    );
    let sections = format!(
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.1\"\n{}\
         [workers]\ncount = 2",
        if has_budget { &budget } else { "" }
    );
    let newcomers = (100..100 + NEWCOMERS).map(|last| Ipv4Addr::new(10, 77, 0, last));
    for address in newcomers.clone() {
        run(&["ip", "address", "add", &format!("{address}/24"), "dev", "abele1"]);
    }
    let gateway = Gateway::start(&configuration("", &sections));
    assert!(fetch("10.77.0.2"), "{}", gateway.log());
    let mut kept_out = Vec::new();
    let (is_over, mut fetched) = (AtomicBool::new(false), 1);
    let [mut slowest_known, mut slowest_newcomer] = [Duration::ZERO; 2];
    let (sent, time) = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let sent = send_flood(per_s, source);
            is_over.store(true, Ordering::Release);
            sent
        });
        // The flood has begun to fill the tables.
        thread::sleep(Duration::from_millis(500));
        let seconds = i64::try_from(PATIENCE.as_secs()).expect("it is short");
        let timed = move |from| {
            let begun = Instant::now();
            (from, connects(from, seconds), begun.elapsed())
        };
        let fetches: Vec<_> = newcomers.map(|from| scope.spawn(move || timed(from))).collect();
        while !is_over.load(Ordering::Acquire) {
            let (known, is_served, time) = timed(Ipv4Addr::new(10, 77, 0, 1));
            if !is_served {
                println!("fetch {fetched} failed after {time:?}");
                kept_out.push(known);
            }
            slowest_known = slowest_known.max(time);
            fetched += 1;
            thread::sleep(Duration::from_millis(150));
        }
        for fetch in fetches {
            let (from, is_served, time) = fetch.join().expect("it does not panic");
            slowest_newcomer = slowest_newcomer.max(time);
            if !is_served {
                kept_out.push(from);
            }
            fetched += 1;
        }
        flood.join().expect("it does not panic")
    });
    let lost = lost_on_the_wire();
    let (summary, log) = gateway.log_after_stop();
    let verdicts = verdicts(&log);
    let rate = u128::from(sent) * 1_000 / time.as_millis();
    println!("{sent} SYNs in {time:.2?}, {rate} per second; {lost} found no room on the wire");
    println!(
        "{fetched} honest fetches; the slowest of the known client took {slowest_known:.2?}, \
         of a newcomer {slowest_newcomer:.2?}"
    );
    println!("{verdicts:?}\n{summary}");
    assert!(kept_out.is_empty(), "honest clients are kept out: {kept_out:?}");
    let slowest = slowest_known.max(slowest_newcomer);
    Outcome { sent, lost, time, fetched, slowest, summary, verdicts }
}

impl Outcome {
    fn of(&self, name: &str) -> u64 {
        verdict(&self.verdicts, name)
    }

    /// SYNs of the flood that came in.
    ///
    /// Every SYN was either refused or redirected, and what was redirected besides are the segments
    /// of honest clients: SYN, ACK, request, FIN and the acknowledgement of the answer, some of them
    /// together or twice.
    fn let_in(&self) -> u64 {
        let refused = self.of("drop_syn_source") + self.of("drop_syn_stranger");
        let arrived = self.sent - self.lost;
        let (tcp, honest) = (self.of("redirect_tcp"), self.fetched);
        // A refused SYN of an honest client is among the refused ones: at most two of each.
        let refused_honest = 2 * u64::from(NEWCOMERS);
        assert!(refused <= arrived + refused_honest, "{refused} of {arrived}");
        assert!(tcp + refused >= arrived + 3 * honest, "{tcp} + {refused} of {arrived}");
        assert!(tcp + refused <= arrived + 10 * honest + refused_honest, "{tcp} + {refused}");
        let received = counted(&self.summary, "rx_packets")[0];
        let redirected = self.verdicts.iter().filter(|row| row.0.starts_with("redirect_"));
        let redirected: u64 = redirected.map(|row| row.1).sum();
        assert!(received <= redirected, "{received} of {redirected}");
        arrived.saturating_sub(refused)
    }

    /// Four fifths of what was to be sent, at least, and honest fetches all the while.
    fn assert_was_a_flood_of(&self, per_s: u32) {
        let wanted = u128::from(per_s) * self.time.as_millis() / 1_000;
        assert!(u128::from(self.sent) * 5 > wanted * 4, "{} SYNs are no flood", self.sent);
        assert!(self.fetched > u64::from(NEWCOMERS) + 2, "{} fetches", self.fetched);
    }

    /// One SYN of a client may go under, and its second try comes in.
    fn assert_was_quick(&self) {
        assert!(self.slowest < Duration::from_millis(3_500), "{:?}", self.slowest);
    }
}

#[test]
fn a_flood_of_random_sources_keeps_no_honest_client_out() {
    in_lab("flood::a_flood_of_random_sources_keeps_no_honest_client_out", || {
        let outcome = honest_during(FLOOD_PER_S, true, Numbers::stranger);
        outcome.assert_was_a_flood_of(FLOOD_PER_S);
        outcome.assert_was_quick();
        // Two cores receive. A source that is drawn again by chance counts as one that comes again.
        let tokens = STRANGERS_PER_S * (outcome.time.as_secs() + 1) + STRANGERS_BURST;
        let let_in = outcome.let_in();
        println!("{let_in} of the flood came in");
        assert!(let_in < 2 * tokens + 1_000, "{let_in}");
        assert!(outcome.of("drop_syn_stranger") > outcome.sent * 8 / 10);
    });
}

#[test]
fn a_flood_of_few_sources_spends_their_own_budgets_only() {
    in_lab("flood::a_flood_of_few_sources_spends_their_own_budgets_only", || {
        let few = |numbers: &mut Numbers| {
            Ipv4Addr::new(198, 18, 0, numbers.next().to_be_bytes()[0] % FEW)
        };
        let outcome = honest_during(FLOOD_PER_S, true, few);
        outcome.assert_was_a_flood_of(FLOOD_PER_S);
        outcome.assert_was_quick();
        let tokens = SOURCE_PER_S * (outcome.time.as_secs() + 1) + SOURCE_BURST;
        let let_in = outcome.let_in();
        println!("{let_in} of the flood came in");
        assert!(let_in <= u64::from(FEW) * tokens, "{let_in}");
        assert_eq!(outcome.of("drop_syn_stranger"), 0, "ten sources are no crowd");
        assert!(outcome.of("drop_syn_source") > outcome.sent * 8 / 10);
    });
}

#[test]
fn a_flood_that_no_budget_stops_is_answered_with_cookies_and_keeps_nobody_out() {
    in_lab(
        "flood::a_flood_that_no_budget_stops_is_answered_with_cookies_and_keeps_nobody_out",
        || {
            let outcome = honest_during(UNSTOPPED_PER_S, false, Numbers::stranger);
            outcome.assert_was_a_flood_of(UNSTOPPED_PER_S);
            outcome.assert_was_quick();
            let given = counted(&outcome.summary, "syn_cookies_sent")[0];
            let taken = counted(&outcome.summary, "syn_cookies_accepted")[0];
            println!("{given} cookies given, {taken} came back");
            // Each core's table holds 4,096; the flood has filled both when the known client goes on.
            assert!(given > outcome.sent / 2, "{}", outcome.summary);
            assert!(taken > outcome.fetched / 4, "{}", outcome.summary);
        },
    );
}

/// A flood of sources each of which comes again and again, as if its SYNs were lost. What it has is
/// the budget of each, and together that is as good as none: the stack bears it with cookies, as
/// long as the cores do.
fn flood_of_a_pool(sources: u32) {
    let pool = |numbers: &mut Numbers| Ipv4Addr::from(0xc612_0000 + numbers.next() % sources);
    let outcome = honest_during(POOL_PER_S, true, pool);
    outcome.assert_was_a_flood_of(POOL_PER_S);
    let let_in = outcome.let_in();
    println!("{sources} sources: {let_in} of the flood came in");
    assert!(let_in > outcome.sent / 4, "the budgets were to be no help here");
}

#[test]
fn a_flood_of_2000_sources_keeps_no_honest_client_out() {
    in_lab("flood::a_flood_of_2000_sources_keeps_no_honest_client_out", || flood_of_a_pool(2_000));
}

#[test]
fn a_flood_of_20000_sources_keeps_no_honest_client_out() {
    in_lab("flood::a_flood_of_20000_sources_keeps_no_honest_client_out", || {
        flood_of_a_pool(20_000);
    });
}
