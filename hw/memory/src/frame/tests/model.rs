//! Random steps of two cores against a naive model, and frames between real threads.

use std::{collections::HashMap, sync::mpsc};

use super::{super::*, filled};
use crate::{PageChoice, seeded::Seeded};

/// What the model knows of a frame: who refers to it and what its bytes are from the headroom on.
#[derive(Debug, Clone, Default)]
struct Known {
    references: usize,
    content: Vec<u8>,
}

/// One reference.
struct Reference {
    kind: Kind,
    place: Place,
}

/// Where a reference lies and what it should show.
#[derive(Clone, Copy)]
struct Place {
    core: usize,
    index: u32,
    start: usize,
    len: usize,
}

enum Kind {
    Handle(Frame),
    Stowed(Stowed),
    Detached(DetachedFrame),
    Lent(Lent),
}

struct Model {
    rng: Seeded,
    arena: FrameArena,
    cores: Vec<CoreArena>,
    known: HashMap<u32, Known>,
    references: Vec<Reference>,
}

const FRAMES: u32 = 1500;
const HEADROOM: usize = 64;

impl Model {
    fn new(name: &str) -> Self {
        let geometry = FrameGeometry {
            frames: FRAMES,
            frame_len: 2048,
            headroom: 64,
            cores: 2,
            reserve_per_core: 20,
        };
        let arena = FrameArena::new(geometry, PageChoice::Best).unwrap();
        let cores = std::iter::from_fn(|| arena.core()).collect();
        let (known, references) = (HashMap::new(), Vec::new());
        Self { rng: Seeded::new(name), arena, cores, known, references }
    }

    fn allocate(&mut self) {
        let at = self.rng.below(2);
        let core = &mut self.cores[at];
        let reserved = self.rng.below(10) == 0;
        let frame = if reserved { core.allocate_reserved() } else { core.allocate() };
        let Some(mut frame) = frame else {
            assert_eq!(self.arena.frames_home(), 0, "refused while the home pool has frames");
            assert!(core.frames_free() <= if reserved { 0 } else { 20 });
            return;
        };
        assert_eq!((frame.offset(), frame.len()), (HEADROOM, 0));
        let len = self.rng.below(200);
        let content: Vec<u8> = (0..len).map(|_at| self.rng.next().to_le_bytes()[0]).collect();
        core.set_len(&mut frame, len);
        core.bytes_mut(&mut frame).copy_from_slice(&content);
        let index = frame.index();
        let known = self.known.insert(index, Known { references: 1, content });
        assert!(known.is_none(), "frame {index} was given out twice");
        self.keep(Kind::Handle(frame), Place { core: at, index, start: 0, len });
    }

    /// One random step with one random reference.
    fn step(&mut self) {
        let Some(last) = self.references.len().checked_sub(1) else {
            return;
        };
        let chosen = self.rng.below(last + 1);
        let Reference { kind, place } = self.references.swap_remove(chosen);
        let Place { core, start, len, .. } = place;
        match kind {
            Kind::Handle(frame) => self.step_handle(frame, place),
            Kind::Stowed(stowed) => self.step_stowed(stowed, place),
            Kind::Detached(detached) => {
                let core = self.rng.below(2);
                let frame = self.cores[core].attach(detached);
                self.keep(Kind::Handle(frame), Place { core, ..place });
            }
            Kind::Lent(lent) => {
                let offset = u16::try_from(HEADROOM + start).unwrap();
                let len = u16::try_from(len).unwrap();
                let frame = self.cores[core].reclaim(lent, offset, len);
                self.keep(Kind::Handle(frame), place);
            }
        }
    }

    fn step_handle(&mut self, mut frame: Frame, mut place: Place) {
        let Place { core, index, start, len } = place;
        let core = &mut self.cores[core];
        let known = self.known.get_mut(&index).expect("a reference has a frame");
        let kind = match self.rng.below(8) {
            0 | 1 => {
                core.free(frame);
                return self.forget_one(index);
            }
            2 => {
                known.references += 1;
                let shared = core.share(&frame);
                self.keep(Kind::Handle(shared), place);
                Kind::Handle(frame)
            }
            3 => Kind::Stowed(core.stow(frame)),
            4 => {
                let n = self.rng.below(len + 1);
                frame.trim_front(n);
                (place.start, place.len) = (start + n, len - n);
                Kind::Handle(frame)
            }
            5 if known.references == 1 => {
                let byte = self.rng.next().to_le_bytes()[0];
                core.bytes_mut(&mut frame).fill(byte);
                known.content[start..start + len].fill(byte);
                Kind::Handle(frame)
            }
            6 => core.detach(frame).map_or_else(Kind::Handle, Kind::Detached),
            _ => core.lend(frame).map_or_else(Kind::Handle, Kind::Lent),
        };
        self.keep(kind, place);
    }

