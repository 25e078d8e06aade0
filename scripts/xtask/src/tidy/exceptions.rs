//! What is excepted from a rule: `unsafe` only where it may be, `allow` only with its reason.

use super::finding::Finding;
use super::lexer::{Layers, has_word};
use super::tree::{File, Kind};

/// Folders whose crates may hold `unsafe`.
pub(crate) const UNSAFE_FOLDERS: &[&str] = &["hw/", "ebpf/loader/"];

/// All findings of this module in one file.
pub(crate) fn check(file: &File) -> Vec<Finding> {
    if file.kind != Kind::Rust {
        return Vec::new();
    }
    let layers = file.layers();
    let mut findings = reasons(file, &layers);
    if !may_be_unsafe(&file.path) {
        findings.extend(unsafes(file, &layers));
    }
    findings
}

/// Whether a file or a crate's folder lies where `unsafe` may be.
pub(crate) fn may_be_unsafe(path: &str) -> bool {
    UNSAFE_FOLDERS.iter().any(|folder| format!("{path}/").starts_with(folder))
}

fn unsafes(file: &File, layers: &Layers) -> Vec<Finding> {
    let right = format!("a safe interface of a crate in {}", UNSAFE_FOLDERS.join(" or "));
    (1..)
        .zip(layers.code.lines())
        .filter(|(_, code)| has_word(code, "unsafe"))
        .map(|(line, _)| Finding::error(&file.path, line, "`unsafe`", right.clone()))
        .collect()
}

fn reasons(file: &File, layers: &Layers) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, _) in layers.code.match_indices("#[").chain(layers.code.match_indices("#![")) {
        let attribute = inside_brackets(&layers.code[at..]);
        let Some(word) = ["allow(", "expect("].into_iter().find(|w| has_call(attribute, w)) else {
            continue;
        };
        if !has_word(attribute, "reason") {
            let line = layers.code[..at].matches('\n').count() + 1;
            let what = format!("`{word}` without a reason");
            let right = "`reason = \"why the lint is wrong here\"`";
            findings.push(Finding::error(&file.path, line, what, right));
        }
    }
    findings
}

/// `allow(` at the attribute's beginning or inside `cfg_attr(..)`, but not `disallow(`.
fn has_call(attribute: &str, call: &str) -> bool {
    has_word(attribute, call.trim_end_matches('(')) && attribute.contains(call)
}

/// From `#[` or `#![` up to the bracket that closes it; literals are already blank.
fn inside_brackets(code: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return &code[..at],
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        check(&File::new(path, text, false)).into_iter().map(|f| (f.line, f.what)).collect()
    }

    #[test]
    fn unsafe_outside_the_machine_planes_is_found() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(found("dataplane/tcp/src/a.rs", text), [(2, "`unsafe`".to_owned())]);
        assert_eq!(found("ebpf/abi/src/a.rs", text).len(), 1);
        assert!(found("hw/memory/src/a.rs", text).is_empty());
        assert!(found("ebpf/loader/src/a.rs", text).is_empty());
    }

    #[test]
    fn word_unsafe_in_a_comment_or_a_lint_name_passes() {
        let text = "#![forbid(unsafe_code)]\n// unsafe is elsewhere\nlet a = \"unsafe\";\n";
        assert!(found("dataplane/tcp/src/a.rs", text).is_empty());
    }

    #[test]
    fn allow_without_a_reason_is_found_also_over_lines_and_in_cfg_attr() {
        let what = "`allow(` without a reason".to_owned();
        assert_eq!(found("a.rs", "\n#[allow(dead_code)]\n"), [(2, what.clone())]);
        assert_eq!(found("a.rs", "#![allow(\n    dead_code,\n)]\n"), [(1, what.clone())]);
        assert_eq!(found("a.rs", "#[cfg_attr(loom, allow(dead_code))]\n"), [(1, what)]);
        assert_eq!(found("a.rs", "#[expect(dead_code)]\n").len(), 1);
    }

    #[test]
    fn allow_with_a_reason_passes() {
        let text = "#[allow(\n    dead_code,\n    reason = \"a [x] b\"\n)]\n#[derive(Debug)]\n";
        assert!(found("a.rs", text).is_empty());
    }
}
