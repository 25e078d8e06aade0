//! The arguments of `messages`.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::{number, seconds};
use crate::error::Error;
use crate::limits::{
    MESSAGES_BATCH_MAX, MESSAGES_CONNECTIONS_MAX, MESSAGES_PORTS_MAX, MESSAGES_SIZE_MAX,
    MESSAGES_SIZE_MIN, MESSAGES_UNDER_WAY_LEN_MAX, MESSAGES_WINDOW_MAX, PORTS_NAME_BYTES_MAX,
    PORTS_NAME_BYTES_MIN, QUICK_ROUNDS_MAX, QUICK_SECONDS_MAX, ROUNDS_MAX,
};
use crate::messages::load::Load;
use crate::ports::names::Names;

/// Whom `messages` can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MessagesPeer {
    /// nats-server on the same core, in batches and on connections that are best for it
    Nats,
}

/// Arguments of `messages`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct MessagesArgs {
    /// Ports that messages are sent to, one after another
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(2..=i64::from(MESSAGES_PORTS_MAX)))]
    pub(crate) ports: u32,
    /// Bytes of a port's name
    #[arg(long, value_name = "B", default_value = "16", value_parser = clap::value_parser!(u32).range(bound(PORTS_NAME_BYTES_MIN)..=bound(PORTS_NAME_BYTES_MAX)))]
    pub(crate) name_bytes: u32,
    /// Bytes of a message
    #[arg(long, value_name = "B", default_value = "64", value_parser = clap::value_parser!(u32).range(bound(MESSAGES_SIZE_MIN)..=bound(MESSAGES_SIZE_MAX)))]
    pub(crate) size: u32,
    /// Messages that are sent together
    #[arg(long, value_name = "K", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_BATCH_MAX)))]
    pub(crate) batch: u32,
    /// Connections that send
    #[arg(long, value_name = "C", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_CONNECTIONS_MAX)))]
    pub(crate) senders: u32,
    /// Nodes that hold the ports and receive; the last is the one that stalls
    #[arg(long, value_name = "R", default_value = "8", value_parser = clap::value_parser!(u32).range(2..=i64::from(MESSAGES_CONNECTIONS_MAX)))]
    pub(crate) receivers: u32,
    /// Messages under way to those that read, at most
    #[arg(long, value_name = "W", default_value = "16000", value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_WINDOW_MAX)))]
    pub(crate) window: u32,
    /// Seconds measured of each side in each round, with all receivers reading and again with one of
    /// them stalled, after a warm-up of a tenth of it; single requests are timed for a fifth of that
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    #[serde(serialize_with = "number")]
    pub(crate) seconds: f64,
    /// Rounds; ours and each peer's alternate within every one
    #[arg(long, value_name = "R", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// The peers to compare with, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER")]
    pub(crate) vs: Vec<MessagesPeer>,
    /// At most 0.1 s and two rounds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

fn bound(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("such lengths are small")
}

impl MessagesArgs {
    /// What `--quick` makes of the other arguments; fails if they make no sense together.
    pub(crate) fn settled(mut self) -> Result<Self, Error> {
        if self.quick {
            self.seconds = self.seconds.min(QUICK_SECONDS_MAX);
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        let names = Names::new(self.load().name_len).count();
        if u64::from(self.ports) > names {
            return Err(Error::BadArguments {
                wrong: format!("--name-bytes {} has no {} names", self.name_bytes, self.ports),
                right: format!("use at most {names} ports, or longer names"),
            });
        }
        if self.ports < self.receivers {
            return Err(Error::BadArguments {
                wrong: format!("{} receivers for {} ports", self.receivers, self.ports),
                right: "have a port for each receiver at least".to_owned(),
            });
        }
        if self.batch > self.window {
            return Err(Error::BadArguments {
                wrong: format!("--batch {} is above --window {}", self.batch, self.window),
                right: "let the window be a batch at least".to_owned(),
            });
        }
        let under_way_len = u64::from(self.window) * u64::from(self.size);
        if under_way_len > MESSAGES_UNDER_WAY_LEN_MAX {
            return Err(Error::BadArguments {
                wrong: format!("{} messages of {} bytes under way", self.window, self.size),
                right: format!(
                    "use --window {} at most: more is dropped where a receiver's queue is full",
                    MESSAGES_UNDER_WAY_LEN_MAX / u64::from(self.size)
                ),
            });
        }
        if self.vs.len() > 1 {
            return Err(Error::BadArguments {
                wrong: "--vs names a peer twice".to_owned(),
                right: "name each peer once".to_owned(),
            });
        }
        Ok(self)
    }

    /// The load that ours is under.
    pub(crate) fn load(&self) -> Load {
        let len = |bytes| usize::try_from(bytes).expect("32 bits fit a usize");
        Load {
            ports: self.ports,
            name_len: len(self.name_bytes),
            size: len(self.size),
            batch: self.batch,
            senders: self.senders,
            receivers: self.receivers,
            window: u64::from(self.window),
        }
    }
}
