//! An application and its core: what it asked for, what it was told, and what it believes.

use std::collections::{BTreeMap, BTreeSet};

use base::Instant;
use protocol::{RegisterCode, Sequence, Token};

use super::super::super::{ConnId, Core};
use super::clock::Clock;
use super::network::Wire;
use super::post::Post;
use super::server::Server;
use super::{HOT, Tallies, ensure};
use crate::config::{Config, Entropy};
use crate::error::Over;
use crate::event::{Done, Event, Grant, Holder, Registered};

/// What a call asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Register { subscribe: bool, wait: bool },
    Query { is_told: bool },
    Other,
}

/// A call that is not answered.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) asked: Asked,
    /// Ports by index.
    pub(super) names: Vec<usize>,
    /// Those of which it is told no more, whatever is answered.
    pub(super) untold: BTreeSet<usize>,
    /// The step of the switch when it was made.
    pub(super) since: u64,
}

/// A port that is held, as far as its application knows.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) index: usize,
    pub(super) grant: Grant,
}

/// A subscription that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sub {
    /// The grant; `NONE`: whichever there was.
    pub(super) token: Token,
    /// The step of the switch when it was answered.
    pub(super) since: u64,
}

/// See the file's first words.
#[derive(Debug)]
pub(super) struct User {
    /// Its place among all.
    pub(super) index: usize,
    pub(super) core: Core,
    pub(super) node: String,
    /// No other user has it.
    pub(super) address: String,
    pub(super) clock: Clock,
    pub(super) wires: BTreeMap<ConnId, u64>,
    pub(super) guards: Vec<Guard>,
    /// Guards of the many ports that are looked at only now and then.
    pub(super) bulk: Vec<Guard>,
    pub(super) calls: BTreeMap<u64, Call>,
    /// Ports that are waited for, each by a call.
    pub(super) waits: BTreeMap<usize, u64>,
    pub(super) subs: BTreeMap<(usize, Token), Sub>,
    pub(super) given_up: BTreeSet<u64>,
    /// Grants whose end it was told of.
    told: BTreeSet<(usize, Token)>,
    /// Grants that it has let go.
    pub(super) let_go: BTreeSet<Token>,
    /// When it is to be polled at the latest.
    pub(super) due: Option<Instant>,
    /// Its thread does nothing before.
    pub(super) paused: Instant,
    pub(super) is_over: bool,
}

impl User {
    pub(super) fn new(index: usize, config: Config, entropy: Entropy, clock: Clock) -> Self {
        let (node, address) = (config.node.clone(), config.address.clone());
        Self {
            index,
            address,
            core: Core::new(config, entropy).expect("it is configured right"),
            node,
            clock,
            wires: BTreeMap::new(),
            guards: Vec::new(),
            bulk: Vec::new(),
            calls: BTreeMap::new(),
            waits: BTreeMap::new(),
            subs: BTreeMap::new(),
            given_up: BTreeSet::new(),
            told: BTreeSet::new(),
            let_go: BTreeSet::new(),
            due: Some(Instant::ZERO),
            paused: Instant::ZERO,
            is_over: false,
        }
    }

    /// A call was taken.
    pub(super) fn on_call(&mut self, call: u64, asked: Asked, names: Vec<usize>, since: u64) {
        if let Asked::Register { wait: true, .. } = asked {
            self.waits.extend(names.iter().map(|index| (*index, call)));
        }
        let call_made = Call { asked, names, untold: BTreeSet::new(), since };
        self.calls.insert(call, call_made);
    }

