//! Frames when there are few: who may hold one more, and who gives way.
//!
//! The naive rule is one mark for all: whoever comes while more frames are free than the mark takes
//! one. Then some hundred peers that read nothing hold every frame above the mark, each of them as
//! many as its window or its queue allows, and who comes with one small request finds none.
//!
//! Three rules instead. A connection may take another frame only while more frames are free above
//! the mark than it holds already (the dynamic threshold of Choudhury and Hahne, 1998), which costs
//! an addition and binds nobody while frames abound. That alone is not enough: who never reads gives
//! nothing back, and each newcomer may take half of what the last one left. So while frames are
//! short, nobody holds more than is of use: twice what both windows let be in flight. A window that
//! is shut is worth two frames, and a session that waits costs less than a frame. And where so many
//! come that hardly any are left all the same, the one who holds most among those whose peers have
//! taken nothing for a while is reset; a few are looked at in each turn.

use base::Instant;
use memory::CoreArena;

use crate::congestion;
use crate::connections::{CloseReason, Tcp};
use crate::limits::{SCARCITY_STALL_MS, SCARCITY_STEP};
use crate::record::Flags;
use crate::timer::Due;
use crate::{Cx, Reply};

impl Tcp {
    /// Whether a connection may hold one more frame.
    #[inline]
    pub(crate) fn may_hold(&mut self, arena: &CoreArena, at: u32) -> bool {
        let held = self.extensions[at].frames;
        let least = self.config.frames_free_min.saturating_add(held);
        arena.has_free(least.max(self.config.frames_short))
            || arena.has_free(least) && held < self.frames_of_use(at)
    }

    /// Frames with which a connection can do something: a window's worth in flight, one that
    /// follows, and one more for each.
    fn frames_of_use(&mut self, at: u32) -> u32 {
        let extension = &mut self.extensions[at];
        let window = congestion::controller(extension).window().min(extension.snd_wnd);
        (window / u32::from(extension.mss)).saturating_mul(2).saturating_add(2)
    }

    /// While frames are scarce: resets who holds most of the next few that take nothing.
    pub(crate) fn poll_scarcity(&mut self, cx: &mut Cx<'_>) -> Option<Due> {
        if cx.arena.has_free(self.config.frames_scarce) {
            return None;
        }
        let index = self.worst_holder(cx.now)?;
        self.counters.frames_reclaimed += 1;
        let reply: Reply = self.reset_and_end(cx, index, CloseReason::FramesScarce);
        Some(Due::Reply(reply))
    }

    /// The record of who holds most frames among the next few that have not moved.
    fn worst_holder(&mut self, now: Instant) -> Option<u32> {
        let slots = self.extensions.high_water();
        let now_ms = now.as_millis_wrapped();
        let mut worst = None;
        for _ in 0..SCARCITY_STEP.min(slots) {
            if self.scarcity_next >= slots {
                self.scarcity_next = 0;
            }
            let at = self.scarcity_next;
            self.scarcity_next += 1;
            let Some(extension) = self.extensions.get(at) else { continue };
            // What lies in a free slot was left there: only its record knows its extension.
            let index = extension.record;
            let is_lent = self.records.get(index).is_some_and(|record| {
                record.is_live() && record.has(Flags::BUSY) && record.extension == at
            });
            let still_ms = now_ms.wrapping_sub(extension.moved_ms);
            let is_stalled = still_ms >= SCARCITY_STALL_MS && extension.frames > 0;
            let is_more = worst.is_none_or(|(frames, _)| extension.frames > frames);
            if is_lent && is_stalled && is_more {
                worst = Some((extension.frames, index));
            }
        }
        worst.map(|(_, index)| index)
    }
}