    fn step_stowed(&mut self, mut stowed: Stowed, mut place: Place) {
        let Place { core, index, start, len } = place;
        let core = &mut self.cores[core];
        let known = self.known.get_mut(&index).expect("a reference has a frame");
        let kind = match self.rng.below(5) {
            0 => {
                core.release(stowed);
                return self.forget_one(index);
            }
            1 => {
                known.references += 1;
                let shared = core.share_stowed(stowed);
                self.keep(Kind::Handle(shared), place);
                Kind::Stowed(stowed)
            }
            2 => {
                stowed.extend_front(start);
                (place.start, place.len) = (0, start + len);
                Kind::Stowed(stowed)
            }
            3 => {
                let bytes = core.stowed_bytes_mut(stowed);
                assert_eq!(bytes.is_some(), known.references == 1);
                if let Some(bytes) = bytes {
                    bytes.reverse();
                    known.content[start..start + len].reverse();
                }
                Kind::Stowed(stowed)
            }
            _ => Kind::Handle(core.unstow(stowed)),
        };
        self.keep(kind, place);
    }

    fn keep(&mut self, kind: Kind, place: Place) {
        self.references.push(Reference { kind, place });
    }

    fn forget_one(&mut self, index: u32) {
        let known = self.known.get_mut(&index).expect("a reference has a frame");
        known.references -= 1;
        if known.references == 0 {
            self.known.remove(&index);
        }
    }

    /// Every reference shows what it should, and every frame is somewhere.
    fn check(&self) {
        let mut on_the_way = 0;
        for Reference { kind, place } in &self.references {
            let Place { core, index, start, len } = place;
            let (core, known) = (&self.cores[*core], &self.known[index]);
            let expected = &known.content[*start..start + len];
            match kind {
                Kind::Handle(frame) => {
                    assert_eq!(core.bytes(frame), expected);
                    assert_eq!(usize::from(core.references(frame)), known.references);
                }
                Kind::Stowed(stowed) => {
                    assert_eq!(core.stowed_bytes(*stowed), expected);
                    assert_eq!(core.stowed_is_unshared(*stowed), known.references == 1);
                }
                Kind::Detached(_) => on_the_way += 1,
                Kind::Lent(_) => assert_eq!(known.references, 1),
            }
        }
        let sum = |count: fn(&CoreArena) -> u32| self.cores.iter().map(count).sum::<u32>();
        let (free, lent) = (sum(CoreArena::frames_free), sum(CoreArena::frames_lent));
        let held = sum(CoreArena::frames_held);
        assert_eq!(held + lent + on_the_way, u32::try_from(self.known.len()).unwrap());
        assert_eq!(free + held + lent + on_the_way + self.arena.frames_home(), FRAMES);
    }

    /// Gives everything back; nothing is missing.
    fn finish(mut self) {
        while !self.references.is_empty() {
            self.step();
        }
        self.check();
        assert!(self.known.is_empty());
        for core in &self.cores {
            assert_eq!((core.frames_held(), core.frames_lent(), core.frames_stowed()), (0, 0, 0));
        }
    }
}

#[test]
fn random_steps_of_two_cores_follow_the_model() {
    let mut model = Model::new("random_steps_of_two_cores_follow_the_model");
    for step in 0..if cfg!(miri) { 300 } else { 60_000 } {
        // Long waves from nearly empty to exhausted and back.
        let grows = (step / 6000) % 2 == 0;
        if model.rng.below(10) < if grows { 6 } else { 1 } {
            model.allocate();
        } else {
            model.step();
        }
        if model.rng.below(50) == 0 {
            let at = model.rng.below(2);
            model.cores[at].exchange();
        }
        if step % 500 == 0 {
            model.check();
        }
    }
    model.check();
    model.finish();
}

#[test]
fn frames_between_threads_arrive_whole_and_come_home() {
    let total = if cfg!(miri) { 100 } else { 50_000_u32 };
    let geometry = FrameGeometry {
        frames: if cfg!(miri) { 128 } else { 4096 },
        frame_len: 2048,
        headroom: 64,
        cores: 2,
        reserve_per_core: 8,
    };
    let arena = FrameArena::new(geometry, PageChoice::Best).unwrap();
    let (mut sender, mut receiver) = (arena.core().unwrap(), arena.core().unwrap());
    let (to_receiver, from_sender) = mpsc::sync_channel(64);
    // Frames flow one way only, so they come back through the home pool.
    let receiving = std::thread::spawn(move || {
        for number in 0..total {
            let mut frame = receiver.attach(from_sender.recv().unwrap());
            assert_eq!(receiver.bytes(&frame), number.to_le_bytes());
            receiver.bytes_mut(&mut frame).fill(0xff);
            receiver.free(frame);
            receiver.exchange();
        }
        receiver
    });
    for number in 0..total {
        while sender.frames_free() <= 8 && arena.frames_home() == 0 {
            std::thread::yield_now();
        }
        let frame = filled(&mut sender, &number.to_le_bytes());
        to_receiver.send(sender.detach(frame).unwrap()).unwrap();
    }
    let receiver = receiving.join().unwrap();
    let free = sender.frames_free() + receiver.frames_free() + arena.frames_home();
    assert_eq!((free, sender.frames_held() + receiver.frames_held()), (geometry.frames, 0));
}
