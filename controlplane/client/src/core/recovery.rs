//! Grants whose answers were lost, and whose numbers are asked for.
//!
//! A registration that is sent again is answered that the port is this session's: by a grant whose
//! answer was lost, or by one that is known, or was. Only a grant that was never known is taken for
//! one that was lost. So what is released while such questions are under way is noted: its number may
//! be what they are answered.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use protocol::Sequence;

use super::batch::Tag;
use crate::limits::RELEASES_NOTED_MAX;
use crate::numbers::Numbers;

/// Questions for the number of a grant.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    under_way: usize,
    released: HashSet<Sequence, BuildHasherDefault<Numbers>>,
    /// Whether not all of them had a place.
    is_full: bool,
}

impl Recoveries {
    /// A number is asked for.
    pub(super) const fn on_asked(&mut self) {
        self.under_way += 1;
    }

    /// An item was answered, or never will be.
    pub(super) fn on_over(&mut self, tag: Tag) {
        if let Tag::Recover { .. } | Tag::RecoverWait { .. } = tag {
            self.under_way = self.under_way.saturating_sub(1);
            if self.under_way == 0 {
                self.forget_released();
            }
        }
    }

    /// A port was released.
    #[inline]
    pub(super) fn on_released(&mut self, sequence: Sequence) {
        if self.under_way > 0 {
            self.is_full |= self.released.len() >= RELEASES_NOTED_MAX;
            if !self.is_full {
                self.released.insert(sequence);
            }
        }
    }

    /// Whether a grant was, or may have been, released while numbers were asked for.
    pub(super) fn is_released(&self, sequence: Sequence) -> bool {
        self.is_full || self.released.contains(&sequence)
    }

    /// The numbers of another epoch or session begin.
    pub(super) fn forget_released(&mut self) {
        self.released.clear();
        self.is_full = false;
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
