//! Clients, a switch and the network between them in virtual time, one thing after the other.

use std::collections::BTreeMap;

use base::{Duration, Instant};

use super::network::{Arrived, Dial, Lie, Lies, Weather, Wire};
use super::plan::Plan;
use super::post::Post;
use super::server::Server;
use super::user::{Heard, User};
use super::{HOT, Tallies, ensure};
use crate::core::{Action, Conn};
use crate::limits::SLEEP_MAX;
use crate::trouble::Trouble;

const ENDPOINT: &str = "switch:7400";

/// See the file's first words.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) plan: Plan,
    pub(super) weather: Weather,
    pub(super) server: Server,
    pub(super) users: Vec<User>,
    pub(super) wires: BTreeMap<u64, Wire>,
    pub(super) names: Vec<String>,
    pub(super) tallies: Tallies,
    pub(super) post: Post,
    /// Dials are refused until then.
    pub(super) refused: Instant,
    /// The network changes notices.
    pub(super) lie: Option<Lie>,
    /// How often the next client of each node begins.
    pub(super) starts: u64,
    next_wire: u64,
}

/// What is next to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Wire(u64),
    User(usize),
    Server,
    Start,
    Depose,
}

impl World {
    pub(super) fn new(plan: Plan, weather: Weather, lie: Option<Lie>) -> Self {
        let names = super::plan::names();
        let clock = plan.server_clock;
        let server = Server::new(plan.shape.clone(), clock, &names[..HOT], &names[HOT..]);
        Self {
            now: Instant::from_nanos(1_000_000_000),
            plan,
            weather,
            server,
            users: Vec::new(),
            wires: BTreeMap::new(),
            names,
            tallies: Tallies::new(),
            post: Post::default(),
            refused: Instant::ZERO,
            lie,
            starts: 0,
            next_wire: 0,
        }
    }

    pub(super) fn tally(&mut self, what: &'static str) {
        *self.tallies.entry(what).or_default() += 1;
    }

    /// Lets everything happen up to `until`.
    pub(super) fn run_until(&mut self, until: Instant) -> Result<(), String> {
        while let Some((at, next)) = self.next().filter(|(at, _next)| *at <= until) {
            self.now = self.now.max(at);
            self.happen(next)?;
            self.check_guards()?;
        }
        self.now = self.now.max(until);
        self.check_guards()
    }

    /// What is next, and when.
    fn next(&self) -> Option<(Instant, Next)> {
        let wires = self.wires.iter();
        let wires = wires.filter_map(|(index, wire)| Some((self.due(wire)?.0, Next::Wire(*index))));
        let users = self.users.iter().enumerate().filter(|(_index, user)| !user.is_over);
        let users =
            users.filter_map(|(index, user)| Some((user.due?.max(user.paused), Next::User(index))));
        let Server { switch, due, paused, down, back, .. } = &self.server;
        let (poll, start) = match switch {
            Some(_switch) => (due.map(|due| (due.max(*paused), Next::Server)), None),
            None => (None, Some((*down, Next::Start))),
        };
        let depose = back.filter(|_back| switch.is_some());
        let depose = depose.map(|back| (back.max(*paused), Next::Depose));
        wires.chain(users).chain(poll).chain(start).chain(depose).min()
    }

    /// When something comes out of a wire, and whether it comes to the switch. Who is paused hears late.
    fn due(&self, wire: &Wire) -> Option<(Instant, bool)> {
        let paused = self.users[wire.user].paused;
        if let Some((at, dial)) = wire.dial {
            return (dial != Dial::Unanswered).then_some((at.max(paused), false));
        }
        let up = wire.up.due().filter(|_at| wire.server.is_some());
        let up = up.map(|at| (at.max(self.server.paused), true));
        let down = wire.down.due().filter(|_at| wire.is_open).map(|at| (at.max(paused), false));
        up.into_iter().chain(down).min()
    }

