//! A file becomes a text, and a text what its sections mean.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::de::DeTable;

use crate::finding::{Findings, Place};
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::section::Section;

/// The text of `file`, if it has at most `len_max` bytes: a wrong file named by mistake is refused
/// before it is read whole.
///
/// # Errors
/// It cannot be read, is no text, or is longer.
pub fn read_text(file: &Path, len_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(len_max.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > len_max {
        let wrong = format!("it has more than {len_max} bytes, which no configuration needs");
        return Err(io::Error::other(wrong));
    }
    Ok(text)
}

/// Judges the `text` of `file`, which may have these `keys`: `sections` reads all of them from the
/// root, and makes of them what they mean.
///
/// # Errors
/// Everything that is wrong.
///
/// # Panics
/// `sections` returns `None` and has noted nothing.
pub fn parse<T>(
    file: &Path,
    text: &str,
    keys: Keys,
    sections: impl FnOnce(Section<'_>, &mut Ledger<'_>) -> Option<T>,
) -> Result<T, Findings> {
    let mut ledger = Ledger::new(text, keys);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What the parser guessed behind an error would only bring findings of its own.
        for error in errors {
            let place = ledger.place(error.span().map_or(0, |span| span.start));
            let (wrong, right) = syntax(error.message());
            ledger.refuse(place, "syntax", wrong, right);
        }
        return Err(Findings::new(file, ledger.found));
    }
    let root = Section::new("", Some(table.get_ref()), Place::START, &mut ledger);
    let whole = sections(root, &mut ledger);
    if ledger.found.is_empty() {
        return Ok(whole.expect("a section that notes nothing is whole"));
    }
    Err(Findings::new(file, ledger.found))
}

/// What is wrong by the parser's message, and what would be right.
fn syntax(message: &str) -> (&str, String) {
    match message.split_once(", expected ") {
        Some((wrong, expected)) => (wrong, format!("write {expected}")),
        None if message.starts_with("duplicate") => (message, "keep one of them".to_owned()),
        None => (message, "write TOML, see https://toml.io".to_owned()),
    }
}

#[cfg(test)]
mod tests;
