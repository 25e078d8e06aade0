//! The ways between the cores of one device: a ring from each to each other.
//!
//! A segment that arrived at a core which does not own its flow goes to its owner, whole and as it
//! came: nothing of it but the addresses was looked at, so that nothing is verified twice and its
//! bytes come into one cache only. What a frame taught of a neighbour goes to all others.
//!
//! The rings are bounded. A segment for which there is no room is dropped, as a full queue of a
//! device drops, and TCP sends it again; news of neighbours leave room for segments.

use core::fmt;

use base::{CoreId, CoreSet, Instant};
use ip::Heard;
use memory::{Consumer, CoreArena, DetachedFrame, Producer, ring};
use nic::Burst;
use wire::Address;

use crate::counters::{Counters, DropReason};
use crate::limits::{BURST, HAND_OVER_LEN, HEARD_ROOM_MIN};
use crate::owners::Owners;

/// What goes from one core to another.
#[derive(Debug)]
enum Crossing {
    /// A received packet with a segment of a flow that the other core owns.
    Segment(DetachedFrame),
    /// What this core heard of a neighbour.
    Heard(Heard),
}

const _: () = assert!(size_of::<Crossing>() <= 32, "two on a line");

/// Both directions between this core and another.
struct Lane {
    towards: Producer<Crossing>,
    from: Consumer<Crossing>,
    /// What this burst has brought for the other core, so that a ring is written once per burst.
    outbox: Vec<Crossing>,
}

/// One core's ends of the rings, and the rule that says which flows are its own.
pub struct HandOver {
    core: CoreId,
    owners: Owners,
    /// By core; none at our own place.
    lanes: Box<[Option<Lane>]>,
    /// Cores that something was put before.
    reached: CoreSet,
    /// The core whose ring is looked at first.
    first: usize,
}

impl HandOver {
    /// The ends of each core that `owners` names, in order.
    #[must_use]
    pub fn between(owners: &Owners) -> Vec<Self> {
        let mut rows: Vec<Vec<Option<Lane>>> = Vec::new();
        for _core in 0..owners.cores() {
            // Joined with every core before it, whose next lane it is.
            let mut lanes = Vec::new();
            for row in &mut rows {
                let (to_it, from_earlier) = ring(HAND_OVER_LEN);
                let (to_earlier, from_it) = ring(HAND_OVER_LEN);
                row.push(Some(Lane::new(to_it, from_it)));
                lanes.push(Some(Lane::new(to_earlier, from_earlier)));
            }
            lanes.push(None);
            rows.push(lanes);
        }
        let ends = (0..).zip(rows).map(|(core, lanes)| Self {
            core: CoreId(core),
            owners: owners.clone(),
            lanes: lanes.into_boxed_slice(),
            reached: CoreSet::default(),
            first: 0,
        });
        ends.collect()
    }

    /// Which core this is.
    #[must_use]
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// Cores in all.
    pub(crate) fn cores(&self) -> usize {
        self.lanes.len()
    }

    /// The owner of a flow, if it is another core.
    #[inline]
    pub(crate) fn other_owner(
        &self,
        source: (Address, u16),
        destination: (Address, u16),
    ) -> Option<CoreId> {
        let owner = self.owners.owner(source, destination);
        (owner != self.core).then_some(owner)
    }

    /// Lays a received packet aside for its owner, another core.
    #[inline]
    pub(crate) fn give(&mut self, owner: CoreId, frame: DetachedFrame) {
        let lane = self.lanes[usize::from(owner.0)].as_mut();
        let lane = lane.expect("the owner is another core");
        lane.outbox.push(Crossing::Segment(frame));
    }

    /// Tells all other cores, as far as there is room to spare.
    pub(crate) fn tell(&mut self, heard: Heard, counters: &mut Counters) {
        for lane in self.lanes.iter_mut().flatten() {
            if lane.towards.free() > HEARD_ROOM_MIN {
                lane.outbox.push(Crossing::Heard(heard));
                counters.neighbours_told += 1;
            } else {
                counters.neighbours_untold += 1;
            }
        }
    }

    /// Puts everything that was laid aside into the rings.
    pub(crate) fn flush(&mut self, arena: &mut CoreArena, counters: &mut Counters) {
        for (core, lane) in (0..).zip(&mut self.lanes) {
            let Some(lane) = lane else { continue };
            if lane.outbox.is_empty() {
                continue;
            }
            let mut leaving = lane.outbox.drain(..);
            if lane.towards.push_from(&mut leaving) > 0 {
                self.reached.insert(CoreId(core));
            }
            for left in leaving {
                let Crossing::Segment(frame) = left else {
                    unreachable!("news are laid aside only where a whole burst fits");
                };
                let frame = arena.attach(frame);
                arena.free(frame);
                counters.drop_for(DropReason::HandOverFull);
            }
        }
    }