    fn happen(&mut self, next: Next) -> Result<(), String> {
        match next {
            Next::Wire(index) => self.on_wire(index),
            Next::User(index) => self.settle(index),
            Next::Server => {
                self.server.poll(self.now);
                self.end_round();
                Ok(())
            }
            Next::Start => {
                let ahead = 1 + self.weather.rng.below(3);
                let is_back = std::mem::take(&mut self.server.is_next_back);
                // Long enough to grant something, to who does not know better.
                let reign = self.server.exclusion();
                let reign = reign + self.weather.up_to(reign);
                self.server.back = is_back.then(|| self.now + reign);
                self.server.start(ahead, self.now);
                self.post.carried = Some(0);
                Ok(())
            }
            Next::Depose => {
                let pause = self.weather.up_to(Duration::from_millis(20));
                self.kill(self.now + pause);
                Ok(())
            }
        }
    }

    fn on_wire(&mut self, index: u64) -> Result<(), String> {
        let is_up = self.due(&self.wires[&index]).is_some_and(|(_at, is_up)| is_up);
        let wire = self.wires.get_mut(&index).expect("it is due");
        if let Some((_at, dial)) = wire.dial.take() {
            return self.on_dialled(index, dial);
        }
        if is_up {
            let arrived = wire.up.take();
            self.hear_client(index, arrived)
        } else {
            let arrived = wire.down.take();
            self.hear_switch(index, arrived)
        }
    }

    fn on_dialled(&mut self, index: u64, dial: Dial) -> Result<(), String> {
        let is_refused = dial == Dial::Refused || self.now < self.refused;
        let conn = if is_refused { None } else { self.server.open(self.now) };
        let wire = self.wires.get_mut(&index).expect("it was dialled");
        let (user, id) = (wire.user, wire.conn);
        if conn.is_none() {
            wire.is_open = false;
            self.wires.remove(&index);
            self.tally("dials that were refused");
            self.users[user].wires.remove(&id);
            let (endpoint, why) = (ENDPOINT.to_owned(), "refused".to_owned());
            let local = self.users[user].clock.read(self.now);
            let unreachable = Trouble::Unreachable { endpoint, why };
            self.users[user].core.handle_closed(id, unreachable, local);
            return self.settle(user);
        }
        wire.server = conn;
        wire.epoch = self.server.epoch;
        let told = self.server.back.map(|_until| self.server.epoch_max);
        let is_for_all = matches!(self.lie, Some(Lie::Untrue | Lie::Epoch));
        let lie = self.lie.filter(|_lie| is_for_all || id.slot == 0);
        wire.lies = lie.map(|lie| Lies::new(lie, told));
        self.tally("connections");
        self.users[user].core.handle_connected(id);
        self.end_round();
        self.settle(user)
    }

    /// Something comes to the switch.
    fn hear_client(&mut self, index: u64, arrived: Arrived) -> Result<(), String> {
        match arrived {
            Arrived::Bytes(bytes) => self.serve(index, &bytes),
            Arrived::End => self.close_server_side(index),
        }
        self.end_round();
        // There is room for more.
        let Some(wire) = self.wires.get(&index) else {
            return Ok(());
        };
        let user = &self.users[wire.user];
        if wire.is_open && !user.core.outgoing(wire.conn).is_empty() && user.paused <= self.now {
            return self.settle(wire.user);
        }
        Ok(())
    }

    /// The switch takes bytes, and what it did not take before.
    fn serve(&mut self, index: u64, bytes: &[u8]) {
        let wire = self.wires.get_mut(&index).expect("it is there");
        let (Some(conn), Some(switch)) = (wire.server, &mut self.server.switch) else {
            return;
        };
        wire.partial.extend_from_slice(bytes);
        let local = self.server.clock.read(self.now);
        let used = switch.handle_bytes(conn, &wire.partial, local);
        wire.partial.drain(..used);
    }

    fn close_server_side(&mut self, index: u64) {
        let local = self.server.clock.read(self.now);
        let wire = self.wires.get_mut(&index).expect("it is there");
        if let (Some(conn), Some(switch)) = (wire.server.take(), &mut self.server.switch) {
            switch.handle_closed(conn, local);
            self.post.on_server_end(wire, self.server.step);
        }
        // What it had to say and had not said yet is lost.
        wire.down.finish(self.now, &mut self.weather);
    }

