//! The command line: every argument with its bounds, its default and its meaning.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use counters::{Filter, State};

use crate::limits::{
    CAPTURE_COUNT_MAX, CAPTURE_SECONDS_MAX, ECHO_INTERVAL_S, ECHO_LEN_MAX, ECHO_TIMEOUT_S,
    ECHOES_MAX, INTERVAL_S_MAX, INTERVAL_S_MIN, SNAP_LEN_MAX, WAIT_S,
};
use crate::switch::SwitchArgs;

/// Tells what an Abele gateway does, from its tools' file.
///
/// The gateway writes /run/abele/INSTANCE/stats (without rights for it,
/// $XDG_RUNTIME_DIR/abele/INSTANCE/stats). abelectl reads it and asks the gateway for nothing but
/// its connections; it needs no packet buffer, no socket and no answer, so that it works while the
/// gateway is in trouble, and tells the last figures of one that has died.
#[derive(Debug, Parser)]
#[command(name = "abelectl", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    right, also when a pipe was closed
  1    what was printed is not whole: a core is stuck or did not answer, packets are missing in a
       capture, nobody answered a ping, or writing failed;
       doctor: some findings are warnings, none is bad
  2    bad arguments, such as a counter that there is not, no --instance where several run, a
       filter that is none, or one to clean that lives
  3    no gateway runs, it is of another version, or the rights are missing;
       doctor: a finding is bad
  130  interrupted";