    /// Takes all that the core says, in the order in which a shell does.
    pub(super) fn take(&mut self, names: &[String], world: &mut Heard<'_>) -> Result<(), String> {
        while let Some((call, event)) = self.core.next_waited() {
            ensure(!self.given_up.contains(&call), || format!("call {call} was given up"))?;
            self.on_waited(call, event, names, world)?;
        }
        while let Some((call, done)) = self.core.next_done() {
            ensure(!self.given_up.contains(&call), || format!("call {call} was given up"))?;
            let Some(made) = self.calls.remove(&call) else {
                return Err(format!("call {call} is answered twice: {done:?}"));
            };
            self.on_done((call, &made), done, names, world)?;
        }
        while let Some(event) = self.core.next_event() {
            self.on_event(event, names, world)?;
        }
        if let Some(over) = self.core.over().filter(|_over| !self.is_over) {
            // Nobody copies a session here.
            let is_meant = matches!(over, Over::Closed | Over::Dropped | Over::Replaced { .. });
            ensure(is_meant, || format!("{} is over: {over:?}", self.node))?;
            self.is_over = true;
            ensure(self.calls.is_empty(), || format!("never answered: {:?}", self.calls))?;
            self.waits.clear();
            self.subs.clear();
            self.check_sent(world.post)?;
            *world.tallies.entry("clients that were over").or_default() += 1;
        }
        world.post.on_heard(self.index);
        self.check_messages(world.post)
    }

    /// Each message that came was told, or is counted as what it is; and one of a grant that is held was told.
    fn check_messages(&self, post: &Post) -> Result<(), String> {
        let counters = self.core.counters();
        let (told, kept) = (post.told(self.index), self.core.early.count() as u64);
        let lost =
            [counters.messages_stale, counters.messages_early_dropped, counters.messages_dropped];
        let is_counted = counters.messages_received == told + kept + lost.iter().sum::<u64>();
        ensure(is_counted, || {
            format!("{} told {told}, keeps {kept}, lost {lost:?}: {counters:?}", self.node)
        })?;
        if self.is_over {
            return Ok(());
        }
        let held = self.guards.iter().filter(|guard| guard.grant.authority().ended().is_none());
        let mut tokens = held.map(|guard| guard.grant.token).chain([Token::default()]);
        let untold = tokens.find(|token| post.is_untold(self.index, *token));
        ensure(untold.is_none(), || {
            format!("{} was never told a message that came for {untold:?}", self.node)
        })
    }

    /// Its counters name each message that it was to send.
    pub(super) fn check_sent(&self, post: &Post) -> Result<(), String> {
        let counters = self.core.counters();
        let sent = [
            counters.sent_delivered,
            counters.sent_nobody,
            counters.sent_dropped,
            counters.sent_lost,
            counters.sent_refused,
        ];
        let owed = post.owed(self.index).unwrap_or(sent.iter().sum());
        ensure(owed == sent.iter().sum(), || {
            format!("{} was to send {owed} messages and counts {sent:?}", self.node)
        })
    }

    fn on_waited(
        &mut self,
        call: u64,
        event: Event<Grant>,
        names: &[String],
        world: &mut Heard<'_>,
    ) -> Result<(), String> {
        let name = match &event {
            Event::Granted(grant) => grant.name.to_string(),
            Event::WaitFailed { name, .. } => name.to_string(),
            other => return Err(format!("waiting brought {other:?}")),
        };
        let index = names.iter().position(|other| *other == name).ok_or("an unknown port")?;
        let waits = self.waits.remove(&index);
        ensure(waits == Some(call), || format!("{name}: call {call} waits not, {waits:?} does"))?;
        if let Event::Granted(grant) = event {
            *world.tallies.entry("waits that were granted").or_default() += 1;
            self.on_grant(index, grant, world)?;
        }
        Ok(())
    }

    fn on_grant(&mut self, index: usize, grant: Grant, world: &Heard<'_>) -> Result<(), String> {
        let guard = Guard { index, grant };
        if index >= HOT {
            self.bulk.push(guard);
            return Ok(());
        }
        let token = guard.grant.token;
        let is_it = world.server.history[index]
            .iter()
            .any(|stay| stay.token == token && stay.node == self.node);
        ensure(is_it, || format!("{} was never granted {token} of port {index}", self.node))?;
        self.guards.push(guard);
        Ok(())
    }

