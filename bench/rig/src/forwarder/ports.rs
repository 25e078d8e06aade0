//! Both interfaces, taken with AF_XDP: every packet of theirs, whoever it is for.

use std::fmt;
use std::os::fd::AsFd;

use af_xdp::AfXdpQueue;
use base::{Duration, QueueId};
use loader::{Mode, Steering};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::QueuePair;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::args::WireArgs;
use super::core::Forwarder;
use crate::cable::Attach;
use crate::error::Error;
use crate::limits::VETH_TX_BUDGET;

/// A forwarder between two NIC queues.
pub(super) type Both = Forwarder<AfXdpQueue, AfXdpQueue>;

/// The queues and what leads the packets into them.
pub(super) struct Ports {
    pub(super) a: AfXdpQueue,
    pub(super) b: AfXdpQueue,
    pub(super) arena: CoreArena,
    pub(super) steering: [Steering; 2],
    /// Where the programs run, for people.
    pub(super) attached: String,
}

impl Ports {
    /// Takes both interfaces.
    pub(super) fn take(args: &WireArgs) -> Result<Self, Error> {
        let config = |interface: &str| {
            let mut config = af_xdp::Config::new(interface, QueueId(0));
            config.tx_budget = Some(VETH_TX_BUDGET);
            config
        };
        let (config_a, config_b) = (config(&args.a), config(&args.b));
        let rings = config_a.rings;
        let geometry = FrameGeometry {
            frames: 2 * (rings.fill + rings.rx + rings.tx + args.limit) + 1_024,
            frame_len: 2_048,
            headroom: 128,
            cores: 1,
            reserve_per_core: 64,
        };
        let arena = FrameArena::new(geometry, PageChoice::Best).map_err(|error| Error::Lacks {
            what: format!("memory for the frames: {error}"),
            mend: "use a lower --limit".to_owned(),
        })?;
        let a = af_xdp::open(&config_a, &arena).map_err(refused)?;
        let b = af_xdp::open(&config_b, &arena).map_err(refused)?;
        let (mtu_a, mtu_b) = (a.capabilities().mtu, b.capabilities().mtu);
        if mtu_a != mtu_b {
            return Err(Error::Lacks {
                what: format!(
                    "one MTU for both interfaces: {} has {mtu_a}, {} {mtu_b}",
                    args.a, args.b
                ),
                mend: format!("ip link set dev {} mtu {mtu_a}", args.b),
            });
        }
        let (steering_a, attached) = steer(&args.a, args.attach, &a)?;
        let (steering_b, _the_same) = steer(&args.b, args.attach, &b)?;
        let arena = arena.core().expect("the arena has one share");
        Ok(Self { a, b, arena, steering: [steering_a, steering_b], attached })
    }
}

/// Leads every packet of an interface into its queue.
fn steer(interface: &str, attach: Attach, queue: &AfXdpQueue) -> Result<(Steering, String), Error> {
    let mode = match attach {
        Attach::Generic => Mode::Generic,
        Attach::Native => Mode::Native,
    };
    let mut steering = loader::load_to_take_all(interface, mode, 1).map_err(refused)?;
    steering.set_socket(0, queue.as_fd()).map_err(refused)?;
    let attached = steering.attach().map_err(refused)?;
    Ok((steering, format!("XDP {attached}")))
}

/// Fails once an interface is gone.
pub(super) fn check(forwarder: &Both) -> Result<(), Error> {
    let (a, b) = forwarder.queues();
    for queue in [a, b] {
        if queue.is_gone() {
            return Err(Error::Lacks {
                what: format!("the interface {}: it was deleted", queue.truth().interface),
                mend: "make it anew, then start this anew".to_owned(),
            });
        }
    }
    Ok(())
}

/// Sleeps until a packet comes, `longest` has passed or a signal came.
pub(super) fn sleep(forwarder: &Both, longest: Duration) -> Result<(), Error> {
    let (a, b) = forwarder.queues();
    let mut queues = [a, b].map(|queue| PollFd::new(queue.as_fd(), PollFlags::POLLIN));
    let timeout = TimeSpec::from(std::time::Duration::from_nanos(longest.as_nanos()));
    match ppoll(&mut queues, Some(timeout), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::errno("wait for packets")(errno)),
    }
}

/// What the machine refuses says itself what mends it.
fn refused(error: impl fmt::Display) -> Error {
    Error::Refused(error.to_string())
}
