//! Sizes in bytes, written as a number or with a binary unit.

/// What [`parse`] takes.
pub(crate) const FORM: &str =
    "use a number of bytes, or text such as \"256 KiB\" (B, KiB, MiB, GiB)";

const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Bytes of a size with a unit, such as `256 KiB`. Decimal units are refused: the sizes here are
/// those of pages and buffers, and a slip between kB and KiB should not pass in silence.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The size that the writer of a wrong one may have meant: a decimal unit, or one in other letters.
pub(crate) fn near(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let letters = |name: &str| name.to_ascii_lowercase().replace('i', "");
    let known = UNITS.iter().find(|(name, _)| {
        letters(name) == unit.replace('i', "") || letters(name).trim_end_matches('b') == unit
    });
    known.filter(|_| digits > 0).map(|(name, _)| format!("{number} {name}"))
}

/// A size as people read it, exact where a unit divides it, else with one digit.
#[must_use]
pub fn show(bytes: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, factor)| bytes >= *factor);
    let (name, factor) = unit.copied().unwrap_or(UNITS[0]);
    let tenths = u128::from(bytes % factor) * 10 / u128::from(factor);
    let whole = bytes / factor;
    if tenths == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

#[cfg(test)]
mod tests {
    use super::{near, parse, show};

    #[test]
    fn a_decimal_unit_finds_its_binary_one() {
        for (text, meant) in
            [("256 KB", "256 KiB"), ("1m", "1 MiB"), ("2 gib", "2 GiB"), ("7 b", "7 B")]
        {
            assert_eq!(near(text).as_deref(), Some(meant), "{text}");
        }
        for text in ["KB", "", "1.5 MB", "1 TB"] {
            assert_eq!(near(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in
            [("512 B", 512), ("256 KiB", 262_144), ("256KiB", 262_144), (" 1 GiB ", 1 << 30)]
        {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in ["", "KiB", "1 KB", "1.5 MiB", "-1 B", "12", "99999999999 GiB"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_short() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (32 << 20, "32 MiB")]
        {
            assert_eq!(show(bytes), text);
        }
    }
}
