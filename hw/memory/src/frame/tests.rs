//! Tests of the frames: rules one by one, and random steps against a model (`tests/model.rs`).
#![cfg(not(loom))]

mod model;

use super::*;
use crate::{ArenaError, PageChoice, limits::BATCH};

const GEOMETRY: FrameGeometry =
    FrameGeometry { frames: 8, frame_len: 2048, headroom: 128, cores: 2, reserve_per_core: 1 };

const BATCH_FRAMES: u32 = 64;
const _: () = assert!(BATCH == BATCH_FRAMES as usize);

fn arena() -> FrameArena {
    FrameArena::new(GEOMETRY, PageChoice::Base).unwrap()
}

fn core() -> CoreArena {
    arena().core().unwrap()
}

/// A frame of this content.
fn filled(core: &mut CoreArena, content: &[u8]) -> Frame {
    let mut frame = core.allocate().unwrap();
    core.set_len(&mut frame, content.len());
    core.bytes_mut(&mut frame).copy_from_slice(content);
    frame
}

#[test]
fn handles_are_small_and_move_as_they_may() {
    fn is_send<T: Send>() {}
    is_send::<DetachedFrame>();
    is_send::<CoreArena>();
    is_send::<FrameArena>();
    assert_eq!((size_of::<Frame>(), size_of::<Stowed>()), (12, 8));
}

#[test]
fn a_new_frame_is_empty_behind_its_headroom() {
    let mut core = core();
    let frame = core.allocate().unwrap();
    assert!(frame.is_empty());
    assert_eq!((frame.offset(), frame.len(), frame.flags()), (128, 0, 0));
    assert_eq!(core.tailroom(&frame), 2048 - 128);
    assert_eq!((core.frame_len(), core.headroom()), (2048, 128));
    core.free(frame);
}

#[test]
fn a_range_shrinks_and_grows_over_the_same_bytes() {
    let mut core = core();
    let mut frame = filled(&mut core, b"headerpayload");
    frame.set_flags(0xbeef);
    frame.trim_front(6);
    assert_eq!(core.bytes(&frame), b"payload");
    frame.truncate(3);
    frame.truncate(9);
    assert_eq!(core.bytes(&frame), b"pay");
    core.extend_front(&mut frame, 6);
    assert_eq!(core.bytes(&frame), b"headerpay");
    core.set_len(&mut frame, 13);
    assert_eq!(core.bytes(&frame), b"headerpayload");
    core.extend_front(&mut frame, 128);
    assert_eq!((frame.offset(), frame.len(), frame.flags()), (0, 141, 0xbeef));
    core.free(frame);
}

#[test]
fn a_frame_can_be_filled_to_its_last_byte() {
    let mut core = core();
    let mut frame = core.allocate().unwrap();
    core.set_len(&mut frame, 2048 - 128);
    core.bytes_mut(&mut frame).fill(0xaa);
    assert_eq!(core.tailroom(&frame), 0);
    let mut next = core.allocate().unwrap();
    core.set_len(&mut next, 2048 - 128);
    assert!(core.bytes(&next).iter().all(|byte| *byte == 0), "it ran into its neighbour");
}

#[test]
fn a_shared_frame_returns_with_its_last_reference() {
    let mut core = core();
    let frame = filled(&mut core, b"shared");
    let other = core.share(&frame);
    assert!(!core.is_unshared(&frame));
    let stowed = core.stow(other);
    assert_eq!((core.references(&frame), core.frames_held()), (2, 1));
    core.free(frame);
    assert_eq!(core.frames_held(), 1);
    assert!(core.stowed_is_unshared(stowed));
    assert_eq!(core.stowed_bytes(stowed), b"shared");
    core.release(stowed);
    assert_eq!((core.frames_held(), core.frames_free()), (0, 4));
}

#[test]
fn a_stowed_frame_is_written_only_while_nothing_else_refers_to_it() {
    let mut core = core();
    let frame = filled(&mut core, b"bytes");
    let stowed = core.stow(frame);
    core.stowed_bytes_mut(stowed).unwrap()[0] = b'B';
    let other = core.share_stowed(stowed);
    assert_eq!(core.bytes(&other), b"Bytes");
    assert!(core.stowed_bytes_mut(stowed).is_none());
    core.free(other);
    assert!(core.stowed_bytes_mut(stowed).is_some());
    let frame = core.unstow(stowed);
    assert_eq!((core.bytes(&frame), core.frames_stowed()), (&b"Bytes"[..], 0));
    core.free(frame);
}

