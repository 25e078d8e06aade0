//! The arguments of `wire`.

use base::{Duration, Instant};
use clap::Args;
use nic::{ETHERNET_HEADER_LEN, Impairments};
use serde::Serialize;

use crate::cable::Attach;
use crate::error::Error;
use crate::limits::{WIRE_LIMIT_MAX, WIRE_MS_MAX, WIRE_RATE_MAX};

/// Bytes of a full packet on Ethernet: what a packet of `--limit` counts for before a rate.
const PACKET_LEN: u64 = 1_500 + ETHERNET_HEADER_LEN as u64;

/// Arguments of `wire`. Chances are in percent, each drawn for itself and for each direction.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct WireArgs {
    /// One interface; all its packets are taken
    #[arg(long, value_name = "IF")]
    pub(crate) a: String,
    /// The other
    #[arg(long, value_name = "IF")]
    pub(crate) b: String,
    /// Percent of packets that disappear
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    pub(crate) loss: f64,
    /// Percent of packets that others overtake
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    pub(crate) reorder: f64,
    /// Percent of packets that come twice
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    pub(crate) duplicate: f64,
    /// Percent of packets in which one bit flips, where a checksum sees it
    #[arg(long, value_name = "P", default_value = "0", value_parser = percent)]
    pub(crate) corrupt: f64,
    /// Milliseconds that every packet takes
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds)]
    pub(crate) delay: f64,
    /// Milliseconds that one takes longer at most; the order stays
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds)]
    pub(crate) jitter: f64,
    /// Bits a second in each direction, such as 10M; 0 is no limit
    #[arg(long, value_name = "BPS", default_value = "0", value_parser = rate)]
    pub(crate) rate: u64,
    /// Packets that may be on their way in each direction; more are dropped
    #[arg(long, value_name = "PACKETS", default_value = "1024", value_parser = clap::value_parser!(u32).range(2..=i64::from(WIRE_LIMIT_MAX)))]
    pub(crate) limit: u32,
    /// What all choices follow from; drawn and printed if it is not given
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Seconds from ready until the end, if no signal comes before
    #[arg(long = "for", value_name = "S", value_parser = seconds)]
    #[serde(rename = "for")]
    pub(crate) for_s: Option<f64>,
    /// Where the XDP programs run
    #[arg(long, value_enum, default_value = "generic")]
    pub(crate) attach: Attach,
}

impl WireArgs {
    /// Draws the seed if none is given; fails if the arguments make no sense together.
    pub(crate) fn settled(mut self) -> Result<Self, Error> {
        if self.a == self.b {
            return Err(Error::BadArguments {
                wrong: format!("--a and --b are both {}", self.a),
                right: "a wire has two ends: name two interfaces".to_owned(),
            });
        }
        self.seed = Some(self.seed.unwrap_or_else(drawn));
        Ok(self)
    }

    /// What all choices follow from.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.expect("settled arguments have a seed")
    }

    /// As the wrapper of a queue pair takes them.
    pub(crate) fn impairments(&self) -> Impairments {
        Impairments {
            seed: self.seed(),
            loss_ppm: ppm(self.loss),
            duplicate_ppm: ppm(self.duplicate),
            corrupt_ppm: ppm(self.corrupt),
            reorder_ppm: ppm(self.reorder),
            delay: duration(self.delay),
            jitter: duration(self.jitter),
            rate_bits_per_s: self.rate,
            queue_bytes_max: u64::from(self.limit) * PACKET_LEN,
            held_packets_max: self.limit,
            ..Impairments::default()
        }
    }

    /// When to end.
    pub(crate) fn until(&self, begin: Instant) -> Option<Instant> {
        self.for_s.map(|seconds| begin + duration(seconds * 1_000.0))
    }

    /// How long a packet may be on its way.
    pub(crate) fn longest(&self) -> Duration {
        let Impairments { delay, jitter, reorder_hold_max, queue_bytes_max, .. } =
            self.impairments();
        let queue_ns = (queue_bytes_max * 8_000_000_000).checked_div(self.rate).unwrap_or(0);
        delay + jitter + reorder_hold_max + Duration::from_nanos(queue_ns)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 100 percent are 0 to 1,000,000 ppm"
)]
fn ppm(percent: f64) -> u32 {
    (percent * 10_000.0).round() as u32
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the parsers let pass nothing below 0 or above some days"
)]
fn duration(ms: f64) -> Duration {
    Duration::from_nanos((ms * 1e6).round() as u64)
}

