//! Ports that the application is told of when they go away from their owner.
//!
//! What was subscribed to is lost with a flush, an epoch or a session. What is asked for and not
//! answered yet is not: a question whose connection ends is asked again, and so is a query that a
//! notice or a flush overtook. Only a registration cannot be asked again for a subscription alone,
//! so that what overtakes it is noted, and counts when it is answered.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::{GoneReason, Sequence};

/// Subscriptions by port.
#[derive(Debug, Default)]
pub(super) struct Told {
    ports: HashMap<Arc<str>, Port>,
}

#[derive(Debug, Default)]
struct Port {
    /// The grants that are subscribed to: several where the end of one is still on the way and a later
    /// one was asked for.
    of: Vec<Sequence>,
    asked: Vec<Asked>,
}

/// A question that is not answered.
#[derive(Debug)]
struct Asked {
    call: u64,
    /// Whether it is under way; a query's answer is judged by the cache.
    is_registration_sent: bool,
    overtaken: Option<Overtaken>,
}

/// What came while a registration was under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Overtaken {
    /// The end of a grant, the latest that was told, which may be the one that was subscribed to.
    Gone(Sequence, GoneReason),
    /// A flush, which may have ended the subscription.
    Flush,
}

impl Port {
    const fn is_empty(&self) -> bool {
        self.of.is_empty() && self.asked.is_empty()
    }
}

impl Told {
    pub(super) fn len(&self) -> usize {
        self.ports.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.ports.contains_key(name)
    }

    /// A call asks to be told.
    pub(super) fn ask(&mut self, name: &str, call: u64) {
        let asked = Asked { call, is_registration_sent: false, overtaken: None };
        self.ports.entry(Arc::from(name)).or_default().asked.push(asked);
    }

    /// A registration that asks leaves.
    pub(super) fn on_sent(&mut self, name: &str, call: u64) {
        let port = self.ports.get_mut(name);
        let asked = port.and_then(|port| port.asked.iter_mut().find(|asked| asked.call == call));
        if let Some(asked) = asked {
            asked.is_registration_sent = true;
            asked.overtaken = None;
        }
    }

    /// The switch tells of this grant from now on, of which the call asked to be told. What has
    /// overtaken the answer is the error, and then it does not. `None`: the call did not ask.
    pub(super) fn on_followed(
        &mut self,
        name: &str,
        call: u64,
        sequence: Sequence,
    ) -> Option<Result<(), Overtaken>> {
        let port = self.ports.get_mut(name)?;
        let index = port.asked.iter().position(|asked| asked.call == call)?;
        let overtaken = port.asked.swap_remove(index).overtaken;
        // The end of an older grant is not that of this one.
        let overtaken = overtaken.filter(|overtaken| match overtaken {
            Overtaken::Gone(gone, _reason) => *gone >= sequence,
            Overtaken::Flush => true,
        });
        match overtaken {
            None if port.of.contains(&sequence) => {}
            None => port.of.push(sequence),
            Some(_) if port.is_empty() => _ = self.ports.remove(name),
            Some(_) => {}
        }
        Some(overtaken.map_or(Ok(()), Err))
    }

    /// Whether a grant is subscribed to.
    pub(super) fn is_followed(&self, name: &str, sequence: Sequence) -> bool {
        self.ports.get(name).is_some_and(|port| port.of.contains(&sequence))
    }

    /// The call is not told, for there is nothing to be told of or it failed. `false`: it did not ask,
    /// or the subscription was ended.
    pub(super) fn on_unfollowed(&mut self, name: &str, call: u64) -> bool {
        let Some(port) = self.ports.get_mut(name) else {
            return false;
        };
        let Some(index) = port.asked.iter().position(|asked| asked.call == call) else {
            return false;
        };
        port.asked.swap_remove(index);
        if port.is_empty() {
            self.ports.remove(name);
        }
        true
    }

    /// A grant is over; says the port if it is one that was subscribed to, which it is no more.
    pub(super) fn on_gone(
        &mut self,
        name: &str,
        sequence: Sequence,
        reason: GoneReason,
    ) -> Option<Arc<str>> {
        let (name, port) = self.ports.get_key_value(name)?;
        let is_it = port.of.iter().any(|of| *of <= sequence);
        let name = Arc::clone(name);
        let port = self.ports.get_mut(&name)?;
        for asked in port.asked.iter_mut().filter(|asked| asked.is_registration_sent) {
            if asked.overtaken != Some(Overtaken::Flush) {
                asked.overtaken = Some(Overtaken::Gone(sequence, reason));
            }
        }
        if !is_it {
            return None;
        }
        port.of.retain(|of| *of > sequence);
        if port.is_empty() {
            self.ports.remove(&name);
        }
        Some(name)
    }

    /// The switch has forgotten what it was to tell this session; what is under way may be meant too.
    /// `true`: something was subscribed to.
    pub(super) fn on_flush(&mut self) -> bool {
        #[expect(clippy::iter_over_hash_type, reason = "each is marked, in whatever order")]
        for port in self.ports.values_mut() {
            for asked in port.asked.iter_mut().filter(|asked| asked.is_registration_sent) {
                asked.overtaken = Some(Overtaken::Flush);
            }
        }
        self.forget()
    }

    /// Forgets what is subscribed to, but not what is asked for. `true`: there was something.
    pub(super) fn forget(&mut self) -> bool {
        let mut is_lost = false;
        self.ports.retain(|_name, port| {
            is_lost |= !std::mem::take(&mut port.of).is_empty();
            !port.is_empty()
        });
        is_lost
    }

    /// Is told of a port no more, whoever asked.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.ports.remove(name).is_some()
    }

    pub(super) fn clear(&mut self) {
        self.ports.clear();
    }
}