    /// Everything that the switch has to say leaves, and what is true is noted.
    pub(super) fn end_round(&mut self) {
        self.server.poll(self.now);
        while let Some(conn) = self.server.next_dirty(self.now) {
            let mut wires = self.wires.iter();
            let wire = wires.find(|(_index, wire)| wire.server == Some(conn));
            if let Some((&index, _wire)) = wire {
                self.carry(index);
            }
        }
        if self.server.switch.is_none() {
            return;
        }
        self.server.end_step();
        let (step, switch) = (self.server.step, &self.server.switch);
        for wire in self.wires.values_mut() {
            if let (Some(conn), Some(switch)) = (wire.server, switch)
                && switch.outgoing(conn).is_empty()
            {
                wire.marks.put(step, wire.down.put);
            }
        }
        self.wires.retain(|_index, wire| !wire.is_over());
    }

    /// Sends what the switch has for a connection, as far as there is room.
    fn carry(&mut self, index: u64) {
        let local = self.server.clock.read(self.now);
        let wire = self.wires.get_mut(&index).expect("it is there");
        let (Some(conn), Some(switch)) = (wire.server, &mut self.server.switch) else {
            return;
        };
        loop {
            let outgoing = switch.outgoing(conn);
            let len = outgoing.len().min(wire.down.room());
            if len == 0 {
                break;
            }
            if wire.is_receive {
                wire.mouth.pass(&outgoing[..len], |kind, frame| self.post.on_carried(kind, frame));
            }
            let (bytes, lies) = match &mut wire.lies {
                None => (outgoing[..len].to_vec(), 0),
                Some(lies) => lies.pass(&outgoing[..len]),
            };
            *self.tallies.entry("frames that were changed").or_default() += lies;
            let pieces = wire.down.put(&bytes, self.now, &mut self.weather);
            let cuts = u64::try_from(pieces.saturating_sub(1)).expect("few");
            *self.tallies.entry("cuts").or_default() += cuts;
            switch.handle_sent(conn, len, local);
        }
        if switch.outgoing(conn).is_empty() && switch.is_closing(conn) {
            switch.handle_closed(conn, local);
            wire.server = None;
            wire.down.finish(self.now, &mut self.weather);
            self.post.on_server_end(wire, self.server.step);
        }
    }

    /// Something comes to a client.
    fn hear_switch(&mut self, index: u64, arrived: Arrived) -> Result<(), String> {
        let wire = self.wires.get_mut(&index).expect("it is there");
        let (user, conn) = (wire.user, wire.conn);
        let local = self.users[user].clock.read(self.now);
        match arrived {
            Arrived::Bytes(bytes) => {
                if wire.is_receive {
                    let (post, epoch) = (&mut self.post, wire.epoch);
                    wire.ear
                        .pass(&bytes, |kind, frame| post.on_arrived(user, epoch, (kind, frame)));
                }
                self.users[user].core.handle_bytes(conn, &bytes, local);
                if self.has_room(index) {
                    self.carry(index);
                    self.serve(index, &[]);
                    self.end_round();
                }
            }
            Arrived::End => {
                wire.is_open = false;
                if wire.is_receive {
                    self.post.on_end(user, self.server.step, true);
                }
                wire.up.finish(self.now, &mut self.weather);
                self.users[user].wires.remove(&conn);
                let closed = Trouble::Closed { endpoint: ENDPOINT.to_owned() };
                self.users[user].core.handle_closed(conn, closed, local);
                self.wires.retain(|_index, wire| !wire.is_over());
            }
        }
        self.settle(user)
    }

    /// Whether the switch has something for a connection that it could not send before.
    fn has_room(&self, index: u64) -> bool {
        let wire = &self.wires[&index];
        let (Some(conn), Some(switch)) = (wire.server, &self.server.switch) else {
            return false;
        };
        !switch.outgoing(conn).is_empty() && wire.down.room() > 0
    }

    /// Does for a client what its shell does, and holds what it believes against the truth.
    pub(super) fn settle(&mut self, index: usize) -> Result<(), String> {
        let user = &mut self.users[index];
        if user.paused > self.now {
            return Ok(());
        }
        let local = user.clock.read(self.now);
        let next = user.core.poll(local);
        let until = local + Duration::from_nanos(SLEEP_MAX.as_nanos());
        user.due = Some(user.clock.when(next.map_or(until, |next| next.min(until))));
        // What is due already waits for room, or for an answer.
        if user.due.is_some_and(|due| due <= self.now) {
            user.due = Some(self.now + Duration::from_micros(1));
        }
        while let Some(action) = self.users[index].core.next_action() {
            self.act_for(index, action)?;
        }
        self.write(index)?;
        let is_other =
            |user: &&User| user.index != index && !user.is_over && user.core.has_session();
        let others = u32::try_from(self.users.iter().filter(is_other).count()).expect("few");
        let user = &mut self.users[index];
        let (server, tallies, post) = (&self.server, &mut self.tallies, &mut self.post);
        let mut heard = Heard { server, tallies, post, others };
        user.take(&self.names, &mut heard)?;
        let until = user.heard(&mut self.wires);
        user.check(&self.names, until, &mut heard)
    }

