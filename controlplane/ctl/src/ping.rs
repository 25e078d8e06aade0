//! `abelectl ping`: echo requests from the gateway's own stack, through its routes and neighbours.
//!
//! The gateway sends when it is told to and says what it has heard; counting, times and patience are
//! here, so that a tool that is killed leaves nothing behind.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::args::PingArgs;
use crate::control::{Reply, ask, cell, list};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::{ECHO_WAIT_MS, INQUIRY_PATIENCE};
use crate::sample::about_json;

/// Sends, waits, and tells.
pub(crate) fn run(
    args: &PingArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut ping = Ping::new(args, interrupt);
    let done = match ping.all(out) {
        // What was counted until then is told.
        Err(Error::Interrupted) if ping.tried() > 0 => Ok(()),
        done => done,
    };
    done?;
    ping.summarize(out)?;
    if ping.answered() > 0 {
        return Ok(());
    }
    let address = args.address.to_string();
    Err(match ping.last_refusal() {
        Some(reason) if ping.sent == 0 => Error::NoneSent { address, reason },
        _ => Error::NoEcho { address },
    })
}

/// One request, and what became of it.
#[derive(Clone, Debug)]
enum Fate {
    /// It is under way, by the gateway's clock since then, and is waited for until then.
    Under {
        sent_at_ns: u64,
        until: Instant,
    },
    Answered {
        rtt_ns: u64,
        size: u64,
        hop_limit: u64,
        core: u64,
        is_late: bool,
    },
    /// Nobody answered in time.
    Lost {
        sent_at_ns: u64,
    },
    /// Somebody says why.
    Failed {
        reason: String,
        reporter: Option<String>,
    },
}

struct Ping<'a> {
    args: &'a PingArgs,
    interrupt: &'a Interrupt,
    /// Who we are to the gateway.
    ident: u16,
    fates: BTreeMap<u16, Fate>,
    sent: u64,
    /// Requests that the gateway did not send.
    unsent: u64,
    duplicates: u64,
    /// Cores that hang.
    missing: Vec<String>,
    /// The gateway, as others' JSON begins.
    about: serde_json::Map<String, Value>,
}

impl<'a> Ping<'a> {
    fn new(args: &'a PingArgs, interrupt: &'a Interrupt) -> Self {
        let [_, _, a, b] = std::process::id().to_be_bytes();
        Self {
            args,
            interrupt,
            ident: u16::from_be_bytes([a, b]),
            fates: BTreeMap::new(),
            sent: 0,
            unsent: 0,
            duplicates: 0,
            missing: Vec::new(),
            about: serde_json::Map::new(),
        }
    }

    /// Sends all requests, each in its time, and waits for the last.
    fn all(&mut self, out: &mut dyn Write) -> Result<(), Error> {
        let mut next = Instant::now();
        for seq in 1..=self.args.count {
            self.listen_until(next, out)?;
            self.exchange(Some(seq), out)?;
            // One that was held up does not send several at once.
            next = (next + self.args.interval).max(Instant::now());
        }
        while let Some(last) = self.last_deadline() {
            self.listen_until(last, out)?;
        }
        Ok(())
    }

    /// Until when something is waited for.
    fn last_deadline(&self) -> Option<Instant> {
        let under = |fate: &Fate| match fate {
            Fate::Under { until, .. } => Some(*until),
            Fate::Answered { .. } | Fate::Lost { .. } | Fate::Failed { .. } => None,
        };
        self.fates.values().filter_map(under).max()
    }

