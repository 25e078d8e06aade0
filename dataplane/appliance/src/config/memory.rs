//! `[memory]`: the frames that packets lie in, and the pages under everything.

use memory::{FrameGeometry, PageChoice};
use settings::{At, Ledger, Section, show_size};

use super::workers::Workers;
use crate::limits::{
    FRAME_LENS, FRAMES, FRAMES_MAX, FRAMES_MIN, FRAMES_RESERVED, FRAMES_SCARCE, HEADROOM,
};

/// Frames and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) frames: FrameGeometry,
    pub(crate) pages: PageChoice,
}

const PAGES: &[(&str, PageChoice)] =
    &[("best", PageChoice::Best), ("huge", PageChoice::RequireHuge), ("base", PageChoice::Base)];

/// The word for a choice of pages, as the file has it.
pub(crate) fn pages_name(pages: PageChoice) -> &'static str {
    match pages {
        PageChoice::Best => "best",
        PageChoice::RequireHuge => "huge",
        PageChoice::Base => "base",
    }
}

/// Reads the length of a frame, which others depend on.
pub(crate) fn frame_len(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<u32> {
    let [short, long] = FRAME_LENS;
    let At { value, place } = section.size("frame_len", short, 0..=u32::MAX, ledger)?;
    if FRAME_LENS.contains(&value) {
        return Some(value);
    }
    let wrong = format!("a frame of {value} bytes");
    let right = format!("use \"{}\" or \"{}\"", show_size(short.into()), show_size(long.into()));
    ledger.refuse(place, &section.path("frame_len"), wrong, right);
    None
}

/// Who takes frames, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takers<'a> {
    /// Known where `[workers]` is right.
    pub(crate) workers: Option<&'a Workers>,
    /// Entries of the ring through which each worker lends frames to the card, if it does.
    pub(crate) ring_size: Option<u32>,
}

/// Reads the section.
pub(crate) fn read(
    section: Section<'_>,
    frame_len: Option<u32>,
    takers: Takers<'_>,
    ledger: &mut Ledger<'_>,
) -> Option<Memory> {
    let count = takers.workers.map_or(1, |workers| workers.count);
    let (all, ring) = (u32::from(count), takers.ring_size.unwrap_or(0));
    let default = FRAMES.max((FRAMES_MIN + ring) * all);
    let frames = section.number("frames", default, FRAMES_MIN..=FRAMES_MAX, ledger);
    let pages = section.choice("pages", PageChoice::Best, PAGES, ledger);
    // All workers' rings are filled from one arena, and each needs frames besides.
    let lent_and_free = (ring + FRAMES_SCARCE) * all;
    let least = (FRAMES_MIN * all).max(lent_and_free);
    if let Some(At { value, place }) = frames
        && value < least
    {
        let (workers, their) = if all == 1 { ("worker", "its") } else { ("workers", "their") };
        let (wrong, right) = if lent_and_free > FRAMES_MIN * all {
            let wrong = format!(
                "{value} frames are too few for {all} {workers}: {their} rings alone hold {}",
                ring * all
            );
            (wrong, format!("use at least {least}, or a smaller interface.ring_size"))
        } else {
            let wrong = format!("{value} frames are too few for {all} {workers}");
            (wrong, format!("use at least {least}"))
        };
        ledger.refuse(place, &section.path("frames"), wrong, right);
        return None;
    }
    let frames = FrameGeometry {
        frames: frames?.value,
        frame_len: frame_len?,
        headroom: HEADROOM,
        cores: count,
        reserve_per_core: FRAMES_RESERVED,
    };
    Some(Memory { frames, pages: pages?.value })
}
