//! The checker: what every subscriber was told, against what became of the ports that it believes in.
//!
//! A belief begins with the answer to a query that subscribed, and ends with a notice of its grant,
//! or a later one of its port, or with a flush. When the port has another grant, those who still
//! believe become *duties*: the notice that ends the belief must have a number below the one that
//! the session's next notice would have had at that moment, or a flush was owed then and is that
//! next notice. A stream is read whenever its reader reads, much later perhaps, and its numbers must
//! have no gap.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Framing, Incoming, IncomingBody, Limits, Push};

/// Where the notices of a session stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The number that its next notice will have.
    pub(super) next: u64,
    /// A flush is owed to it.
    pub(super) is_owed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Belief {
    sequence: u64,
    /// The number of the first notice that may end it.
    since: u64,
}

#[derive(Clone, Copy, Debug)]
struct Duty {
    since: u64,
    at: Standing,
}

/// What one subscriber heard and believes.
#[derive(Debug, Default)]
struct Stream {
    /// The number that must come next.
    next: u64,
    beliefs: BTreeMap<u32, Belief>,
    /// By port and grant.
    duties: BTreeMap<(u32, u64), Duty>,
    /// A notice came on the present connection.
    is_noticed: bool,
    /// The next notice must be a flush.
    must_flush: bool,
}

/// What ended beliefs, and what else was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) by_notices: u64,
    pub(super) by_flushes: u64,
    /// Of these, of ports that had another grant before the notice was read.
    pub(super) read_late: u64,
    pub(super) grants: u64,
    /// Grants of ports that another session held before.
    pub(super) hands: u64,
}

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Ledger {
    /// By port: the latest grant that is known, and who has it.
    grants: Vec<(u64, u32)>,
    has_changed: Vec<bool>,
    believers: BTreeMap<u32, BTreeSet<usize>>,
    streams: Vec<Stream>,
    pub(super) counts: Counts,
}

type Checked<T> = Result<T, String>;

impl Ledger {
    pub(super) fn new(ports: u32, subscribers: usize) -> Self {
        Self {
            grants: vec![(0, 0); ports as usize],
            has_changed: vec![false; ports as usize],
            believers: BTreeMap::new(),
            streams: (0..subscribers).map(|_| Stream { next: 1, ..Stream::default() }).collect(),
            counts: Counts::default(),
        }
    }

    /// The latest grant of a port, and who has it.
    pub(super) fn grant(&self, port: u32) -> (u64, u32) {
        self.grants[port as usize]
    }

    /// Ports that never had two owners.
    pub(super) fn unchanged(&self) -> usize {
        self.has_changed.iter().filter(|&&has_changed| !has_changed).count()
    }

    /// A port was granted to `owner`.
    pub(super) fn on_granted(
        &mut self,
        (port, sequence): (u32, u64),
        owner: u32,
        standing: impl Fn(usize) -> Option<Standing>,
    ) {
        let (before, owner_before) = self.grants[port as usize];
        if sequence <= before {
            return;
        }
        self.counts.grants += 1;
        if before > 0 && owner != owner_before {
            self.counts.hands += 1;
            self.has_changed[port as usize] = true;
        }
        self.grants[port as usize] = (sequence, owner);
        for subscriber in self.believers.remove(&port).unwrap_or_default() {
            let stream = &mut self.streams[subscriber];
            let Some(belief) = stream.beliefs.remove(&port) else { continue };
            assert!(belief.sequence < sequence, "nobody believes in a grant that is to come");
            if let Some(at) = standing(subscriber) {
                let duty = Duty { since: belief.since, at };
                stream.duties.insert((port, belief.sequence), duty);
            }
        }
    }

    /// A subscriber was answered that a port is held under this grant.
    pub(super) fn on_answered(
        &mut self,
        subscriber: usize,
        (port, sequence): (u32, u64),
        standing: impl Fn(usize) -> Option<Standing>,
    ) {
        let Some(Standing { next, .. }) = standing(subscriber) else { return };
        if sequence > self.grants[port as usize].0 {
            // Its owner has not read of it.
            self.on_granted((port, sequence), u32::MAX, standing);
        }
        let belief = Belief { sequence, since: next };
        self.streams[subscriber].beliefs.insert(port, belief);
        self.believers.entry(port).or_default().insert(subscriber);
    }

