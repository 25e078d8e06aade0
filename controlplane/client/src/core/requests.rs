//! Calls: what is checked, where their items go, and what of them is answered already.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use base::Instant;
use protocol::{Limits, RegisterFlags, RequestKind, Sequence, Token, UnregisterCode};
use protocol::{check_name, shard_of};

use super::Core;
use super::batch::{Kind, Run, Tag};
use super::conn::Solo;
use crate::error::{CallError, RequestError};
use crate::event::{Done, Event, Grant, Holder, Registered};
use crate::limits::{BATCH_ITEMS_MAX, REQUESTS_MAX, SUBSCRIPTIONS_MAX, WAITING_LEN_MAX, WAITS_MAX};

/// A call that is not done.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) parts: Parts,
    /// Items that are not answered.
    pub(super) left: usize,
    /// What it is to be told of, of items that were answered before others.
    pub(super) followed: Vec<(Arc<str>, Token)>,
    /// Whether it is not told of something of which it asked to be told.
    pub(super) is_untold: bool,
}

impl Pending {
    pub(super) const fn new(parts: Parts, left: usize) -> Self {
        Self { parts, left, followed: Vec::new(), is_untold: false }
    }
}

/// What is known of its items.
#[derive(Debug)]
pub(super) enum Parts {
    Register(Vec<Option<Registered<Grant>>>),
    Unregister(Vec<Option<UnregisterCode>>),
    Query(Vec<Holder>),
    Solo,
    /// As `Solo`, of who only wants to know whether the switch is reached.
    Connect,
}

