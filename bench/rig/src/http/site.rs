//! Where it happens: cores, the cable, the addresses, the document.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use core_affinity::CoreId;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::args::HttpQueue;
use super::document::{self, Document};
use crate::args::Cores;
use crate::cores;
use crate::error::Error;
use crate::lab::{self, Veth};
use crate::process::Running;

/// The client's address on the cable, nginx's, and ours.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const NGINX: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Ours on the TAP device, and the kernel's at its other end.
const GATEWAY_ON_TAP: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
const CLIENT_ON_TAP: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
/// The port of every server.
const TCP_PORT: u16 = 80;
/// The TAP device.
const TAP: &str = "abele-tap0";

/// Who runs on which core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) servers: Vec<CoreId>,
    pub(super) client: CoreId,
}

impl Place {
    /// The first one or two allowed cores for the server, and the next for the client.
    pub(super) fn choose(cores: Cores, queue: HttpQueue) -> Result<Self, Error> {
        let count = match (cores, queue) {
            (Cores::One, HttpQueue::Veth | HttpQueue::Tap) => 1,
            (Cores::Two, HttpQueue::Veth) => 2,
            (Cores::Two, HttpQueue::Tap) => {
                return Err(Error::BadArguments {
                    wrong: "a TAP device has one queue here, and one core serves it".to_owned(),
                    right: "use --cores 1, or --queue veth".to_owned(),
                });
            }
        };
        Self::of(&cores::allowed(), count)
    }

    fn of(allowed: &[CoreId], count: usize) -> Result<Self, Error> {
        let (servers, rest) = allowed.split_at(count.min(allowed.len()));
        match rest {
            [client, ..] => Ok(Self { servers: servers.to_vec(), client: *client }),
            [] => Err(Error::Lacks {
                what: format!(
                    "cores: {} are needed, this process may use {}",
                    count + 1,
                    allowed.len()
                ),
                mend: "allow more, or use --cores 1: `taskset -c 0,1 abele-bench ...`".to_owned(),
            }),
        }
    }
}

/// Everything that both servers find.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) queue: HttpQueue,
    pub(super) place: Place,
    pub(super) document: Document,
    /// The folder of the document.
    pub(super) root: PathBuf,
    pub(super) veth: Veth,
}

impl Site {
    /// Makes it, in the lab.
    pub(super) fn new(queue: HttpQueue, place: Place, document: Document) -> Result<Self, Error> {
        let root = document.publish()?;
        let veth = Veth::new(place.servers.len())?;
        veth.address(CLIENT, NGINX)?;
        lab::steer_receiving(lab::CLIENT_END, &[place.client])?;
        veth.server.within(|| {
            // What nginx's people advise for many connections at once.
            lab::set("net.core.somaxconn", "16384")?;
            lab::set("net.ipv4.tcp_max_syn_backlog", "16384")?;
            lab::steer_receiving(lab::SERVER_END, &place.servers)
        })?;
        Ok(Self { queue, place, document, root, veth })
    }

    pub(super) fn nginx(&self) -> SocketAddr {
        SocketAddr::from((NGINX, TCP_PORT))
    }

    pub(super) fn gateway(&self) -> SocketAddr {
        let address = match self.queue {
            HttpQueue::Veth => GATEWAY,
            HttpQueue::Tap => GATEWAY_ON_TAP,
        };
        SocketAddr::from((address, TCP_PORT))
    }

    /// The document at a server.
    pub(super) fn url(address: SocketAddr) -> String {
        format!("http://{address}/{}", document::NAME)
    }

    /// The section of the gateway's configuration that names its device.
    pub(super) fn interface(&self) -> String {
        match self.queue {
            // Behind the driver: only there does steering come first, so that both servers' softirqs
            // are on the serving core. `http::attachment` tells it in the report.
            HttpQueue::Veth => format!(
                "[interface]\nkind = \"af_xdp\"\nname = \"{}\"\nxdp_mode = \"generic\"\n",
                lab::SERVER_END
            ),
            HttpQueue::Tap => format!(
                "[interface]\nkind = \"tap\"\nname = \"{TAP}\"\n\
                 kernel_addresses = [\"{CLIENT_ON_TAP}/24\"]\n"
            ),
        }
    }

    /// Starts a server on the serving cores, at its end of the cable.
    pub(super) fn start(
        &self,
        name: &'static str,
        command: &mut Command,
    ) -> Result<Running, Error> {
        self.veth.server.within(|| self.start_on_cores(name, command))
    }

    /// Starts our server, wherever its device is.
    pub(super) fn start_gateway(&self, command: &mut Command) -> Result<Running, Error> {
        const NAME: &str = "gateway";
        match self.queue {
            HttpQueue::Veth => self.start(NAME, command),
            HttpQueue::Tap => thread::scope(|scope| {
                let thread = scope.spawn(|| self.start_on_cores(NAME, command));
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        }
    }

    /// What our server's device needs that there was none before it.
    pub(super) fn steer_gateway(&self) -> Result<(), Error> {
        match self.queue {
            HttpQueue::Veth => Ok(()),
            HttpQueue::Tap => lab::steer_receiving(TAP, &[self.place.client]),
        }
    }

    /// What a thread starts stays on the cores of the thread.
    fn start_on_cores(&self, name: &'static str, command: &mut Command) -> Result<Running, Error> {
        let mut set = CpuSet::new();
        for core in &self.place.servers {
            set.set(core.id).map_err(Error::errno("name a core"))?;
        }
        let this_thread = Pid::from_raw(0);
        sched_setaffinity(this_thread, &set).map_err(Error::errno("stay on the serving cores"))?;
        Running::start(name, command)
    }

    /// Writes a configuration; its path.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = lab::folder().join(name);
        fs::write(&path, text).map_err(Error::io("write a configuration"))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_get_the_first_cores_and_the_client_the_next() {
        let allowed = [CoreId { id: 2 }, CoreId { id: 4 }, CoreId { id: 6 }];
        let ids = |count| {
            let place = Place::of(&allowed, count).expect("three are enough");
            (place.servers.iter().map(|core| core.id).collect::<Vec<_>>(), place.client.id)
        };
        assert_eq!(ids(1), (vec![2], 4));
        assert_eq!(ids(2), (vec![2, 4], 6));
        let error = Place::of(&allowed, 3).expect_err("the client has none");
        assert!(error.to_string().contains("4 are needed"), "{error}");
        assert!(Place::of(&[], 1).is_err());
    }
}
