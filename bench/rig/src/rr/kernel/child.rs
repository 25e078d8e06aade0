//! The serving end in a process of its own.
//!
//! A process and not a thread: threads share one descriptor table, and the kernel then counts a
//! reference for every call on any of its descriptors; and two ends of 10,000 connections exceed
//! the 20,000 descriptors that many machines allow a process. The protocol is three lines long:
//! the child writes its TCP port, serves until its standard input closes, and writes its tally. So
//! it also ends when its parent dies of anything.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use core_affinity::CoreId;
use nix::sys::epoll::EpollTimeout;

use super::allow_descriptors;
use super::server::{Server, ServerTally, Turn};
use crate::args::{KernelServerArgs, RrArgs};
use crate::cores;
use crate::error::Error;

const SIDE: &str = "kernel server";

/// The child's main: see the module.
pub(crate) fn serve(args: &KernelServerArgs) -> Result<(), Error> {
    cores::pin(CoreId { id: args.core })?;
    allow_descriptors(u64::from(args.connections))?;
    let timeout = if args.block { EpollTimeout::NONE } else { EpollTimeout::ZERO };
    let size = usize::try_from(args.size).expect("32 bits fit a usize");
    let mut server = Server::listen(args.connections, size, timeout)?;
    server.watch_control(io::stdin())?;
    let mut output = io::stdout().lock();
    let say = Error::io("write to the measuring process");
    writeln!(output, "{}", server.address()?.port()).map_err(say)?;
    while server.turn()? == Turn::More {}
    let tally = serde_json::to_string(&server.tally()).expect("integers are JSON");
    writeln!(output, "{tally}").map_err(Error::io("write to the measuring process"))
}

/// The child as its parent holds it; killed if dropped before its end.
#[derive(Debug)]
pub(super) struct ServerChild {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl ServerChild {
    /// Starts this very program as the server and waits until it listens.
    pub(super) fn spawn(args: &RrArgs, core: CoreId, is_blocking: bool) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("find this program"))?;
        let mut command = Command::new(program);
        command
            .arg("rr-kernel-server")
            .args(["--core", &core.id.to_string()])
            .args(["--connections", &args.connections.to_string()])
            .args(["--size", &args.size.to_string()])
            .args(is_blocking.then_some("--block"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own, so that Ctrl-C reaches the parent alone, which ends both.
            .process_group(0);
        let mut child = command.spawn().map_err(Error::io("start the server's process"))?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Self { child, output, address };
        let port = server.line()?;
        let port = port.parse().map_err(|_not_a_port| unexpected(&port))?;
        server.address.set_port(port);
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the child and takes its count.
    pub(super) fn finish(mut self) -> Result<ServerTally, Error> {
        drop(self.child.stdin.take());
        let tally = self.line()?;
        serde_json::from_str(&tally).map_err(|_not_a_tally| unexpected(&tally))
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(Error::io("read from the server's process"))?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for ServerChild {
    fn drop(&mut self) {
        // It may have ended by itself, which is just as well; waiting leaves no zombie.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn unexpected(line: &str) -> Error {
    let what = match line {
        "" => "it ended; its own message stands above".to_owned(),
        line => format!("it said {line:?}"),
    };
    Error::Child { side: SIDE, what }
}