impl Core {
    /// Asks for ports. With `wait` the names are waited for until they are granted, cancelled or
    /// refused, or the call is given up, over connections, masters and sessions; each by one call.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn register(
        &mut self,
        names: &[&str],
        flags: RegisterFlags,
        now: Instant,
    ) -> Result<u64, CallError> {
        self.check(names.iter().copied(), 0)?;
        if !self.has_session() {
            return Err(CallError::NoSession);
        }
        let ports = self.held.len() + self.asked + self.waits.len();
        if ports + names.len() > self.ports_max {
            return Err(CallError::Full { what: "the list of ports that a client may hold" });
        }
        if flags.wait {
            self.check_waits(names)?;
        }
        self.check_told(flags.subscribe, names.len())?;
        let parts = Parts::Register(names.iter().map(|_name| None).collect());
        let request = self.begin(parts, names.len())?;
        self.asked += names.len();
        if flags.wait {
            names.iter().for_each(|name| self.waits.insert(name, request));
        }
        if flags.subscribe {
            names.iter().for_each(|name| self.told.ask(name, request));
        }
        self.push_names(Kind::Register(flags), request, names, now);
        Ok(request)
    }

    /// Releases ports. Whoever calls it has stopped acting as their owner.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn unregister(&mut self, ports: &[(&str, Token)], now: Instant) -> Result<u64, CallError> {
        self.check(ports.iter().map(|(name, _token)| *name), 0)?;
        let parts = Parts::Unregister(vec![None; ports.len()]);
        let request = self.begin(parts, ports.len())?;
        let is_held = |core: &mut Self, (name, token): &(&str, Token)| core.let_go(name, *token);
        let over: Vec<usize> =
            (0..ports.len()).filter(|item| !is_held(self, &ports[*item])).collect();
        let first = self.first_send();
        if let ([slot], []) = (&mut self.slots[first..], &over[..]) {
            let items = ports.iter().map(|(name, token)| (*name, token.sequence));
            slot.lanes.push_call(Kind::Unregister, request, items, now);
            return Ok(request);
        }
        let mut next_over = over.iter().peekable();
        for (item, (name, token)) in (0..).zip(ports) {
            let tag = Tag::Call { request, item };
            if next_over.next_if(|over| **over == tag.item()).is_none() {
                self.push(Kind::Unregister, (name, tag, token.sequence, &[]), now);
            }
        }
        if !over.is_empty() {
            self.on_parts(request, over.len());
        }
        Ok(request)
    }

    /// Releases a port; nobody asks what became of it.
    pub fn release(&mut self, name: &str, token: Token, now: Instant) {
        if self.let_go(name, token) {
            self.push(Kind::Unregister, (name, Tag::Nobody, token.sequence, &[]), now);
        }
    }

    /// This session holds a port no more, and says so to the switch. `false`: the grant is over, and
    /// there is nothing to release.
    fn let_go(&mut self, name: &str, token: Token) -> bool {
        if token.epoch != self.epoch {
            self.let_go_outlived(name, token);
            return false;
        }
        if !self.held.remove(name, token.sequence) {
            return false;
        }
        self.recovery.on_released(token.sequence);
        if self.cache.on_gone(name, token.sequence) {
            self.counters.cache_gone += 1;
        }
        true
    }

    /// Asks whose ports are. With `is_kept` the owners go into the cache; with `is_told` the
    /// application is also told when they go away.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn query(
        &mut self,
        names: &[&str],
        is_kept: bool,
        is_told: bool,
        now: Instant,
    ) -> Result<u64, CallError> {
        self.check(names.iter().copied(), 0)?;
        let subscribe = is_kept || is_told;
        if subscribe && !self.has_session() {
            return Err(CallError::NoSession);
        }
        self.check_told(is_told, names.len())?;
        let parts = Parts::Query(vec![Holder::Unknown; names.len()]);
        let request = self.begin(parts, names.len())?;
        if is_told {
            names.iter().for_each(|name| self.told.ask(name, request));
        }
        self.push_names(Kind::Query { subscribe }, request, names, now);
        Ok(request)
    }

    /// Waits for ports no more. A grant that was not taken yet is released.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn cancel_wait(&mut self, names: &[&str], now: Instant) -> Result<(), CallError> {
        self.check(names.iter().copied(), 0)?;
        for name in names {
            if self.waits.remove(name).is_some() {
                self.push_cancel(name, now);
            }
        }
        if !self.waited.is_empty() {
            let names: HashSet<&str> = names.iter().copied().collect();
            let is_it = |(_call, event): &(u64, Event<Grant>)| matches!(event, Event::Granted(grant) if names.contains(&*grant.name));
            self.give_up_waited(is_it, now);
        }
        Ok(())
    }

    /// It leaves on the connection of the registration, and before a later one of the same name.
    pub(super) fn push_cancel(&mut self, name: &str, now: Instant) {
        self.push(Kind::CancelWait, (name, Tag::Nobody, Sequence::NONE, &[]), now);
    }

    /// Is told of ports no more.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn unsubscribe(&mut self, names: &[&str], now: Instant) -> Result<(), CallError> {
        self.check(names.iter().copied(), 0)?;
        for name in names {
            // An owner that is kept needs its subscription.
            if self.told.remove(name) && self.cache.find(name).is_none() {
                self.push(Kind::Unsubscribe, (name, Tag::Nobody, Sequence::NONE, &[]), now);
            }
        }
        Ok(())
    }

    /// The call that waits for a port.
    #[must_use]
    pub fn waiting_call(&self, name: &str) -> Option<u64> {
        self.waits.call_of(name)
    }

    /// Nobody awaits anything of a call any more, answered or not: its waits end, and what it still
    /// brings is released.
    pub fn abandon(&mut self, request: u64, now: Instant) {
        if let Some(pending) = self.requests.remove(&request) {
            self.give_back(pending, now);
        }
        self.end_waits(request, now);
        self.give_up_waited(|(call, _event)| *call == request, now);
    }

    /// Releases what was granted to who waited for it and has not been taken yet.
    fn give_up_waited(&mut self, is_it: impl Fn(&(u64, Event<Grant>)) -> bool, now: Instant) {
        let waited = std::mem::take(&mut self.waited);
        let (untaken, waited): (VecDeque<_>, VecDeque<_>) = waited.into_iter().partition(is_it);
        self.waited = waited;
        for (_call, event) in untaken {
            if let Event::Granted(grant) = event {
                self.give_up(&grant, now);
            }
        }
    }

    fn end_waits(&mut self, request: u64, now: Instant) {
        for name in self.waits.take_of(request) {
            self.push_cancel(&name, now);
        }
    }

    /// Releases a grant that nobody awaits.
    pub(super) fn give_up(&mut self, grant: &Grant, now: Instant) {
        self.counters.grants_released += 1;
        self.release(&grant.name, grant.token, now);
    }

    /// Ends a request before all of it was answered.
    pub(super) fn fail(&mut self, request: u64, error: RequestError, now: Instant) {
        if let Some(pending) = self.requests.remove(&request) {
            self.give_back(pending, now);
            self.end_waits(request, now);
            self.done.push_back((request, Done::Failed(error)));
        }
    }

    fn give_back(&mut self, pending: Pending, now: Instant) {
        let Parts::Register(ports) = pending.parts else {
            return;
        };
        self.asked -= pending.left;
        for port in ports.into_iter().flatten() {
            if let Registered::Granted(grant) = port {
                self.give_up(&grant, now);
            }
        }
    }

    pub(super) fn check<'a>(
        &self,
        names: impl ExactSizeIterator<Item = &'a str>,
        len: usize,
    ) -> Result<(), CallError> {
        self.check_open()?;
        if names.len() == 0 {
            return Err(CallError::Nothing);
        }
        let mut waiting = len + self.waiting_len();
        for (item, name) in names.enumerate() {
            check_name(name.as_bytes()).map_err(|source| CallError::Name { item, source })?;
            waiting += name.len();
        }
        if waiting > WAITING_LEN_MAX {
            return Err(CallError::Full { what: WAITING });
        }
        Ok(())
    }

    /// Bytes that calls have waiting.
    fn waiting_len(&self) -> usize {
        self.slots.iter().map(|slot| slot.lanes.len() + slot.solos.len()).sum()
    }

    fn check_open(&self) -> Result<(), CallError> {
        match &self.over {
            Some(over) => Err(CallError::Over(over.clone())),
            None if self.closing.is_some() => Err(CallError::Over(crate::error::Over::Closed)),
            None => Ok(()),
        }
    }

    fn check_told(&self, is_told: bool, count: usize) -> Result<(), CallError> {
        if is_told && self.told.len() + count > SUBSCRIPTIONS_MAX {
            return Err(CallError::Full { what: "the list of subscriptions" });
        }
        Ok(())
    }

    fn check_waits(&self, names: &[&str]) -> Result<(), CallError> {
        if self.waits.len() + names.len() > WAITS_MAX {
            return Err(CallError::Full { what: "the list of ports that are waited for" });
        }
        if names.iter().any(|name| self.waits.call_of(name).is_some()) {
            return Err(CallError::Taken { what: "waits for one of these ports" });
        }
        Ok(())
    }

    /// Those of a connection that is there, else what most switches have.
    pub(super) fn known_limits(&self) -> Limits {
        let conns = self.slots.iter().filter_map(|slot| slot.conn.as_ref());
        conns
            .filter(|conn| conn.is_ready())
            .map(|conn| conn.limits)
            .next_back()
            .unwrap_or(Limits::DEFAULT)
    }

    fn begin(&mut self, parts: Parts, left: usize) -> Result<u64, CallError> {
        if self.requests.len() >= REQUESTS_MAX {
            return Err(CallError::Full { what: "the list of calls that are not answered" });
        }
        self.next_request += 1;
        self.requests.insert(self.next_request, Pending::new(parts, left));
        Ok(self.next_request)
    }

    /// Everything about one name goes over one connection, so that it arrives in order.
    pub(super) fn push(&mut self, kind: Kind, item: (&str, Tag, Sequence, &[u8]), now: Instant) {
        let slot = self.slot_of(item.0);
        self.slots[slot].lanes.push(kind, item, now);
    }

    /// The items of a call.
    fn push_names(&mut self, kind: Kind, request: u64, names: &[&str], now: Instant) {
        let first = self.first_send();
        if let [slot] = &mut self.slots[first..] {
            let items = names.iter().map(|name| (*name, Sequence::NONE));
            slot.lanes.push_call(kind, request, items, now);
            return;
        }
        for (item, name) in (0..).zip(names) {
            self.push(kind, (name, Tag::Call { request, item }, Sequence::NONE, &[]), now);
        }
    }

    fn slot_of(&self, name: &str) -> usize {
        let first = self.first_send();
        match u8::try_from(self.slots.len() - first) {
            Ok(1) => first,
            count => first + usize::from(shard_of(name.as_bytes(), count.unwrap_or(u8::MAX))),
        }
    }

    pub(super) fn bare(
        &mut self,
        kind: RequestKind,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64, CallError> {
        self.solo(0, kind, |out| {
            write(out);
            0
        })
    }

    /// Queues a frame of its own with so many items, of which `write` says how many fit.
    pub(super) fn solo(
        &mut self,
        count: usize,
        kind: RequestKind,
        write: impl FnOnce(&mut Vec<u8>) -> u32,
    ) -> Result<u64, CallError> {
        self.solo_about(&[], count, kind, write)
    }

    /// As `solo`, for a request about these nodes.
    pub(super) fn solo_about(
        &mut self,
        nodes: &[&str],
        count: usize,
        kind: RequestKind,
        write: impl FnOnce(&mut Vec<u8>) -> u32,
    ) -> Result<u64, CallError> {
        self.check_open()?;
        if u32::try_from(count).map_or(true, |count| count > BATCH_ITEMS_MAX) {
            return Err(CallError::TooMany { limit: BATCH_ITEMS_MAX });
        }
        let mut frame = Vec::new();
        let written = write(&mut frame);
        if usize::try_from(written) != Ok(count) {
            return Err(CallError::TooMany { limit: written });
        }
        if self.waiting_len() + frame.len() > WAITING_LEN_MAX {
            return Err(CallError::Full { what: WAITING });
        }
        let request = self.begin(Parts::Solo, 1)?;
        let slot = self.first_send();
        let (solos, requests) = (&mut self.slots[slot].solos, &self.requests);
        if solos.count() > 2 * requests.len() {
            solos.retain(|solo| solo.is_wanted(requests));
        }
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        let solo = Solo { request, kind, frame, nodes, items: written.max(1), deferrals: 0 };
        solos.push_back(solo);
        Ok(request)
    }

    /// So many items of a call are over, right as far as it is known.
    pub(super) fn settle_run(&mut self, run: &Run) {
        if let Some((request, _first)) = run.of_call() {
            self.on_parts(request, run.count);
        }
    }

    /// Items of a call in a row were answered, but for these failures: places among them, and codes.
    pub(super) fn settle_unregistered(
        &mut self,
        run: &Run,
        failures: impl Iterator<Item = (usize, UnregisterCode)>,
    ) {
        let pending = run.of_call().and_then(|(request, first)| {
            self.requests.get_mut(&request).map(|pending| (&mut pending.parts, first))
        });
        match pending {
            Some((Parts::Unregister(codes), first)) => {
                failures.for_each(|(item, code)| codes[first + item] = Some(code));
            }
            Some(_) | None => failures.for_each(drop),
        }
        self.settle_run(run);
    }

    pub(super) fn settle_holder(&mut self, tag: Tag, holder: Holder) {
        let Tag::Call { request, item } = tag else {
            return;
        };
        let index = usize::try_from(item).unwrap_or(usize::MAX);
        if let Some(Pending { parts: Parts::Query(holders), .. }) = self.requests.get_mut(&request)
        {
            holders[index] = holder;
        }
        self.on_parts(request, 1);
    }

    /// Items of a call in a row were answered.
    pub(super) fn settle_holders(&mut self, run: &Run, answers: impl Iterator<Item = Holder>) {
        let pending = run.of_call().and_then(|(request, first)| {
            self.requests.get_mut(&request).map(|pending| (&mut pending.parts, first))
        });
        match pending {
            Some((Parts::Query(holders), first)) => {
                let holders = holders[first..first + run.count].iter_mut();
                holders.zip(answers).for_each(|(holder, answer)| *holder = answer);
            }
            Some(_) | None => answers.take(run.count).for_each(drop),
        }
        self.settle_run(run);
    }

    /// Where the outcomes of a registration are noted; `None`: nobody waits for them.
    pub(super) fn ports_of(&mut self, request: u64) -> Option<&mut Vec<Option<Registered<Grant>>>> {
        match self.requests.get_mut(&request) {
            Some(Pending { parts: Parts::Register(ports), .. }) => Some(ports),
            Some(_) | None => None,
        }
    }

    /// The outcome comes back if nobody waits for it.
    pub(super) fn settle_registered(
        &mut self,
        request: u64,
        item: u32,
        port: Registered<Grant>,
    ) -> Option<Registered<Grant>> {
        let index = usize::try_from(item).unwrap_or(usize::MAX);
        let Some(ports) = self.ports_of(request) else {
            return Some(port);
        };
        ports[index] = Some(port);
        self.on_parts(request, 1);
        None
    }

    /// So many items of a call are done.
    pub(super) fn on_parts(&mut self, request: u64, count: usize) {
        let Some(pending) = self.requests.get_mut(&request) else {
            return;
        };
        pending.left -= count;
        if let Parts::Register(_) = pending.parts {
            self.asked -= count;
        }
        if pending.left > 0 {
            return;
        }
        let Some(pending) = self.requests.remove(&request) else {
            return;
        };
        // What ended between its own answer and the last one was told of before the call was answered.
        let mut followed = pending.followed.iter();
        let is_followed = followed
            .all(|(name, of)| of.epoch == self.epoch && self.told.is_followed(name, of.sequence));
        let is_untold = pending.is_untold || !is_followed;
        let done = match pending.parts {
            Parts::Register(ports) => {
                let port = |port: Option<_>| port.expect("every item was settled");
                Done::Registered(ports.into_iter().map(port).collect())
            }
            Parts::Unregister(codes) => Done::Unregistered(codes),
            Parts::Query(holders) => Done::Holders(holders),
            Parts::Solo | Parts::Connect => Done::Nothing,
        };
        self.done.push_back((request, done));
        if is_untold {
            self.tell(Event::SubscriptionsLost);
        }
    }

    pub(super) fn settle_solo(&mut self, request: u64, done: Done<Grant>) {
        if self.requests.remove(&request).is_some() {
            self.done.push_back((request, done));
        }
    }
}

/// What is full when too much waits to be sent.
const WAITING: &str = "the queue of what waits to be sent";
