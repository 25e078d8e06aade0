//! Ports that are waited for, each for the one call that asked for it.
//!
//! A wait ends with its call: who gave that up awaits nothing any more. And it ends with no other
//! call: one that is given up late does not take away what a newer one waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Waits by port, and by call.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waits: BTreeMap<Arc<str>, Wait>,
    names: BTreeSet<(u64, Arc<str>)>,
    /// Those that are to be asked for again and have not left yet.
    queued: usize,
}

#[derive(Debug)]
struct Wait {
    call: u64,
    /// Whether it is to be asked for again and that has not left yet.
    is_queued: bool,
}

impl Waits {
    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }

    /// The call for which a port is waited for.
    pub(super) fn call_of(&self, name: &str) -> Option<u64> {
        self.waits.get(name).map(|wait| wait.call)
    }

    /// A call waits for a port that no other call waits for.
    pub(super) fn insert(&mut self, name: &str, call: u64) {
        let name: Arc<str> = Arc::from(name);
        self.waits.insert(Arc::clone(&name), Wait { call, is_queued: false });
        self.names.insert((call, name));
    }

    /// A port is waited for no more; says for which call it was.
    pub(super) fn remove(&mut self, name: &str) -> Option<u64> {
        let (name, Wait { call, is_queued }) = self.waits.remove_entry(name)?;
        self.queued -= usize::from(is_queued);
        self.names.remove(&(call, name));
        Some(call)
    }

    /// As `remove`, if it is this call that waits.
    pub(super) fn remove_of(&mut self, call: u64, name: &str) -> bool {
        self.call_of(name) == Some(call) && self.remove(name).is_some()
    }

    /// A call waits for nothing any more; says for what it did.
    pub(super) fn take_of(&mut self, call: u64) -> Vec<Arc<str>> {
        let from = (call, Arc::from(""));
        let of_call = self.names.range(from..).take_while(|(other, _name)| *other == call);
        let names: Vec<Arc<str>> = of_call.map(|(_call, name)| Arc::clone(name)).collect();
        for name in &names {
            self.remove(name);
        }
        names
    }

    /// All that is to be asked for again, but for what is queued for that already.
    pub(super) fn ask_again(&mut self) -> Vec<(Arc<str>, u64)> {
        let waits = self.waits.iter_mut().filter(|(_name, wait)| !wait.is_queued);
        let asked = waits.map(|(name, wait)| {
            wait.is_queued = true;
            (Arc::clone(name), wait.call)
        });
        let asked: Vec<_> = asked.collect();
        self.queued += asked.len();
        asked
    }

    /// Whether something is to be asked for again and has not left yet.
    pub(super) const fn is_any_queued(&self) -> bool {
        self.queued > 0
    }

    /// A question for what a call waits for is put back into its queue; `false`: there is one already. One
    /// of a call that waits no more is none for another that does.
    pub(super) fn on_queued(&mut self, name: &str, call: u64) -> bool {
        let Some(wait) = self.waits.get_mut(name).filter(|wait| wait.call == call) else {
            return true;
        };
        let is_new = !std::mem::replace(&mut wait.is_queued, true);
        self.queued += usize::from(is_new);
        is_new
    }

    /// It has left.
    pub(super) fn on_asked(&mut self, name: &str, call: u64) {
        if let Some(wait) = self.waits.get_mut(name).filter(|wait| wait.call == call) {
            self.queued -= usize::from(std::mem::take(&mut wait.is_queued));
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
