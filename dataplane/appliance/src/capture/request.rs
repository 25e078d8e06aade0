//! What somebody wants to be captured, read from a line.

use std::str::FromStr;

use base::Duration;
use nic::{CaptureReader, CaptureTerms, Directions, Filter, FilterError, SNAP_LEN_MAX};

use super::Taps;
use crate::limits::{CAPTURE_COUNT, CAPTURE_COUNT_MAX, CAPTURE_SECONDS, CAPTURE_SECONDS_MAX};

/// The word that begins the line.
pub(crate) const REQUEST: &str = "capture";

/// What is wanted. Each field but the filter is a key of the line, and has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Packets after which it ends.
    pub(crate) count: u64,
    /// Seconds after which it ends.
    pub(crate) seconds: u64,
    /// Bytes kept of each packet.
    pub(crate) snaplen: usize,
    /// Only the queue of this core.
    pub(crate) core: Option<usize>,
    /// `in`, `out` or `both`.
    pub(crate) direction: Directions,
    pub(crate) filter: Filter,
    pub(crate) filter_text: String,
}

/// Why it is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("\"{word}\" is no key of a capture; keys are count, seconds, snaplen, core, direction")]
    Key { word: String },
    #[error("{key} = \"{value}\" is not {expected}")]
    Value { key: String, value: String, expected: String },
    #[error("there is no core {core}; the gateway has cores 0 to {}", cores - 1)]
    NoCore { core: usize, cores: usize },
    #[error("the filter is wrong: {0}")]
    Filter(#[from] FilterError),
}

impl Request {
    /// Reads what follows the word; the gateway has so many cores.
    pub(crate) fn parse(text: &str, cores: usize) -> Result<Self, RequestError> {
        let (keys, filter) = match text.split_once("filter") {
            Some((keys, filter)) => (keys, filter.trim()),
            None => (text, ""),
        };
        let mut request = Self {
            count: CAPTURE_COUNT,
            seconds: CAPTURE_SECONDS,
            snaplen: SNAP_LEN_MAX,
            core: None,
            direction: Directions::Both,
            filter: filter.parse()?,
            filter_text: filter.to_owned(),
        };
        for word in keys.split_whitespace() {
            let pair = word.split_once('=');
            let (key, value) = pair.ok_or_else(|| RequestError::Key { word: word.to_owned() })?;
            match key {
                "count" => request.count = within(key, value, 1, CAPTURE_COUNT_MAX)?,
                "seconds" => request.seconds = within(key, value, 1, CAPTURE_SECONDS_MAX)?,
                "snaplen" => request.snaplen = within(key, value, 1, SNAP_LEN_MAX)?,
                "core" => request.core = Some(within(key, value, 0, usize::MAX)?),
                "direction" => request.direction = direction(value)?,
                _other => return Err(RequestError::Key { word: key.to_owned() }),
            }
        }
        match request.core {
            Some(core) if core >= cores => Err(RequestError::NoCore { core, cores }),
            Some(_) | None => Ok(request),
        }
    }

    /// The taps of all cores, of which some may have none, and the other ends.
    pub(super) fn taps(&self, clock_offset: Duration, cores: usize) -> (Taps, Vec<CaptureReader>) {
        let terms = CaptureTerms {
            filter: self.filter.clone(),
            directions: self.direction,
            snap_len: self.snaplen,
            clock_offset,
        };
        let mut readers = Vec::new();
        let taps = (0..cores).map(|core| {
            let is_meant = self.core.is_none_or(|only| only == core);
            is_meant.then(|| {
                let (tap, reader) = nic::tap(terms.clone());
                readers.push(reader);
                tap
            })
        });
        (taps.collect(), readers)
    }
}

fn within<T>(key: &str, value: &str, least: T, most: T) -> Result<T, RequestError>
where
    T: FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| RequestError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
        expected: format!("a number from {least} to {most}"),
    })
}

fn direction(value: &str) -> Result<Directions, RequestError> {
    match value {
        "in" => Ok(Directions::Received),
        "out" => Ok(Directions::Sent),
        "both" => Ok(Directions::Both),
        _other => Err(RequestError::Value {
            key: "direction".to_owned(),
            value: value.to_owned(),
            expected: "in, out or both".to_owned(),
        }),
    }
}
