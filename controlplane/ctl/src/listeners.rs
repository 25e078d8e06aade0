//! `abelectl listeners`: what the gateway accepts connections on, and how many it has of each.

use std::io::Write;

use serde_json::Value;

use crate::args::InquiryArgs;
use crate::control::{cell, inquire, list, print_table};
use crate::error::Error;
use crate::interrupt::Interrupt;

/// Asks, and prints them.
pub(crate) fn run(
    args: &InquiryArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    inquire(args, "listeners", interrupt, out, show)
}

fn show(told: &Value, out: &mut dyn Write) -> Result<(), Error> {
    let rows = list(told, "listeners").iter().map(|row| {
        let [transport, protocol, address, port] =
            ["transport", "protocol", "address", "port"].map(|key| cell(&row[key]));
        let state = if row["open"] == true { "open" } else { "closed" }.to_owned();
        let by_core: Vec<_> = list(row, "by_core").iter().map(cell).collect();
        let by_core = if by_core.len() > 1 { by_core.join(" + ") } else { "-".to_owned() };
        let [connections, limit, root] =
            ["connections", "limit", "document_root"].map(|key| cell(&row[key]));
        vec![
            protocol,
            transport,
            format!("{address}:{port}"),
            state,
            connections,
            by_core,
            limit,
            root,
        ]
    });
    let head = [
        "protocol",
        "over",
        "address",
        "state",
        ">connections",
        ">by core",
        ">limit",
        "document root",
    ];
    print_table(&head, rows, "no listeners", out)
}