/// What is to be told.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print every counter that is not zero, by core, and what each core says of itself
    ///
    /// With --json one object: instance, pid, alive, version, layout, generation,
    /// started_unix_ns, uptime_s; cores, each with core, state, age_ms, turns, whole, stuck, facts
    /// and counters (an object per group); and total, by group.
    Stats(StatsArgs),
    /// Show load, packets, connections and drops of each core, again and again
    ///
    /// On a terminal one screen, which Ctrl-C ends; else lines, one block per interval. Shares are
    /// of the cycles that a core spent in each stage of its turns. With --json one object per
    /// interval and line.
    Top(TopArgs),
    /// Print every reason for which something was dropped or refused
    ///
    /// With --interval also how many per second, over that time. With --json one object:
    /// instance, pid, alive and drops, each with name, unit, cores, total and, with --interval,
    /// per_s.
    Drops(DropsArgs),
    /// List connections: state, addresses, idle time, round-trip time, windows
    ///
    /// Each core walks over its records in small steps, at most 1/64 of its time: 100,000
    /// connections take under two seconds of one core. A connection that was there all the time is
    /// listed once. With --json one object per connection and line. Asking writes into the tools'
    /// file, which takes the gateway's own user or root.
    Connections(ConnectionsArgs),
    /// Print the gateway's own addresses, and the interface that has them
    ///
    /// The gateway is asked itself, as for routes, neighbours, listeners and access: at the socket
    /// beside its tools' file, off its cores' path, which takes the gateway's own user or root and
    /// works while every packet buffer is in use. With --json one object: what `stats` begins with,
    /// interface, kind, mac, mtu and addresses, each with address, prefix_len, family and scope.
    Addresses(InquiryArgs),
    /// Print the routes, in the order in which they are tried
    ///
    /// With --json one object with routes, each with destination, family, gateway (null: on the
    /// link) and kind: connected (of an address) or configured.
    Routes(InquiryArgs),
    /// Print the hosts on the link, as each core knows them
    ///
    /// The age is the time since a packet last went there. A router is a host that a route leads
    /// through. With --json one object with neighbours, each with core, address, mac, state, age_ms
    /// and router; and missing_cores, those that hang (exit code 1).
    Neighbours(InquiryArgs),
    /// Print what connections are accepted on, and how many there are
    ///
    /// As they are after the last reload; also those that were closed and have connections left.
    /// Half-open connections count. With --json one object with listeners, each with transport,
    /// protocol, address, port, open, connections, by_core, limit and document_root; and
    /// missing_cores, those that hang and whose connections are not counted (exit code 1).
    Listeners(InquiryArgs),
    /// Print access rules, SYN budgets, and what the XDP program has counted
    ///
    /// Rules and counters are read from the kernel, as the next packet meets them. With --json one
    /// object: program, and if it is true rules (prefix, action), syn_budget (per_source and
    /// strangers, each null or with per_s and burst) and counters (name, verdict, packets, bytes).
    Access(InquiryArgs),
    /// Write down packets of a running gateway, as pcap
    ///
    /// As tcpdump would, which sees nothing of a gateway's own queues. FILTER is every packet, or
    /// tests joined by and, or, not and parentheses; and and or bind alike, from the left, as in
    /// tcpdump. A test is host ADDRESS, net ADDRESS/BITS, port N or portrange N-M, each perhaps
    /// behind src or dst, or ip, ip6, arp, tcp, udp, icmp or icmp6, alone or before one of these:
    /// "tcp port 80 and not host 192.0.2.1". Ctrl-C ends it well. The cores copy and never wait: what
    /// the reader is too slow for is dropped from the copy, counted, and told at the end (exit code
    /// 1). There is one capture at a time. It takes the gateway's own user or root.
    Capture(CaptureArgs),
    /// Ask a host for an echo from the gateway's own address
    ///
    /// Through the gateway's own routes and neighbours, which no ping of the kernel's goes through.
    /// Each request is told of: its time, that it was not answered, or why not and who says so. The
    /// time is that between two turns of cores, by their own clock; a core that sleeps wakes up in
    /// between. Exit code 0: something was answered, 1: nothing was. With --json one object: what
    /// `stats` begins with, address, core, sent, unsent, answered, lost, duplicates, rtt_ns (min, mean, max),
    /// echoes (seq, outcome, rtt_ns, core, reason, reporter) and missing_cores. It takes the gateway's
    /// own user or root.
    Ping(PingArgs),
    /// Let a gateway read its configuration again, and print what changed
    ///
    /// It waits for the result: what changed, what needs a restart, or everything that is wrong with
    /// the file, in which case nothing has changed (exit code 2 or 3). No connection is lost. What
    /// can change: listeners, access lists and SYN budgets. It takes
    /// the gateway's own user or root.
    Reload(ReloadArgs),
    /// Remove the files of gateways that were killed, which could not do it themselves
    ///
    /// A gateway that ends removes its files; one that is killed leaves them, so that its last
    /// figures can be told, until the next of its name starts. What a living gateway holds is
    /// left alone. Without --folder and --instance also what lies in /dev/shm and no folder leads to
    /// any more, if nobody holds it. Removing takes the gateway's own user or root.
    Clean(CleanArgs),
    /// Let Prometheus fetch every counter of all gateways, or of one, over HTTP
    ///
    /// A process of its own, which reads the tools' files at each request to /metrics; no gateway
    /// notices it. A counter is abele_GROUP_NAME_total{instance,core}, a gauge abele_GROUP_NAME;
    /// abele_up is 0 for a gateway that has died. Anybody who reaches the address can read them.
    /// Reading takes the gateway's own user or root. Ctrl-C and SIGTERM end it, with exit code 0.
    Export(ExportArgs),
    /// Look at the machine: what costs a gateway speed here, and the command that mends it
    ///
    /// Cores, isolation, frequency, NUMA, memory, interrupts, kernel, and of each interface queues,
    /// rings, spread, offloads (of a veth pair's other end, too) and XDP. Each line is ok, warn (it
    /// costs), bad (the gateway does not start, or loses packets) or unknown (it cannot be read
    /// here, such as without root). It changes nothing. With --json one object: config, interfaces,
    /// workers, summary and findings, each with rule, interface, level, value, sources, costs and
    /// mend. Each rule is explained in docs/TUNING.md. Exit code: 0 nothing to mend, 1 warnings,
    /// 3 something is bad; what is unknown does not count.
    Doctor(DoctorArgs),
    /// Ask a BYPSS switch, and hold its ports from a shell
    ///
    /// Who asks is a client like any other: with the secret or the certificate that the switch
    /// wants, at --endpoints or BYPSS_ENDPOINTS. Exit code: 0 right; 1 the answer is no (a
    /// port that is free, a message that nobody got), or the switch refused what was asked; 2 bad
    /// arguments; 3 the switch is not reached, does not let this node in, or has ended the session;
    /// 130 interrupted, before there was anything to hold or to print; lock has more.
    Switch(SwitchArgs),
}

/// Which gateway.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The gateway's instance; needed where several run
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// The folder of all instances, instead of /run/abele and $XDG_RUNTIME_DIR/abele
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

/// Arguments of `clean`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CleanArgs {
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Arguments of `stats`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// One JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Only this core
    #[arg(long, value_name = "N")]
    pub(crate) core: Option<usize>,
    /// Counters that are zero, too
    #[arg(long)]
    pub(crate) all: bool,
    /// A group (tcp), a counter (tcp.paws), a part of a name (checksum) or a pattern (*.rx_*);
    /// these are printed also where they are zero
    #[arg(value_name = "GROUP|PATTERN")]
    pub(crate) pattern: Option<String>,
}

/// Arguments of `top`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// One JSON object per interval and line
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// End after so many intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Arguments of `drops`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DropsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Look twice, so many seconds apart, and print rates
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) interval: Option<Duration>,
}