    /// Looks at the frames at the front of what came to a subscriber; how many bytes they had.
    /// `granted` hears of the ports that it waited for and holds now.
    pub(super) fn on_heard(
        &mut self,
        subscriber: usize,
        bytes: &[u8],
        granted: &mut Vec<(u32, u64)>,
    ) -> Checked<usize> {
        let mut rest = bytes;
        while let Ok(Framing::Whole { frame, rest: behind, .. }) = Framing::find(rest, u32::MAX) {
            rest = behind;
            let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch's frame");
            let IncomingBody::Push(push) = incoming.body else { continue };
            match push {
                Push::PortGone(gone) => {
                    self.number(subscriber, gone.notice, gone.items.len(), false)?;
                    for (number, item) in (gone.notice..).zip(gone.items) {
                        let port = port_of(item.name);
                        self.on_gone(subscriber, number, (port, item.sequence.to_bits()))?;
                    }
                }
                Push::Grant(grant) => {
                    self.number(subscriber, grant.notice, grant.items.len(), false)?;
                    let items = grant.items.iter();
                    granted.extend(items.map(|item| (port_of(item.name), item.sequence.to_bits())));
                }
                Push::Flush(flush) => {
                    self.number(subscriber, flush.notice, 1, true)?;
                    self.on_flush(subscriber, flush.notice)?;
                }
                Push::Greeting(_)
                | Push::Messages(_)
                | Push::Leaving(_)
                | Push::Events(_)
                | Push::Unknown => {}
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// The subscriber's connection broke, when all that was put on it had been heard of.
    pub(super) fn on_broken(&mut self, subscriber: usize) -> Checked<()> {
        let stream = &mut self.streams[subscriber];
        stream.must_flush |= std::mem::take(&mut stream.is_noticed);
        self.unmet(subscriber, |duty| !duty.at.is_owed)
    }

    /// It goes on at another connection, whose first notice will have this number.
    pub(super) fn on_resumed(&mut self, subscriber: usize, notice: u64) -> Checked<()> {
        let next = self.streams[subscriber].next;
        if next != notice {
            return Err(format!("{subscriber} resumes at notice {notice}, and {next} is next"));
        }
        Ok(())
    }

    /// Its session is over, when all that was put on its connection had been heard of; another
    /// begins. What it believed is over too.
    pub(super) fn on_ended(&mut self, subscriber: usize) -> Checked<()> {
        self.unmet(subscriber, |duty| !duty.at.is_owed)?;
        let stream = &mut self.streams[subscriber];
        for port in std::mem::take(&mut stream.beliefs).into_keys() {
            self.believers.get_mut(&port).expect("it believes").remove(&subscriber);
        }
        *stream = Stream { next: 1, ..Stream::default() };
        Ok(())
    }

    /// All was read.
    pub(super) fn on_end(&mut self) -> Checked<()> {
        (0..self.streams.len()).try_for_each(|subscriber| self.unmet(subscriber, |_| true))
    }

    fn unmet(&self, subscriber: usize, is_due: impl Fn(&Duty) -> bool) -> Checked<()> {
        let duties = &self.streams[subscriber].duties;
        let Some(((port, sequence), duty)) = duties.iter().find(|(_, duty)| is_due(duty)) else {
            return Ok(());
        };
        Err(format!("{subscriber} was never told that grant {sequence} of {port} ended: {duty:?}"))
    }

    fn number(&mut self, subscriber: usize, first: u64, count: u32, is_flush: bool) -> Checked<()> {
        let stream = &mut self.streams[subscriber];
        if first != stream.next {
            return Err(format!("{subscriber} hears notice {first} for {}", stream.next));
        }
        if std::mem::take(&mut stream.must_flush) && !is_flush {
            return Err(format!("{subscriber} resumed without a flush at notice {first}"));
        }
        stream.next += u64::from(count);
        stream.is_noticed = true;
        Ok(())
    }

    fn on_gone(
        &mut self,
        subscriber: usize,
        number: u64,
        (port, sequence): (u32, u64),
    ) -> Checked<()> {
        let stream = &mut self.streams[subscriber];
        if stream.beliefs.get(&port).is_some_and(|belief| belief.sequence <= sequence) {
            stream.beliefs.remove(&port);
            self.believers.get_mut(&port).expect("it believes").remove(&subscriber);
            self.counts.by_notices += 1;
        }
        let ended: Vec<_> = stream.duties.range((port, 0)..=(port, sequence)).collect();
        for (key, duty) in &ended {
            if number >= duty.at.next {
                return Err(format!("{subscriber} is told of {key:?} by {number}: {duty:?}"));
            }
        }
        let ended: Vec<_> = ended.into_iter().map(|(&key, _)| key).collect();
        self.counts.read_late += ended.len() as u64;
        self.counts.by_notices += ended.len() as u64;
        stream.duties.retain(|key, _| !ended.contains(key));
        Ok(())
    }

    fn on_flush(&mut self, subscriber: usize, number: u64) -> Checked<()> {
        let stream = &mut self.streams[subscriber];
        let before = stream.beliefs.len() + stream.duties.len();
        let believers = &mut self.believers;
        stream.beliefs.retain(|port, belief| {
            let stays = belief.since > number;
            if !stays {
                believers.get_mut(port).expect("it believes").remove(&subscriber);
            }
            stays
        });
        for (key, duty) in &stream.duties {
            let Standing { next, is_owed } = duty.at;
            let is_in_time = number < next || (is_owed && number == next);
            if duty.since <= number && !is_in_time {
                return Err(format!("{subscriber} is flushed of {key:?} by {number}: {duty:?}"));
            }
        }
        stream.duties.retain(|_, duty| duty.since > number);
        let after = stream.beliefs.len() + stream.duties.len();
        self.counts.by_flushes += (before - after) as u64;
        Ok(())
    }
}

/// The digits at the front of a name.
pub(super) fn port_of(name: &[u8]) -> u32 {
    let digits = str::from_utf8(&name[..DIGITS]).expect("digits");
    digits.parse().expect("digits")
}

/// Digits of a name.
pub(super) const DIGITS: usize = 8;