#[test]
fn a_stowed_range_narrows_and_widens() {
    let mut core = core();
    let frame = filled(&mut core, b"0123456789");
    let mut stowed = core.stow(frame);
    assert_eq!(core.stowed_bytes(stowed.range(2, 5)), b"23456");
    assert_eq!(core.stowed_bytes(stowed.range(10, 0)), b"");
    stowed.trim_front(4);
    stowed.truncate(2);
    assert_eq!(core.stowed_bytes(stowed), b"45");
    stowed.extend_front(1);
    assert_eq!(core.stowed_bytes(stowed), b"345");
    assert_eq!(core.stowed_tailroom(stowed), 2048 - 128 - 6);
    core.release(stowed);
}

#[test]
fn the_reserve_is_for_those_who_ask_for_it() {
    let mut core = core();
    let frames: Vec<Frame> = std::iter::from_fn(|| core.allocate()).collect();
    assert_eq!((frames.len(), core.frames_free()), (3, 1));
    let reserved = core.allocate_reserved().unwrap();
    assert_eq!(core.allocate_reserved(), None);
    core.free(reserved);
    assert_eq!(core.allocate(), None, "the reserve was given away");
    frames.into_iter().for_each(|frame| core.free(frame));
    assert_eq!((core.frames_free(), core.frames_held()), (4, 0));
}

#[test]
fn the_frame_freed_last_is_given_out_first() {
    let mut core = core();
    let (one, two) = (core.allocate().unwrap(), core.allocate().unwrap());
    let index = one.index();
    core.free(two);
    core.free(one);
    assert_eq!(core.allocate().unwrap().index(), index);
}

#[test]
fn each_core_is_handed_out_once() {
    let arena = arena();
    let cores = [arena.core(), arena.clone().core(), arena.core()];
    assert_eq!(cores.each_ref().map(Option::is_some), [true, true, false]);
    assert_eq!(cores.iter().flatten().map(CoreArena::frames_free).sum::<u32>(), 8);
}

#[test]
fn a_core_knows_whose_view_it_is() {
    let (one, other) = (arena(), arena());
    let core = one.core().unwrap();
    assert!(core.is_of(&one));
    assert!(!core.is_of(&other));
}

#[test]
fn one_core_can_use_every_frame_of_the_home_pool() {
    let frames = 3000;
    let geometry = FrameGeometry { frames, cores: 2, reserve_per_core: 10, ..GEOMETRY };
    let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
    let (mut core, other) = (arena.core().unwrap(), arena.core().unwrap());
    let share = other.frames_free();
    assert_eq!(arena.frames_home(), frames - 2 * share);
    for _round in 0..3 {
        let taken: Vec<Frame> = std::iter::from_fn(|| core.allocate()).collect();
        assert_eq!(taken.len(), (frames - share - 10) as usize);
        assert_eq!(arena.frames_home(), 0);
        let mut seen: Vec<u32> = taken.iter().map(Frame::index).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), taken.len(), "a frame was given out twice");
        taken.into_iter().for_each(|frame| core.free(frame));
        assert_eq!(core.frames_free() + arena.frames_home() + share, frames);
        assert!(core.frames_free() < share + BATCH_FRAMES, "the core hoards");
    }
}

#[test]
fn an_exchange_moves_at_most_one_batch() {
    let geometry = FrameGeometry { frames: 2000, cores: 1, reserve_per_core: 0, ..GEOMETRY };
    let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
    let mut core = arena.core().unwrap();
    let mut taken = Vec::new();
    while core.frames_free() > 10 {
        taken.extend(core.allocate());
    }
    core.exchange();
    assert_eq!(core.frames_free(), 10 + BATCH_FRAMES);
    core.exchange();
    assert_eq!(core.frames_free(), 10 + BATCH_FRAMES);
    let kept = crate::limits::POOL_KEPT + BATCH / 2;
    while (core.frames_free() as usize) < kept {
        core.free(taken.pop().unwrap_or_else(|| panic!("{core:?}")));
    }
    core.exchange();
    assert_eq!(core.frames_free() as usize, kept - BATCH);
}

