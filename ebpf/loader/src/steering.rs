//! The loaded program: attached or not, and what can be changed while it runs.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use abi::{Address, Reason, Settings};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use zerocopy::{FromBytes, IntoBytes};

use crate::attach::Attached;
use crate::budget::SynBudget;
use crate::config::{Config, Mode};
use crate::counters::Counters;
use crate::error::{LoadError, refused};
use crate::limits::{KERNEL_MIN, REHEARSALS_MAX};
use crate::machine::Machine;
use crate::object::{self, Loaded, errno_of};
use crate::sys;

/// What the program does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The kernel gets it.
    Pass,
    /// The socket of its queue gets it.
    Redirect,
    /// Nobody gets it.
    Drop,
    /// None of the program's own: it has failed.
    Other(u32),
}

/// What the kernel's test facility found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// What the program did, the last time.
    pub action: Action,
    /// The mean time of one run.
    pub mean: Duration,
}

/// The loaded program. Dropping it, or ending the process in any way, detaches it.
#[derive(Debug)]
pub struct Steering {
    pub(crate) interface: String,
    /// The interface's number, which stays when it is renamed.
    pub(crate) index: i32,
    pub(crate) wanted: Mode,
    queues: u32,
    pub(crate) loaded: Loaded,
    /// The link, which is the attachment, and where the program runs.
    pub(crate) attached: Option<(OwnedFd, Attached)>,
}

const fn is_shared_between_threads<T: Send + Sync>() {}
const _: () = is_shared_between_threads::<Steering>();

/// Loads the program and fills its maps. It sees no packet before [`Steering::attach`].
///
/// # Errors
/// See [`LoadError`].
pub fn load(config: &Config) -> Result<Steering, LoadError> {
    config.check()?;
    load_with(config, false)
}

/// Loads the program so that every packet of the interface goes to the socket of its queue,
/// whoever it is for: for what stands in the middle of a wire and has no address. There are no
/// access list and no budget, and the kernel sees none of the interface's packets.
///
/// # Errors
/// See [`LoadError`].
pub fn load_to_take_all(interface: &str, mode: Mode, queues: u32) -> Result<Steering, LoadError> {
    let interface = interface.to_owned();
    let (addresses, syn_budget) = (Vec::new(), SynBudget::default());
    let config = Config { interface, mode, queues, addresses, mac: None, syn_budget };
    config.check_queues()?;
    load_with(&config, true)
}

fn load_with(config: &Config, takes_all: bool) -> Result<Steering, LoadError> {
    let machine = Machine::read();
    if machine.version().is_some_and(|version| version < KERNEL_MIN) {
        return Err(LoadError::ResourceKernelTooOld { release: machine.release });
    }
    let interface = config.interface.clone();
    let index = if_nametoindex(interface.as_str()).ok().and_then(|index| index.try_into().ok());
    let Some(index) = index else {
        return Err(LoadError::ResourceNoInterface { interface });
    };
    let takes_all = u8::from(takes_all);
    let mut settings = Settings { key: secret()?, takes_all, ..Settings::default() };
    if let Some(mac) = config.mac {
        settings.mac = mac;
        settings.mac_is_set = 1;
    }
    config.syn_budget.fill(&mut settings);
    let loaded = object::load(config.queues)?;
    let (wanted, queues) = (config.mode, config.queues);
    let steering = Steering { interface, index, wanted, queues, loaded, attached: None };
    steering.write_settings(&settings)?;
    for &address in &config.addresses {
        steering.add_address(address)?;
    }
    Ok(steering)
}

fn secret() -> Result<[u64; 2], LoadError> {
    let mut key = [0; 2];
    let failed = |error: getrandom::Error| {
        let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
        LoadError::System { what: "asking the kernel for random bytes".to_owned(), errno }
    };
    getrandom::fill(key.as_mut_bytes()).map_err(failed)?;
    Ok(key)
}

