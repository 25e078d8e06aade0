//! Each core asks for the neighbours that it needs, and the answers come to another.

use base::{CoreId, Duration, Instant};
use engine::{Engine, Meter, Stage};
use stack::{Context, ListenerOptions, Service};

use crate::bed::{Bed, PORT, Sizes, v4, v6};
use crate::services::{Askers, Echo};

/// A far host that only answers, and sends everything to the first core.
fn bed(cores: u16, seed: u64) -> Bed<Echo, Echo> {
    println!("{cores} cores, seed {seed}");
    let sizes = Sizes { cores, frames_per_core: 2_048, seed };
    let mut bed = Bed::new(sizes, Echo::new, Echo::new(CoreId(0)));
    let far = bed.far.stack_mut();
    far.core_mut().listen(PORT, ListenerOptions::default()).unwrap();
    far.queue_mut().send_to(Some(0));
    bed
}

fn with_context<S: Service>(
    core: &mut Engine<sim::Spread, S>,
    now: Instant,
    act: impl FnOnce(&mut Context<'_>),
) {
    core.with_context(now, |_, cx| act(cx));
}

#[test]
fn every_core_opens_its_connections_although_all_answers_come_to_the_first() {
    for (cores, seed) in [(2, 1), (4, 2)] {
        let mut bed = bed(cores, seed);
        let now = bed.now;
        for core in &mut bed.cores {
            with_context(core, now, |cx| {
                for to in [v4(2), v6(2)].into_iter().cycle().take(20) {
                    cx.connect(to, PORT, 0).unwrap();
                }
            });
        }
        // One SYN may get lost to a full park; none waits for the neighbour beyond that.
        bed.run_until(Duration::from_secs(5), |bed| {
            bed.cores.iter().all(|core| core.service().connected == 20)
        });
        let sent =
            |core: &Engine<sim::Spread, Echo>| core.stack().core().ip().counters().solicitations;
        for core in &bed.cores {
            // One question for each family, and not one for each packet.
            assert!((1..=2).contains(&sent(core)), "{}", sent(core));
        }
        assert!(bed.sum(|counters| counters.neighbours_heard) > 0);
        bed.check_counters();
    }
}

#[test]
fn news_of_neighbours_go_round_once_and_nobody_answers_them() {
    let mut bed = bed(4, 3);
    let now = bed.now;
    with_context(&mut bed.cores[3], now, |cx| {
        cx.connect(v4(2), PORT, 0).unwrap();
    });
    bed.run_until(Duration::from_secs(5), |bed| bed.cores[3].service().connected == 1);
    bed.pass(Duration::from_secs(1));
    // The far host learnt from the question, so one frame taught: the answer. Three were told.
    assert_eq!(bed.sum(|counters| counters.neighbours_told), 3);
    assert_eq!(bed.sum(|counters| counters.neighbours_heard), 3);
    let replies =
        bed.cores.iter().map(|core| core.stack().core().ip().counters().neighbour_replies);
    assert_eq!(replies.sum::<u64>(), 0);
    bed.check_counters();
}

/// Writes down what it is told.
#[derive(Default)]
struct Marks(Vec<Stage>);

impl Meter for Marks {
    fn mark(&mut self, stage: Stage) {
        self.0.push(stage);
    }
}

#[test]
fn a_meter_is_told_of_every_stage_of_a_turn_in_order() {
    let sizes = Sizes { cores: 2, frames_per_core: 512, seed: 4 };
    let mut bed = Bed::new(sizes, Echo::new, Askers::new(1, 1, 1));
    let mut marks = Marks::default();
    bed.cores[1].turn_with(bed.now, &mut marks);
    // What tools are shown, and what passes between two turns, is not the engine's to know.
    let [stages @ .., Stage::Tools, Stage::Idle] = Stage::ALL else { panic!("idle is last") };
    assert_eq!(marks.0, stages);
}
