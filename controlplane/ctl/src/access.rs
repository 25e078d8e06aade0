//! `abelectl access`: who is kept out before a core sees a packet, and how many that were.

use std::io::Write;

use serde_json::Value;

use crate::args::InquiryArgs;
use crate::control::{cell, inquire, list, print_table};
use crate::error::Error;
use crate::interrupt::Interrupt;

/// Asks, and prints it.
pub(crate) fn run(
    args: &InquiryArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    inquire(args, "access", interrupt, out, show)
}

fn show(told: &Value, out: &mut dyn Write) -> Result<(), Error> {
    if told["program"] != true {
        writeln!(
            out,
            "no XDP program: access rules and SYN budgets need kind = \"af_xdp\"; this interface \
             is {:?}",
            cell(&told["interface"])
        )?;
        return Ok(());
    }
    let rows =
        list(told, "rules").iter().map(|row| vec![cell(&row["prefix"]), cell(&row["action"])]);
    print_table(&["source", "access"], rows, "no access rules: every source is let in", out)?;
    writeln!(out)?;
    let budget = &told["syn_budget"];
    for (key, whose) in [("per_source", "each source"), ("strangers", "all strangers, each CPU")] {
        let [per_s, burst] = ["per_s", "burst"].map(|part| cell(&budget[key][part]));
        if budget[key].is_null() {
            writeln!(out, "SYN budget of {whose}: none")?;
        } else {
            writeln!(out, "SYN budget of {whose}: {per_s} per second, {burst} at once")?;
        }
    }
    writeln!(out)?;
    let rows = list(told, "counters")
        .iter()
        .map(|row| ["verdict", "name", "packets", "bytes"].map(|key| cell(&row[key])).into());
    print_table(&["verdict", "reason", ">packets", ">bytes"], rows, "no counters", out)
}
