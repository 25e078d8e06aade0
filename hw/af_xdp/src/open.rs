//! Opens a queue: what is asked for, in which order, and what is made of a refusal.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use memory::FrameArena;
use nic::ETHERNET_HEADER_LEN;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::config::{BusyPoll, Config, CopyMode, MultiBuffer};
use crate::error::AfXdpError;
use crate::interface::{Channels, Interface};
use crate::limits::{BIND_PAUSE, BIND_WAIT_MAX};
use crate::queue::AfXdpQueue;
use crate::refusal::{Facts, Step, explain, is_about_mode, is_passing, missing_queue};
use crate::rings::{Failure, Rings};
use crate::socket::Socket;
use crate::truth::{Truth, TxBudget};
use crate::uapi::XDP_MAX_TX_SKB_BUDGET;
use crate::umem::Umem;

/// A way to bind that may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    zero_copy: bool,
    multi_buffer: bool,
}

/// A socket that has its queue, and what was got with it.
pub(crate) struct Bound {
    pub(crate) socket: Socket,
    pub(crate) rings: Rings,
    pub(crate) umem: Umem,
    pub(crate) truth: Truth,
    pub(crate) mtu: u32,
}

/// Takes the queue of an interface; `arena`'s frames are what it receives into and sends from.
///
/// Each queue has a socket of its own and registers the whole arena, so that frames may go in at
/// one queue and out at another. Nothing is received before an XDP program hands packets to the
/// queue's descriptor.
///
/// A queue that is busy is waited for, two seconds at most: a process that was killed leaves it
/// so for a moment.
///
/// # Errors
/// See [`AfXdpError`].
pub fn open(config: &Config, arena: &FrameArena) -> Result<AfXdpQueue, AfXdpError> {
    config.check()?;
    let opening = Opening::new(config, arena)?;
    opening.run().map(AfXdpQueue::new)
}

/// What is known before the first try.
struct Opening<'a> {
    config: &'a Config,
    umem: Umem,
    interface: Interface,
    driver: String,
    channels: Option<Channels>,
    mtu: u32,
    deadline: Instant,
    began: Instant,
}