    fn on_done(
        &mut self,
        (call, made): (u64, &Call),
        done: Done<Grant>,
        names: &[String],
        world: &mut Heard<'_>,
    ) -> Result<(), String> {
        match done {
            Done::Registered(ports) => {
                ensure(ports.len() == made.names.len(), || format!("{ports:?} to {made:?}"))?;
                for (index, port) in made.names.iter().zip(ports) {
                    self.on_registered((call, made), *index, port, world)?;
                }
            }
            Done::Holders(holders) => {
                ensure(holders.len() == made.names.len(), || format!("{holders:?} to {made:?}"))?;
                for (index, holder) in made.names.iter().zip(&holders) {
                    self.on_holder(made, *index, holder, world)
                        .map_err(|wrong| format!("{}: {wrong}", names[*index]))?;
                }
            }
            Done::Sent(answer) => {
                for (what, count) in [
                    ("messages that were placed", answer.delivered),
                    ("messages to nobody", answer.nobody),
                    ("messages that were dropped", answer.dropped),
                ] {
                    *world.tallies.entry(what).or_default() += u64::from(count);
                }
                let about = (world.server, world.others);
                world.post.on_answer((self.index, call), answer, about)?;
            }
            Done::Failed(_error) => {
                world.post.on_over(self.index, call, true);
                *world.tallies.entry("calls that failed").or_default() += 1;
                self.waits.retain(|_index, other| *other != call);
            }
            Done::Unregistered(_)
            | Done::Nodes(..)
            | Done::Ports(..)
            | Done::Figures(_)
            | Done::Dropped(_)
            | Done::Nothing => {}
        }
        *world.tallies.entry("calls that were answered").or_default() += 1;
        Ok(())
    }

    fn on_registered(
        &mut self,
        (call, made): (u64, &Call),
        index: usize,
        port: Registered<Grant>,
        world: &Heard<'_>,
    ) -> Result<(), String> {
        use RegisterCode::{Draining, Held, Waiting};
        let code = match port {
            Registered::Granted(grant) => {
                self.waits.retain(|other, waits| (*other, *waits) != (index, call));
                return self.on_grant(index, grant, world);
            }
            Registered::Failed { code, .. } => code,
        };
        if code != Waiting {
            self.waits.retain(|other, waits| (*other, *waits) != (index, call));
        }
        let is_told = matches!(made.asked, Asked::Register { subscribe: true, .. });
        let is_followed = matches!(code, Held | Draining | Waiting);
        if is_told && is_followed && !made.untold.contains(&index) && index < HOT {
            let token = Token::default();
            self.subs.insert((index, token), Sub { token, since: world.server.step });
        }
        Ok(())
    }

    /// A question is answered with what was true at some time since it was asked.
    fn on_holder(
        &mut self,
        made: &Call,
        index: usize,
        holder: &Holder,
        world: &Heard<'_>,
    ) -> Result<(), String> {
        if index >= HOT {
            return Ok(());
        }
        let token = match holder {
            Holder::Unknown => return Ok(()),
            Holder::Free => {
                let was_free = world.server.was_free(index, made.since);
                return ensure(was_free, || "free, which it was not".to_owned());
            }
            Holder::Owner(owner) => owner.token,
        };
        let mut stays = world.server.history[index].iter();
        let is_it = stays.any(|stay| stay.token == token && stay.lasted(made.since));
        ensure(is_it, || format!("{token} was over before step {}", made.since))?;
        let is_told = made.asked == Asked::Query { is_told: true };
        // Of several ports one may be answered, and its end told, before the last is answered.
        let is_over = self.told.contains(&(index, token));
        if is_told && !is_over && !made.untold.contains(&index) {
            self.subs.insert((index, token), Sub { token, since: world.server.step });
        }
        Ok(())
    }

