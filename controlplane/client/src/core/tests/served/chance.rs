//! What users do and what goes wrong, as the seed has it.

use base::{Duration, Instant};
use protocol::{RegisterFlags, SessionId};

use super::network::Wire;
use super::plan::Fault;
use super::post::Way;
use super::user::{Asked, Guard, User};
use super::world::World;
use super::{BULK, HOT};
use crate::config::Entropy;
use crate::error::CallError;

/// How messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    Batched,
    Counted,
    Many,
    ToAll,
}

impl World {
    fn below(&mut self, bound: usize) -> usize {
        self.weather.below(bound)
    }

    /// Up to twice as long as this, and so as long in the mean.
    pub(super) fn about(&mut self, mean: Duration) -> Instant {
        self.now + self.weather.up_to(Duration::from_nanos(2 * mean.as_nanos()))
    }

    /// A new client of a node. If an older one is there, it will be evicted.
    pub(super) fn start(&mut self, node: usize) -> Result<(), String> {
        self.starts += 1;
        let mut session = [0; 16];
        session[..8].copy_from_slice(&self.weather.rng.next_u64().to_le_bytes());
        session[8] = 1;
        let entropy = Entropy { session: SessionId(session), seed: self.weather.rng.next_u64() };
        let config = self.plan.config(node, self.starts, &mut self.weather);
        let clock = self.plan.clock(&mut self.weather.rng);
        let index = self.users.len();
        self.users.push(User::new(index, config, entropy, clock));
        self.post.enter();
        self.settle(index)
    }

    /// A client that goes on and is not paused, if the first look finds one.
    fn some_user(&mut self) -> Option<usize> {
        let index = self.below(self.users.len());
        let user = &self.users[index];
        (!user.is_over && user.paused <= self.now).then_some(index)
    }

