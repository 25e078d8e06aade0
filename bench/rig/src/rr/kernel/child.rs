//! The serving end in a process of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use core_affinity::CoreId;
use nix::sys::epoll::EpollTimeout;

use super::server::{Server, ServerTally, Turn};
use crate::args::{KernelServerArgs, RrArgs};
use crate::cable::{Cable, kernel_servers};
use crate::child::{Child, say};
use crate::cores;
use crate::error::Error;
use crate::sockets::allow_descriptors;

const SIDE: &str = "kernel server";

/// The child's main: see [`crate::child`].
pub(crate) fn serve(args: &KernelServerArgs) -> Result<(), Error> {
    cores::pin(CoreId { id: args.core })?;
    allow_descriptors(u64::from(args.connections))?;
    let timeout = if args.block { EpollTimeout::NONE } else { EpollTimeout::ZERO };
    let size = usize::try_from(args.size).expect("32 bits fit a usize");
    let mut server = Server::listen(args.bind, args.connections, size, timeout)?;
    server.watch_control(io::stdin())?;
    say(&server.address()?.port())?;
    while server.turn()? == Turn::More {}
    say(&server.tally())
}

/// The child as its parent holds it.
#[derive(Debug)]
pub(super) struct ServerChild {
    child: Child,
    address: SocketAddr,
}

impl ServerChild {
    /// Starts the server and waits until it listens.
    pub(super) fn spawn(
        args: &RrArgs,
        cable: Option<&Cable>,
        core: CoreId,
        is_blocking: bool,
    ) -> Result<Self, Error> {
        let address = cable.map_or(Ipv4Addr::LOCALHOST, |_| kernel_servers(1)[0]);
        let mut arguments = vec![
            "rr-kernel-server".to_owned(),
            format!("--core={}", core.id),
            format!("--bind={address}"),
            format!("--connections={}", args.connections),
            format!("--size={}", args.size),
        ];
        arguments.extend(is_blocking.then(|| "--block".to_owned()));
        let mut child = match cable {
            None => Child::spawn(SIDE, &arguments)?,
            Some(cable) => cable.spawn(SIDE, &arguments)?,
        };
        let port: u16 = child.read()?;
        Ok(Self { child, address: SocketAddr::from((address, port)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the child and takes its count.
    pub(super) fn finish(self) -> Result<ServerTally, Error> {
        self.child.finish()
    }
}