    fn on_event(
        &mut self,
        event: Event<Grant>,
        names: &[String],
        world: &mut Heard<'_>,
    ) -> Result<(), String> {
        match event {
            Event::Gone { name, token, .. } => {
                *world.tallies.entry("ends that were told").or_default() += 1;
                let index = names.iter().position(|other| **other == *name);
                let index = index.ok_or_else(|| format!("{name} is told of, which is none"))?;
                let is_it = |stay: &super::server::Stay| stay.token == token && stay.to.is_some();
                let stays = world.server.history.get(index);
                let is_over = stays.is_none_or(|stays| stays.iter().any(is_it));
                ensure(is_over, || format!("{token} of {name} is told of, and is not over"))?;
                self.told.insert((index, token));
                self.subs.retain(|sub, _of| sub.0 != index || sub.1 > token);
            }
            Event::SubscriptionsLost => {
                *world.tallies.entry("times that subscriptions were lost").or_default() += 1;
                self.subs.clear();
            }
            Event::Message { port, blob } => {
                *world.tallies.entry("messages that came").or_default() += 1;
                let Some((name, token)) = port else {
                    world.post.on_told(self.index, (None, Token::default()), &blob)?;
                    return Ok(());
                };
                let index = names[..HOT].iter().position(|other| **other == *name);
                let index = index.ok_or_else(|| format!("a message for {name}"))?;
                let since = world.post.on_told(self.index, (Some(index), token), &blob)?;
                let is_own = |stay: &&super::server::Stay| {
                    stay.token == token && stay.address == self.address
                };
                let stay = world.server.history[index].iter().find(is_own);
                let is_meant = stay.is_some_and(|stay| stay.lasted(since));
                let is_let_go = self.let_go.contains(&token);
                ensure(is_meant && !is_let_go, || {
                    let of = format!("for {token} of {name}, sent at step {since} or later");
                    format!("{} is told a message {of}: {stay:?}, let go: {is_let_go}", self.node)
                })?;
            }
            Event::NewEpoch { .. } => {
                *world.tallies.entry("new epochs that were told").or_default() += 1;
            }
            Event::Lapsed { .. } => {
                *world.tallies.entry("lapses that were told").or_default() += 1;
            }
            Event::Granted(_) | Event::WaitFailed { .. } => {
                return Err(format!("an event of waiting among the others: {event:?}"));
            }
            Event::Connected { .. } | Event::Disconnected | Event::Watched { .. } => {}
        }
        Ok(())
    }

    /// Up to which step of the switch it has heard all that the switch had to say to it.
    pub(super) fn heard(&self, wires: &mut BTreeMap<u64, Wire>) -> Option<u64> {
        if !self.core.is_attached {
            return None;
        }
        let conn = self.core.slots[0].conn.as_ref()?;
        let wire = wires.get_mut(self.wires.get(&conn.id)?)?;
        wire.marks.hear(wire.down.taken)
    }

    /// Holds what it believes against what was true when it had heard all.
    pub(super) fn check(
        &mut self,
        names: &[String],
        heard: Option<u64>,
        world: &mut Heard<'_>,
    ) -> Result<(), String> {
        self.check_cache(names, heard, world)?;
        let Some(heard) = heard else {
            return Ok(());
        };
        for ((index, _token), sub) in &self.subs {
            let stays = &world.server.history[*index];
            let is_missed = if sub.token == Token::default() {
                let now = stays.iter().find(|stay| stay.from <= heard && stay.lasted(heard));
                heard >= sub.since && now.is_none_or(|now| now.from > sub.since)
            } else {
                let stay = stays.iter().find(|stay| stay.token == sub.token);
                stay.is_none_or(|stay| stay.to.is_some_and(|to| to <= heard))
            };
            ensure(!is_missed, || {
                format!("{} was never told of {sub:?} of {}: {stays:?}", self.node, names[*index])
            })?;
        }
        *world.tallies.entry("subscriptions that were checked").or_default() +=
            self.subs.len() as u64;
        Ok(())
    }

