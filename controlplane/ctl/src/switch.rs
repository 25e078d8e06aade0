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
        SwitchCommand::Status => interrupt.at_once(|| list::status(to, interrupt, out)),
        SwitchCommand::Nodes => interrupt.at_once(|| list::nodes(to, interrupt, out)),
        SwitchCommand::Ports { prefix } => list::ports(to, prefix, interrupt, out),
        SwitchCommand::Port { name } => interrupt.at_once(|| list::port(to, name, interrupt, out)),
        SwitchCommand::Watch { prefix } => list::watch(to, prefix, interrupt, out),
        SwitchCommand::DropNode { node } => {
            interrupt.at_once(|| list::drop_node(to, node, interrupt, out))
        }
        SwitchCommand::Register { names } => ports::register(to, names, interrupt, out),
        SwitchCommand::Send { name, message } => {
            interrupt.at_once(|| ports::send(to, name, message.as_deref(), interrupt, out))
        }
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
