//! The outer form of a file: its length, its white space, its place.

use super::finding::Finding;
use super::tree::{File, Kind};

/// A file above this many lines asks for a split.
const LINES_WARN: usize = 600;
/// A file above this many lines fails.
const LINES_MAX: usize = 1_000;
/// A function fits one screen. Clippy counts Rust's; scripts and C are counted here.
const FUNCTION_LINES_MAX: usize = 70;

/// All findings of this module in one file.
pub(crate) fn check(file: &File) -> Vec<Finding> {
    let mut findings = white_space(file);
    findings.extend(length(file));
    findings.extend(module_name(file));
    if matches!(file.kind, Kind::Shell | Kind::C) {
        findings.extend(function_lengths(file));
    }
    findings
}

fn white_space(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, content) in (1..).zip(file.text.split('\n')) {
        if content.contains('\t') {
            findings.push(Finding::error(&file.path, line, "a tab", "spaces"));
        }
        if content.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::error(&file.path, line, "space at the line's end", "none"));
        }
    }
    let last = file.text.lines().count().max(1);
    if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
        findings.push(Finding::error(&file.path, last, "the file's end", "exactly one newline"));
    }
    findings
}

fn length(file: &File) -> Option<Finding> {
    if !matches!(file.kind, Kind::Rust | Kind::Shell | Kind::C) {
        return None;
    }
    let lines = file.text.lines().count();
    let what = format!("{lines} lines");
    if lines > LINES_MAX {
        let right = format!("at most {LINES_MAX}; split it by idea");
        Some(Finding::error(&file.path, lines, what, right))
    } else if lines > LINES_WARN {
        let right = format!("above {LINES_WARN} a file asks for a split");
        Some(Finding::error(&file.path, lines, what, right).into_warning())
    } else {
        None
    }
}

fn module_name(file: &File) -> Option<Finding> {
    let folder = file.path.strip_suffix("/mod.rs")?;
    Some(Finding::error(&file.path, 1, "a `mod.rs`", format!("`{folder}.rs`")))
}

/// A function begins with a line at column 0 that ends in `{` and ends with a `}` at column 0.
fn function_lengths(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut begin = None;
    for (line, content) in (1_usize..).zip(file.text.lines()) {
        let is_head = content.ends_with('{') && !content.starts_with([' ', '#', '/']);
        if is_head && begin.is_none() {
            begin = Some((line, content));
        }
        if !content.starts_with('}') {
            continue;
        }
        if let Some((first, head)) = begin.take()
            && line - first + 1 > FUNCTION_LINES_MAX
        {
            let what = format!("`{}` has {} lines", head.trim_end_matches(" {"), line - first + 1);
            let right = format!("at most {FUNCTION_LINES_MAX}; one screen");
            findings.push(Finding::error(&file.path, first, what, right));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::Weight;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&File::new(path, text, false))
    }

    #[test]
    fn tab_and_trailing_space_are_found_at_their_lines() {
        let found = findings("a.md", "a\nb\tc\nd \n");
        let lines: Vec<(usize, &str)> = found.iter().map(|f| (f.line, f.what.as_str())).collect();
        assert_eq!(lines, [(2, "a tab"), (3, "space at the line's end")]);
    }

    #[test]
    fn missing_and_doubled_last_newline_are_found() {
        assert_eq!(findings("a.md", "a").len(), 1);
        assert_eq!(findings("a.md", "a\n\n").len(), 1);
        assert!(findings("a.md", "a\n").is_empty());
    }

    #[test]
    fn long_file_warns_and_longer_file_fails() {
        assert!(findings("a.rs", &"x\n".repeat(LINES_WARN)).is_empty());
        assert_eq!(findings("a.rs", &"x\n".repeat(LINES_WARN + 1))[0].weight, Weight::Warning);
        assert_eq!(findings("a.rs", &"x\n".repeat(LINES_MAX))[0].weight, Weight::Warning);
        assert_eq!(findings("a.rs", &"x\n".repeat(LINES_MAX + 1))[0].weight, Weight::Error);
    }

    #[test]
    fn long_file_of_tests_is_counted_like_any_other() {
        assert_eq!(findings("src/a/tests.rs", &"x\n".repeat(LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn mod_rs_is_found() {
        assert_eq!(findings("src/a/mod.rs", "x\n")[0].right, "`src/a.rs`");
    }

    #[test]
    fn long_shell_function_is_found_at_its_head() {
        let body = "    true\n".repeat(FUNCTION_LINES_MAX - 1);
        let found = findings("a.sh", &format!("x=1\nrun() {{\n{body}}}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].what.as_str()), (2, "`run()` has 71 lines"));
        let body = "    true\n".repeat(FUNCTION_LINES_MAX - 2);
        assert!(findings("a.sh", &format!("run() {{\n{body}}}\n")).is_empty());
    }
}
