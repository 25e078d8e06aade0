//! What must hold when nothing has gone wrong for a while and nothing is under way.

use super::chance::Sending;
use super::world::World;
use super::{HOT, ensure};

impl World {
    /// Everybody is there, has heard everything, and believes what is true.
    pub(super) fn check_quiet(&mut self) -> Result<(), String> {
        let bulk = self.server.bulk();
        for index in 0..self.users.len() {
            let user = &self.users[index];
            if user.is_over {
                continue;
            }
            let node = &user.node;
            ensure(user.core.is_connected(), || {
                format!("{node} is not connected: {:?}", user.core.trouble())
            })?;
            ensure(user.calls.is_empty(), || format!("{node} awaits {:?}", user.calls))?;
            let heard = user.heard(&mut self.wires);
            let is_whole = heard == Some(self.server.step) || !user.core.has_session();
            ensure(is_whole, || format!("{node} heard {heard:?} of {}", self.server.step))?;
            for (index, call) in &user.waits {
                let holder = self.server.holder(*index);
                ensure(*index >= HOT || holder.is_some(), || {
                    format!("{node} waits by call {call} for port {index}, which is free")
                })?;
            }
            for (index, sequence) in user.bulk_owners(&self.names) {
                let holder = bulk.get(index).and_then(|holder| holder.as_ref());
                ensure(holder.is_some_and(|holder| holder.0 == sequence), || {
                    format!("{node} believes in {sequence:?} of bulk port {index}: {holder:?}")
                })?;
            }
            *self.tallies.entry("clients that were quiet").or_default() += 1;
        }
        self.check_held()
    }

    /// Each sends to every port, twice, and to all. Nothing of it is lost, and nothing is of before.
    pub(super) fn check_messages(&mut self) -> Result<(), String> {
        self.check_placed()?;
        self.post.is_quiet = true;
        let ports: Vec<usize> = (0..HOT).collect();
        for index in 0..self.users.len() {
            if self.users[index].is_over {
                continue;
            }
            for how in [Sending::Batched, Sending::Counted, Sending::Many, Sending::ToAll] {
                self.send_as(index, how, &ports, 4);
            }
            self.settle(index)?;
        }
        self.run_until(self.now + self.plan.shape.lease)?;
        super::be_still(self)?;
        self.post.is_quiet = false;
        let awaiting = self.users.iter().find(|user| !user.is_over && !user.calls.is_empty());
        ensure(awaiting.is_none(), || {
            format!("{:?} awaits an answer", awaiting.map(|of| &of.node))
        })?;
        self.check_placed()
    }

    fn check_placed(&mut self) -> Result<(), String> {
        let user_of = |address: &str| self.users.iter().position(|user| user.address == *address);
        let looked = self.post.check_placed(&self.server, user_of)?;
        *self.tallies.entry("messages that were looked for").or_default() += looked;
        for user in self.users.iter().filter(|user| !user.is_over) {
            user.check_sent(&self.post)?;
        }
        let counters = self.server.switch.as_ref().map(switch::Switch::counters);
        if let (Some(counters), Some(carried)) = (counters, self.post.carried) {
            let (placed, gone) = (counters.messages_delivered, counters.messages_receiver_gone);
            *self.tallies.entry("switches whose messages were counted").or_default() += 1;
            ensure(placed == carried + gone, || {
                format!("{placed} messages were placed, {carried} left, {gone} were lost so")
            })?;
        }
        Ok(())
    }

    /// Nothing is held that nobody knows of.
    fn check_held(&self) -> Result<(), String> {
        for index in 0..HOT {
            let Some(holder) = self.server.holder(index) else {
                continue;
            };
            let mut users = self.users.iter().filter(|user| !user.is_over);
            let is_known = users.any(|user| user.node == holder.node && user.has(holder.token));
            ensure(is_known, || format!("nobody has the guard of port {index}: {holder:?}"))?;
        }
        Ok(())
    }

    /// Adds what clients and switches have counted.
    pub(super) fn count(&mut self) {
        let client = |of: fn(&crate::Counters) -> u64| {
            self.users.iter().map(|user| of(user.core.counters())).sum::<u64>()
        };
        let counts = [
            ("answers that a notice overtook", client(|each| each.queries_overtaken)),
            ("requests that were sent again", client(|each| each.requests_resent)),
            ("requests that had to wait", client(|each| each.requests_deferred)),
            ("connections that were stale", client(|each| each.connections_stale)),
            ("messages that came early", client(|each| each.messages_early)),
            ("messages that were stale", client(|each| each.messages_stale)),
            ("messages that were lost when sent", client(|each| each.sent_lost)),
            (
                "messages that were lost when placed",
                self.server.counted(|each| each.messages_receiver_gone),
            ),
            ("messages to who was away", self.server.counted(|each| each.messages_no_receiver)),
            ("messages to full queues", self.server.counted(|each| each.messages_queue_full)),
            ("owners that left for others", client(|each| each.cache_evicted)),
            ("notices that were missed in their count", client(|each| each.notice_gaps)),
            ("flushes", self.server.counted(|each| each.flushes)),
            ("notices that did not fit", self.server.counted(|each| each.notices_overflowed)),
            ("grants that were taken back", self.server.counted(|each| each.grants_taken_back)),
            ("sessions that lapsed", self.server.counted(|each| each.sessions_lapsed)),
            ("sessions that went on", self.server.counted(|each| each.sessions_resumed)),
        ];
        for (what, count) in counts {
            *self.tallies.entry(what).or_default() += count;
        }
    }

    /// A client drops all guards that it has.
    pub(super) fn let_all_go(&mut self, index: usize) -> Result<(), String> {
        let now = self.now;
        let user = &mut self.users[index];
        let guards = std::mem::take(&mut user.guards).into_iter();
        for guard in guards.chain(std::mem::take(&mut user.bulk)) {
            user.drop_guard(&guard, now);
        }
        self.settle(index)
    }
}
