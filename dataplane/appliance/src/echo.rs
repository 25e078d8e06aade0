//! Echo requests from the gateway's own stack, for who asks at the control socket.
//!
//! `echo KEY=VALUE ...`, with the keys of [`Request`], sends one if it has a `seq`, and tells what was
//! heard of the asker's until then, waiting a moment for it. Who asks keeps count and time himself, so
//! that nothing here lasts longer than a question. The reply comes to the queue that the device
//! chooses, so all cores listen, and their clock is one.

use std::thread;
use std::time::Instant;

use base::Duration;
use engine::Engine;
use gateway::Gateway;
use ip::{EchoNews, EchoOutcome, EchoRequest, IcmpErrorKind};
use nic::QueuePair;
use serde_json::{Value, json};
use stack::EchoError;
use wire::Address;

use crate::control::Answer;
use crate::limits::{
    ECHO_LISTEN_MS_MAX, ECHO_NEWS_TOLD, ECHO_PAUSE_MAX, ECHO_PAUSE_MIN, ECHO_WAIT_MS_MAX,
};
use crate::order::{Order, carry_out};
use crate::reload::Reloader;

#[cfg(test)]
mod tests;

/// The word that begins the line.
pub(crate) const REQUEST: &str = "echo";

/// What a core is to do: to listen, to send if it is told to, and to tell what it has heard.
#[derive(Debug)]
pub(crate) struct Errand {
    ident: u16,
    remote: Address,
    listen: Duration,
    send: Option<EchoRequest>,
    /// When it was sent, or why not.
    sent: Option<Result<base::Instant, EchoError>>,
    /// With room for what one look may bring.
    news: Vec<EchoNews>,
}

impl Errand {
    /// The core does it, between two turns.
    pub(crate) fn work<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Q, Gateway>,
        now: base::Instant,
    ) {
        let stack = engine.stack_mut();
        let ip = stack.core_mut().echoes();
        ip.listen_for_echoes(self.ident, self.remote, now + self.listen, now);
        if let Some(request) = &self.send {
            self.sent = Some(stack.send_echo(request, now).map(|()| now));
        }
        while self.news.len() < self.news.capacity() {
            let Some(news) = stack.core_mut().echoes().take_echo_news(self.ident) else { break };
            self.news.push(news);
        }
    }
}

/// What somebody asks for. Each field is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    /// Who asks: any number that others do not use.
    ident: u16,
    to: Address,
    /// The core that sends.
    core: usize,
    /// Which request is to be sent; none: to listen only.
    seq: Option<u16>,
    /// Bytes of data.
    size: u16,
    /// How long cores go on listening after this.
    listen_ms: u64,
    /// How long to wait for something to tell.
    wait_ms: u64,
}

/// Answers who asks.
pub(crate) fn answer(text: &str, reloader: &mut Reloader<'_>) -> Answer {
    match Request::parse(text, reloader.clerks.len()) {
        Ok(request) => request.answer(reloader),
        Err(text) => Answer { code: 2, text },
    }
}

impl Request {
    fn parse(text: &str, cores: usize) -> Result<Self, String> {
        let (mut ident, mut to) = (None, None);
        let mut request = Self {
            ident: 0,
            to: Address::UNSPECIFIED_V6,
            core: 0,
            seq: None,
            size: 0,
            listen_ms: 0,
            wait_ms: 0,
        };
        for word in text.split_whitespace() {
            let wrong = || format!("{word:?} is no part of an echo request");
            let (key, value) = word.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse::<u64>().map_err(|_error| wrong());
            let small = || number().and_then(|n| u16::try_from(n).map_err(|_error| wrong()));
            match key {
                "ident" => ident = Some(small()?),
                "to" => to = Some(value.parse().map_err(|_error| wrong())?),
                "core" => request.core = value.parse().map_err(|_error| wrong())?,
                "seq" => request.seq = Some(small()?),
                "size" => request.size = small()?,
                "listen_ms" => request.listen_ms = number()?.min(ECHO_LISTEN_MS_MAX),
                "wait_ms" => request.wait_ms = number()?.min(ECHO_WAIT_MS_MAX),
                _other => return Err(wrong()),
            }
        }
        let (Some(ident), Some(to)) = (ident, to) else {
            return Err("an echo request names ident and to".to_owned());
        };
        if request.core >= cores {
            let core = request.core;
            return Err(format!(
                "there is no core {core}; the gateway has cores 0 to {}",
                cores - 1
            ));
        }
        Ok(Self { ident, to, ..request })
    }

