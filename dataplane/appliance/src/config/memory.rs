//! `[memory]`: the frames that packets lie in, and the pages under everything.

use memory::{FrameGeometry, PageChoice};

use super::section::{At, Ledger, Section};
use super::size;
use super::workers::Workers;
use crate::limits::{FRAME_LENS, FRAMES, FRAMES_MAX, FRAMES_MIN, FRAMES_RESERVED, HEADROOM};

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
pub(crate) fn frame_len(section: Section<'_>, ledger: &mut Ledger) -> Option<u32> {
    let [short, long] = FRAME_LENS;
    let At { value, line } = section.size("frame_len", short, 0..=u32::MAX, ledger)?;
    if FRAME_LENS.contains(&value) {
        return Some(value);
    }
    let wrong = format!("a frame of {value} bytes");
    let right = format!("use \"{}\" or \"{}\"", size::show(short.into()), size::show(long.into()));
    ledger.refuse(line, &section.path("frame_len"), wrong, right);
    None
}

/// Reads the section. The workers, who share the frames, are known where `[workers]` is right.
pub(crate) fn read(
    section: Section<'_>,
    frame_len: Option<u32>,
    workers: Option<&Workers>,
    ledger: &mut Ledger,
) -> Option<Memory> {
    let count = workers.map_or(1, |workers| workers.count);
    let least = FRAMES_MIN * u32::from(count);
    let frames = section.number("frames", FRAMES.max(least), FRAMES_MIN..=FRAMES_MAX, ledger);
    let pages = section.choice("pages", PageChoice::Best, PAGES, ledger);
    if let Some(At { value, line }) = frames
        && value < least
    {
        let wrong = format!("{value} frames are too few for {count} workers");
        ledger.refuse(line, &section.path("frames"), wrong, format!("use at least {least}"));
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
