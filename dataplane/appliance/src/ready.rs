//! The one line that scripts wait for.

use std::fmt::Write;

use crate::plan::Plan;

/// What stands in front of the line.
const READY: &str = "ready: ";

/// `ready: ADDRESS ..., PROTOCOL PORT, ...`, such as `ready: 10.77.0.2 fd77::2, http 80, echo 7`.
/// A UDP port is named `echo/udp 7`.
pub(crate) fn line(plan: &Plan) -> String {
    let addresses = plan.stack.ip.addresses.iter().map(|cidr| cidr.address().to_string());
    let mut line = format!("{READY}{}", addresses.collect::<Vec<_>>().join(" "));
    for listener in &plan.listeners {
        let (name, port) = (listener.protocol.name(), listener.tcp_port);
        let mut add = |transport| write!(line, ", {name}{transport} {port}");
        add("").expect("a string takes all");
        if listener.udp {
            add("/udp").expect("a string takes all");
        }
    }
    line
}

/// The same for who shows it beside a name: `serves ADDRESS ..., PROTOCOL PORT, ... on N cores`.
pub(crate) fn status(plan: &Plan) -> String {
    let (line, count) = (line(plan), plan.workers.count);
    let plural = if count == 1 { "" } else { "s" };
    format!("serves {} on {count} core{plural}", line.trim_start_matches(READY))
}