    fn answer(&self, reloader: &mut Reloader<'_>) -> Answer {
        let mut told = Told::default();
        if let Some(seq) = self.seq {
            // First all listen: the reply may be faster than the next order.
            self.round(reloader, &mut told, None);
            let &Self { ident, to: remote, size: len, .. } = self;
            self.round(reloader, &mut told, Some(EchoRequest { remote, ident, seq, len }));
            if told.sent.is_none() {
                let text =
                    format!("core {} does not answer: it hangs; choose another --core", self.core);
                return Answer { code: 1, text };
            }
        }
        let (begun, mut pause) = (Instant::now(), ECHO_PAUSE_MIN);
        loop {
            if self.seq.is_none() || told.sent.is_some_and(|sent| sent.is_ok()) {
                self.round(reloader, &mut told, None);
            }
            let left =
                std::time::Duration::from_millis(self.wait_ms).saturating_sub(begun.elapsed());
            if !told.news.is_empty() || left.is_zero() {
                return told.answer();
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(ECHO_PAUSE_MAX);
        }
    }

    /// Asks all cores once; the one that sends is told to if there is something to send.
    fn round(&self, reloader: &mut Reloader<'_>, told: &mut Told, send: Option<EchoRequest>) {
        let &Self { ident, to: remote, core: sender, listen_ms, .. } = self;
        let limits = reloader.plan.http;
        let orders = (0..reloader.clerks.len()).map(|core| {
            let errand = Errand {
                ident,
                remote,
                listen: Duration::from_millis(listen_ms),
                send: send.filter(|_| core == sender),
                sent: None,
                news: Vec::with_capacity(ECHO_NEWS_TOLD),
            };
            Some(Order::echo(errand, limits))
        });
        let done = carry_out(&mut reloader.clerks, reloader.bells, orders.collect());
        told.missing.clear();
        for (core, order) in done.into_iter().enumerate() {
            match order.and_then(|order| order.echo) {
                Some(errand) => {
                    told.sent = errand.sent.or(told.sent);
                    told.news.extend(errand.news.into_iter().map(|news| (core, news)));
                }
                None => told.missing.push(core),
            }
        }
    }
}

/// What is told.
#[derive(Debug, Default)]
struct Told {
    sent: Option<Result<base::Instant, EchoError>>,
    /// With the core that has heard it.
    news: Vec<(usize, EchoNews)>,
    missing: Vec<usize>,
}

impl Told {
    fn answer(&self) -> Answer {
        let sent_at = self.sent.and_then(Result::ok).map(base::Instant::as_nanos);
        let refused = self.sent.and_then(Result::err).map(|error| error.to_string());
        let news: Vec<_> = self.news.iter().map(|(core, news)| row(*core, news)).collect();
        let told = json!({
            "sent_at_ns": sent_at,
            "refused": refused,
            "news": news,
            "missing_cores": self.missing,
        });
        Answer { code: 0, text: told.to_string() }
    }
}

fn row(core: usize, news: &EchoNews) -> Value {
    let &EchoNews { ident: _, seq, at, outcome } = news;
    let at = at.as_nanos();
    match outcome {
        EchoOutcome::Reply { len, hop_limit } => json!({
            "seq": seq, "core": core, "at_ns": at, "outcome": "reply", "size": len,
            "hop_limit": hop_limit,
        }),
        EchoOutcome::Error { reporter, kind } => json!({
            "seq": seq, "core": core, "at_ns": at, "outcome": "error",
            "reporter": reporter.to_string(), "reason": said(kind),
        }),
        EchoOutcome::NeighbourFailed => json!({
            "seq": seq, "core": core, "at_ns": at, "outcome": "unsent",
            "reason": "the neighbour did not answer",
        }),
        EchoOutcome::Displaced => json!({
            "seq": seq, "core": core, "at_ns": at, "outcome": "unsent",
            "reason": "later packets took its place while the neighbour was looked for",
        }),
    }
}

fn said(kind: IcmpErrorKind) -> String {
    match kind {
        IcmpErrorKind::NetworkUnreachable => "no way leads to the network".to_owned(),
        IcmpErrorKind::HostUnreachable => "the host does not answer".to_owned(),
        IcmpErrorKind::Prohibited => "a rule forbids it".to_owned(),
        IcmpErrorKind::ProtocolUnreachable => "the host does not know ICMP".to_owned(),
        IcmpErrorKind::PortUnreachable => "nobody listens at the port".to_owned(),
        IcmpErrorKind::TooBig { mtu: 0 } => "the packet is too long for a link".to_owned(),
        IcmpErrorKind::TooBig { mtu } => {
            format!("the packet is too long for a link, which takes {mtu} bytes")
        }
        IcmpErrorKind::TimeExceeded => "the packet has gone through too many hops".to_owned(),
        IcmpErrorKind::ParameterProblem => "something in its header is wrong".to_owned(),
    }
}
