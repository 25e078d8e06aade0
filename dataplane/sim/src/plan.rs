//! What the services of a run mean to do, drawn before it begins.

use base::{Duration, Rng};

use crate::limits::PIECE_MAX;
use crate::scenario::Scenario;

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The host that opens it.
    pub(crate) opener: usize,
    pub(crate) is_v6: bool,
    /// Which of the other host's listeners.
    pub(crate) listener: u16,
    /// When, from the start of the run.
    pub(crate) open_at: Duration,
    /// What each host does, by the number of the host.
    pub(crate) sides: [SidePlan; 2],
}

/// What one end of a connection does.
#[derive(Clone, Debug)]
pub(crate) struct SidePlan {
    /// Bytes that it sends, unless it echoes or ends early.
    pub(crate) send_len: u64,
    /// Bytes of a write at most.
    pub(crate) piece_max: usize,
    /// How often it rests after a write, in parts of a million, and how long at most.
    pub(crate) write_pause_ppm: u32,
    pub(crate) write_pause_max: Duration,
    /// How often it takes only a part, and how long it then rests at most.
    pub(crate) read_pause_ppm: u32,
    pub(crate) read_pause_max: Duration,
    pub(crate) ending: Ending,
    /// It writes before the connection is open.
    pub(crate) is_eager: bool,
    /// It sends back what it receives, in the frames that it came in.
    pub(crate) is_echo: bool,
    /// It keeps some frames for a while.
    pub(crate) hoards: bool,
}

/// How one end means to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It sends all, then ends its direction, and reads to the end.
    Finish,
    /// The same, and closes where there is nothing left to read.
    Close,
    /// It closes when the peer has ended, whatever it still had to say.
    CloseAtEnd,
    /// It closes after this time, whatever the peer still has to say.
    CloseEarly(Duration),
    /// It resets the connection after this time.
    Abort(Duration),
    /// It does not want it.
    Refuse,
}

/// Draws the connections of a run.
pub(crate) fn draw(rng: &mut Rng, scenario: Scenario) -> Vec<Plan> {
    let count = 6 + rng.below(16);
    // Half of the runs open in crowds, half over time.
    let spread_ms = if rng.below(2) == 0 { 200 } else { 20_000 };
    (0..count).map(|_| draw_one(rng, scenario, spread_ms)).collect()
}

fn draw_one(rng: &mut Rng, scenario: Scenario, spread_ms: u64) -> Plan {
    let opener = usize::from(rng.below(2) == 1);
    let mut sides = [draw_side(rng, scenario), draw_side(rng, scenario)];
    let acceptor = 1 - opener;
    sides[acceptor].is_eager = false;
    sides[opener].is_echo = false;
    if sides[opener].ending == Ending::Refuse {
        sides[opener].ending = Ending::Finish;
    }
    if sides[acceptor].is_echo {
        // Whoever waits for its echo must end first.
        sides[acceptor].ending = Ending::Finish;
        if sides[opener].ending == Ending::CloseAtEnd {
            sides[opener].ending = Ending::Finish;
        }
    }
    if sides.iter().all(|side| side.ending == Ending::CloseAtEnd) {
        sides[opener].ending = Ending::Close;
    }
    Plan {
        opener,
        is_v6: rng.below(2) == 1,
        listener: u16::try_from(rng.below(3)).expect("below 3"),
        open_at: Duration::from_micros(rng.below(spread_ms * 1_000)),
        sides,
    }
}

fn draw_side(rng: &mut Rng, scenario: Scenario) -> SidePlan {
    let len_max = match rng.below(100) {
        0..20 => 1,
        20..60 => 2_000,
        60..90 => 20_000,
        90..97 => 100_000,
        _ if scenario == Scenario::Rate => 100_000,
        _ => 400_000,
    };
    let pause_ms = [0, 1, 20, 300, 3_000];
    let pause = |rng: &mut Rng| {
        let max = pause_ms[usize::try_from(rng.below(5)).expect("below 5")];
        Duration::from_millis(max)
    };
    let (write_pause_max, read_pause_max) = (pause(rng), pause(rng));
    let reach = 1 << (1 + rng.below(14));
    let piece_max = 1 + usize::try_from(rng.below(reach)).expect("a small one");
    let send_len = rng.below(len_max);
    // About twenty pauses at most in each direction, so that a run ends in some virtual minutes.
    let pieces = 1 + send_len / (1 + piece_max as u64 / 2);
    SidePlan {
        send_len,
        piece_max: piece_max.min(PIECE_MAX),
        write_pause_ppm: pause_rate(write_pause_max, pieces),
        write_pause_max,
        read_pause_ppm: pause_rate(read_pause_max, 1 + len_max / 1_000),
        read_pause_max,
        ending: draw_ending(rng),
        is_eager: rng.below(4) == 0,
        is_echo: rng.below(8) == 0,
        hoards: rng.below(8) == 0,
    }
}

fn pause_rate(pause_max: Duration, occasions: u64) -> u32 {
    if pause_max == Duration::ZERO {
        return 0;
    }
    u32::try_from(20_000_000 / occasions.max(40)).expect("at most half a million")
}

fn draw_ending(rng: &mut Rng) -> Ending {
    match rng.below(20) {
        0..9 => Ending::Finish,
        9..14 => Ending::Close,
        14..16 => Ending::CloseAtEnd,
        16 => Ending::CloseEarly(Duration::from_millis(rng.below(3_000))),
        17..19 => Ending::Abort(Duration::from_millis(rng.below(3_000))),
        _ => Ending::Refuse,
    }
}