#[test]
fn a_frame_crosses_cores_with_its_bytes_and_flags() {
    let arena = arena();
    let (mut one, mut other) = (arena.core().unwrap(), arena.core().unwrap());
    let mut frame = filled(&mut one, b"across");
    frame.set_flags(3);
    let copy = one.share(&frame);
    let frame = one.detach(frame).expect_err("a shared frame was detached");
    one.free(copy);
    let detached = one.detach(frame).unwrap();
    assert_eq!(one.frames_held(), 0);
    let frame = std::thread::spawn(move || {
        let frame = other.attach(detached);
        assert_eq!((other.bytes(&frame), frame.flags()), (&b"across"[..], 3));
        other.free(frame);
        other
    });
    let other = frame.join().unwrap();
    // The second one has its share already, so the frame went home.
    assert_eq!((one.frames_free(), other.frames_free(), arena.frames_home()), (3, 4, 1));
}

#[test]
fn a_lent_frame_is_reclaimed_over_what_the_device_wrote() {
    let mut core = core();
    let frame = filled(&mut core, b"lent");
    let offset = narrow(frame.offset());
    let other = core.share(&frame);
    let frame = core.lend(frame).expect_err("a shared frame was lent");
    core.free(other);
    let lent = core.lend(frame).unwrap();
    assert_eq!((core.frames_held(), core.frames_lent()), (0, 1));
    let index = lent.into_index();
    // SAFETY: no device has it.
    let lent = unsafe { core.lent(index) };
    let frame = core.reclaim(lent, offset + 1, 3);
    assert_eq!(core.bytes(&frame), b"ent");
    assert_eq!((core.frames_held(), core.frames_lent()), (1, 0));
    core.free(frame);
}

#[test]
fn impossible_geometries_are_refused_with_what_would_do() {
    let refused = |geometry| match FrameArena::new(geometry, PageChoice::Base) {
        Err(ArenaError::ConfigGeometry(error)) => error,
        other => panic!("{other:?}"),
    };
    let frame_len = 3000;
    let error = refused(FrameGeometry { frame_len, ..GEOMETRY });
    assert_eq!(error, GeometryError::ConfigFrameLen { frame_len });
    let error = refused(FrameGeometry { headroom: 2048, ..GEOMETRY });
    assert_eq!(error, GeometryError::ConfigHeadroom { headroom: 2048, frame_len: 2048 });
    assert_eq!(refused(FrameGeometry { cores: 0, ..GEOMETRY }), GeometryError::ConfigCores);
    let error = refused(FrameGeometry { reserve_per_core: 4, ..GEOMETRY });
    assert!(error.to_string().contains("at least 10 frames"), "{error}");
    let error = refused(FrameGeometry { reserve_per_core: u32::MAX, cores: 9, ..GEOMETRY });
    assert!(matches!(error, GeometryError::ConfigFrames { .. }), "{error}");
}

#[test]
#[should_panic(expected = "where it has the count Some(Count { held: 0, stowed: 0 })")]
fn a_handle_of_another_core_panics() {
    let arena = arena();
    let (mut one, other) = (arena.core().unwrap(), arena.core().unwrap());
    let frame = one.allocate().unwrap();
    other.bytes(&frame).to_vec();
}

#[test]
#[should_panic(expected = "used on a core of arena")]
fn a_handle_of_another_arena_panics() {
    let (mut one, mut other) = (core(), core());
    let (frame, _same_index) = (one.allocate().unwrap(), other.allocate().unwrap());
    other.free(frame);
}

#[test]
#[should_panic(expected = "is attached to arena")]
fn a_detached_frame_of_another_arena_panics() {
    let (mut one, mut other) = (core(), core());
    let frame = one.allocate().unwrap();
    let detached = one.detach(frame).unwrap();
    drop(other.attach(detached));
}

#[test]
#[should_panic(expected = "is written while it has 2 references")]
fn writing_a_shared_frame_panics() {
    let mut core = core();
    let mut frame = filled(&mut core, b"shared");
    let _other = core.share(&frame);
    core.bytes_mut(&mut frame).fill(0);
}

#[test]
#[should_panic(expected = "1920 bytes are there")]
fn a_length_beyond_the_frame_panics() {
    let mut core = core();
    let mut frame = core.allocate().unwrap();
    core.set_len(&mut frame, 1921);
}

