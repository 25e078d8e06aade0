//! Echo requests of our own, and what comes back: `ping` from this host's own stack.
//!
//! Nothing is kept for a request but who asks, so that a core may send it and another one hear the
//! reply, which comes to the queue that the device chooses. Who asks says for how long it listens;
//! what it has heard waits, bounded, until it is taken. Replies that nobody asked for are dropped and
//! counted as before.

use base::Instant;
use wire::{Address, icmpv4, icmpv6, protocol};

use crate::Ip;
use crate::addresses::LocalIndex;
use crate::counters::DropReason;
use crate::egress::Envelope;
use crate::icmp::{IP_OFFSET, IcmpError, IcmpErrorKind};
use crate::limits::{ECHO_ASKERS_MAX, ECHO_NEWS_MAX};
use crate::neighbours::HopIndex;

/// Bytes of an echo request before its data.
pub const ECHO_HEADER_LEN: usize = icmpv4::HEADER_LEN;
const _: () = assert!(ECHO_HEADER_LEN == icmpv6::HEADER_LEN);

/// An echo request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EchoRequest {
    /// To whom.
    pub remote: Address,
    /// Who asks.
    pub ident: u16,
    /// Which of the asker's requests it is.
    pub seq: u16,
    /// Bytes of data behind the header.
    pub len: u16,
}

/// What became of an echo request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EchoNews {
    /// Who asked.
    pub ident: u16,
    /// Which of the asker's requests it was.
    pub seq: u16,
    /// When that was known.
    pub at: Instant,
    /// What became of it.
    pub outcome: EchoOutcome,
}

/// See [`EchoNews::outcome`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EchoOutcome {
    /// It was answered.
    Reply {
        /// Bytes of data that came back.
        len: u16,
        /// What was left of the reply's hop limit, or time to live.
        hop_limit: u8,
    },
    /// Somebody on the way says why it was not.
    Error {
        /// Who says it.
        reporter: Address,
        /// What it says.
        kind: IcmpErrorKind,
    },
    /// The neighbour through which it was to go did not answer, so that it was not sent.
    NeighbourFailed,
    /// Later packets took its place while the neighbour was looked for.
    Displaced,
}

/// Who listens.
#[derive(Clone, Copy, Debug)]
struct Asker {
    ident: u16,
    remote: Address,
    until: Instant,
}

/// Those who listen, and what was heard for them.
#[derive(Debug)]
pub(crate) struct Echoes {
    askers: [Option<Asker>; ECHO_ASKERS_MAX],
    news: Vec<EchoNews>,
}

impl Echoes {
    pub(crate) fn new() -> Self {
        Self { askers: [None; ECHO_ASKERS_MAX], news: Vec::with_capacity(ECHO_NEWS_MAX) }
    }

    /// Whether somebody listens for what `remote` says to `ident`.
    fn is_asked(&self, remote: Address, ident: u16, now: Instant) -> bool {
        self.askers
            .iter()
            .flatten()
            .any(|asker| asker.ident == ident && asker.remote == remote && now <= asker.until)
    }

    fn listen(&mut self, new: Asker, now: Instant) {
        // Its own place, else one that is free, else that of who would have listened least long.
        let own = self.askers.iter().position(|at| at.is_some_and(|at| at.ident == new.ident));
        let place = own.unwrap_or_else(|| {
            let places = self.askers.iter().enumerate();
            let left = |asker: &Option<Asker>| asker.map(|at| at.until.saturating_since(now));
            places.min_by_key(|(_, asker)| left(asker)).map_or(0, |(place, _)| place)
        });
        if let Some(before) = self.askers[place].filter(|before| before.ident != new.ident) {
            self.news.retain(|news| news.ident != before.ident);
        }
        self.askers[place] = Some(new);
    }
}

impl Ip {
    /// Listens until `until` for what becomes of echo requests to `remote` by `ident`; whoever
    /// listened for the same `ident` does so no more.
    pub fn listen_for_echoes(&mut self, ident: u16, remote: Address, until: Instant, now: Instant) {
        self.echoes.listen(Asker { ident, remote, until }, now);
    }

    /// The oldest news of requests by `ident`.
    pub fn take_echo_news(&mut self, ident: u16) -> Option<EchoNews> {
        let news = &mut self.echoes.news;
        let at = news.iter().position(|news| news.ident == ident)?;
        Some(news.remove(at))
    }

    /// Bytes of data that an echo request to `remote` has at most.
    #[must_use]
    pub fn echo_len_max(&self, remote: Address) -> u16 {
        let headers_len = self.headers_len(remote) - IP_OFFSET + ECHO_HEADER_LEN;
        self.mtu.saturating_sub(u16::try_from(headers_len).unwrap_or(u16::MAX))
    }

