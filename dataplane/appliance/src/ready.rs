//! The one line that scripts wait for.

use std::fmt::Write;

use crate::plan::Plan;

/// `ready: ADDRESS ..., PROTOCOL PORT, ...`, such as `ready: 10.77.0.2 fd77::2, http 80, echo 7`.
/// A UDP port is named `echo/udp 7`.
pub(crate) fn line(plan: &Plan) -> String {
    let addresses = plan.stack.ip.addresses.iter().map(|cidr| cidr.address().to_string());
    let mut line = format!("ready: {}", addresses.collect::<Vec<_>>().join(" "));
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
