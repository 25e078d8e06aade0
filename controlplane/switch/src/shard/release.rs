//! Unregistering, and grants that could not be told.

use super::{CHUNK, Seen, Shard};
use crate::limits::NAME_LEN_MAX;
use crate::slots::Over;
use crate::table::{Handle, Slot, Unregistered};

/// Why an item was not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotReleased {
    pub(crate) item: u32,
    pub(crate) code: UnregisterCode,
}

pub(crate) use protocol::UnregisterCode;

impl Shard {
    /// Releases ports of a session, each with the number of its item and its sequence. What was not
    /// released stands in `failures`, by rising item. Gives how many were.
    pub(crate) fn unregister<'a>(
        &mut self,
        items: impl Iterator<Item = (u32, &'a [u8], u64)>,
        session: u32,
        failures: &mut Vec<NotReleased>,
    ) -> u32 {
        let slot = self.slot_of(session);
        let mut items = items.peekable();
        let mut released = 0;
        while items.peek().is_some() {
            let mut names: [&[u8]; CHUNK] = [&[]; CHUNK];
            let mut sequences = [0_u64; CHUNK];
            let mut numbers = [0_u32; CHUNK];
            let mut count = 0;
            let places = numbers.iter_mut().zip(&mut names).zip(&mut sequences);
            for (((number, name), sequence), item) in places.zip(&mut items) {
                (*number, *name, *sequence) = item;
                count += 1;
            }
            released +=
                self.release(&names[..count], &sequences[..count], slot, &mut |at, code| {
                    failures.push(NotReleased { item: numbers[at], code });
                });
        }
        released
    }

    /// The grant of that sequence could not be told to the session: the port goes to the next who
    /// waits, or is free.
    pub(crate) fn take_back(&mut self, session: u32, sequence: u64, name: super::Name) {
        let mut buffer = [0; NAME_LEN_MAX];
        let name = self.events.bytes(name);
        let kept = &mut buffer[..name.len()];
        kept.copy_from_slice(name);
        let slot = self.slot_of(session);
        let released = self.release(&[kept], &[sequence], slot, &mut |_, code| {
            panic!("grant {sequence:#x} was made a moment ago, and is {code:?}");
        });
        assert!(released == 1, "one port was to be released");
    }

    /// Releases a chunk, and tells those who follow what it released.
    fn release(
        &mut self,
        names: &[&[u8]],
        sequences: &[u64],
        slot: Slot,
        failed: &mut impl FnMut(usize, UnregisterCode),
    ) -> u32 {
        let mut marked: [Option<crate::table::Gone>; CHUNK] = [None; CHUNK];
        let mut failures = [None; CHUNK];
        let mut is_quiet = true;
        let told = &mut |at: usize, what| {
            is_quiet = false;
            match what {
                Unregistered::Free => failures[at] = Some(UnregisterCode::Free),
                Unregistered::NotMine => failures[at] = Some(UnregisterCode::NotMine),
                Unregistered::Stale => failures[at] = Some(UnregisterCode::Stale),
                Unregistered::Released(gone) => marked[at] = Some(gone),
            }
        };
        let released = self.table.unregister(names, sequences, slot, &self.slots, told);
        if is_quiet && !self.is_watched {
            return released;
        }
        for (at, name) in names.iter().enumerate() {
            if let Some(code) = failures[at] {
                failed(at, code);
                continue;
            }
            self.see(Seen::Released, self.slots.node(slot), sequences[at], name);
            if let Some(gone) = marked[at]
                && !self.pass_on(gone, Over::Released, name)
                && gone.is_kept
            {
                self.table.discard(gone.port.handle);
            }
        }
        released
    }

    /// The name of a held port.
    pub(super) fn copy_name(&self, handle: Handle, buffer: &mut [u8; NAME_LEN_MAX]) -> usize {
        let mut pieces = [0; NAME_LEN_MAX];
        let name = self.table.name(handle, &mut pieces);
        buffer[..name.len()].copy_from_slice(name);
        name.len()
    }
}
