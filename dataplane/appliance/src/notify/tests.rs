//! A service manager of the test's own: a socket, and a second process that runs the test again with
//! the socket in its environment.

use std::env;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration as StdDuration;

use super::*;

/// Says to a test that it is the process that is watched.
const CHILD: &str = "ABELE_TEST_WATCHED";
/// The longest that a datagram takes on a busy machine.
const PATIENCE: StdDuration = StdDuration::from_secs(10);
/// Between two signs of life, in the tests that ask for them.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(200);

/// The service manager's end, and the process that it has started.
struct Watcher {
    socket: UnixDatagram,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Watcher {
    /// Starts the test of this name once more, as the watched process.
    fn start(test: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &format!("notify::tests::{test}"), "--nocapture"]);
        command.env(CHILD, "1").env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "30000000");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        Self { socket, child, _folder: folder }
    }

    /// What it is told next.
    fn heard(&self) -> String {
        let mut datagram = [0; 4096];
        let len = self.socket.recv(&mut datagram).expect("it is told something");
        String::from_utf8(datagram[..len].to_vec()).expect("it is text")
    }

    /// Hears signs of life until it is told something else; how many, and what.
    fn heard_after_life(&self) -> (usize, String) {
        let mut lives = 0;
        loop {
            match self.heard() {
                told if told == "WATCHDOG=1\n" => lives += 1,
                told => return (lives, told),
            }
        }
    }

    fn end(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

fn is_watched() -> bool {
    env::var_os(CHILD).is_some()
}

fn watched<'a>(
    cores: &'a [CoreId],
    bells: &'a [Bell],
    stop: &'a Stop,
    clock: &'a Clock,
) -> Watched<'a> {
    Watched { cores, bells, stop, clock, drain: Duration::from_secs(10) }
}

/// Cores 4 and 5, the second of which shows what `turn` lets it.
fn watch(notify: &Notify, time: StdDuration, turn: impl Fn(&Bell, Instant) + Sync) {
    let (stop, clock) = (Stop::new().unwrap(), Clock::start());
    let bells = [Bell::new().unwrap(), Bell::new().unwrap()];
    thread::scope(|scope| {
        scope.spawn(|| {
            let ends_at = clock.now() + Duration::from_nanos(time.as_nanos().try_into().unwrap());
            while clock.now() < ends_at {
                let now = clock.now();
                bells[0].show_turn(now);
                turn(&bells[1], now);
                thread::sleep(StdDuration::from_millis(1));
            }
            stop.raise();
        });
        let cores = [CoreId { id: 4 }, CoreId { id: 5 }];
        notify.watch(&watched(&cores, &bells, &stop, &clock))
    })
    .unwrap();
}

/// As the environment says, with times that a test can wait for.
fn impatient() -> Notify {
    let notify = Notify::of_environment("serves 10.77.0.2, http 80 on 2 cores".to_owned());
    assert_eq!(notify.look_every, Some(Duration::from_millis(7_500)));
    assert_eq!(notify.late, Duration::from_secs(15));
    Notify { look_every: Some(LOOK_EVERY), late: LATE, ..notify }
}

#[test]
fn a_gateway_is_ready_when_every_core_has_turned_and_tells_that_it_ends() {
    if is_watched() {
        let begun = std::time::Instant::now();
        let is_begun = || begun.elapsed() > StdDuration::from_millis(300);
        return watch(&impatient(), StdDuration::from_secs(1), |bell, now| {
            if is_begun() {
                bell.show_turn(now);
            }
        });
    }
    let begun = std::time::Instant::now();
    let watcher =
        Watcher::start("a_gateway_is_ready_when_every_core_has_turned_and_tells_that_it_ends");
    let ready = "READY=1\nSTATUS=serves 10.77.0.2, http 80 on 2 cores\n";
    assert_eq!(watcher.heard(), ready, "nothing comes before");
    assert!(begun.elapsed() > StdDuration::from_millis(300), "one core had not turned yet");
    let (lives, told) = watcher.heard_after_life();
    assert_eq!(told, "STOPPING=1\nSTATUS=ends\n");
    assert!(lives >= 3, "{lives}");
    watcher.end();
}

/// A core that is asked to stop after a while, and ends so much later.
fn drain_for(time: StdDuration) {
    let (stop, clock) = (Stop::new().unwrap(), Clock::start());
    let bells = [Bell::new().unwrap()];
    let turn_for = |time: StdDuration| {
        let begun = std::time::Instant::now();
        while begun.elapsed() < time {
            bells[0].show_turn(clock.now());
            thread::sleep(StdDuration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            turn_for(StdDuration::from_millis(200));
            stop.ask();
            turn_for(time);
            stop.raise();
        });
        let cores = [CoreId { id: 4 }];
        impatient().watch(&watched(&cores, &bells, &stop, &clock)).unwrap();
    });
}

#[test]
fn a_gateway_that_drains_says_so_and_shows_signs_of_life_until_it_ends() {
    if is_watched() {
        return drain_for(StdDuration::from_millis(400));
    }
    let watcher =
        Watcher::start("a_gateway_that_drains_says_so_and_shows_signs_of_life_until_it_ends");
    assert!(watcher.heard().starts_with("READY=1\n"));
    let (_, told) = watcher.heard_after_life();
    // Ten seconds for connections, and five for what comes behind them.
    let lines: Vec<_> = told.lines().collect();
    assert_eq!((lines[0], lines[2]), ("STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000"), "{told}");
    let (lives, told) = watcher.heard_after_life();
    assert_eq!(told, "STOPPING=1\nSTATUS=ends\n");
    assert!(lives >= 3, "{lives}");
    watcher.end();
}

#[test]
fn there_is_no_sign_of_life_while_a_core_hangs() {
    if is_watched() {
        // It turns for a while, hangs for a second, and turns again.
        let hangs = Duration::from_millis(500)..Duration::from_millis(1_500);
        return watch(&impatient(), StdDuration::from_secs(3), |bell, now| {
            if !hangs.contains(&now.saturating_since(Instant::ZERO)) {
                bell.show_turn(now);
            }
        });
    }
    let watcher = Watcher::start("there_is_no_sign_of_life_while_a_core_hangs");
    assert!(watcher.heard().starts_with("READY=1\n"));
    let (lives, told) = watcher.heard_after_life();
    assert_eq!(told, "STATUS=core 5 does not turn: it hangs\n");
    assert!(lives >= 3, "{lives}");
    assert_eq!(watcher.heard(), "WATCHDOG=1\n", "nothing between, until it turns again");
    assert_eq!(watcher.heard(), "STATUS=serves 10.77.0.2, http 80 on 2 cores\n");
    let (lives, told) = watcher.heard_after_life();
    assert!(lives >= 3 && told.starts_with("STOPPING=1\n"), "{lives} {told}");
    watcher.end();
}

#[test]
fn without_a_service_manager_nothing_is_watched() {
    let notify =
        Notify { is_heard: false, look_every: None, ..Notify::of_environment(String::new()) };
    let (stop, clock) = (Stop::new().unwrap(), Clock::start());
    // It returns although nothing has stopped and no core has turned.
    let bells = [Bell::new().unwrap()];
    let cores = [CoreId { id: 0 }];
    notify.watch(&watched(&cores, &bells, &stop, &clock)).unwrap();
    assert!(!stop.is_raised());
}

#[test]
fn a_core_that_sleeps_as_long_as_it_may_does_not_hang() {
    assert!(Notify::of_environment(String::new()).late >= TURN_LATE_MIN);
}
