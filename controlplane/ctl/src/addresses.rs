//! `abelectl addresses`: the gateway's own addresses, and the interface that has them.

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
    inquire(args, "addresses", interrupt, out, show)
}

fn show(told: &Value, out: &mut dyn Write) -> Result<(), Error> {
    let [interface, kind, mac, mtu] =
        ["interface", "kind", "mac", "mtu"].map(|key| cell(&told[key]));
    writeln!(out, "interface {interface} ({kind}), mac {mac}, mtu {mtu}\n")?;
    let rows = list(told, "addresses").iter().map(|row| {
        let [address, prefix_len, family, scope] =
            ["address", "prefix_len", "family", "scope"].map(|key| cell(&row[key]));
        vec![format!("{address}/{prefix_len}"), family, scope]
    });
    print_table(&["address", "family", "scope"], rows, "no addresses", out)
}
