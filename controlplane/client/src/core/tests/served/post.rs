//! Messages: on which connection each left, whom it was told, and what was said of it.
//!
//! A blob begins with the number of its letter, so that whatever becomes of it is known to be of it. What
//! is looked at is what leaves a client, what leaves the switch, what comes to a client, and what that tells
//! its application.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    Framing, Incoming, IncomingBody, Limits, Push, Request, RequestBody, SendAnswer, Sequence,
    Token,
};

use super::ensure;
use super::network::Wire;
use super::server::Server;

/// By which call a letter is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// `send`, of which only the client's counters say what became of it.
    Batched,
    /// `send_counted`, `send_many` and `broadcast`, which are answered.
    Counted,
}

/// One message, to one port, to several, or to all.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) user: usize,
    way: Way,
    /// Ports by index.
    ports: Vec<usize>,
    is_for_all: bool,
    len: usize,
    /// The step of the switch when it was written.
    since: u64,
    /// The connection on which it left, and its place among those that did.
    left: Option<(u64, u64)>,
    /// Its call was refused, failed or was given up before it left.
    is_void: bool,
    /// Copies that left the switch.
    carried: u32,
    /// The ports for which it was told, and of one for all the users that were told.
    told: BTreeSet<usize>,
}

/// What the switch has answered to a call.
#[derive(Clone, Debug)]
struct Statement {
    letters: Vec<usize>,
    answer: SendAnswer,
    step: u64,
}

/// What is known of a user as sender and receiver.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Messages that came to its client and that the application was not told, by grant, in their order.
    untold: BTreeMap<Token, Vec<usize>>,
    /// Messages that its application was told.
    told: u64,
    /// Messages that its counters must name, as what was delivered or why not.
    owed: u64,
    /// Something was given up of which only the switch knows how many it were.
    is_unknown: bool,
    /// The last step at which a receive connection of it ended, at either side.
    last_end: Option<u64>,
    /// One has ended at its own side since it was heard last.
    has_ended: bool,
}

/// See the file's first words.
#[derive(Debug, Default)]
pub(super) struct Post {
    letters: Vec<Letter>,
    places: Vec<Place>,
    calls: BTreeMap<(usize, u64), Vec<usize>>,
    statements: Vec<Statement>,
    /// The last place, and the last letter of each way, of a connection that came for a grant.
    last: BTreeMap<(u64, Token), u64>,
    last_of: BTreeMap<(u64, Token, Way), usize>,
    next_place: u64,
    /// Messages that left the present switch. `None`: not all of them were seen.
    pub(super) carried: Option<u64>,
    /// Whether nothing may be lost.
    pub(super) is_quiet: bool,
}

/// Frames of a stream.
#[derive(Debug, Default)]
pub(super) struct Frames {
    part: Vec<u8>,
}

impl Frames {
    pub(super) const fn new() -> Self {
        Self { part: Vec::new() }
    }

    /// Looks at each frame that is whole now.
    pub(super) fn pass(&mut self, bytes: &[u8], mut each: impl FnMut(u8, &[u8])) {
        self.part.extend_from_slice(bytes);
        let mut rest = &self.part[..];
        while let Ok(Framing::Whole { header, frame, rest: after, .. }) =
            Framing::find(rest, u32::MAX)
        {
            rest = after;
            each(header.kind, frame);
        }
        let used = self.part.len() - rest.len();
        self.part.drain(..used);
    }

    /// Whether a frame is begun.
    pub(super) fn is_within(&self) -> bool {
        !self.part.is_empty()
    }
}

/// `MESSAGES`.
pub(super) const MESSAGES: u8 = 0x41;

/// What a frame of messages has, and nothing of another.
fn messages(kind: u8, frame: &[u8], mut each: impl FnMut(Sequence, &[u8])) {
    if kind != MESSAGES {
        return;
    }
    let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch says it");
    if let IncomingBody::Push(Push::Messages(messages)) = incoming.body {
        messages.iter().for_each(|message| each(message.sequence, message.blob));
    }
}

fn number(blob: &[u8]) -> Option<usize> {
    let number = u64::from_le_bytes(blob.get(..8)?.try_into().ok()?);
    usize::try_from(number).ok()
}

