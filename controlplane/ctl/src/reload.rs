//! `abelectl reload`: the gateway reads its configuration again; what came of it.

use std::io::Write;

use crate::args::ReloadArgs;
use crate::control::{self, Reply};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::limits::RELOAD_PATIENCE;

/// Asks, waits, and prints what the gateway says.
pub(crate) fn run(
    args: &ReloadArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let Reply { code, text, .. } =
        control::ask(&args.target, "reload", RELOAD_PATIENCE, interrupt)?;
    if code == 0 {
        return Ok(write!(out, "{text}")?);
    }
    Err(Error::Refused { code, text: text.trim_end().to_owned() })
}