impl<'a> Opening<'a> {
    fn new(config: &'a Config, arena: &FrameArena) -> Result<Self, AfXdpError> {
        let umem = Umem::new(arena);
        check_frames(config, arena)?;
        let interface = Interface::find(&config.interface)?;
        let began = Instant::now();
        let mut opening = Self {
            config,
            umem,
            interface,
            driver: String::new(),
            channels: None,
            mtu: 0,
            deadline: began + BIND_WAIT_MAX,
            began,
        };
        // An AF_XDP socket answers no such questions; any other socket does.
        let (family, kind) = (AddressFamily::Unix, SockType::Datagram);
        let asker = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)
            .map_err(|errno| opening.explain(Step::ReadMtu, errno))?;
        opening.driver = opening.interface.driver(asker.as_fd());
        opening.channels = opening.interface.channels(asker.as_fd());
        let mtu = opening.interface.mtu(asker.as_fd());
        opening.mtu = mtu.map_err(|errno| opening.explain(Step::ReadMtu, errno))?;
        match missing_queue(&opening.facts()) {
            Some(error) => Err(error),
            None => Ok(opening),
        }
    }

    /// Tries what may be tried, the best first.
    fn run(&self) -> Result<Bound, AfXdpError> {
        let needs_multi_buffer = self.packet_len() > self.umem.room();
        if needs_multi_buffer && self.config.multi_buffer == MultiBuffer::Off {
            return Err(self.mtu_error());
        }
        let mut attempts = attempts(self.config, needs_multi_buffer).into_iter().peekable();
        let mut zero_copy_refused = None;
        while let Some(attempt) = attempts.next() {
            let (step, errno) = match self.attempt(attempt) {
                Ok(mut bound) => {
                    bound.truth.zero_copy_refused = zero_copy_refused;
                    return Ok(bound);
                }
                Err(Failure::Odd(what)) => return Err(AfXdpError::ResourceOddAnswer { what }),
                Err(Failure::Refused(step, errno)) => (step, errno),
            };
            let is_bind = matches!(step, Step::Bind { .. });
            if attempt.zero_copy {
                zero_copy_refused = Some(errno);
            }
            if is_bind && is_about_mode(errno) && attempts.peek().is_some() {
                continue;
            }
            // Only multi-buffer was left to refuse: the kernel does not know its flag.
            if is_bind && errno == Errno::EINVAL && needs_multi_buffer && !attempt.zero_copy {
                return Err(self.mtu_error());
            }
            return Err(self.explain(step, errno));
        }
        unreachable!("each mode has a way to bind")
    }

    /// One socket, from its birth to what is read back of it.
    fn attempt(&self, attempt: Attempt) -> Result<Bound, Failure> {
        let socket = Socket::open().map_err(|errno| Failure::Refused(Step::Socket, errno))?;
        let registered = socket.set_xdp(libc::XDP_UMEM_REG, self.umem.registration());
        registered.map_err(|errno| Failure::Refused(Step::RegisterFrames, errno))?;
        let rings = Rings::new(&socket, self.config.rings)?;
        let busy_poll = self.set_busy_poll(&socket)?;
        let tx_budget = self.set_tx_budget(&socket)?;
        self.bind(&socket, attempt)?;
        let options = socket.read::<libc::xdp_options>(libc::SOL_XDP, libc::XDP_OPTIONS);
        let (options, _len) = options.map_err(|errno| Failure::Refused(Step::ReadBack, errno))?;
        let zero_copy = options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0;
        if zero_copy != attempt.zero_copy {
            return Err(Failure::Odd("reading back whether the queue is zero-copy"));
        }
        let truth = Truth {
            interface: self.interface.name.clone(),
            driver: self.driver.clone(),
            queue: self.config.queue,
            zero_copy,
            zero_copy_refused: None,
            need_wakeup: self.config.need_wakeup,
            multi_buffer: attempt.multi_buffer,
            busy_poll,
            tx_budget,
            rings: self.config.rings,
            frame_room: self.umem.room(),
            pages: self.umem.arena().pages(),
        };
        Ok(Bound { socket, rings, umem: self.umem.clone(), truth, mtu: self.mtu })
    }

    /// Binds, again and again while the queue is busy.
    fn bind(&self, socket: &Socket, attempt: Attempt) -> Result<(), Failure> {
        let Attempt { zero_copy, multi_buffer } = attempt;
        let mut flags = if zero_copy { libc::XDP_ZEROCOPY } else { libc::XDP_COPY };
        if multi_buffer {
            flags |= libc::XDP_USE_SG;
        }
        if self.config.need_wakeup {
            flags |= libc::XDP_USE_NEED_WAKEUP;
        }
        loop {
            match socket.bind(self.interface.index, self.config.queue.0, flags) {
                Ok(()) => return Ok(()),
                Err(errno) if is_passing(errno) && Instant::now() < self.deadline => {
                    std::thread::sleep(BIND_PAUSE);
                }
                Err(errno) => return Err(Failure::Refused(Step::Bind { zero_copy }, errno)),
            }
        }
    }

    fn set_busy_poll(&self, socket: &Socket) -> Result<Option<BusyPoll>, Failure> {
        let Some(BusyPoll { us, budget }) = self.config.busy_poll else {
            return Ok(None);
        };
        let set = |step, name, value: u32| {
            let outcome = socket.set(libc::SOL_SOCKET, name, value);
            outcome.map_err(|errno| Failure::Refused(step, errno))
        };
        set(Step::PreferBusyPoll, libc::SO_PREFER_BUSY_POLL, 1)?;
        set(Step::BusyPoll, libc::SO_BUSY_POLL, us)?;
        set(Step::BusyPoll, libc::SO_BUSY_POLL_BUDGET, u32::from(budget))?;
        let read = |name| {
            let answer = socket.read::<u32>(libc::SOL_SOCKET, name);
            answer.map_err(|errno| Failure::Refused(Step::ReadBack, errno))
        };
        let (is_preferred, _len) = read(libc::SO_PREFER_BUSY_POLL)?;
        let (us, _len) = read(libc::SO_BUSY_POLL)?;
        if is_preferred == 0 || us == 0 {
            return Err(Failure::Odd("reading back whether busy polling is on"));
        }
        Ok(Some(BusyPoll { us, budget }))
    }

    fn set_tx_budget(&self, socket: &Socket) -> Result<TxBudget, Failure> {
        let Some(budget) = self.config.tx_budget else {
            return Ok(TxBudget::Default);
        };
        match socket.set_xdp(XDP_MAX_TX_SKB_BUDGET, budget) {
            Ok(()) => Ok(TxBudget::Set(budget)),
            Err(Errno::ENOPROTOOPT) => Ok(TxBudget::Unsupported),
            Err(errno) => Err(Failure::Refused(Step::TxBudget, errno)),
        }
    }

    /// Bytes of the longest packet.
    fn packet_len(&self) -> u32 {
        let header = u32::try_from(ETHERNET_HEADER_LEN).expect("14");
        self.mtu.saturating_add(header)
    }

    fn mtu_error(&self) -> AfXdpError {
        let (packet, room) = (self.packet_len(), self.umem.room());
        let best = room.saturating_sub(packet - self.mtu);
        let interface = self.interface.name.clone();
        AfXdpError::ConfigMtu { interface, mtu: self.mtu, packet, room, best }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            interface: &self.interface.name,
            driver: &self.driver,
            queue: self.config.queue.0,
            channels: self.channels,
            frame_bytes: self.umem.len(),
            locked_bytes_max: locked_bytes_max(),
            waited_ms: milliseconds(self.began.elapsed()),
        }
    }

    fn explain(&self, step: Step, errno: Errno) -> AfXdpError {
        explain(step, errno, &self.facts())
    }
}