fn number(text: &str, most: f64, of: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=most).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(format!("expected {of} from 0 to {most}")),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    number(text.strip_suffix('%').unwrap_or(text), 100.0, "percent")
}

fn milliseconds(text: &str) -> Result<f64, String> {
    number(text, WIRE_MS_MAX, "milliseconds")
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, crate::limits::SECONDS_MAX, "seconds")
}

fn rate(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        Some(_) | None => (text, 1),
    };
    let rate = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    rate.filter(|rate| *rate <= WIRE_RATE_MAX)
        .ok_or_else(|| format!("expected bits a second up to {WIRE_RATE_MAX}, such as 10M"))
}

/// A seed that the kernel draws; fixed where it does not, and printed in any case.
fn drawn() -> u64 {
    getrandom::u64().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Wire {
        #[command(flatten)]
        args: WireArgs,
    }

    fn wire(line: &str) -> Result<WireArgs, String> {
        let words = ["wire", "--a", "x", "--b", "y"].into_iter().chain(line.split_whitespace());
        let parsed = Wire::try_parse_from(words).map_err(|error| error.to_string())?;
        parsed.args.settled().map_err(|error| error.to_string())
    }

    #[test]
    fn without_faults_nothing_is_impaired() {
        let args = wire("").expect("right");
        assert!(args.impairments().is_none());
        assert_eq!(args.until(Instant::ZERO), None);
    }

    #[test]
    fn faults_are_what_they_were_asked_to_be() {
        let line = "--loss 1% --reorder 0.5 --duplicate 100 --corrupt 0.0001 --delay 1.5 \
                    --jitter 0.25 --rate 10M --limit 100 --seed 7 --for 2.5";
        let args = wire(line).expect("right");
        let faults = args.impairments();
        assert_eq!((faults.loss_ppm, faults.reorder_ppm), (10_000, 5_000));
        assert_eq!((faults.duplicate_ppm, faults.corrupt_ppm), (1_000_000, 1));
        assert_eq!(faults.delay, Duration::from_micros(1_500));
        assert_eq!(faults.jitter, Duration::from_micros(250));
        assert_eq!((faults.rate_bits_per_s, faults.held_packets_max), (10_000_000, 100));
        assert_eq!((faults.seed, faults.queue_bytes_max), (7, 151_400));
        assert_eq!(args.until(Instant::ZERO), Some(Instant::ZERO + Duration::from_millis(2_500)));
    }

    #[test]
    fn seeds_that_are_drawn_differ() {
        assert_ne!(wire("").expect("right").seed(), wire("").expect("right").seed());
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused_with_what_would() {
        for (line, right) in [
            ("--loss 101", "percent from 0 to 100"),
            ("--loss -1", "percent from 0 to 100"),
            ("--loss NaN", "percent from 0 to 100"),
            ("--delay soon", "milliseconds from 0"),
            ("--rate 10Q", "such as 10M"),
            ("--rate 9000G", "such as 10M"),
            ("--limit 1", "2..="),
            ("--b x", "used multiple times"),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let error = wire(&format!("{}={}", words[0], words[1])).expect_err(line);
            assert!(error.contains(right), "{line}: {error}");
        }
        let both = Wire::try_parse_from(["wire", "--a", "x", "--b", "x"]).expect("it parses");
        let error = both.args.settled().expect_err("one interface is no wire").to_string();
        assert!(error.contains("two interfaces"), "{error}");
    }
}