impl Post {
    /// A user comes.
    pub(super) fn enter(&mut self) {
        self.places.push(Place::default());
    }

    /// A letter to a port, to several, or to all if there is none, with so many bytes besides its number.
    pub(super) fn write(
        &mut self,
        (user, way): (usize, Way),
        ports: &[usize],
        len: usize,
        since: u64,
    ) -> usize {
        self.letters.push(Letter {
            user,
            way,
            ports: ports.to_vec(),
            is_for_all: ports.is_empty(),
            len,
            since,
            left: None,
            is_void: false,
            carried: 0,
            told: BTreeSet::new(),
        });
        self.letters.len() - 1
    }

    pub(super) fn blob(&self, letter: usize) -> Vec<u8> {
        let number = u64::try_from(letter).expect("a usize fits");
        let mut blob = number.to_le_bytes().to_vec();
        blob.resize(8 + self.letters[letter].len, b'a' + u8::try_from(letter % 26).expect("below"));
        blob
    }

    /// A call was not taken.
    pub(super) fn on_refused(&mut self, letters: &[usize]) {
        letters.iter().for_each(|letter| self.letters[*letter].is_void = true);
    }

    /// A call was taken; `None`: it is not answered.
    pub(super) fn on_call(&mut self, user: usize, call: Option<u64>, letters: Vec<usize>) {
        match call {
            Some(call) => _ = self.calls.insert((user, call), letters),
            None => self.places[user].owed += letters.len() as u64,
        }
    }

    /// Messages of letters, as far as their sender knows.
    fn count(&self, letters: &[usize]) -> u64 {
        letters.iter().map(|letter| self.letters[*letter].ports.len().max(1) as u64).sum()
    }

    /// A call failed, or is given up. What of it has not left must not leave any more.
    pub(super) fn on_over(&mut self, user: usize, call: u64, is_failed: bool) {
        let Some(letters) = self.calls.remove(&(user, call)) else {
            return;
        };
        let count = self.count(&letters);
        let is_sent = letters.iter().all(|letter| self.letters[*letter].left.is_some());
        let is_for_all = letters.iter().any(|letter| self.letters[*letter].is_for_all);
        if is_failed || is_sent {
            self.places[user].owed += count;
        }
        self.places[user].is_unknown |= !is_failed && is_sent && is_for_all;
        if !is_sent {
            self.on_refused(&letters);
        }
    }

    /// A frame leaves a client.
    pub(super) fn on_left(&mut self, wire: u64, kind: u8, frame: &[u8]) -> Result<(), String> {
        if !(0x07..=0x09).contains(&kind) {
            return Ok(());
        }
        let request = Request::parse(frame, &Limits::DEFAULT).expect("a client says it");
        match request.body {
            RequestBody::Send(items) => {
                items.iter().try_for_each(|item| self.on_letter_left(wire, item.blob))
            }
            RequestBody::SendMany(many) => self.on_letter_left(wire, many.blob),
            RequestBody::Broadcast(blob) => self.on_letter_left(wire, blob),
            _ => Ok(()),
        }
    }

    fn on_letter_left(&mut self, wire: u64, blob: &[u8]) -> Result<(), String> {
        let number = number(blob).filter(|number| *number < self.letters.len());
        let number = number.ok_or("a letter leaves that nobody wrote")?;
        let letter = &mut self.letters[number];
        ensure(!letter.is_void, || format!("{letter:?} leaves, and its call is over"))?;
        self.next_place += 1;
        letter.left = Some((wire, self.next_place));
        Ok(())
    }

    /// A frame leaves the switch.
    pub(super) fn on_carried(&mut self, kind: u8, frame: &[u8]) {
        messages(kind, frame, |_sequence, blob| {
            if let Some(carried) = &mut self.carried {
                *carried += 1;
            }
            if let Some(letter) = number(blob).and_then(|number| self.letters.get_mut(number)) {
                letter.carried += 1;
            }
        });
    }

