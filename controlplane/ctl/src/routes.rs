//! `abelectl routes`: where packets go, in the order in which it is looked.

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
    inquire(args, "routes", interrupt, out, show)
}

fn show(told: &Value, out: &mut dyn Write) -> Result<(), Error> {
    let rows = list(told, "routes").iter().map(|row| {
        let through =
            if row["gateway"].is_null() { "on the link".to_owned() } else { cell(&row["gateway"]) };
        vec![cell(&row["destination"]), through, cell(&row["family"]), cell(&row["kind"])]
    });
    print_table(&["destination", "through", "family", "kind"], rows, "no routes", out)
}
