//! A text becomes the steps of a filter, or is told what is wrong with which of its words.

use core::net::IpAddr;

use wire::Address;

use super::{FilterError, Kind, Prefix, Side, Step};
use crate::limits::{FILTER_DEPTH_MAX, FILTER_STEPS_MAX};

const TOO_LONG: FilterError =
    FilterError::TooLong { steps: FILTER_STEPS_MAX, depth: FILTER_DEPTH_MAX };
const A_TEST: &str = "a test, such as \"host 192.0.2.1\"";
const AN_ADDRESS: &str = "an address, such as 192.0.2.1 or 2001:db8::1";
const A_PREFIX: &str = "a prefix, such as 192.0.2.0/24 or 2001:db8::/32";
const A_PORT: &str = "a number from 0 to 65535";
const A_RANGE: &str = "two numbers, such as 6000-6063";
const A_SIDE: &str = "host, net, port, portrange or an address";

pub(super) fn parse(text: &str) -> Result<Vec<Step>, FilterError> {
    let words = words(text);
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut parser = Parser { words: &words, at: 0, steps: Vec::new() };
    parser.filter(0)?;
    match parser.peek() {
        None => Ok(parser.steps),
        Some(")") => Err(FilterError::Unpaired { word: ")" }),
        Some(word) => Err(FilterError::Unjoined { word: word.to_owned() }),
    }
}

/// Words are what stands between spaces; parentheses and `!` need none.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while let Some(at) = rest.find(['(', ')', '!']) {
            let (before, from) = rest.split_at(at);
            let (sign, behind) = from.split_at(1);
            words.extend([before, sign].into_iter().filter(|word| !word.is_empty()));
            rest = behind;
        }
        words.extend(Some(rest).filter(|word| !word.is_empty()));
    }
    words
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    steps: Vec<Step>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a str, FilterError> {
        let word = self.peek().ok_or_else(|| FilterError::Missing {
            after: self.words.last().copied().unwrap_or_default().to_owned(),
            expected,
        })?;
        self.at += 1;
        Ok(word)
    }

    fn push(&mut self, step: Step) -> Result<(), FilterError> {
        if self.steps.len() == FILTER_STEPS_MAX {
            return Err(TOO_LONG);
        }
        self.steps.push(step);
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Result<(), FilterError> {
        self.test(depth)?;
        loop {
            let join = match self.peek() {
                Some("and" | "&&") => Step::And,
                Some("or" | "||") => Step::Or,
                Some(_) | None => return Ok(()),
            };
            self.at += 1;
            self.test(depth)?;
            self.push(join)?;
        }
    }

    fn test(&mut self, depth: usize) -> Result<(), FilterError> {
        if depth > FILTER_DEPTH_MAX {
            return Err(TOO_LONG);
        }
        match self.next(A_TEST)? {
            "not" | "!" => {
                self.test(depth + 1)?;
                self.push(Step::Not)
            }
            "(" => {
                self.filter(depth + 1)?;
                match self.peek() {
                    Some(")") => self.at += 1,
                    Some(word) => return Err(FilterError::Unjoined { word: word.to_owned() }),
                    None => return Err(FilterError::Unpaired { word: "(" }),
                }
                Ok(())
            }
            word => self.primitive(word),
        }
    }

    fn primitive(&mut self, word: &'a str) -> Result<(), FilterError> {
        let Some(kind) = kind(word) else { return self.what(word) };
        self.push(Step::Is(kind))?;
        match self.peek() {
            Some(next @ ("src" | "dst" | "host" | "net" | "port" | "portrange")) => {
                self.at += 1;
                self.what(next)?;
                self.push(Step::And)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn what(&mut self, word: &'a str) -> Result<(), FilterError> {
        let side = match word {
            "src" => Side::Source,
            "dst" => Side::Destination,
            _other => Side::Either,
        };
        let word = if side == Side::Either { word } else { self.next(A_SIDE)? };
        let step = match word {
            "host" => Step::Net(side, self.value(word, AN_ADDRESS, host)?),
            "net" => Step::Net(side, self.net()?),
            "port" => {
                let port = self.value(word, A_PORT, |text| text.parse().ok())?;
                Step::Ports(side, port, port)
            }
            "portrange" => {
                let (low, high) = self.value(word, A_RANGE, range)?;
                Step::Ports(side, low, high)
            }
            word if side != Side::Either => {
                let after = if side == Side::Source { "src" } else { "dst" }.to_owned();
                let wrong =
                    || FilterError::WrongValue { word: word.into(), after, expected: A_SIDE };
                Step::Net(side, host(word).ok_or_else(wrong)?)
            }
            word => return Err(unknown(word)),
        };
        self.push(step)
    }

    fn value<T>(
        &mut self,
        after: &str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, FilterError> {
        let word = self.next(expected)?;
        let wrong = || FilterError::WrongValue { word: word.into(), after: after.into(), expected };
        read(word).ok_or_else(wrong)
    }

    fn net(&mut self) -> Result<Prefix, FilterError> {
        let (word, (address, bits)) =
            self.value("net", A_PREFIX, |text| Some((text.to_owned(), prefix(text)?)))?;
        let family = if address.is_v4() { 32 } else { 128 };
        let mask = u128::MAX.checked_shl(family - bits).unwrap_or(0);
        let base = Address::from_bits(address.to_bits() & mask);
        if base != address {
            return Err(FilterError::HostBits { word, right: format!("{base}/{bits}") });
        }
        Ok(Prefix { base, mask })
    }
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "ip" => Kind::Ip,
        "ip6" => Kind::Ip6,
        "arp" => Kind::Arp,
        "tcp" => Kind::Tcp,
        "udp" => Kind::Udp,
        "icmp" => Kind::Icmp,
        "icmp6" => Kind::Icmp6,
        _other => return None,
    })
}

fn address(text: &str) -> Option<Address> {
    text.parse::<IpAddr>().ok().map(Address::from)
}

fn host(text: &str) -> Option<Prefix> {
    Some(Prefix { base: address(text)?, mask: u128::MAX })
}

/// An address and the bits of its own family that count.
fn prefix(text: &str) -> Option<(Address, u32)> {
    let (text, bits) = text.split_once('/')?;
    let (address, bits) = (address(text)?, bits.parse().ok()?);
    (bits <= if address.is_v4() { 32 } else { 128 }).then_some((address, bits))
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-')?;
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some((low, high))
}

fn unknown(word: &str) -> FilterError {
    let right = match () {
        () if word.parse::<u16>().is_ok() => "port",
        () if address(word).is_some() => "host",
        () if prefix(word).is_some() => "net",
        () if range(word).is_some() => "portrange",
        () if matches!(word, "and" | "&&" | "or" | "||" | ")") => {
            return FilterError::NoTest { word: word.to_owned() };
        }
        () => return FilterError::UnknownWord { word: word.to_owned() },
    };
    FilterError::BareValue { word: word.to_owned(), right }
}