    /// A frame comes to the client of a user, from a switch of this epoch.
    pub(super) fn on_arrived(
        &mut self,
        user: usize,
        epoch: protocol::Epoch,
        (kind, frame): (u8, &[u8]),
    ) {
        let untold = &mut self.places[user].untold;
        messages(kind, frame, |sequence, blob| {
            let token =
                if sequence.is_none() { Token::default() } else { Token { epoch, sequence } };
            untold.entry(token).or_default().push(number(blob).unwrap_or(usize::MAX));
        });
    }

    /// A receive connection of a user ends, at one of its sides.
    pub(super) fn on_end(&mut self, user: usize, step: u64, is_at_user: bool) {
        let place = &mut self.places[user];
        place.last_end = Some(step);
        place.has_ended |= is_at_user;
    }

    /// An application was told all that its client had to tell.
    pub(super) fn on_heard(&mut self, user: usize) {
        let place = &mut self.places[user];
        if std::mem::take(&mut place.has_ended) {
            // What came behind the end of a connection was not listened to.
            place.untold.remove(&Token::default());
        }
    }

    /// As `on_end`, of the side of the switch.
    pub(super) fn on_server_end(&mut self, wire: &Wire, step: u64) {
        if wire.is_receive {
            self.on_end(wire.user, step, false);
            if wire.mouth.is_within() {
                self.carried = None;
            }
        }
    }

    /// An application is told a message, for a port of its own or, with the default token, for all. Says
    /// since when it may be meant.
    pub(super) fn on_told(
        &mut self,
        user: usize,
        (port, token): (Option<usize>, Token),
        blob: &[u8],
    ) -> Result<u64, String> {
        let number = number(blob).filter(|number| *number < self.letters.len());
        let number = number.ok_or("a message that nobody sent")?;
        let is_whole = *blob == self.blob(number);
        let letter = &mut self.letters[number];
        ensure(is_whole, || format!("{letter:?} is not what was sent"))?;
        ensure(letter.is_for_all == port.is_none(), || {
            format!("{letter:?} came for {port:?} by {token}")
        })?;
        let is_for = port.map_or(letter.user != user, |port| letter.ports.contains(&port));
        ensure(is_for, || format!("{letter:?} is not for user {user} and port {port:?}"))?;
        ensure(letter.told.insert(port.unwrap_or(user)), || {
            format!("{letter:?} came twice, now to user {user} for {port:?} by {token}")
        })?;
        let (wire, place) = letter.left.ok_or_else(|| format!("{letter:?} never left"))?;
        if port.is_some() {
            let last = self.last.insert((wire, token), place);
            ensure(last.is_none_or(|last| last < place), || {
                format!("{letter:?} came after place {last:?}, which left later")
            })?;
            let last = self.last_of.insert((wire, token, letter.way), number);
            ensure(last.is_none_or(|last| last < number), || {
                format!("{letter:?} is letter {number}, and came after {last:?}")
            })?;
        }
        let since = letter.since;
        let place = &mut self.places[user];
        place.told += 1;
        let untold = place.untold.get_mut(&token);
        let at =
            untold.and_then(|untold| Some((untold.iter().position(|at| *at == number)?, untold)));
        let (at, untold) = at.ok_or_else(|| format!("letter {number} was told and never came"))?;
        untold.remove(at);
        if untold.is_empty() {
            place.untold.remove(&token);
        }
        Ok(since)
    }

    /// Whether a message came to the client of a user for a grant, or with the default token for all, of
    /// which its application was not told.
    pub(super) fn is_untold(&self, user: usize, token: Token) -> bool {
        self.places[user].untold.contains_key(&token)
    }

    /// Messages that an application was told.
    pub(super) fn told(&self, user: usize) -> u64 {
        self.places[user].told
    }

    /// Messages that the counters of a user's client have to name. `None`: it is not known.
    pub(super) fn owed(&self, user: usize) -> Option<u64> {
        let place = &self.places[user];
        (!place.is_unknown).then_some(place.owed)
    }

