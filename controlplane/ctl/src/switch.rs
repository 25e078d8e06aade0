//! `switch`: what a BYPSS switch knows, and holding its ports from a shell.

mod args;
mod bench;
mod connect;
mod list;
mod lock;
mod ports;

use std::io::Write;

use crate::error::Error;
use crate::interrupt::Interrupt;

pub(crate) use args::{SwitchArgs, SwitchCommand};
pub(crate) use lock::run_if_asked;

/// Runs one command.
pub(crate) fn run(
    args: &SwitchArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let to = &args.target;
    let done = match &args.command {
        SwitchCommand::Status => list::status(to, out),
        SwitchCommand::Nodes => list::nodes(to, out),
        SwitchCommand::Ports { prefix } => list::ports(to, prefix, interrupt, out),
        SwitchCommand::Port { name } => list::port(to, name, out),
        SwitchCommand::Watch { prefix } => list::watch(to, prefix, interrupt, out),
        SwitchCommand::DropNode { node } => list::drop_node(to, node, out),
        SwitchCommand::Register { names } => ports::register(to, names, interrupt, out),
        SwitchCommand::Send { name, message } => ports::send(to, name, message, out),
        SwitchCommand::Listen { names } => ports::listen(to, names, interrupt, out),
        SwitchCommand::Lock { name, wait, command } => {
            lock::run(to, name, *wait, command, interrupt)
        }
        SwitchCommand::Bench { ports, batch, in_flight } => {
            let (ports, batch, in_flight) = (*ports, *batch, *in_flight);
            bench::run(to, bench::Load { ports, batch, in_flight }, interrupt, out)
        }
    };
    done.map_err(Error::shown)
}