    /// Lets time pass, and hears what comes meanwhile.
    fn listen_until(&mut self, until: Instant, out: &mut dyn Write) -> Result<(), Error> {
        loop {
            self.give_up(out)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.interrupt.check();
            }
            if self.last_deadline().is_none() {
                if self.tried() == u64::from(self.args.count) {
                    return Ok(());
                }
                self.interrupt.sleep(left)?;
            } else {
                self.exchange(None, out)?;
            }
        }
    }

    /// Those that are not waited for any more.
    fn give_up(&mut self, out: &mut dyn Write) -> Result<(), Error> {
        let now = Instant::now();
        for (seq, fate) in &mut self.fates {
            if let Fate::Under { sent_at_ns, until } = *fate
                && now >= until
            {
                *fate = Fate::Lost { sent_at_ns };
                if !self.args.json {
                    let waited = self.args.timeout.as_secs_f64();
                    writeln!(out, "seq {seq}: no answer within {waited} s")?;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// Asks the gateway to send, if there is something to be sent, and what it has heard.
    fn exchange(&mut self, seq: Option<u16>, out: &mut dyn Write) -> Result<(), Error> {
        let PingArgs { address, core, size, timeout, .. } = self.args;
        let sending = seq.map(|seq| format!(" seq={seq} size={size}")).unwrap_or_default();
        // Longer than we wait, so that an answer that is late is told of.
        let listen_ms = timeout.as_millis() * 2 + 1_000;
        // Where we go on sending, what was heard is looked for later.
        let wait_ms = if seq.is_some() { 0 } else { self.patience_ms() };
        let request = format!(
            "echo ident={} to={address} core={core}{sending} listen_ms={listen_ms} wait_ms={wait_ms}",
            self.ident
        );
        let reply = ask(&self.args.target, &request, INQUIRY_PATIENCE, self.interrupt)?;
        let told = self.read(reply)?;
        if let Some(seq) = seq {
            self.note_sent(seq, &told, out)?;
        }
        for news in list(&told, "news") {
            self.note(news, out)?;
        }
        Ok(out.flush()?)
    }

    /// How long the gateway may wait for something to tell: no longer than until we give up.
    fn patience_ms(&self) -> u64 {
        let left = self.last_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.unwrap_or_default().min(self.args.interval);
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX).clamp(1, ECHO_WAIT_MS)
    }

    fn read(&mut self, Reply { code, text, view }: Reply) -> Result<Value, Error> {
        let told = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
        let Some(told) = told.filter(|_told| code == 0) else {
            return Err(Error::Refused { code: code.max(1), text: text.trim_end().to_owned() });
        };
        self.missing = list(&told, "missing_cores").iter().map(Value::to_string).collect();
        self.about = about_json(&view, true);
        Ok(told)
    }

    fn note_sent(&mut self, seq: u16, told: &Value, out: &mut dyn Write) -> Result<(), Error> {
        let PingArgs { address, core, size, timeout, json, .. } = self.args;
        if self.tried() == 0 && !json {
            let instance = cell(&self.about["instance"]);
            writeln!(out, "ping {address} from core {core} of {instance}: {size} bytes of data")?;
        }
        let fate = match told["sent_at_ns"].as_u64() {
            Some(sent_at_ns) => {
                self.sent += 1;
                Fate::Under { sent_at_ns, until: Instant::now() + *timeout }
            }
            None => {
                self.unsent += 1;
                let reason = cell(&told["refused"]);
                if !json {
                    writeln!(out, "seq {seq}: not sent: {reason}")?;
                }
                Fate::Failed { reason, reporter: None }
            }
        };
        self.fates.insert(seq, fate);
        Ok(())
    }

    fn note(&mut self, news: &Value, out: &mut dyn Write) -> Result<(), Error> {
        let number = |key: &str| news[key].as_u64().unwrap_or_default();
        let seq = u16::try_from(number("seq")).unwrap_or(0);
        let (address, is_text) = (self.args.address, !self.args.json);
        let Some(fate) = self.fates.get_mut(&seq) else { return Ok(()) };
        let (sent_at_ns, is_late) = match *fate {
            Fate::Under { sent_at_ns, .. } => (sent_at_ns, false),
            Fate::Lost { sent_at_ns } => (sent_at_ns, true),
            Fate::Answered { .. } => {
                self.duplicates += 1;
                if is_text {
                    writeln!(out, "seq {seq}: answered once more")?;
                }
                return Ok(());
            }
            Fate::Failed { .. } => return Ok(()),
        };
        if news["outcome"] != "reply" {
            let reason = cell(&news["reason"]);
            let reporter = news["reporter"].as_str().map(str::to_owned);
            if is_text {
                let says = reporter.as_ref().map(|who| format!(", says {who}")).unwrap_or_default();
                writeln!(out, "seq {seq}: {reason}{says}")?;
            }
            *fate = Fate::Failed { reason, reporter };
            return Ok(());
        }
        let rtt_ns = number("at_ns").saturating_sub(sent_at_ns);
        let (size, hop_limit, core) = (number("size"), number("hop_limit"), number("core"));
        if is_text {
            let late = if is_late { ", late" } else { "" };
            let rtt = millis(rtt_ns);
            writeln!(
                out,
                "{size} bytes from {address}: seq {seq}, hop limit {hop_limit}, {rtt}, core {core}{late}"
            )?;
        }
        *fate = Fate::Answered { rtt_ns, size, hop_limit, core, is_late };
        Ok(())
    }

    fn tried(&self) -> u64 {
        self.sent + self.unsent
    }

    /// Why the last request that was not sent was not.
    fn last_refusal(&self) -> Option<String> {
        self.fates.values().rev().find_map(|fate| match fate {
            Fate::Failed { reason, reporter: None } => Some(reason.clone()),
            Fate::Failed { .. }
            | Fate::Under { .. }
            | Fate::Answered { .. }
            | Fate::Lost { .. } => None,
        })
    }

    fn answered(&self) -> u64 {
        self.fates.values().filter(|fate| matches!(fate, Fate::Answered { .. })).count() as u64
    }

    fn summarize(&self, out: &mut dyn Write) -> Result<(), Error> {
        let rtts: Vec<u64> = self.fates.values().filter_map(Fate::rtt_ns).collect();
        let (least, most) = (rtts.iter().min().copied(), rtts.iter().max().copied());
        let mean = rtts.iter().sum::<u64>().checked_div(rtts.len() as u64);
        let answered = self.answered();
        // What is under way at Ctrl-C was not lost yet.
        let under = |fate: &&Fate| matches!(fate, Fate::Under { .. });
        let open = self.fates.values().filter(under).count() as u64;
        let lost = self.sent - answered - open;
        if self.args.json {
            let mut object = self.about.clone();
            let echoes: Vec<_> = self.fates.iter().map(|(seq, fate)| fate.json(*seq)).collect();
            let told = json!({
                "address": self.args.address.to_string(), "core": self.args.core, "sent": self.sent,
                "unsent": self.unsent, "answered": answered, "lost": lost, "duplicates": self.duplicates,
                "rtt_ns": {"min": least, "mean": mean, "max": most},
                "echoes": echoes, "missing_cores": self.missing,
            });
            if let Value::Object(mut told) = told {
                object.append(&mut told);
            }
            writeln!(out, "{}", Value::Object(object))?;
        } else {
            let percent = lost * 100 / self.sent.max(1);
            write!(out, "{} sent, {answered} answered, {lost} lost ({percent} %)", self.sent)?;
            if self.unsent > 0 {
                write!(out, ", {} not sent", self.unsent)?;
            }
            if self.duplicates > 0 {
                write!(out, ", {} answered more than once", self.duplicates)?;
            }
            if let (Some(least), Some(mean), Some(most)) = (least, mean, most) {
                let [least, mean, most] = [least, mean, most].map(millis);
                write!(out, "; round trip at least {least}, {mean} in the mean, at most {most}")?;
            }
            writeln!(out)?;
            if !self.missing.is_empty() {
                let missing = self.missing.join(", ");
                writeln!(out, "core {missing} hangs; answers that came to it are missing")?;
            }
        }
        Ok(out.flush()?)
    }
}

impl Fate {
    fn rtt_ns(&self) -> Option<u64> {
        match self {
            Self::Answered { rtt_ns, .. } => Some(*rtt_ns),
            Self::Under { .. } | Self::Lost { .. } | Self::Failed { .. } => None,
        }
    }

    fn json(&self, seq: u16) -> Value {
        match self {
            Self::Answered { rtt_ns, size, hop_limit, core, is_late } => json!({
                "seq": seq, "outcome": "answered", "rtt_ns": rtt_ns, "size": size,
                "hop_limit": hop_limit, "core": core, "late": is_late,
            }),
            Self::Under { .. } => json!({"seq": seq, "outcome": "under_way"}),
            Self::Lost { .. } => json!({"seq": seq, "outcome": "lost"}),
            Self::Failed { reason, reporter } => json!({
                "seq": seq, "outcome": "failed", "reason": reason, "reporter": reporter,
            }),
        }
    }
}

/// Milliseconds to the microsecond.
fn millis(nanos: u64) -> String {
    let micros = Duration::from_nanos(nanos).as_micros();
    format!("{}.{:03} ms", micros / 1_000, micros % 1_000)
}
