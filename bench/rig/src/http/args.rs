//! The arguments of `http` and `idle`.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::Cores;
use crate::error::Error;
use crate::limits::{
    HTTP_CONNECTIONS_MAX, HTTP_SECONDS_MAX, HTTP_SIZE_MAX, HTTP_THREADS_MAX, IDLE_CONNECTIONS_MAX,
    IDLE_QUICK_CONNECTIONS_MAX, IDLE_QUICK_SAMPLES_MAX, IDLE_SAMPLES_MAX, QUICK_ROUNDS_MAX,
    ROUNDS_MAX,
};

/// What carries our frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HttpQueue {
    /// AF_XDP on one end of a veth pair, whose other end is the client's
    Veth,
    /// A TAP device; a peer is on the veth pair all the same
    Tap,
}

/// Whom `http` can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HttpPeer {
    /// nginx, a worker a core, on the kernel's sockets
    Nginx,
}

/// What an idle core of the gateway does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// It sleeps at once, as a server on the kernel's sockets does
    Wait,
    /// It spins for a while, then sleeps: the gateway's default
    Adaptive,
    /// It spins
    Spin,
}

impl Policy {
    /// As the configuration has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Adaptive => "adaptive",
            Self::Spin => "spin",
        }
    }
}

/// Arguments of `http`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct HttpArgs {
    /// What carries our frames
    #[arg(long, value_enum)]
    pub(crate) queue: HttpQueue,
    /// Cores of the server; the client has one more
    #[arg(long, value_enum, default_value = "1")]
    pub(crate) cores: Cores,
    /// Connections, which stay open, each with one request outstanding
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=i64::from(HTTP_CONNECTIONS_MAX)))]
    pub(crate) connections: u32,
    /// Threads of wrk, all on the client's core
    #[arg(long, value_name = "T", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=i64::from(HTTP_THREADS_MAX)))]
    pub(crate) threads: u32,
    /// Bytes of the document
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=i64::from(HTTP_SIZE_MAX)))]
    pub(crate) size: u32,
    /// Whole seconds measured for each side in each round, after a warm-up of a tenth of it, but at
    /// least 1 s: wrk takes no less
    #[arg(long, value_name = "S", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=i64::from(HTTP_SECONDS_MAX)))]
    pub(crate) seconds: u32,
    /// What our core does when nothing is to be done: spinning counts as the server's CPU time
    #[arg(long, value_enum, default_value = "wait")]
    pub(crate) idle: Policy,
    /// Rounds; ours and the peer's alternate within every one
    #[arg(long, value_name = "R", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// The peer to compare with
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER")]
    pub(crate) vs: Vec<HttpPeer>,
    /// 1 s a round and two rounds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

impl HttpArgs {
    /// What `--quick` makes of the other arguments; fails if they make no sense together.
    pub(crate) fn settled(mut self) -> Result<Self, Error> {
        if self.quick {
            self.seconds = 1;
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        if self.threads > self.connections {
            return Err(Error::BadArguments {
                wrong: format!("--threads {} have no connection each", self.threads),
                right: format!("use at most --threads {}", self.connections),
            });
        }
        if self.vs.len() > 1 {
            return Err(Error::BadArguments {
                wrong: "--vs names nginx twice".to_owned(),
                right: "name each peer once".to_owned(),
            });
        }
        Ok(self)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        usize::try_from(self.size).expect("32 bits fit a usize")
    }
}

/// Arguments of `idle`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct IdleArgs {
    /// What carries our frames
    #[arg(long, value_enum, default_value = "veth")]
    pub(crate) queue: HttpQueue,
    /// Connections that are open and silent
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=i64::from(IDLE_CONNECTIONS_MAX)))]
    pub(crate) connections: u32,
    /// Whole seconds of silence that are measured
    #[arg(long, value_name = "S", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=i64::from(HTTP_SECONDS_MAX)))]
    pub(crate) seconds: u32,
    /// Requests after that, each on a random connection and after a pause
    #[arg(long, value_name = "R", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=i64::from(IDLE_SAMPLES_MAX)))]
    pub(crate) samples: u32,
    /// Rounds; the two policies alternate within every one
    #[arg(long, value_name = "R", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// Fewer connections and requests, 1 s, two rounds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

impl IdleArgs {
    /// What `--quick` makes of the other arguments.
    pub(crate) fn settled(mut self) -> Self {
        if self.quick {
            self.connections = self.connections.min(IDLE_QUICK_CONNECTIONS_MAX);
            self.samples = self.samples.min(IDLE_QUICK_SAMPLES_MAX);
            self.seconds = 1;
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        self
    }
}

/// Arguments of the processes that hold `idle`'s connections.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct IdleHolderArgs {
    /// The core to stay on
    #[arg(long)]
    pub(crate) core: usize,
    /// The server
    #[arg(long)]
    pub(crate) address: std::net::SocketAddr,
    /// Connections of this process
    #[arg(long)]
    pub(crate) connections: u32,
    /// What the choice of connections follows from
    #[arg(long)]
    pub(crate) seed: u64,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Http {
        #[command(flatten)]
        args: HttpArgs,
    }

    #[derive(Debug, Parser)]
    struct Idle {
        #[command(flatten)]
        args: IdleArgs,
    }

    fn http(line: &str) -> Result<HttpArgs, String> {
        let words = ["http", "--queue", "veth"].into_iter().chain(line.split_whitespace());
        let parsed = Http::try_parse_from(words).map_err(|error| error.to_string())?;
        parsed.args.settled().map_err(|error| error.to_string())
    }

    #[test]
    fn quick_is_one_second_and_two_rounds() {
        let args = http("--quick").expect("right");
        assert_eq!((args.seconds, args.rounds, args.connections, args.size), (1, 2, 64, 100));
        let words = ["idle", "--quick", "--connections", "7"];
        let args = Idle::try_parse_from(words).expect("right").args.settled();
        assert_eq!((args.seconds, args.rounds, args.connections), (1, 2, 7));
        let args = Idle::try_parse_from(["idle", "--quick"]).expect("right").args.settled();
        assert_eq!(args.connections, IDLE_QUICK_CONNECTIONS_MAX);
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused_with_what_would() {
        for (line, right) in [
            ("--connections 1", "--threads 1"),
            ("--vs nginx,nginx", "once"),
            ("--vs apache", "nginx"),
            ("--seconds 0", "1..="),
            ("--size 0", "1..="),
            ("--cores 3", "1, 2"),
        ] {
            let error = http(line).expect_err(line);
            assert!(error.contains(right), "{line}: {error}");
        }
    }

    #[test]
    fn arguments_in_the_report_are_those_of_the_command() {
        insta::assert_snapshot!(
            serde_json::to_string(&http("--vs nginx").expect("right")).expect("plain fields"),
            @r#"{"queue":"veth","cores":1,"connections":64,"threads":2,"size":100,"seconds":10,"idle":"wait","vs":["nginx"],"quick":false}"#
        );
    }
}