    fn check_cache(
        &self,
        names: &[String],
        heard: Option<u64>,
        world: &mut Heard<'_>,
    ) -> Result<(), String> {
        for (name, owner) in self.core.cache.owners() {
            let Some(index) = names[..HOT].iter().position(|other| **other == *name) else {
                continue;
            };
            let stays = &world.server.history[index];
            let stay = stays.iter().find(|stay| stay.token == owner.token);
            let wrong = match stay {
                None => "never was an owner",
                Some(stay) if stay.node != *owner.node || stay.address != *owner.address => {
                    "is another node"
                }
                Some(stay) if stay.to.is_some_and(|to| Some(to) <= heard) => {
                    "is an owner no more, and all that says so was heard"
                }
                Some(_) => {
                    let is_late = stay.is_some_and(|stay| stay.to.is_some());
                    let tally = if is_late { "owners on their way out" } else { "owners right" };
                    *world.tallies.entry(tally).or_default() += 1;
                    continue;
                }
            };
            return Err(format!(
                "{} believes in {owner:?} of {name}, who {wrong} (step {heard:?}): {stays:?}",
                self.node
            ));
        }
        if self.core.authority.is_none() && self.core.outlived.is_none() {
            ensure(self.core.cache.len() == 0, || format!("{} keeps owners", self.node))?;
        }
        Ok(())
    }

    /// What is left of calls when none is under way and nothing is held, but for what is kept on
    /// purpose.
    pub(super) fn check_empty(&self) -> Result<(), String> {
        let core = &self.core;
        let lanes: usize = core.slots.iter().map(|slot| slot.lanes.len() + slot.solos.len()).sum();
        let counts = [
            ("calls", self.calls.len()),
            ("waits", self.waits.len()),
            ("subscriptions", self.subs.len()),
            ("guards", self.guards.len() + self.bulk.len()),
            ("requests", core.requests.len()),
            ("registrations", core.registrations),
            ("asked", core.asked),
            ("held", core.held.len()),
            ("waits of the core", core.waits.len()),
            ("told", core.told.len()),
            ("owners", core.cache.len()),
            ("questions", core.cache.pending_len()),
            ("grants not taken", core.waited.len()),
            ("deferred", core.deferred.len()),
            ("bytes of calls", lanes),
            ("grants to be found", core.recovery.len()),
            ("outlived", usize::from(core.outlived.is_some())),
        ];
        let left: Vec<_> = counts.iter().filter(|(_what, count)| *count > 0).collect();
        ensure(left.is_empty(), || {
            format!("{} has left {left:?}: {:?} {:?}", self.node, self.calls, self.waits)
        })
    }

    /// The guards by which it may act at `now`.
    pub(super) fn owned(&self, now: Instant) -> impl Iterator<Item = (usize, Token)> + '_ {
        let local = self.clock.read(now);
        let is_owner =
            move |guard: &&Guard| guard.grant.authority().remaining(local) > base::Duration::ZERO;
        self.guards.iter().filter(is_owner).map(|guard| (guard.index, guard.grant.token))
    }

    /// A guard is dropped, as `PortGuard` is.
    pub(super) fn drop_guard(&mut self, guard: &Guard, now: Instant) {
        if guard.grant.authority().ended().is_none() {
            self.let_go.insert(guard.grant.token);
            self.core.release(&guard.grant.name, guard.grant.token, self.clock.read(now));
        }
    }

    /// Whether it holds this grant still.
    pub(super) fn has(&self, token: Token) -> bool {
        self.guards.iter().chain(&self.bulk).any(|guard| guard.grant.token == token)
    }

    /// Owners of the ports from `HOT` on that it believes in, by index among those.
    pub(super) fn bulk_owners(&self, names: &[String]) -> Vec<(usize, Sequence)> {
        let owners = self.core.cache.owners();
        let index = |name: &str| names[HOT..].iter().position(|other| *other == *name);
        owners.filter_map(|(name, owner)| Some((index(name)?, owner.token.sequence))).collect()
    }
}

/// What is looked at when a core is listened to.
pub(super) struct Heard<'a> {
    pub(super) server: &'a Server,
    pub(super) tallies: &'a mut Tallies,
    pub(super) post: &'a mut Post,
    /// Sessions besides its own, when nothing goes wrong.
    pub(super) others: u32,
}