    fn act_for(&mut self, index: usize, action: Action) -> Result<(), String> {
        match action {
            Action::Connect { conn, .. } => {
                let dial = match self.weather.rng.below(60) {
                    0 if !self.weather.is_fair => Dial::Unanswered,
                    1 | 2 if !self.weather.is_fair => Dial::Refused,
                    _ => Dial::Accepted,
                };
                let late = self.weather.up_to(Duration::from_millis(2));
                let is_receive = conn.slot == 0 && self.users[index].core.has_session();
                let dial = (self.now + late, dial);
                let wire = Wire::new(index, (conn, is_receive), dial, self.plan.pipe_len);
                self.users[index].wires.insert(conn, self.next_wire);
                self.wires.insert(self.next_wire, wire);
                self.next_wire += 1;
            }
            Action::Close { conn, rest } => {
                let Some(id) = self.users[index].wires.remove(&conn) else {
                    return Ok(());
                };
                let wire = self.wires.get_mut(&id).expect("a client's connection is there");
                wire.is_open = false;
                if wire.dial.take().is_some() {
                    self.wires.remove(&id);
                    return Ok(());
                }
                wire.on_written(&rest, |kind, frame| self.post.on_left(id, kind, frame))?;
                if wire.is_receive {
                    self.post.on_end(index, self.server.step, true);
                }
                let len = rest.len().min(wire.up.room());
                wire.up.put(&rest[..len], self.now, &mut self.weather);
                wire.up.finish(self.now, &mut self.weather);
                if wire.is_over() {
                    self.wires.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// Sends what a client has to say, as far as there is room.
    fn write(&mut self, index: usize) -> Result<(), String> {
        let Self { users, wires, weather, tallies, post, now, .. } = self;
        let user = &mut users[index];
        for (conn, id) in &user.wires {
            let wire = wires.get_mut(id).expect("a client's connection is there");
            if wire.dial.is_some() {
                continue;
            }
            let is_followed = !user.core.conn(*conn).is_some_and(Conn::is_ready)
                || wire.epoch == user.core.epoch();
            ensure(is_followed, || {
                let (epoch, known) = (wire.epoch, user.core.epoch());
                format!("{} is with a switch of {epoch:?} and knows of {known:?}", user.node)
            })?;
            let outgoing = user.core.outgoing(*conn);
            wire.on_written(outgoing, |kind, frame| post.on_left(*id, kind, frame))?;
            let len = outgoing.len().min(wire.up.room());
            let pieces = wire.up.put(&outgoing[..len], *now, weather);
            let cuts = u64::try_from(pieces.saturating_sub(1)).expect("few");
            *tallies.entry("cuts").or_default() += cuts;
            user.core.handle_sent(*conn, len);
        }
        Ok(())
    }

    /// No two may act for one port, and who may is whom the switch says, or nobody else is.
    fn check_guards(&mut self) -> Result<(), String> {
        let mut owners: [Option<usize>; HOT] = [None; HOT];
        for (at, user) in self.users.iter().enumerate() {
            for (index, token) in user.owned(self.now) {
                let name = &self.names[index];
                if let Some(other) = owners[index].replace(at) {
                    let other = &self.users[other].node;
                    return Err(format!("{} and {other} both own {name}", user.node));
                }
                let holder = self.server.holder(index).map(|stay| stay.token);
                let is_right = if token.epoch == self.server.epoch && self.server.switch.is_some() {
                    holder == Some(token)
                } else {
                    holder.is_none()
                };
                ensure(is_right, || {
                    format!("{} owns {name} by {token}, {holder:?} is true", user.node)
                })?;
            }
        }
        Ok(())
    }

    /// Whether nothing is under way anywhere.
    pub(super) fn is_still(&self) -> bool {
        self.wires.values().all(|wire| wire.up.is_empty() && wire.down.is_empty())
    }
}