    fn some_names(&mut self) -> Vec<usize> {
        let count = 1 + self.below(3);
        let mut names: Vec<usize> = (0..count).map(|_| self.below(HOT)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A user does something.
    pub(super) fn act(&mut self) -> Result<(), String> {
        let Some(index) = self.some_user() else {
            return Ok(());
        };
        match self.below(100) {
            0..10 if self.plan.is_stormy => return self.storm(),
            0..24 => self.register(index),
            24..40 => self.let_go(index),
            40..68 => self.query(index),
            68..73 => self.unsubscribe(index),
            73..79 => self.give_up(index),
            79..94 => self.send(index),
            94..98 => self.ask(index),
            98 if self.below(4) == 0 && !self.plan.is_stormy => {
                self.tally("clients that were closed");
                let local = self.users[index].clock.read(self.now);
                self.users[index].core.close(local);
            }
            _ => {}
        }
        self.settle(index)
    }

    /// What came of a call.
    fn on_call(
        &mut self,
        index: usize,
        call: Result<u64, CallError>,
        (asked, names): (Asked, Vec<usize>),
    ) {
        match call {
            Ok(call) => {
                self.tally("calls");
                let step = self.server.step;
                self.users[index].on_call(call, asked, names, step);
            }
            Err(_refused) => self.tally("calls that were refused at once"),
        }
    }

    fn register(&mut self, index: usize) {
        let names = self.some_names();
        let flags = RegisterFlags { subscribe: self.below(3) == 0, wait: self.below(2) == 0 };
        let texts: Vec<&str> = names.iter().map(|name| self.names[*name].as_str()).collect();
        let local = self.users[index].clock.read(self.now);
        let call = self.users[index].core.register(&texts, flags, local);
        let RegisterFlags { subscribe, wait } = flags;
        self.on_call(index, call, (Asked::Register { subscribe, wait }, names));
    }

    /// One guard goes, or all of them.
    fn let_go(&mut self, index: usize) {
        let count = self.users[index].guards.len();
        if count == 0 {
            return;
        }
        let at = self.below(count);
        let guard = self.users[index].guards.swap_remove(at);
        if self.below(2) == 0 {
            self.tally("guards that were dropped");
            self.users[index].drop_guard(&guard, self.now);
        } else {
            self.unregister(index, &[guard]);
        }
    }

    fn unregister(&mut self, index: usize, guards: &[Guard]) {
        let local = self.users[index].clock.read(self.now);
        let ports: Vec<_> =
            guards.iter().map(|guard| (&*guard.grant.name, guard.grant.token)).collect();
        let call = self.users[index].core.unregister(&ports, local);
        if call.is_ok() {
            self.users[index].let_go.extend(guards.iter().map(|guard| guard.grant.token));
        }
        let names = guards.iter().map(|guard| guard.index).collect();
        self.on_call(index, call, (Asked::Other, names));
    }

    /// A question that the cache answers is not asked.
    fn query(&mut self, index: usize) {
        let mut names = self.some_names();
        let (is_kept, is_told) =
            [(true, false), (true, false), (true, true), (false, true), (false, false)]
                [self.below(5)];
        if is_kept && !is_told {
            let core = &mut self.users[index].core;
            names.retain(|name| core.cached(&self.names[*name]).is_none());
        }
        if names.is_empty() {
            self.tally("questions that the cache answered");
            return;
        }
        let texts: Vec<&str> = names.iter().map(|name| self.names[*name].as_str()).collect();
        let local = self.users[index].clock.read(self.now);
        let call = self.users[index].core.query(&texts, is_kept, is_told, local);
        self.on_call(index, call, (Asked::Query { is_told }, names));
    }

    fn unsubscribe(&mut self, index: usize) {
        let names = self.some_names();
        let texts: Vec<&str> = names.iter().map(|name| self.names[*name].as_str()).collect();
        let user = &mut self.users[index];
        if user.core.unsubscribe(&texts, user.clock.read(self.now)).is_err() {
            return;
        }
        for name in names {
            user.subs.retain(|(index, _token), _sub| *index != name);
            for call in user.calls.values_mut() {
                call.untold.insert(name);
            }
        }
        self.tally("subscriptions that were ended");
    }

    /// A wait is cancelled, or a call given up.
    fn give_up(&mut self, index: usize) {
        let names = self.some_names();
        let is_cancel = self.below(2) == 0;
        let user = &mut self.users[index];
        let local = user.clock.read(self.now);
        if is_cancel {
            let texts: Vec<&str> = names.iter().map(|name| self.names[*name].as_str()).collect();
            if user.core.cancel_wait(&texts, local).is_ok() {
                user.waits.retain(|name, _call| !names.contains(name));
                self.tally("waits that were cancelled");
            }
            return;
        }
        let calls = user.calls.keys().chain(user.waits.values());
        let Some(&call) = calls.last() else {
            return;
        };
        user.core.abandon(call, local);
        self.post.on_over(index, call, false);
        user.calls.remove(&call);
        user.waits.retain(|_name, other| *other != call);
        user.given_up.insert(call);
        self.tally("calls that were given up");
    }

    fn send(&mut self, index: usize) {
        let names = self.some_names();
        // Some are so long that two of them do not fit a queue.
        let most = if self.below(3) == 0 { 3_000 } else { 40 };
        let len = self.below(most);
        let how =
            [Sending::Batched, Sending::Batched, Sending::Counted, Sending::Many, Sending::ToAll]
                [self.below(5)];
        self.send_as(index, how, &names, len);
    }

    pub(super) fn send_as(&mut self, index: usize, how: Sending, names: &[usize], len: usize) {
        let (post, step) = (&mut self.post, self.server.step);
        let way = if how == Sending::Batched { Way::Batched } else { Way::Counted };
        let mut write = |ports: &[usize]| post.write((index, way), ports, len, step);
        let letters: Vec<usize> = match how {
            Sending::Batched | Sending::Counted => {
                names.iter().map(|name| write(&[*name])).collect()
            }
            Sending::Many => vec![write(names)],
            Sending::ToAll => vec![write(&[])],
        };
        let blobs: Vec<Vec<u8>> = letters.iter().map(|letter| self.post.blob(*letter)).collect();
        let texts: Vec<&str> = names.iter().map(|name| self.names[*name].as_str()).collect();
        let items = texts.iter().copied().zip(blobs.iter().map(Vec::as_slice));
        let user = &mut self.users[index];
        let local = user.clock.read(self.now);
        let call = match how {
            Sending::Batched => user.core.send(&items.collect::<Vec<_>>(), local).map(|()| None),
            Sending::Counted => user.core.send_counted(&items.collect::<Vec<_>>()).map(Some),
            Sending::Many => user.core.send_many(&texts, &blobs[0]).map(Some),
            Sending::ToAll => user.core.broadcast(&blobs[0]).map(Some),
        };
        let Ok(call) = call else {
            self.post.on_refused(&letters);
            self.tally("messages that were refused at once");
            return;
        };
        self.post.on_call(index, call, letters);
        match call {
            Some(call) => self.on_call(index, Ok(call), (Asked::Other, names.to_vec())),
            None => self.tally("messages"),
        }
    }

    fn ask(&mut self, index: usize) {
        let kind = self.below(4);
        let core = &mut self.users[index].core;
        let call = match kind {
            0 => core.ping(),
            1 => core.query_node(&["n0", "n1", "nobody"]),
            2 => core.status(),
            _ => core.list_ports(0, 3, "port"),
        };
        self.on_call(index, call, (Asked::Other, Vec::new()));
    }

    /// Many long names are held, others believe in their owner, and then they go all at once.
    fn storm(&mut self) -> Result<(), String> {
        let texts: Vec<String> = self.names[HOT..].to_vec();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let all: Vec<usize> = (HOT..HOT + BULK).collect();
        let holder = self.users.iter().position(|user| !user.is_over && !user.bulk.is_empty());
        let Some(index) = self.some_user() else {
            return Ok(());
        };
        let user = &mut self.users[index];
        let local = user.clock.read(self.now);
        match holder {
            None => {
                let call = user.core.register(&texts, RegisterFlags::default(), local);
                let asked = Asked::Register { subscribe: false, wait: false };
                self.on_call(index, call, (asked, all));
            }
            Some(holder) if holder == index => {
                let guards = std::mem::take(&mut user.bulk);
                self.unregister(index, &guards);
                self.tally("storms");
            }
            Some(_other) => {
                let call = user.core.query(&texts, true, false, local);
                self.on_call(index, call, (Asked::Query { is_told: false }, all));
            }
        }
        self.settle(index)
    }

    /// Something goes wrong.
    pub(super) fn go_wrong(&mut self) -> Result<(), String> {
        let at = self.below(self.plan.faults.len());
        let (fault, tally) = self.plan.faults[at];
        let lease = self.plan.shape.lease;
        let long = Duration::from_nanos(lease.as_nanos() * 3 / 2);
        let short = Duration::from_nanos(lease.as_nanos() / 6);
        // Mostly it is short.
        let most = if self.below(4) == 0 { long } else { short };
        let until = self.now + self.weather.up_to(most);
        self.tally(tally);
        match fault {
            Fault::Reset | Fault::Dark | Fault::Stall => self.break_wire(fault, until),
            Fault::PauseClient => {
                let index = self.below(self.users.len());
                self.users[index].paused = until;
            }
            Fault::PauseSwitch => self.server.paused = self.server.paused.max(until),
            Fault::Kill => self.kill(until),
            Fault::Leave => self.leave(until),
            Fault::SetBack => {
                self.kill(until);
                self.server.is_next_back = self.server.switch.is_none();
            }
            Fault::Refuse => self.refused = until,
            Fault::DropNode => {
                let index = self.below(self.users.len());
                let node = self.users[index].node.clone();
                if self.server.paused <= self.now {
                    self.server.drop_node(&node, self.now);
                    self.end_round();
                }
            }
            Fault::Evict => {
                let node = self.below(self.plan.nodes);
                return self.start(node);
            }
        }
        Ok(())
    }

    fn break_wire(&mut self, fault: Fault, until: Instant) {
        if self.wires.is_empty() {
            return;
        }
        let at = self.below(self.wires.len());
        let later = until + self.weather.up_to(Duration::from_millis(3_000));
        let is_up = self.below(2) == 0;
        let (now, weather) = (self.now, &mut self.weather);
        let wire: Option<&mut Wire> = self.wires.values_mut().nth(at);
        let wire = wire.expect("there are as many");
        match fault {
            Fault::Reset => {
                let soon = [now + weather.up_to(Duration::from_millis(5)), until];
                // What was sent before may come after what is sent on the next connection.
                if weather.below(3) == 0 {
                    wire.up.stall(until);
                }
                wire.up.break_off(soon[usize::from(is_up)], weather);
                wire.down.break_off(soon[usize::from(!is_up)], weather);
            }
            Fault::Dark => {
                wire.up.go_dark(if is_up { until } else { later });
                wire.down.go_dark(if is_up { later } else { until });
            }
            _stall if is_up => wire.up.stall(until),
            _stall => wire.down.stall(until),
        }
    }

    /// The switch is gone, and a new one comes at `until`.
    pub(super) fn kill(&mut self, until: Instant) {
        if self.server.switch.is_none() || self.server.paused > self.now {
            return;
        }
        let step = self.server.step;
        self.server.kill();
        self.server.down = until;
        self.tally("restarts");
        for wire in self.wires.values_mut().filter(|wire| wire.server.is_some()) {
            wire.server = None;
            if wire.is_receive {
                self.post.on_end(wire.user, step, false);
            }
            if self.weather.below(2) == 0 {
                wire.down.finish(self.now, &mut self.weather);
            } else {
                wire.down.break_off(self.now, &mut self.weather);
            }
        }
        self.wires.retain(|_index, wire| !wire.is_over());
    }

    /// The switch says that it leaves, and goes a little later.
    fn leave(&mut self, until: Instant) {
        if self.server.paused > self.now {
            return;
        }
        let local = self.server.clock.read(self.now);
        if let Some(switch) = &mut self.server.switch {
            switch.leave("switch:7400", local);
            self.end_round();
            self.kill(until);
        }
    }

    /// All that goes wrong ends; who is over is replaced.
    pub(super) fn clear_up(&mut self) -> Result<(), String> {
        self.weather.is_fair = true;
        self.refused = self.now;
        self.server.paused = self.now;
        self.server.is_next_back = false;
        if self.server.back.is_some() {
            self.kill(self.now);
        }
        self.server.down = self.server.down.min(self.now);
        for wire in self.wires.values_mut() {
            wire.up.clear_up(self.now);
            wire.down.clear_up(self.now);
        }
        for index in 0..self.users.len() {
            self.users[index].paused = self.now;
        }
        for node in 0..self.plan.nodes {
            let name = format!("n{node}");
            if self.users.iter().all(|user| user.node != name || user.is_over) {
                self.start(node)?;
            }
        }
        Ok(())
    }
}
