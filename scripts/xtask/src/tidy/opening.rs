//! Every Rust file begins with a sentence that says what it is.

use super::finding::Finding;
use super::tree::{File, Kind};

/// At most one finding in one file.
pub(crate) fn check(file: &File) -> Option<Finding> {
    if file.kind != Kind::Rust {
        return None;
    }
    let right = "begin the file with `//! What it is, in one sentence.`";
    let mut lines = (1..).zip(file.text.lines()).skip_while(|(_, line)| is_attribute(line));
    let Some((first, _)) = lines.clone().next().filter(|(_, line)| line.starts_with("//! ")) else {
        return Some(Finding::error(&file.path, 1, "no `//!` at the beginning", right));
    };
    let paragraph: Vec<&str> =
        lines.by_ref().map_while(|(_, line)| line.strip_prefix("//! ")).collect();
    let text = paragraph.join(" ");
    let begins = text.starts_with(|c: char| c.is_uppercase() || matches!(c, '`' | '[' | '"'));
    let ends = text.trim_end_matches(['`', '*', ')', '"']).ends_with(['.', '?', '!', ':']);
    if begins && ends {
        return None;
    }
    let what = "the first paragraph is no sentence";
    Some(Finding::error(&file.path, first, what, "a capital at its beginning, a stop at its end"))
}

/// Crate attributes and blank lines may stand before the sentence.
fn is_attribute(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with("#![")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Option<String> {
        check(&File::new("src/a.rs", text, false)).map(|f| f.what)
    }

    #[test]
    fn file_without_a_doc_is_found() {
        assert!(what("use a::b;\n").is_some());
        assert!(what("").is_some());
        assert!(what("//!\n//! A sentence, too late.\n").is_some());
        assert!(what("// A comment.\n").is_some());
    }

    #[test]
    fn fragment_is_found() {
        assert!(what("//! the ring\n").is_some());
        assert!(what("//! The ring\n//!\n//! It is a ring.\n").is_some());
        assert!(what("//! the ring.\n").is_some());
    }

    #[test]
    fn sentence_over_two_lines_passes() {
        assert_eq!(what("//! The ring of\n//! one core.\n\nuse a;\n"), None);
        assert_eq!(what("#![forbid(unsafe_code)]\n//! `Ring` is a ring.\n"), None);
        assert_eq!(what("//! How many lines per second?\n"), None);
    }
}