/// Arguments of the commands that ask a gateway what it has.
#[derive(Clone, Debug, Args)]
pub(crate) struct InquiryArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `reload`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Arguments of `ping`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PingArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// One JSON object at the end instead of lines
    #[arg(long)]
    pub(crate) json: bool,
    /// The core that sends; an answer may come to any
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) core: usize,
    /// So many requests
    #[arg(short, long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=ECHOES_MAX))]
    pub(crate) count: u16,
    /// Seconds between two requests
    #[arg(short, long, value_name = "S", default_value = "1", value_parser = echo_interval)]
    pub(crate) interval: Duration,
    /// Bytes of data in each
    #[arg(short, long, value_name = "BYTES", default_value_t = 56,
        value_parser = clap::value_parser!(u16).range(0..=ECHO_LEN_MAX))]
    pub(crate) size: u16,
    /// Seconds to wait for an answer; a neighbour that is not there is known after three
    #[arg(short = 'W', long, value_name = "S", default_value = "4", value_parser = echo_timeout)]
    pub(crate) timeout: Duration,
    /// Whom to ask
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: IpAddr,
}

/// Arguments of `capture`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CaptureArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Where to: a file, or - for standard output, which is the default where it is no terminal
    #[arg(short, long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// End after so many packets
    #[arg(short, long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=CAPTURE_COUNT_MAX))]
    pub(crate) count: u64,
    /// End after so many seconds
    #[arg(long, value_name = "S", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=CAPTURE_SECONDS_MAX))]
    pub(crate) seconds: u64,
    /// Keep so many bytes of each packet, from the Ethernet header on
    #[arg(short, long, value_name = "BYTES", default_value_t = SNAP_LEN_MAX,
        value_parser = clap::value_parser!(u64).range(1..=SNAP_LEN_MAX))]
    pub(crate) snaplen: u64,
    /// Only the queue of this core
    #[arg(long, value_name = "N")]
    pub(crate) core: Option<usize>,
    /// Only what comes in, or what goes out
    #[arg(short = 'Q', long, value_enum, default_value_t = Direction::Both)]
    pub(crate) direction: Direction,
    /// Which packets; every one unless it is said
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    In,
    Out,
    Both,
}

impl Direction {
    /// The word that the gateway reads.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Both => "both",
        }
    }
}

/// Arguments of `connections`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionsArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// One JSON object per connection and line
    #[arg(long)]
    pub(crate) json: bool,
    /// Only this state
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) state: Option<StateName>,
    /// Only peers of this address or prefix, such as 10.1.0.0/16 or fd77::/64
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub(crate) remote: Option<([u8; 16], u8)>,
    /// Only this TCP port of the gateway's
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// At most so many connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
}

/// Arguments of `export`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Where it is asked
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9464")]
    pub(crate) listen: SocketAddr,
}

/// Arguments of `doctor`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Look at this interface; by default at that of --config, else at every physical one
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Option<String>,
    /// Judge by this configuration of abele-gateway: workers, frames, MTU, XDP mode
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// A state by its name on the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateName(pub(crate) State);

impl ValueEnum for StateName {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [StateName; State::ALL.len()] = {
            let mut names = [StateName(State::Closed); State::ALL.len()];
            let mut index = 0;
            while index < names.len() {
                names[index] = StateName(State::ALL[index]);
                index += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    seconds_within(text, (INTERVAL_S_MIN, INTERVAL_S_MAX))
}

pub(crate) fn wait_seconds(text: &str) -> Result<Duration, String> {
    seconds_within(text, WAIT_S)
}

fn echo_interval(text: &str) -> Result<Duration, String> {
    seconds_within(text, ECHO_INTERVAL_S)
}

fn echo_timeout(text: &str) -> Result<Duration, String> {
    seconds_within(text, ECHO_TIMEOUT_S)
}

fn seconds_within(text: &str, (least, most): (f64, f64)) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().filter(|number| (least..=most).contains(number));
    let expected = || format!("expected a number of seconds from {least} to {most}");
    number.map(Duration::from_secs_f64).ok_or_else(expected)
}

fn prefix(text: &str) -> Result<([u8; 16], u8), String> {
    let expected = "expected an address or a prefix, such as 10.1.0.0/16 or fd77::/64";
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().map_err(|_error| expected.to_owned())?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = if text.contains('/') { bits.parse().ok() } else { Some(bits_max) };
    bits.and_then(|bits| Filter::prefix(address, bits))
        .ok_or_else(|| format!("{expected}; after the slash 0 to {bits_max}"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_manual_and_the_completions_name_every_option() {
        let pages = pages::Pages::of_environment();
        pages.program(Cli::command(), "8", &["abelectl(8)", "abele-gateway(8)", "bypssd(8)"]);
    }

    #[test]
    fn prefixes_are_addresses_with_or_without_bits() {
        let mapped = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(prefix("10.1.0.0/16"), Ok((mapped("::ffff:10.1.0.0"), 112)));
        assert_eq!(prefix("10.1.2.3"), Ok((mapped("::ffff:10.1.2.3"), 128)));
        assert_eq!(prefix("fd77::/64"), Ok((mapped("fd77::"), 64)));
        for wrong in ["", "10.1", "10.0.0.0/33", "::/129", "10.0.0.0/", "a/8", "10.0.0.0/-1"] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn intervals_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