impl Steering {
    /// Gives the frames of a queue to an `AF_XDP` socket, which must be bound to that queue of
    /// the interface. The kernel forgets it when it is closed.
    ///
    /// # Errors
    /// There is no such queue, or it is no such socket.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), LoadError> {
        self.check_queue(queue)?;
        let number = socket.as_raw_fd();
        let what = format!("giving queue {queue} of {} its socket", self.interface);
        self.update(&self.loaded.sockets, queue.as_bytes(), number.as_bytes(), &what)
    }

    /// Takes the socket away from a queue, if it has one; its frames are then dropped and counted.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn clear_socket(&self, queue: u32) -> Result<(), LoadError> {
        self.check_queue(queue)?;
        let what = format!("taking the socket from queue {queue} of {}", self.interface);
        // The kernel says the same whether there was one or not.
        self.delete(&self.loaded.sockets, queue.as_bytes(), &what).map(|_was_there| ())
    }

    fn check_queue(&self, queue: u32) -> Result<(), LoadError> {
        let last = self.queues - 1;
        if queue > last { Err(LoadError::ConfigQueue { queue, last }) } else { Ok(()) }
    }

    /// Changes the budgets of SYNs. Sources keep what they have taken so far, within the new
    /// bounds. Two threads that do it at once leave the budget of one of them.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_syn_budget(&self, budget: SynBudget) -> Result<(), LoadError> {
        let found = self.lookup(&self.loaded.settings, 0_u32.as_bytes(), "reading the settings")?;
        let found = found.expect("an array has all its elements");
        let mut settings = Settings::read_from_bytes(&found).expect("the map's value is this");
        budget.fill(&mut settings);
        self.write_settings(&settings)
    }

    /// What was counted since the program was loaded.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn counters(&self) -> Result<Counters, LoadError> {
        let mut counters = Counters::default();
        for &reason in Reason::ALL {
            let key = reason as u32;
            let cpus = self.loaded.tallies.lookup_percpu(key.as_bytes(), MapFlags::ANY);
            let cpus = cpus.map_err(|error| refused("reading counters", errno_of(&error)))?;
            for cpu in cpus.iter().flatten() {
                counters.add(reason, cpu);
            }
        }
        Ok(counters)
    }

    /// Runs the program over one packet, `repeat` times, with the kernel's test facility: as if it
    /// came in at queue 0, but nothing is sent or received. It is counted like any other.
    ///
    /// # Errors
    /// The kernel refuses: a packet has 14 bytes at least and fits into a page.
    pub fn rehearse(&self, packet: &[u8], repeat: u32) -> Result<Rehearsal, LoadError> {
        let repeat = repeat.clamp(1, REHEARSALS_MAX).try_into().expect("it is small");
        let result = sys::test_run(self.loaded.program.as_fd(), packet, repeat);
        let (code, mean) = result.map_err(|errno| refused("rehearsing a packet", errno))?;
        let action = match code {
            libbpf_sys::XDP_PASS => Action::Pass,
            libbpf_sys::XDP_DROP => Action::Drop,
            libbpf_sys::XDP_REDIRECT => Action::Redirect,
            other => Action::Other(other),
        };
        Ok(Rehearsal { action, mean })
    }

    fn write_settings(&self, settings: &Settings) -> Result<(), LoadError> {
        let (map, key) = (&self.loaded.settings, 0_u32);
        self.update(map, key.as_bytes(), settings.as_bytes(), "writing the settings")
    }

    fn add_address(&self, address: IpAddr) -> Result<(), LoadError> {
        let (key, value) = (Address::new(address), 1_u32);
        let what = format!("adding the address {address}");
        self.update(&self.loaded.addresses, key.as_bytes(), value.as_bytes(), &what)
    }

    pub(crate) fn lookup(
        &self,
        map: &MapHandle,
        key: &[u8],
        what: &str,
    ) -> Result<Option<Vec<u8>>, LoadError> {
        map.lookup(key, MapFlags::ANY).map_err(|error| refused(what, errno_of(&error)))
    }

    pub(crate) fn update(
        &self,
        map: &MapHandle,
        key: &[u8],
        value: &[u8],
        what: &str,
    ) -> Result<(), LoadError> {
        let result = map.update(key, value, MapFlags::ANY);
        result.map_err(|error| refused(what, errno_of(&error)))
    }

    pub(crate) fn delete(
        &self,
        map: &MapHandle,
        key: &[u8],
        what: &str,
    ) -> Result<bool, LoadError> {
        match map.delete(key).map_err(|error| errno_of(&error)) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(refused(what, errno)),
        }
    }
}
