//! What others have named, as a terminal may have it.

use std::borrow::Cow;

/// Text that moves no cursor and begins no line: what does not print, such as a control character
/// or a mark that turns the order of letters, stands as its escape, `\n` or `\u{1b}`. Whoever names a
/// port could else write the lines of other ports.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().all(prints) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if prints(letter) {
            escaped.push(letter);
        } else {
            escaped.extend(letter.escape_debug());
        }
    }
    Cow::Owned(escaped)
}

/// Whether a letter leaves a mark and nothing else. Accents on the letter before print too.
fn prints(letter: char) -> bool {
    // The standard library knows what prints; it writes these three with a backslash all the same,
    // and an accent where it is the first letter of a text.
    letter == ' ' || matches!(letter, '"' | '\'' | '\\') || {
        let mut bytes = [0; 5];
        bytes[0] = b'a';
        let len = letter.encode_utf8(&mut bytes[1..]).len();
        let text = std::str::from_utf8(&bytes[..=len]).unwrap_or_default();
        text.escape_debug().nth(1) == Some(letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_stays_and_what_does_not_is_escaped() {
        for plain in
            ["", "user:7/a b", "\"it's\" \\n", "\u{e9}\u{65e5}\u{1f600}", "e\u{301}", "\u{301}"]
        {
            assert_eq!(shown(plain), plain);
        }
        for (hostile, safe) in [
            ("evil\u{1b}]0;pwned\u{7}", "evil\\u{1b}]0;pwned\\u{7}"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\0"),
            ("\u{7f}\u{9b}2J", "\\u{7f}\\u{9b}2J"),
            ("\u{202e}gnp\u{200b}\u{feff}\u{2028}", "\\u{202e}gnp\\u{200b}\\u{feff}\\u{2028}"),
            ("\u{a0}\u{e000}", "\\u{a0}\\u{e000}"),
        ] {
            assert_eq!(shown(hostile), safe);
        }
    }
}
