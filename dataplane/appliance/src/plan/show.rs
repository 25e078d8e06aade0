//! The plan as `check` prints it.

use std::fmt;

use super::{Plan, memory_rows, memory_sum};
use crate::config::{Kind, Listener, pages_name, show_size};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show_network(f)?;
        for listener in &self.listeners {
            show_listener(listener, self.stack.tcp.records, f)?;
        }
        self.show_documents(f)?;
        self.show_memory(f)
    }
}

impl Plan {
    fn show_network(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, stack: stack::Config { ip, .. }, .. } = self;
        let kind = match interface.kind {
            Kind::Tap => "tap",
        };
        writeln!(
            f,
            "interface  {kind} {}, mac {}, mtu {}",
            interface.name, interface.mac, interface.mtu
        )?;
        for address in &interface.kernel_addresses {
            writeln!(f, "kernel     {address}")?;
        }
        for address in &ip.addresses {
            writeln!(f, "address    {address}")?;
        }
        for route in &ip.routes {
            match route.gateway {
                Some(gateway) => writeln!(f, "route      {} through {gateway}", route.destination)?,
                None => writeln!(f, "route      {} on the link", route.destination)?,
            }
        }
        Ok(())
    }

    fn show_documents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(root) = &self.document_root else { return Ok(()) };
        let (count, len) = (self.catalogue.entries.len(), show_size(self.catalogue.len()));
        write!(f, "documents  {count} with {len} in {}", root.display())?;
        match self.catalogue.left_out {
            0 => writeln!(f),
            left_out => writeln!(f, "; left out: {left_out} (hidden, links, odd names)"),
        }
    }

    fn show_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = memory_rows(self);
        writeln!(f, "memory     pages = \"{}\"", pages_name(self.memory.pages))?;
        for row in &rows {
            let (count, each, size) = (row.count, row.each, show_size(row.bytes()));
            writeln!(f, "  {:<14}{count:>12} x {each:>4} = {:>14}  {size}", row.name, row.bytes())?;
        }
        let sum = memory_sum(&rows);
        writeln!(f, "  {:<14}{:>21}{sum:>15}  {}", "sum", "", show_size(sum))
    }
}

fn show_listener(listener: &Listener, connections: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Listener { protocol, tcp_port, udp, options } = listener;
    write!(f, "listener   {} on TCP port {tcp_port}", protocol.name())?;
    if *udp {
        write!(f, " and UDP port {tcp_port}")?;
    }
    if !options.is_nodelay {
        f.write_str(", Nagle")?;
    }
    if options.connections_max < connections {
        write!(f, ", at most {} connections", options.connections_max)?;
    }
    if let Some(keep_alive) = options.keep_alive {
        let stack::KeepAlive { idle_s, interval_s, probes_max } = keep_alive;
        write!(f, ", keep-alive after {idle_s} s, {probes_max} probes each {interval_s} s")?;
    }
    writeln!(f)
}