    /// Takes what others have put before this core, at most a burst: segments into `rx`, which is
    /// empty, and news into `ip`.
    pub(crate) fn take(
        &mut self,
        arena: &mut CoreArena,
        ip: &mut ip::Ip,
        now: Instant,
        rx: &mut Burst,
        counters: &mut Counters,
    ) -> usize {
        let cores = self.lanes.len();
        let mut taken = 0;
        for step in 0..cores {
            let Some(lane) = &mut self.lanes[(self.first + step) % cores] else { continue };
            taken += lane.from.pop_into(BURST - taken, |crossing| match crossing {
                Crossing::Segment(frame) => {
                    counters.rx_taken_over += 1;
                    rx.push(arena.attach(frame)).expect("no more than a burst are taken");
                }
                Crossing::Heard(heard) => {
                    counters.neighbours_heard += 1;
                    ip.learn(heard, now);
                }
            });
        }
        // Whoever was served last is looked at last.
        self.first = (self.first + 1) % cores;
        taken
    }

    /// Whether something waits for this core.
    pub(crate) fn has_waiting(&self) -> bool {
        self.lanes.iter().flatten().any(|lane| !lane.from.is_empty())
    }

    /// Cores that something was put before since this was last asked.
    pub(crate) fn take_reached(&mut self) -> CoreSet {
        core::mem::take(&mut self.reached)
    }

    /// Frees what waits for this core, when it is taken down.
    pub(crate) fn drain_into(&mut self, arena: &mut CoreArena) {
        for lane in self.lanes.iter_mut().flatten() {
            lane.from.pop_into(usize::MAX, |crossing| match crossing {
                Crossing::Segment(frame) => {
                    let frame = arena.attach(frame);
                    arena.free(frame);
                }
                Crossing::Heard(_) => {}
            });
        }
    }
}

impl Lane {
    fn new(towards: Producer<Crossing>, from: Consumer<Crossing>) -> Self {
        // A frame is a segment or teaches something, so a burst brings so many at most.
        Self { towards, from, outbox: Vec::with_capacity(BURST) }
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOver")
            .field("core", &self.core)
            .field("cores", &self.lanes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use memory::{FrameArena, FrameGeometry, PageChoice};
    use wire::{MacAddress, arp, ethernet};

    use super::*;

    /// What a question to 10.0.0.1 teaches.
    fn heard() -> Heard {
        let addresses = vec!["10.0.0.1/24".parse().unwrap()];
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        let config = ip::Config { mac, addresses, ..ip::Config::default() };
        let mut ip = ip::Ip::new(&config, [3; 32]).unwrap();
        let asker = MacAddress([2, 0, 0, 0, 0, 9]);
        let mut bytes = vec![0; ethernet::HEADER_LEN + arp::PACKET_LEN];
        let ethertype = ethernet::EtherType::ARP;
        let destination = MacAddress::BROADCAST;
        ethernet::Repr { destination, source: asker, ethertype }.emit(&mut bytes);
        let question = arp::Repr {
            operation: arp::Operation::Request,
            sender_mac: asker,
            sender_ip: "10.0.0.9".parse().unwrap(),
            target_mac: MacAddress::ZERO,
            target_ip: "10.0.0.1".parse().unwrap(),
        };
        question.emit(&mut bytes[ethernet::HEADER_LEN..]);
        ip.handle_frame(&mut bytes, Instant::ZERO);
        ip.take_heard().expect("a question teaches")
    }

    #[test]
    fn a_flood_of_news_leaves_half_of_each_ring_to_segments() {
        let mut ends = HandOver::between(&Owners::evenly(&[5; 40], 3));
        let frames = FrameArena::new(
            FrameGeometry {
                frames: 2_048,
                frame_len: 2_048,
                headroom: 128,
                cores: 1,
                reserve_per_core: 16,
            },
            PageChoice::Base,
        );
        let mut arena = frames.unwrap().core().unwrap();
        let (mut counters, heard) = (Counters::default(), heard());
        for _ in 0..2_000 {
            ends[0].tell(heard, &mut counters);
            ends[0].flush(&mut arena, &mut counters);
        }
        let told = 2 * (HAND_OVER_LEN - HEARD_ROOM_MIN) as u64;
        assert_eq!((counters.neighbours_told, counters.neighbours_untold), (told, 4_000 - told));
        for _ in 0..HEARD_ROOM_MIN + 7 {
            let frame = arena.allocate().unwrap();
            ends[0].give(CoreId(2), arena.detach(frame).unwrap());
            ends[0].flush(&mut arena, &mut counters);
        }
        assert_eq!(counters.dropped(DropReason::HandOverFull), 7);
        assert!(ends[0].take_reached().iter().eq([CoreId(1), CoreId(2)]));
        ends[2].drain_into(&mut arena);
        assert!(!ends[2].has_waiting() && ends[1].has_waiting());
        assert_eq!(arena.frames_held(), 0);
    }
}
