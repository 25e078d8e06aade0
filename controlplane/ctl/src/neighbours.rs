//! `abelectl neighbours`: the hosts on the link, as each core knows them.

use std::io::Write;

use serde_json::Value;

use crate::args::InquiryArgs;
use crate::control::{cell, inquire, list, print_table};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::table::nanos;

/// Asks, and prints them.
pub(crate) fn run(
    args: &InquiryArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    inquire(args, "neighbours", interrupt, out, show)
}

fn show(told: &Value, out: &mut dyn Write) -> Result<(), Error> {
    let rows = list(told, "neighbours").iter().map(|row| {
        let age = row["age_ms"].as_u64();
        let age = age.map_or_else(|| "-".to_owned(), |ms| nanos(ms.saturating_mul(1_000_000)));
        let [core, address, mac, state, router] =
            ["core", "address", "mac", "state", "router"].map(|key| cell(&row[key]));
        vec![core, address, mac, state, age, router]
    });
    let head = ["core", "address", "mac", "state", ">age", "router"];
    print_table(&head, rows, "no neighbours", out)
}
