//! The echo over AF_XDP at both ends of the cable: a process and a core each.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

use super::{Asker, Echo};
use crate::args::VethServerArgs;
use crate::cable::{Attach, Cable, End, Port, plug};
use crate::child::say;
use crate::cores;
use crate::ends::Role;
use crate::error::Error;
use crate::limits::{DRAIN_MS_MAX, L2_WINDOW, WARM_UP_DIVISOR};
use crate::report::{Checks, Figures, Ratios};
use crate::stop::Stop;

/// The figure's name in every report.
pub(crate) const NAME: &str = "l2_echo_per_s";
/// How often each way to attach is tried, by turns, before the faster is taken.
const TRIALS: u32 = 3;
/// Turns between two looks at the clock: some microseconds each.
const TURNS: u32 = 64;

/// The stations of the frames, for the XDP programs of both ends.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];

/// What a run found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) echoes_per_s: f64,
    /// Frames that were lost, doubled or damaged.
    pub(crate) wrong: u64,
}

/// Echoes per second for `length`, after a warm-up.
pub(crate) fn run(
    cable: &Cable,
    attach: Attach,
    length: Duration,
    stop: &Stop,
) -> Result<Found, Error> {
    let arguments = [
        "veth-server".to_owned(),
        format!("--core={}", cable.placement.server.id),
        format!("--attach={}", attach.name()),
        "--l2".to_owned(),
    ];
    let mut server = cable.spawn("L2 echo", &arguments)?;
    let (): () = server.read()?;
    // A thread of its own, because pinning lasts as long as the thread.
    let asked = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            cores::pin(cable.placement.client)?;
            ask(attach, length, stop)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (mut found, sent) = asked?;
    let echoed: u64 = server.finish()?;
    found.wrong += sent.abs_diff(echoed);
    Ok(found)
}

/// Settles where the programs of a cable run: as asked, or else where the echo is faster. Says
/// what was found.
pub(crate) fn settle_attach(
    cable: &mut Cable,
    asked: Option<Attach>,
    length: Duration,
    stop: &Stop,
) -> Result<String, Error> {
    if let Some(asked) = asked {
        cable.attach = asked;
        return Ok(format!("XDP {} at our ends, as asked", asked.name()));
    }
    let mut rates = Attach::ALL.map(|attach| (attach, 0_f64));
    for _trial in 0..TRIALS {
        for (attach, rate) in &mut rates {
            // What else the machine does only ever takes away from a rate.
            *rate = rate.max(run(cable, *attach, length, stop)?.echoes_per_s);
        }
    }
    rates.sort_by(|a, b| b.1.total_cmp(&a.1));
    let [(fastest, rate), (other, lower)] = rates;
    cable.attach = fastest;
    Ok(format!(
        "XDP {} at our ends, the faster: {rate:.0} L2 echoes/s, {} {lower:.0}",
        fastest.name(),
        other.name()
    ))
}

/// The echo beside the rounds of a benchmark, as the limit of its queue.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) figures: Figures,
    pub(crate) wrong: u64,
}

impl Beside {
    /// Measures once more, for a fifth of a round.
    pub(crate) fn measure(
        &mut self,
        cable: &Cable,
        round: Duration,
        stop: &Stop,
    ) -> Result<(), Error> {
        let found = run(cable, cable.attach, round / 5, stop)?;
        self.figures.record(NAME, "/s", found.echoes_per_s);
        self.wrong += found.wrong;
        Ok(())
    }

    /// Adds what was measured to the other limits, and to the ratios `ours`, a median, divided by
    /// the echo's.
    pub(crate) fn join(
        self,
        limits: &mut (Figures, Checks),
        ratios: &mut Ratios,
        ours: (&'static str, Option<f64>),
    ) {
        let (figure, ours) = ours;
        if let (Some(ours), Some(echoes)) = (ours, self.figures.median(NAME)) {
            ratios.add(figure, "l2-echo", ours / echoes);
        }
        limits.0.append(self.figures);
        limits.1 = std::mem::take(&mut limits.1).must_be_zero(NAME, self.wrong);
    }
}

/// The asking end; what it found, and how many frames it sent.
fn ask(attach: Attach, length: Duration, stop: &Stop) -> Result<(Found, u64), Error> {
    let (mut port, mut arena) = port(Role::Client, attach)?;
    let mut asker = Asker::new();
    let mut turns = |asker: &mut Asker, until: Duration, is_over: bool| {
        let begin = Instant::now();
        while begin.elapsed() < until && !(is_over && asker.outstanding() == 0) {
            for _turn in 0..TURNS {
                asker.turn(&mut port.queue, &mut arena, is_over);
            }
            stop.check()?;
        }
        Ok::<_, Error>(begin.elapsed())
    };
    turns(&mut asker, length / WARM_UP_DIVISOR, false)?;
    let before = asker.tally();
    let elapsed = turns(&mut asker, length, false)?;
    let after = asker.tally();
    turns(&mut asker, Duration::from_millis(DRAIN_MS_MAX), true)?;
    #[allow(clippy::cast_precision_loss, reason = "2^53 frames take a thousand years")]
    let echoes = (after.returned - before.returned) as f64;
    let wrong = asker.tally().wrong + asker.outstanding();
    Ok((Found { echoes_per_s: echoes / elapsed.as_secs_f64(), wrong }, asker.tally().sent))
}

/// The serving process's main: see [`crate::child`].
pub(crate) fn serve(args: &VethServerArgs) -> Result<(), Error> {
    cores::pin(CoreId { id: args.core })?;
    let (mut port, mut arena) = port(Role::Server, args.attach)?;
    let end = End::of_input();
    let mut echo = Echo::new();
    say(&())?;
    while !end.is_wanted() {
        for _turn in 0..TURNS {
            echo.turn(&mut port.queue, &mut arena);
        }
    }
    say(&echo.returned())
}

fn port(role: Role, attach: Attach) -> Result<(Port, memory::CoreArena), Error> {
    let frames = u32::try_from(2 * L2_WINDOW).expect("some hundreds");
    plug(role, attach, &ADDRESSES, frames)
}
