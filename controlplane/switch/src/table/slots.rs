//! How many ports each slot holds, and which slots the sweep is for.

use super::cell::NONE;

#[derive(Clone, Copy, Debug)]
struct Held {
    ports: u32,
    /// The slot has died, and its ports are being swept.
    is_ending: bool,
}

#[derive(Debug)]
pub(super) struct Slots {
    held: Vec<Held>,
    /// Ports of all slots that have died.
    ending: u64,
}

impl Slots {
    pub(super) fn new(count: u32) -> Self {
        Self { held: vec![Held { ports: 0, is_ending: false }; count as usize], ending: 0 }
    }

    pub(super) fn ports(&self, slot: u32) -> u32 {
        self.held[slot as usize].ports
    }

    /// Ports of slots that have died.
    pub(super) fn ending(&self) -> u64 {
        self.ending
    }

    #[inline]
    pub(super) fn grant(&mut self, slot: u32) {
        self.grant_many(slot, 1);
    }

    #[inline]
    pub(super) fn grant_many(&mut self, slot: u32, ports: u32) {
        let held = &mut self.held[slot as usize];
        assert!(ports == 0 || !held.is_ending, "slot {slot} has died and is granted a port");
        held.ports += ports;
    }

    /// One port less; of no slot where the port was kept for waiters.
    #[inline]
    pub(super) fn release(&mut self, slot: u32) {
        if slot == NONE {
            return;
        }
        let held = &mut self.held[slot as usize];
        held.ports -= 1;
        if held.is_ending {
            self.ending -= 1;
            held.is_ending = held.ports > 0;
        }
    }

    /// The slot has died.
    pub(super) fn end(&mut self, slot: u32) {
        let held = &mut self.held[slot as usize];
        if !held.is_ending && held.ports > 0 {
            held.is_ending = true;
            self.ending += u64::from(held.ports);
        }
    }
}