    /// Writes the whole frame of a request into `bytes`, which has its length: the headers of
    /// [`Ip::headers_len`], [`ECHO_HEADER_LEN`] and the data. `hop` is what [`Ip::resolve`] gave.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than that, or longer than a packet can be.
    pub fn write_echo_request(
        &mut self,
        bytes: &mut [u8],
        request: &EchoRequest,
        (local, hop): (LocalIndex, HopIndex),
    ) {
        let &EchoRequest { remote, ident, seq, len: _ } = request;
        let headers_len = self.headers_len(remote);
        let (own, message) = (self.local_address(local), &mut bytes[headers_len..]);
        // A pattern in which bits that a bad cable swaps show.
        for (byte, value) in message[ECHO_HEADER_LEN..].iter_mut().zip((0..=u8::MAX).cycle()) {
            *byte = value;
        }
        let protocol = if remote.is_v4() {
            icmpv4::Repr::EchoRequest { ident, seq }.emit(message);
            protocol::ICMP
        } else {
            let repr = icmpv6::Repr::EchoRequest { ident, seq };
            repr.emit(message, own.to_v6(), remote.to_v6());
            protocol::ICMPV6
        };
        let transport_len = u16::try_from(message.len()).expect("a packet has 16 bits of length");
        self.encapsulate(bytes, &Envelope { local, remote, hop, protocol, transport_len, ecn: 0 });
        self.counters.echo_requests += 1;
    }

    /// A reply has come; whether somebody has asked for it.
    pub(crate) fn hear_echo_reply(
        &mut self,
        from: Address,
        (ident, seq): (u16, u16),
        (len, hop_limit): (usize, u8),
        now: Instant,
    ) -> Result<(), DropReason> {
        if !self.echoes.is_asked(from, ident, now) {
            return Err(DropReason::IcmpUnused);
        }
        self.counters.echo_replies_heard += 1;
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        self.tell_echo(EchoNews {
            ident,
            seq,
            at: now,
            outcome: EchoOutcome::Reply { len, hop_limit },
        });
        Ok(())
    }

    /// An error has come about a packet of ours in `bytes`: it may be a request.
    pub(crate) fn hear_echo_error(&mut self, error: &IcmpError, bytes: &[u8], now: Instant) {
        let &IcmpError { kind, reporter, remote, protocol, offset, .. } = error;
        let message = bytes.get(offset..).unwrap_or_default();
        if let Some((ident, seq)) = request_in(protocol, message)
            && self.echoes.is_asked(remote, ident, now)
        {
            let outcome = EchoOutcome::Error { reporter, kind };
            self.tell_echo(EchoNews { ident, seq, at: now, outcome });
        }
    }

    /// A frame of ours that was parked is not sent: it may be a request.
    pub fn on_undelivered(&mut self, frame: &[u8], outcome: EchoOutcome, now: Instant) {
        if self.echoes.askers.iter().all(Option::is_none) {
            return;
        }
        let (protocol, remote, message_at) = match frame.get(IP_OFFSET).map(|byte| byte >> 4) {
            Some(4) => {
                let at = |at: usize| frame.get(at..).and_then(<[u8]>::first_chunk);
                let remote = at(IP_OFFSET + 16).map(|octets| Address::from_v4_octets(*octets));
                (frame.get(IP_OFFSET + 9), remote, crate::HEADERS_LEN_V4)
            }
            Some(6) => {
                let at = |at: usize| frame.get(at..).and_then(<[u8]>::first_chunk);
                let remote = at(IP_OFFSET + 24).map(|octets| Address::from_octets(*octets));
                (frame.get(IP_OFFSET + 6), remote, crate::HEADERS_LEN_V6)
            }
            Some(_) | None => return,
        };
        let message = frame.get(message_at..).unwrap_or_default();
        let request = protocol.and_then(|protocol| request_in(*protocol, message));
        if let (Some((ident, seq)), Some(remote)) = (request, remote)
            && self.echoes.is_asked(remote, ident, now)
        {
            self.tell_echo(EchoNews { ident, seq, at: now, outcome });
        }
    }

    fn tell_echo(&mut self, news: EchoNews) {
        if self.echoes.news.len() == ECHO_NEWS_MAX {
            self.counters.echo_news_untold += 1;
            return;
        }
        self.echoes.news.push(news);
    }
}

/// Who asks, and which of his requests it is, if `message` begins an echo request.
fn request_in(protocol: u8, message: &[u8]) -> Option<(u16, u16)> {
    let &[kind, code, _, _, a, b, c, d] = message.first_chunk()?;
    let is_request = match protocol {
        protocol::ICMP => (kind, code) == (8, 0),
        protocol::ICMPV6 => (kind, code) == (128, 0),
        _other => false,
    };
    is_request.then(|| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}