    /// The switch says what became of the messages of a call.
    pub(super) fn on_answer(
        &mut self,
        (user, call): (usize, u64),
        answer: SendAnswer,
        (server, others): (&Server, u32),
    ) -> Result<(), String> {
        let letters = self.calls.remove(&(user, call)).ok_or("it was no call with messages")?;
        let SendAnswer { delivered, nobody, dropped } = answer;
        let first = self.letters[letters[0]].clone();
        let wrong = || format!("{answer:?} to {first:?} and {} more", letters.len() - 1);
        let count = delivered + nobody + dropped;
        self.places[user].owed += u64::from(count);
        if first.is_for_all {
            ensure(nobody == 0, wrong)?;
            ensure(!self.is_quiet || (delivered, dropped) == (others, 0), || {
                format!("{others} are there, {}", wrong())
            })?;
        } else {
            ensure(u64::from(count) == self.count(&letters), wrong)?;
            let ports = letters.iter().flat_map(|letter| &self.letters[*letter].ports);
            let (mut free, mut held, mut now) = (0, 0, 0);
            for port in ports {
                free += u32::from(server.was_free(*port, first.since));
                let mut stays = server.history[*port].iter();
                held += u32::from(stays.any(|stay| stay.lasted(first.since)));
                now += u32::from(server.holder(*port).is_some());
            }
            let is_true = nobody <= free && delivered + dropped <= held;
            ensure(is_true, || format!("{free} were free, {held} held, {}", wrong()))?;
            ensure(!self.is_quiet || (delivered, dropped) == (now, 0), || {
                format!("{now} are held, {}", wrong())
            })?;
        }
        let carried: u32 = letters.iter().map(|letter| self.letters[*letter].carried).sum();
        ensure(carried <= delivered, || format!("{carried} left the switch, {}", wrong()))?;
        self.statements.push(Statement { letters, answer, step: server.step });
        Ok(())
    }

    /// When nothing is under way: what was placed has come, or its receiver's connection has ended since.
    /// `user_of` says whose an address is. Says how many messages were looked for.
    pub(super) fn check_placed(
        &self,
        server: &Server,
        user_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<u64, String> {
        let mut looked = 0;
        for statement @ Statement { letters, answer, .. } in &self.statements {
            let carried: u32 = letters.iter().map(|letter| self.letters[*letter].carried).sum();
            ensure(carried <= answer.delivered, || format!("{carried} left after {answer:?}"))?;
            for letter in letters.iter().map(|letter| &self.letters[*letter]) {
                looked += 1;
                if letter.is_for_all {
                    self.check_all(letter, answer.delivered)?;
                } else if answer.nobody + answer.dropped == 0 {
                    self.check_letter(letter, statement.step, server, &user_of)?;
                }
            }
        }
        Ok(looked)
    }

    /// A letter was placed for each of its ports, at the latest in `step`.
    fn check_letter(
        &self,
        letter: &Letter,
        step: u64,
        server: &Server,
        user_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<(), String> {
        for port in letter.ports.iter().filter(|port| !letter.told.contains(*port)) {
            let stays = server.history[*port].iter();
            let mut stays = stays.filter(|stay| stay.from <= step && stay.lasted(letter.since));
            let is_lost = stays.any(|stay| {
                let user = user_of(&stay.address);
                user.is_none_or(|user| self.may_have_lost(user, letter, stay.token))
            });
            ensure(is_lost, || format!("{letter:?} never came for port {port}"))?;
        }
        Ok(())
    }

    fn is_cut_off(&self, user: usize, since: u64) -> bool {
        self.places[user].last_end.is_some_and(|end| end >= since)
    }

    /// Whether what was placed for a grant may be lost by right.
    fn may_have_lost(&self, user: usize, letter: &Letter, token: Token) -> bool {
        let came = self.places[user].untold.get(&token);
        let is_one = |number: &usize| {
            self.letters.get(*number).is_some_and(|other| std::ptr::eq(other, letter))
        };
        // It came when its grant was over.
        came.is_some_and(|came| came.iter().any(is_one)) || self.is_cut_off(user, letter.since)
    }

    fn check_all(&self, letter: &Letter, delivered: u32) -> Result<(), String> {
        let users = (0..self.places.len()).filter(|user| !letter.told.contains(user));
        let excused = users.filter(|user| self.is_cut_off(*user, letter.since)).count();
        let delivered = usize::try_from(delivered).expect("few");
        let came = letter.told.len();
        ensure(came <= delivered && delivered <= came + excused, || {
            format!("{letter:?} came to {came} and {excused} may have lost it, of {delivered}")
        })
    }
}
