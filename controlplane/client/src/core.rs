//! The client without a socket and a clock: bytes and instants in, bytes and events out.
//!
//! ```text
//! call() ------> lanes (one a kind) --flush--> outgoing(conn)      idle, full, or 50 us old
//!                                                |
//! handle_bytes(conn) <---------- answers, pushes +--- the switch
//!      |-> next_done()    what a call was answered
//!      |-> next_event()   messages, grants, what went away, epochs, the end
//! poll(now) -> next_action(): connect, close; and when to be called again
//! ```

mod answers;
mod batch;
mod cache;
mod conn;
mod grants;
mod held;
mod hello;
mod inbox;
mod lease;
mod messages;
mod notices;
mod operate;
mod outlived;
mod reach;
mod recovery;
mod requests;
mod send;
#[cfg(test)]
mod tests;
mod told;
mod waits;

use std::collections::VecDeque;
use std::sync::Arc;

use base::{Duration, Instant, Rng};
use protocol::SessionId;
use protocol::{ClusterId, Epoch, ErrorFrame, Framing, Incoming, IncomingBody};

use crate::authority::{Authority, Ended};
use crate::config::{Config, ConfigError, Entropy};
use crate::counters::Counters;
use crate::error::{Over, RequestError};
use crate::event::{Done, Event, Grant, Owner};
use crate::limits::{BATCH_ITEMS_MAX, PORTS_MAX, SILENCE};
use crate::numbers::NumberMap;
use crate::trouble::Trouble;

use batch::Batch;
use cache::Cache;
use conn::{Conn, Phase, Slot};
use held::Held;
use inbox::{Early, Inbox, watched};
use outlived::Outlived;
use reach::Reach;
use recovery::Recovery;
use requests::Pending;
use send::Deferred;
use told::Told;
use waits::Waits;

pub use conn::{Action, ConnId};

/// A client.
#[derive(Debug)]
pub struct Core {
    config: Config,
    rng: Rng,
    counters: Counters,
    session: SessionId,
    cluster: ClusterId,
    /// The highest that was heard of.
    epoch: Epoch,
    over: Option<Over>,
    /// When a close that is under way is over.
    closing: Option<Instant>,
    /// Of the session in its epoch; `None`: it has none yet.
    authority: Option<Authority>,
    /// Of an earlier epoch, for what is held of that yet.
    outlived: Option<Outlived>,
    lease: Duration,
    /// How long a switch waits for a lease that may not be over.
    exclusion: Duration,
    relet_at: Instant,
    is_attached: bool,
    notice_next: Option<u64>,
    /// The name of the switch of the receive connection.
    switch: Arc<str>,
    /// The receive connection is the first, where there is a session; the others send.
    slots: Vec<Slot>,
    endpoints: Vec<Arc<str>>,
    endpoint_next: usize,
    endpoint_used: Option<Arc<str>>,
    /// Where a switch said that another may be: what is dialled next.
    hint: Option<Arc<str>>,
    /// The last such endpoint that is none of ours: it has its turn after them.
    hinted: Option<Arc<str>>,
    next_id: u32,
    next_request: u64,
    requests: NumberMap<u64, Pending>,
    registrations: usize,
    /// Items of registrations that are not answered.
    asked: usize,
    ports_max: usize,
    held: Held,
    recovery: Recovery,
    waits: Waits,
    told: Told,
    watch: Option<String>,
    /// Whether something that it saw had no place, and nothing says so yet.
    is_watch_missing: bool,
    cache: Cache,
    early: Early,
    inbox: Inbox,
    /// What came of waiting, and for which call: at most one for each name that was waited for.
    waited: VecDeque<(u64, Event<Grant>)>,
    actions: VecDeque<Action>,
    done: VecDeque<(u64, Done<Grant>)>,
    deferred: Vec<Deferred>,
    trouble: Option<Trouble>,
    reach: Reach,
}

impl Core {
    /// A client that connects at its first `poll`.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration.
    pub fn new(config: Config, entropy: Entropy) -> Result<Self, ConfigError> {
        config.check()?;
        let mut rng = Rng::seeded(entropy.seed);
        let has_session = config.wants_session();
        let slots = usize::from(config.send_connections) + usize::from(has_session);
        let endpoints: Vec<Arc<str>> =
            config.endpoints.iter().map(|endpoint| Arc::from(endpoint.as_str())).collect();
        let count = u64::try_from(endpoints.len()).unwrap_or(1);
        let endpoint_next = usize::try_from(rng.below(count)).unwrap_or(0);
        Ok(Self {
            rng,
            counters: Counters::default(),
            session: if has_session { entropy.session } else { SessionId::NONE },
            cluster: ClusterId::ANY,
            epoch: Epoch::default(),
            over: None,
            closing: None,
            authority: None,
            outlived: None,
            lease: Duration::ZERO,
            exclusion: Duration::ZERO,
            relet_at: Instant::ZERO,
            is_attached: false,
            notice_next: None,
            switch: Arc::from(""),
            slots: (0..slots).map(|_slot| Slot::new()).collect(),
            endpoints,
            endpoint_next,
            endpoint_used: None,
            hint: None,
            hinted: None,
            next_id: 0,
            next_request: 0,
            requests: NumberMap::default(),
            registrations: 0,
            asked: 0,
            ports_max: PORTS_MAX,
            held: Held::default(),
            recovery: Recovery::default(),
            waits: Waits::default(),
            told: Told::default(),
            watch: None,
            is_watch_missing: false,
            cache: Cache::new(config.cache_entries),
            early: Early::default(),
            inbox: Inbox::default(),
            waited: VecDeque::new(),
            actions: VecDeque::new(),
            done: VecDeque::new(),
            deferred: Vec::new(),
            trouble: None,
            reach: Reach::default(),
            config,
        })
    }

