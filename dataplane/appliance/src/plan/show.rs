//! The plan as `check` prints it.

use std::fmt;

use af_xdp::CopyMode;
use base::IdlePolicy;
use loader::{Mode, Rate, Rule};
use memory::PageChoice;
use settings::{grouped, show_size};

use super::memory::Row;
use super::{Plan, huge_pages, memory_rows, memory_sum};
use crate::access_log::{Settings, Target};
use crate::affinity::choose_among;
use crate::config::{Kind, Listener, Workers, pages_name};
use crate::host::HostMemory;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show_network(f)?;
        for listener in &self.listeners {
            show_listener(listener, self, f)?;
        }
        self.show_documents(f)?;
        self.show_access_log(f)?;
        self.show_workers(f)?;
        self.show_memory(f)
    }
}

impl Plan {
    fn show_network(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, stack: stack::Config { ip, .. }, .. } = self;
        write!(f, "interface  {} {}", interface.kind.name(), interface.name)?;
        match interface.mac {
            Some(mac) => write!(f, ", mac {mac}")?,
            None => f.write_str(", mac its own")?,
        }
        writeln!(f, ", mtu {}", interface.mtu)?;
        if interface.kind == Kind::AfXdp {
            self.show_program(f)?;
        }
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

    /// The XDP program and the queues behind it, as they are wanted.
    fn show_program(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, access, syn_budget, .. } = self;
        let xdp = &interface.xdp;
        let mode = match xdp.mode {
            Mode::Auto => "native if the driver can, else generic",
            Mode::Native => "native",
            Mode::Generic => "generic",
        };
        let copy = match xdp.copy {
            CopyMode::Auto => "zero-copy if the driver can, else copied",
            CopyMode::Copy => "copied",
            CopyMode::ZeroCopy => "zero-copy or nothing",
        };
        writeln!(f, "xdp        {mode}; packets {copy}; rings of {}", xdp.ring_size)?;
        if !access.is_empty() {
            let denied = access.iter().filter(|(_, rule)| *rule == Rule::Deny).count();
            writeln!(f, "access     {denied} ranges denied, {} allowed", access.len() - denied)?;
        }
        for (whose, rate) in
            [("each source", syn_budget.per_source), ("all strangers", syn_budget.strangers)]
        {
            if let Some(Rate { per_s, burst }) = rate {
                writeln!(f, "syn budget {whose}: {per_s} per second, {burst} at once")?;
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

    fn show_access_log(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Settings { target, terms, format, queue }) = &self.access_log else {
            return Ok(());
        };
        let sample = match terms.sample {
            1 => "all requests".to_owned(),
            count => format!("1 request in {count}"),
        };
        let errors = if terms.is_every_error && terms.sample > 1 { " and all errors" } else { "" };
        write!(f, "access log {sample}{errors} to ")?;
        match target {
            Target::Output => f.write_str("standard output")?,
            Target::Error => f.write_str("standard error")?,
            Target::File(path) => write!(f, "{}", path.display())?,
        }
        writeln!(f, ", {}; {queue} wait at each worker at most", format.name())
    }

    fn show_workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Workers { count, cores, idle, spin_us } = &self.workers;
        write!(f, "workers    {count}")?;
        let chosen = self.machine.cores.as_ref();
        let chosen = chosen.and_then(|allowed| choose_among(allowed, &self.workers).ok());
        match chosen.as_ref().or(cores.as_ref()) {
            Some(cores) if *count == 1 => write!(f, " on core {}", cores[0])?,
            Some(cores) => write!(f, " on cores {}", listed(cores))?,
            None if *count == 1 => f.write_str(" on the last core")?,
            None => write!(f, " on the last {count} cores")?,
        }
        if let Some(allowed) = &self.machine.cores {
            write!(f, " of {}", allowed.len())?;
        }
        f.write_str(if *count == 1 { ", with one queue" } else { ", with a queue each" })?;
        write!(f, ", idle = \"{}\"", idle.name())?;
        match idle {
            IdlePolicy::Adaptive => writeln!(f, " after {spin_us} us"),
            IdlePolicy::Spin | IdlePolicy::Wait => writeln!(f),
        }
    }

    fn show_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = memory_rows(self);
        let count = |name| rows.iter().find(|row| row.name == name).map_or(0, |row| row.count);
        let (connections, active) = (grouped(count("records")), grouped(count("extensions")));
        let sum = memory_sum(&rows);
        write!(f, "memory     {connections} connections, {active} active: {}", show_size(sum))?;
        match self.workers.count {
            1 => writeln!(f)?,
            count => writeln!(f, "; all but the frames and documents in {count} equal shares")?,
        }
        for row in &rows {
            let (count, each, size) = (row.count, row.each, show_size(row.bytes()));
            writeln!(f, "  {:<14}{count:>12} x {each:>4} = {:>14}  {size}", row.name, row.bytes())?;
        }
        writeln!(f, "  {:<14}{:>21}{sum:>15}  {}", "sum", "", show_size(sum))?;
        self.show_machine(&rows, f)
    }

    /// What of the machine's memory the plan takes.
    fn show_machine(&self, rows: &[Row], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pages, choice) = (huge_pages(rows), pages_name(self.memory.pages));
        if let Some(HostMemory { total, available, huge }) = self.machine.memory {
            let (total, available) = (show_size(total), show_size(available));
            writeln!(
                f,
                "machine    {total} of memory, {available} free; beside it {} of huge pages free",
                show_size(huge)
            )?;
        }
        write!(f, "pages      \"{choice}\"")?;
        match self.memory.pages {
            PageChoice::Base => writeln!(f),
            PageChoice::Best | PageChoice::RequireHuge => {
                writeln!(f, ": {pages} huge pages of 2 MiB hold all of it")
            }
        }
    }
}

/// Numbers with commas between them.
fn listed(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn show_listener(listener: &Listener, plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Listener { protocol, tcp_port, udp, options } = listener;
    write!(f, "listener   {} on TCP port {tcp_port}", protocol.name())?;
    if *udp {
        write!(f, " and UDP port {tcp_port}")?;
    }
    if !options.is_nodelay {
        f.write_str(", Nagle")?;
    }
    if options.connections_max < plan.stack.tcp.records {
        write!(f, ", at most {} connections", options.connections_max)?;
        if plan.workers.count > 1 {
            f.write_str(" of each worker")?;
        }
    }
    if let Some(keep_alive) = options.keep_alive {
        let stack::KeepAlive { idle_s, interval_s, probes_max } = keep_alive;
        write!(f, ", keep-alive after {idle_s} s, {probes_max} probes each {interval_s} s")?;
    }
    writeln!(f)
}
