//! A record as a line: for people, or an object for programs.
//!
//! What a client has sent is never written as it came: a line end in a target would be a line that
//! nobody has logged, and a terminal does what it is told.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base::Instant;
use gateway::{AccessRecord, Refusal, RequestLine, Status};
use logging::Format;

use crate::clock::Clock;

/// The time of day at a time of the cores' clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wall {
    /// Microseconds since 1970, at `core`.
    micros: u64,
    core: Instant,
}

impl Wall {
    pub(super) fn now(clock: Clock) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { micros: u64::try_from(wall.as_micros()).unwrap_or(0), core: clock.now() }
    }

    #[cfg(test)]
    pub(super) fn at(micros: u64, core: Instant) -> Self {
        Self { micros, core }
    }

    fn micros_at(self, at: Instant) -> u64 {
        self.micros.saturating_sub(self.core.saturating_since(at).as_micros())
    }
}

/// The words of a request's first line.
#[derive(Clone, Copy, Debug, Default)]
struct Words<'l> {
    /// `None` if the line does not begin with a method.
    method: Option<&'l str>,
    /// All else but the version; `None` if there is nothing.
    target: Option<&'l [u8]>,
}

/// Appends the line of a record.
pub(super) fn write(record: &AccessRecord, wall: Wall, format: Format, out: &mut Vec<u8>) {
    match format {
        Format::Text => write_text(record, wall, out),
        Format::Json => write_json(record, wall, out),
    }
    out.push(b'\n');
}

fn write_text(record: &AccessRecord, wall: Wall, out: &mut Vec<u8>) {
    let AccessRecord { ended_at, took, peer, local_port, line, requests, bytes, .. } = record;
    put_time(wall.micros_at(*ended_at), out);
    match peer {
        Some((address, port)) => {
            put(out, format_args!(" {}", std::net::SocketAddr::new(address.to_ip(), *port)));
        }
        None => out.extend_from_slice(b" -"),
    }
    put(out, format_args!(" {} ", local_port.unwrap_or(0)));
    put_code(record, out);
    let micros = took.as_micros();
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let status = record.status.map_or("-", Status::code);
    put(out, format_args!(" {status} {bytes} {seconds}.{rest:06} {requests} "));
    let Words { method, target } = words(line);
    put(out, format_args!("{} ", method.unwrap_or("-")));
    match target {
        Some(target) => {
            out.push(b'"');
            put_escaped(target, out);
            out.push(b'"');
            if line.is_cut() {
                out.extend_from_slice(b"...");
            }
        }
        None => out.push(b'-'),
    }
    put(out, format_args!(" {}", record.refusal.map_or("-", Refusal::name)));
}

fn write_json(record: &AccessRecord, wall: Wall, out: &mut Vec<u8>) {
    let AccessRecord { ended_at, took, peer, local_port, line, requests, bytes, .. } = record;
    out.extend_from_slice(b"{\"time\":\"");
    put_time(wall.micros_at(*ended_at), out);
    out.push(b'"');
    if let Some((address, port)) = peer {
        put(out, format_args!(",\"client\":\"{}\",\"client_port\":{port}", address.to_ip()));
    }
    if let Some(port) = local_port {
        put(out, format_args!(",\"listener\":{port}"));
    }
    out.extend_from_slice(b",\"end\":\"");
    put_code(record, out);
    out.push(b'"');
    if let Some(status) = record.status {
        put(out, format_args!(",\"status\":{}", status.code()));
    }
    let took = took.as_micros();
    put(out, format_args!(",\"bytes\":{bytes},\"duration_us\":{took},\"requests\":{requests}"));
    let Words { method, target } = words(line);
    if let Some(method) = method {
        put(out, format_args!(",\"method\":\"{method}\""));
    }
    if let Some(target) = target {
        out.extend_from_slice(b",\"target\":\"");
        put_json(target, out);
        put(out, format_args!("\",\"is_target_cut\":{}", line.is_cut()));
    }
    if let Some(refusal) = record.refusal {
        put(out, format_args!(",\"reason\":\"{}\"", refusal.name()));
    }
    out.push(b'}');
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all");
}

fn put_code(record: &AccessRecord, out: &mut Vec<u8>) {
    let [cause, place] = record.ending.code();
    put(out, format_args!("{cause}{place}"));
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-3
//# request-line = method SP request-target SP HTTP-version
fn words(line: &RequestLine) -> Words<'_> {
    let bytes = line.bytes();
    if bytes.is_empty() {
        return Words::default();
    }
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let space = bytes.iter().position(|byte| *byte == b' ').filter(|at| *at > 0);
    let method = space.map(|at| &bytes[..at]).filter(|word| word.iter().all(is_token));
    let method = method.and_then(|word| std::str::from_utf8(word).ok());
    let (Some(method), Some(space)) = (method, space) else {
        return Words { method: None, target: Some(bytes) };
    };
    let rest = &bytes[space + 1..];
    let last = rest.iter().rposition(|byte| *byte == b' ');
    let target = match last {
        Some(at) if !line.is_cut() && rest[at + 1..].starts_with(b"HTTP/") => &rest[..at],
        Some(_) | None => rest,
    };
    Words { method: Some(method), target: Some(target) }
}

/// Text in quotes: a quote and a backslash have a backslash in front, and what is not printable
/// ASCII is `\xHH`.
fn put_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => put(out, format_args!("\\x{byte:02x}")),
        }
    }
}

/// A string of JSON in which a byte beyond ASCII is the character of its number.
fn put_json(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => put(out, format_args!("\\u{byte:04x}")),
        }
    }
}

/// Microseconds since 1970, as RFC 3339 has it.
fn put_time(micros: u64, out: &mut Vec<u8>) {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let date = format_args!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
    );
    put(out, date);
}

/// Year, month and day of a day since 1970. Years begin in March here, so that the leap day is the
/// last one, and an era is the 400 years after which all repeats.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::{civil, put_time};

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }

    #[test]
    fn a_time_has_microseconds() {
        let mut out = Vec::new();
        put_time(1_000_000_000_000_007, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "2001-09-09T01:46:40.000007Z");
    }
}
