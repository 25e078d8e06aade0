//! The arguments of `switch`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `switch`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SwitchArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(subcommand)]
    pub(crate) command: SwitchCommand,
}

/// Which switch, and who asks.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Every switch that may be the master, with commas between
    #[arg(
        long,
        env = "BYPSS_ENDPOINTS",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:7400",
        global = true
    )]
    pub(crate) endpoints: Vec<String>,
    /// The node to be; its session takes the place of another of the same id
    /// [default: abelectl-HOST-PID-RANDOM]
    #[arg(long, env = "BYPSS_NODE", value_name = "ID", global = true)]
    pub(crate) node: Option<String>,
    /// The file with the secret that the cluster shares
    #[arg(long, env = "BYPSS_SECRET_FILE", value_name = "FILE", global = true)]
    pub(crate) secret_file: Option<PathBuf>,
    /// TLS: the certificate of the authority that has signed the switch's
    #[arg(long, env = "BYPSS_TLS_CA", value_name = "FILE", global = true)]
    pub(crate) tls_ca: Option<PathBuf>,
    /// TLS: this node's certificate
    #[arg(
        long,
        env = "BYPSS_TLS_CERTIFICATE",
        value_name = "FILE",
        requires_all = ["tls_key", "tls_ca"],
        global = true
    )]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// TLS: its key
    #[arg(
        long,
        env = "BYPSS_TLS_KEY",
        value_name = "FILE",
        requires = "tls_certificate",
        global = true
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// TLS: the name in the switch's certificate, if it is not the host of the endpoint
    #[arg(long, env = "BYPSS_TLS_NAME", value_name = "NAME", requires = "tls_ca", global = true)]
    pub(crate) tls_name: Option<String>,
    /// Give up after so many seconds without an answer
    #[arg(long, value_name = "S", default_value = "5", value_parser = crate::args::seconds, global = true)]
    pub(crate) timeout: Duration,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table", global = true)]
    pub(crate) output: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One array or object
    Json,
    /// An object per line
    Jsonl,
}

/// What is to be done.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SwitchCommand {
    /// Print the switch's figures
    Status,
    /// List the nodes that have a session
    Nodes,
    /// List the ports that are held
    Ports {
        /// What their names begin with
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Print who holds a port; exit code 1 if nobody does
    Port {
        /// The port
        name: String,
    },
    /// Print what happens to ports, as it happens, until Ctrl-C
    Watch {
        /// What their names begin with
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Register ports and hold them until Ctrl-C; exit code 1 if one is not had, or is lost
    Register {
        /// The ports; none: a name in each line of standard input
        names: Vec<String>,
    },
    /// Wait for a port, and run a command while it is held
    ///
    /// The command has ABELE_LOCK_TOKEN=EPOCH:SEQUENCE and ABELE_LOCK_NAME in its environment. When
    /// two thirds of the lease passed without an answer it gets SIGTERM, and SIGKILL shortly before
    /// the lease ends; SIGKILL at once if the session is ended by others. Exit code: the command's,
    /// or 128 and its signal's number; 4 if the port was not had in time; 5 if it was lost; 126 or
    /// 127 if the command cannot be run.
    ///
    /// Signals go to all that the command has started, wherever it has gone: a process above the
    /// command collects what loses its parent. If abelectl itself is killed, all of it is killed at
    /// once. If that process is killed together with abelectl, only the command is sure to end, and
    /// not where it is a set-user-ID program; a command of another user cannot be ended at all.
    /// Nothing ends what other services start for the command, such as a container.
    ///
    /// The command has a process group of its own, and the terminal if abelectl has it: Ctrl-C is
    /// the command's, and Ctrl-Z stops both. A stopped abelectl renews no lease: if the lease is
    /// over when the job is continued, the command is killed and does not go on. Where abelectl
    /// alone is stopped (kill -STOP), that process ends the command before the lease is over. What is
    /// left in the command's process group when it ends is ended before the port is released.
    Lock {
        /// The port
        name: String,
        /// Wait so many seconds for the port; 0: only see whether it is free [default: for ever]
        #[arg(long, value_name = "S", value_parser = crate::args::wait_seconds)]
        wait: Option<Duration>,
        /// The command with its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Send a message to who holds a port; exit code 1 if nobody got it
    Send {
        /// The port
        name: String,
        /// The message; without one, all that standard input has
        message: Option<OsString>,
    },
    /// Register ports and print the messages to them, until Ctrl-C
    Listen {
        /// The ports; none: only broadcasts
        names: Vec<String>,
    },
    /// End the session of a node: its ports are free when it gives them back, or its lease is over
    DropNode {
        /// The id
        // A name of its own: one argument of the name of `--node` would take its place.
        #[arg(id = "dropped", value_name = "NODE")]
        node: String,
    },
    /// Register, query and unregister ports of its own, and print how fast it went
    ///
    /// One thread asks, and has some requests under way. PER_S is what the switch and this process do
    /// together; CALL_US from a call to its answer; PER_CPU_S what a second of processor time of this
    /// process is enough for, which is what a core of a client can do at best.
    Bench {
        /// Ports
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        ports: u32,
        /// Ports of a request
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=8_192))]
        batch: u32,
        /// Requests that are under way at once
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
        in_flight: u32,
    },
}
