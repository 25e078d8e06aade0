//! The cable of `--queue veth`: a pair of veth devices between this process's network namespace
//! and one of the serving process's, with the kernel's TCP or our own at both ends.
//!
//! The kernel's ends and ours have different addresses on the same cable, so that rounds can
//! alternate: the XDP program of ours goes with the process that attached it, and while it is there
//! it leaves the kernel's addresses alone.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use af_xdp::AfXdpQueue;
use base::QueueId;
use clap::ValueEnum;
use loader::{Mode, Steering};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use serde::Serialize;

use crate::args::{Queue, RoundArgs};
use crate::child::Child;
use crate::cores::{self, Placement};
use crate::ends::Role;
use crate::error::Error;
use crate::l2;
use crate::lab::{CLIENT_END, SERVER_END, Veth};
use crate::limits::{VETH_SPARE_FRAMES, VETH_TX_BUDGET};
use crate::stop::Stop;

/// Where the XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Attach {
    /// Behind the driver, on the kernel's packets
    Generic,
    /// In the driver
    Native,
}

impl Attach {
    pub(crate) const ALL: [Self; 2] = [Self::Generic, Self::Native];

    /// As the command line has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Native => "native",
        }
    }
}

/// The cable, and who runs where.
#[derive(Debug)]
pub(crate) struct Cable {
    veth: Veth,
    pub(crate) placement: Placement,
    pub(crate) attach: Attach,
}

impl Cable {
    /// Lays the cable in the lab, with addresses for the kernel at both ends: `servers` of them at
    /// the server's.
    pub(crate) fn new(placement: Placement, servers: u8) -> Result<Self, Error> {
        let veth = Veth::new(1)?;
        let addresses = kernel_servers(servers);
        veth.address(Ipv4Addr::new(10, 78, 0, 1), addresses[0])?;
        for address in &addresses[1..] {
            let address = format!("{address}/24");
            veth.server.within(|| run(&["ip", "address", "add", &address, "dev", SERVER_END]))?;
        }
        // The kernel at both ends is at its best with what it has on by default.
        run(&["ethtool", "-K", CLIENT_END, "tx", "on", "tso", "on", "gso", "on"])?;
        Ok(Self { veth, placement, attach: Attach::Generic })
    }

    /// The cable that `--queue veth` needs, with our programs where they run best; none for other
    /// queues.
    pub(crate) fn for_rounds(
        args: &RoundArgs,
        servers: u8,
        stop: &Stop,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, Error> {
        if args.queue != Queue::Veth {
            return Ok(None);
        }
        let mut cable = Self::new(cores::placement(args.cores)?, servers)?;
        notes.push(l2::veth::settle_attach(&mut cable, args.attach, args.duration() / 10, stop)?);
        Ok(Some(cable))
    }

    /// Starts this program as the other end, in its namespace.
    pub(crate) fn spawn(&self, side: &'static str, arguments: &[String]) -> Result<Child, Error> {
        self.veth.server.within(|| Child::spawn(side, arguments))
    }
}

/// The kernel's addresses at the server's end, from 10.78.0.2 on.
pub(crate) fn kernel_servers(count: u8) -> Vec<Ipv4Addr> {
    (0..count.max(1)).map(|index| Ipv4Addr::new(10, 78, 0, 2 + index)).collect()
}

/// One of our ends of the cable: its queue, and what steers frames to it as long as this lives.
pub(crate) struct Port {
    pub(crate) queue: AfXdpQueue,
    pub(crate) steering: Steering,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.queue.truth())
    }
}

/// Takes the queue of the calling thread's end of the cable, for all of `addresses`; `frames` are
/// needed besides those of the rings.
pub(crate) fn plug(
    role: Role,
    attach: Attach,
    addresses: &[Ipv4Addr],
    frames: u32,
) -> Result<(Port, CoreArena), Error> {
    let interface = match role {
        Role::Client => CLIENT_END,
        Role::Server => SERVER_END,
    };
    let mut config = af_xdp::Config::new(interface, QueueId(0));
    config.tx_budget = Some(VETH_TX_BUDGET);
    let rings = config.rings;
    let geometry = FrameGeometry {
        frames: rings.fill + rings.rx + rings.tx + VETH_SPARE_FRAMES + frames,
        frame_len: 2_048,
        headroom: 128,
        cores: 1,
        reserve_per_core: 64,
    };
    let arena = FrameArena::new(geometry, PageChoice::Best).map_err(|error| Error::Lacks {
        what: format!("memory for the frames: {error}"),
        mend: "ask for less".to_owned(),
    })?;
    let queue = af_xdp::open(&config, &arena).map_err(refused)?;
    let config = loader::Config {
        interface: interface.to_owned(),
        mode: match attach {
            Attach::Generic => Mode::Generic,
            Attach::Native => Mode::Native,
        },
        queues: 1,
        addresses: addresses.iter().copied().map(IpAddr::from).collect(),
        mac: None,
        syn_budget: loader::SynBudget::default(),
    };
    let mut steering = loader::load(&config).map_err(refused)?;
    steering.set_socket(0, queue.as_fd()).map_err(refused)?;
    steering.attach().map_err(refused)?;
    let core = arena.core().expect("the arena has one share");
    Ok((Port { queue, steering }, core))
}

/// What the machine refuses says itself what mends it.
fn refused(error: impl fmt::Display) -> Error {
    Error::Refused(error.to_string())
}

fn run(command: &[&str]) -> Result<(), Error> {
    let output = Command::new(command[0])
        .args(&command[1..])
        .output()
        .map_err(Error::io("start a command of the lab"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Child { side: "lab", what: format!("`{}`: {said}", command.join(" ")) })
}

/// Whether the measuring process wants the end, as told by closing our standard input.
#[derive(Clone, Debug, Default)]
pub(crate) struct End(Arc<AtomicBool>);

impl End {
    /// Watches standard input from now on, on a thread that sleeps.
    pub(crate) fn of_input() -> Self {
        let end = Self::default();
        let flag = end.clone();
        thread::spawn(move || {
            // An error is an end too: there is nobody left to read from.
            io::stdin().read_to_end(&mut Vec::new()).ok();
            flag.0.store(true, Ordering::Relaxed);
        });
        end
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