    /// Whether the client may hold ports.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.config.wants_session()
    }

    const fn first_send(&self) -> usize {
        self.slots.len() - self.send_count()
    }

    const fn send_count(&self) -> usize {
        self.config.send_connections as usize
    }

    /// Whether requests reach the switch now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let ready = self.slots[self.first_send()].conn.as_ref().is_some_and(Conn::is_ready);
        ready && (self.is_attached || !self.has_session())
    }

    /// Why the client does nothing any more.
    #[must_use]
    pub const fn over(&self) -> Option<&Over> {
        self.over.as_ref()
    }

    /// What stands between the client and the switch, as far as it is known.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        let is_silent = |conn: &&Conn| conn.phase == Phase::Greeting;
        let silent = || self.slots[0].conn.as_ref().filter(is_silent).map(Conn::silent);
        self.trouble.clone().or_else(silent)
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The highest epoch that was heard of.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The owner of a port as the cache has it.
    pub fn cached(&mut self, name: &str) -> Option<Owner> {
        let owner = self.cache.find(name);
        match owner {
            Some(_) => self.counters.cache_hits += 1,
            None => self.counters.cache_misses += 1,
        }
        owner
    }

    /// Owners in the cache.
    #[must_use]
    pub fn cache_len(&self) -> usize {
        self.cache.len()
    }

    /// The next thing for the shell to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next answer to a call.
    pub fn next_done(&mut self) -> Option<(u64, Done<Grant>)> {
        self.done.pop_front()
    }

    /// The next thing for the application to know, but for what came of waiting.
    pub fn next_event(&mut self) -> Option<Event<Grant>> {
        let is_missing = &mut self.is_watch_missing;
        let missing = || std::mem::take(is_missing).then(|| watched(&protocol::Event::MISSING));
        self.inbox.pop().or_else(missing)
    }

    /// Whether there is one.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.inbox.is_empty() || self.is_watch_missing
    }

    /// The next `Granted` or `WaitFailed`, and the call that waited for it.
    pub fn next_waited(&mut self) -> Option<(u64, Event<Grant>)> {
        self.waited.pop_front()
    }

    /// What is to be sent on a connection.
    #[must_use]
    pub fn outgoing(&self, conn: ConnId) -> &[u8] {
        self.conn(conn).map_or(&[], Conn::unsent)
    }

    /// So many bytes of it were taken.
    pub fn handle_sent(&mut self, conn: ConnId, len: usize) {
        if let Some(conn) = self.conn_mut(conn) {
            conn.sent += len;
            if conn.sent == conn.out.len() {
                conn.out.clear();
                conn.sent = 0;
            }
        }
    }

    fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.slots.get(id.slot)?.conn.as_ref().filter(|conn| conn.id == id)
    }

    fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slots.get_mut(id.slot)?.conn.as_mut().filter(|conn| conn.id == id)
    }

    fn is_receive(&self, id: ConnId) -> bool {
        self.has_session() && id.slot == 0
    }

    /// A connection was had; the switch speaks first.
    pub fn handle_connected(&mut self, id: ConnId) {
        if let Some(conn) = self.conn_mut(id) {
            conn.phase = Phase::Greeting;
        }
    }

    /// Bytes came; `now` was read after they did.
    pub fn handle_bytes(&mut self, id: ConnId, bytes: &[u8], now: Instant) {
        self.check_lease(now);
        let Some(conn) = self.conn_mut(id) else {
            return;
        };
        conn.heard = now;
        let mut inbox = std::mem::take(&mut conn.inbox);
        self.counters.bytes_received += u64::try_from(bytes.len()).unwrap_or(0);
        inbox.extend_from_slice(bytes);
        let used = self.handle_frames(id, &inbox, now);
        if let Some(conn) = self.conn_mut(id) {
            inbox.drain(..used);
            conn.inbox = inbox;
        }
    }

    /// Bytes of the frames that were whole.
    fn handle_frames(&mut self, id: ConnId, bytes: &[u8], now: Instant) -> usize {
        let mut rest = bytes;
        while let Some(conn) = self.conn(id) {
            let limits = conn.limits;
            let answer = protocol::limits::answer_len_max(BATCH_ITEMS_MAX.min(limits.items_max()));
            let len_max = u32::try_from(answer).unwrap_or(u32::MAX).max(limits.frame_len_max());
            let frame = match Framing::find(rest, len_max) {
                Ok(Framing::Whole { frame, rest: after, .. }) => {
                    rest = after;
                    Incoming::parse(frame, &limits)
                }
                Ok(Framing::Part { .. }) => break,
                Err(error) => Err(error),
            };
            match frame {
                Ok(frame) => self.handle_frame(id, &frame, now),
                Err(error) => {
                    self.counters.frames_malformed += 1;
                    self.note_nonsense(id, error.to_string());
                    self.drop_conn(id, now, Duration::ZERO);
                }
            }
        }
        bytes.len() - rest.len()
    }

    fn handle_frame(&mut self, id: ConnId, frame: &Incoming<'_>, now: Instant) {
        match &frame.body {
            IncomingBody::Answer(answer) => self.handle_answer(id, frame.header.id, answer, now),
            IncomingBody::Push(push) => self.handle_push(id, push, now),
            IncomingBody::Error(error) => self.handle_error(id, frame.header.id, error, now),
        }
        self.settle_early();
    }

    /// A connection ended, or was not had.
    pub fn handle_closed(&mut self, id: ConnId, why: Trouble, now: Instant) {
        let Some(conn) = self.conn(id) else {
            return;
        };
        // Who waits for somebody else to speak first ends without a word.
        let is_silent = conn.phase == Phase::Greeting && matches!(why, Trouble::Closed { .. });
        let silent =
            (is_silent && now.saturating_since(conn.since) >= SILENCE).then(|| conn.silent());
        self.note_trouble(id, silent.unwrap_or(why));
        self.lose(id, now, Duration::ZERO);
        self.check_lease(now);
    }

    /// Ends all: stops being an owner, releases every port, and closes. `next_action` says when.
    pub fn close(&mut self, now: Instant) {
        if self.over.is_some() || self.closing.is_some() {
            return;
        }
        if let Some(authority) = &self.authority {
            authority.end(Ended::Closed);
        }
        self.drop_outlived(Ended::Closed);
        if self.say_yield() {
            self.closing = Some(now + crate::limits::CLOSE_MAX);
            self.poll_closing();
        } else {
            self.finish(Over::Closed);
        }
    }

    /// The client is over.
    fn finish(&mut self, over: Over) {
        if self.over.is_some() {
            return;
        }
        let ended = if over == Over::Closed { Ended::Closed } else { Ended::Evicted };
        if let Some(authority) = self.authority.take() {
            authority.end(ended);
        }
        self.drop_outlived(ended);
        self.held.clear();
        self.recovery.clear();
        self.waits.clear();
        self.told.clear();
        self.cache.flush();
        self.counters.messages_stale += self.early.clear();
        self.is_attached = false;
        let mut lost: u64 = self.deferred.drain(..).map(|deferred| deferred.messages()).sum();
        for slot in &mut self.slots {
            if let Some(conn) = slot.conn.take() {
                lost += conn.messages();
                let rest = conn.unsent().to_vec();
                self.actions.push_back(Action::Close { conn: conn.id, rest });
            }
            lost += slot.lanes.take(|_kind| true).iter().map(Batch::messages).sum::<u64>();
            lost += slot.solos.messages(&self.requests);
            slot.solos.clear();
        }
        self.counters.sent_lost += lost;
        self.asked = 0;
        let mut requests: Vec<u64> = self.requests.drain().map(|(request, _)| request).collect();
        requests.sort_unstable();
        let failed = |request| (request, Done::Failed(RequestError::from(over.clone())));
        self.done.extend(requests.into_iter().map(failed));
        self.over = Some(over);
    }

    fn tell(&mut self, event: Event<Grant>) {
        if let Some(left) = self.inbox.push_surely(event) {
            self.on_untold(&left);
        }
    }

    /// An event that nobody will hear of.
    fn on_untold(&mut self, event: &Event<Grant>) {
        if let Event::Message { .. } = event {
            self.counters.messages_dropped += 1;
        } else {
            self.counters.events_dropped += 1;
        }
    }

    /// Guards were dropped whose ports nobody will release.
    pub(crate) fn note_releases_dropped(&mut self, count: u64) {
        self.counters.releases_dropped += count;
    }

    fn note_error(&mut self, id: ConnId, error: &ErrorFrame<'_>) {
        let ErrorFrame { code, message, .. } = error;
        self.note_trouble(id, Trouble::Refused { code: *code, message: (*message).to_owned() });
    }

    fn note_nonsense(&mut self, id: ConnId, what: String) {
        let endpoint = self.conn(id).map_or_else(String::new, |conn| conn.endpoint.to_string());
        self.note_trouble(id, Trouble::Nonsense { endpoint, what });
    }
}