#[test]
#[should_panic(expected = "only 128 lie in front of it")]
fn more_headroom_than_there_is_panics() {
    let mut core = core();
    let mut frame = core.allocate().unwrap();
    core.extend_front(&mut frame, 129);
}

#[test]
#[should_panic(expected = "trim 5 bytes of a range of 4")]
fn trimming_more_than_there_is_panics() {
    let mut core = core();
    filled(&mut core, b"four").trim_front(5);
}

#[test]
#[should_panic(expected = "where it has the count Some(Count { held: 0, stowed: 0 })")]
fn a_stowed_copy_after_release_panics() {
    let mut core = core();
    let frame = filled(&mut core, b"once");
    let stowed = core.stow(frame);
    core.release(stowed);
    assert_eq!(core.stowed_bytes(stowed), b"never compared");
}

#[test]
fn forged_integers_panic_or_show_bytes_of_the_same_core() {
    let mut core = core();
    let frame = filled(&mut core, b"real");
    let real = core.stow(frame);
    let held = core.allocate().unwrap();
    let forged = [
        Stowed { index: u32::MAX, ..real },
        Stowed { index: GEOMETRY.frames, ..real },
        Stowed { index: held.index(), ..real },
        Stowed { index: 7, ..real },
        Stowed { offset: 2047, len: 2, ..real },
        Stowed { offset: u16::MAX, len: u16::MAX, ..real },
    ];
    for forged in forged {
        core.prefetch_stowed(forged);
        let mut call = |what: fn(&mut CoreArena, Stowed)| {
            let call = std::panic::AssertUnwindSafe(|| what(&mut core, forged));
            assert!(std::panic::catch_unwind(call).is_err(), "{forged:?} was taken");
        };
        call(|core, s| drop(core.stowed_bytes(s).to_vec()));
        call(|core, s| drop(core.stowed_bytes_mut(s).map(|bytes| bytes.to_vec())));
        call(|core, s| core.release(s));
        call(|core, s| drop(core.unstow(s)));
        call(|core, s| drop(core.share_stowed(s)));
        call(|core, s| assert!(core.stowed_tailroom(s) == 0 && core.stowed_is_unshared(s)));
    }
    let whole = Stowed { offset: 0, len: 2048, ..real };
    assert_eq!(&core.stowed_bytes(whole)[128..132], b"real");
}

#[test]
#[should_panic(expected = "where it has the count")]
fn reclaiming_what_was_not_lent_panics() {
    let mut core = core();
    let frame = core.allocate().unwrap();
    // SAFETY: no device has it.
    let lent = unsafe { core.lent(frame.index()) };
    drop(core.reclaim(lent, 0, 0));
}

#[test]
#[should_panic(expected = "bytes 2000 and 100 more")]
fn reclaiming_more_than_a_frame_panics() {
    let mut core = core();
    let frame = core.allocate().unwrap();
    let lent = core.lend(frame).unwrap();
    drop(core.reclaim(lent, 2000, 100));
}

#[test]
#[cfg(not(miri))]
#[should_panic(expected = "has 65534 references")]
fn a_frame_has_a_bounded_number_of_references() {
    let mut core = core();
    let frame = core.allocate().unwrap();
    for _reference in 0..=u16::MAX {
        drop(core.share(&frame));
    }
}

#[test]
fn a_core_that_only_receives_does_not_starve_the_one_that_sends() {
    for (cores, reserve_per_core) in [(2, 0), (2, 7), (3, 40), (8, 5)] {
        let least = u32::from(cores) * (reserve_per_core + 1);
        for frames in [least, least + 1, 3 * least, 30 * least, 2000 + 30 * least] {
            let geometry = FrameGeometry { frames, cores, reserve_per_core, ..GEOMETRY };
            let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
            let mut sender = arena.core().unwrap();
            let mut receivers: Vec<_> = std::iter::from_fn(|| arena.core()).collect();
            for number in 0..2 * frames as usize {
                let frame = sender.allocate().unwrap_or_else(|| panic!("{number}: {geometry:?}"));
                let detached = sender.detach(frame).unwrap();
                let at = number % receivers.len();
                let frame = receivers[at].attach(detached);
                receivers[at].free(frame);
            }
        }
    }
}