/// What is tried, the best first: a packet in several frames is worth less than no copy, unless
/// the interface's packets need it.
fn attempts(config: &Config, needs_multi_buffer: bool) -> ArrayVec<Attempt, 4> {
    let modes: &[bool] = match config.copy {
        CopyMode::Auto => &[true, false],
        CopyMode::Copy => &[false],
        CopyMode::ZeroCopy => &[true],
    };
    let mut attempts = ArrayVec::new();
    for &zero_copy in modes {
        if config.multi_buffer == MultiBuffer::Auto {
            attempts.push(Attempt { zero_copy, multi_buffer: true });
        }
        if !needs_multi_buffer {
            attempts.push(Attempt { zero_copy, multi_buffer: false });
        }
    }
    attempts
}

/// The fill ring must leave something to send from.
fn check_frames(config: &Config, arena: &FrameArena) -> Result<(), AfXdpError> {
    let geometry = arena.geometry();
    let reserved = u64::from(geometry.cores) * u64::from(geometry.reserve_per_core);
    let (fill, frames) = (config.rings.fill, geometry.frames);
    if u64::from(fill) + reserved >= u64::from(frames) {
        return Err(AfXdpError::ConfigFrames { fill, frames, reserved });
    }
    Ok(())
}

/// The limit on this process' locked memory, in bytes.
fn locked_bytes_max() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `struct rlimit`, which `limit` is.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    if result == 0 { limit.rlim_cur } else { 0 }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use base::QueueId;

    use super::{Attempt, attempts};
    use crate::config::{Config, CopyMode, MultiBuffer};

    fn tried(copy: CopyMode, multi_buffer: MultiBuffer, needs: bool) -> Vec<(bool, bool)> {
        let config = Config { copy, multi_buffer, ..Config::new("eth0", QueueId(0)) };
        let pair = |Attempt { zero_copy, multi_buffer }| (zero_copy, multi_buffer);
        attempts(&config, needs).into_iter().map(pair).collect()
    }

    #[test]
    fn the_best_is_tried_first() {
        let all = tried(CopyMode::Auto, MultiBuffer::Auto, false);
        assert_eq!(all, [(true, true), (true, false), (false, true), (false, false)]);
        let plain = tried(CopyMode::Auto, MultiBuffer::Off, false);
        assert_eq!(plain, [(true, false), (false, false)]);
    }

    #[test]
    fn what_was_required_is_never_left_out() {
        for multi_buffer in [MultiBuffer::Auto, MultiBuffer::Off] {
            assert!(tried(CopyMode::ZeroCopy, multi_buffer, false).iter().all(|way| way.0));
            assert!(tried(CopyMode::Copy, multi_buffer, false).iter().all(|way| !way.0));
        }
        assert_eq!(tried(CopyMode::Auto, MultiBuffer::Auto, true), [(true, true), (false, true)]);
    }
}
