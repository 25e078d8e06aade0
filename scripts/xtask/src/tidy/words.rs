//! Words and names that say that something is unfinished, or say nothing.

use super::finding::Finding;
use super::lexer::{has_word, is_word};
use super::tree::{File, Kind};

/// Marks of unfinished work, as whole words in code and comments.
const MARKS: &[&str] = &["FIXME", "XXX", "HACK", "TODO"];

/// Phrases of unfinished work, in comments and prose, in any case.
const PHRASES: &[&str] =
    &["for now", "quick and dirty", "temporary workaround", "will be fixed", "not yet implemented"];

/// Macros that do not belong in a change that lands.
const MACROS: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// Words of type names that do not say what the type is.
const TYPE_WORDS: &[&str] =
    &["Manager", "Managers", "Helper", "Helpers", "Util", "Utils", "Utility", "Utilities"];

/// Beginnings of function names that add nothing to the name.
const FUNCTION_PREFIXES: &[&str] = &["get_", "do_"];

/// Folders that exist on one developer's machine only. In two parts, so that this line itself
/// does not hold them.
const HOMES: &[&str] =
    &[concat!("/", "home/"), concat!("/", "root/"), concat!("/", "Users/"), concat!("/", "work/")];

/// All findings of this module in one file.
pub(crate) fn check(file: &File) -> Vec<Finding> {
    let mut findings = homes(file);
    match file.kind {
        Kind::Rust => findings.extend(rust(file)),
        Kind::Markdown => findings.extend(prose(file, &without_code(&file.text))),
        Kind::Shell | Kind::C => findings.extend(prose(file, &file.text)),
        Kind::Other => {}
    }
    findings
}

fn rust(file: &File) -> Vec<Finding> {
    let layers = file.layers();
    let mut findings = prose(file, &layers.comments);
    for (line, code) in (1..).zip(layers.code.lines()) {
        findings.extend(MACROS.iter().filter(|name| has_macro(code, name)).map(|name| {
            let right = "finish it, or return an error that says what is missing";
            Finding::error(&file.path, line, format!("`{name}`"), right)
        }));
        findings.extend(marks(file, line, code));
        findings.extend(names(file, line, code));
    }
    findings
}

fn has_macro(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| !code[..at].chars().next_back().is_some_and(is_word))
}

fn marks(file: &File, line: usize, text: &str) -> Vec<Finding> {
    let right = "finish it here, or open an issue and leave no mark";
    MARKS
        .iter()
        .filter(|mark| has_word(text, mark))
        .map(|mark| Finding::error(&file.path, line, format!("the word `{mark}`"), right))
        .collect()
}

/// Marks and phrases in comments, scripts and documents.
fn prose(file: &File, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        findings.extend(marks(file, line, content));
        let lower = content.to_lowercase();
        let right = "say what it does and why; what is planned is marked as planned";
        findings.extend(PHRASES.iter().filter(|phrase| has_word(&lower, phrase)).map(|phrase| {
            Finding::error(&file.path, line, format!("the phrase `{phrase}`"), right)
        }));
    }
    findings
}

fn names(file: &File, line: usize, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let words: Vec<&str> = code.split(|c| !is_word(c)).filter(|w| !w.is_empty()).collect();
    for pair in words.windows(2) {
        let (keyword, name) = (pair[0], pair[1]);
        let what = format!("`{keyword} {name}`");
        match keyword {
            "struct" | "enum" | "trait" | "type" | "union" if has_empty_word(name) => {
                let right = "name it after what it is or holds";
                findings.push(Finding::error(&file.path, line, what, right));
            }
            "mod" if has_empty_word(&capitalised(name)) => {
                let right = "name the module after its one idea";
                findings.push(Finding::error(&file.path, line, what, right));
            }
            "fn" if FUNCTION_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {
                let right = "drop the prefix: a noun returns, a verb acts";
                findings.push(Finding::error(&file.path, line, what, right));
            }
            _ => {}
        }
    }
    findings
}

/// Whether one of the words of a `CamelCase` name is empty of meaning.
fn has_empty_word(name: &str) -> bool {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.iter().any(|word| TYPE_WORDS.contains(&word.as_str()))
}

fn capitalised(name: &str) -> String {
    name.split('_')
        .map(|part| {
            let mut chars = part.chars();
            chars
                .next()
                .map(|c| c.to_ascii_uppercase())
                .into_iter()
                .chain(chars)
                .collect::<String>()
        })
        .collect()
}

/// A document without its code blocks and spans: what is quoted there is not said.
fn without_code(text: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            let spoken: Vec<&str> = line.split('`').step_by(2).collect();
            out.push_str(&spoken.join(" "));
        }
        out.push('\n');
    }
    out
}

fn homes(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, content) in (1..).zip(file.text.lines()) {
        for home in HOMES.iter().filter(|home| has_path(content, home)) {
            let what = format!("a path of one machine, `{home}`");
            let right = "a path below the workspace, or one that is passed in";
            findings.push(Finding::error(&file.path, line, what, right));
        }
    }
    findings
}

/// Whether an absolute path begins with `home`: `https://host/home/x` and `a/home/` do not.
fn has_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !is_word(c) && !matches!(c, '.' | '-' | '/' | '}' | '*'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text, false)).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn every_mark_is_found_in_comments_and_code() {
        for mark in MARKS {
            let what = format!("the word `{mark}`");
            assert_eq!(whats("a.rs", &format!("// {mark}: x\n")), [what.as_str()]);
            assert_eq!(whats("a.rs", &format!("const {mark}: u8 = 1;\n")), [what.as_str()]);
            assert_eq!(whats("run.sh", &format!("# {mark}\n")), [what.as_str()]);
        }
    }

    #[test]
    fn every_phrase_is_found_in_comments_in_any_case() {
        for phrase in PHRASES {
            let text = format!("// {}, this.\n", phrase.to_uppercase());
            assert_eq!(whats("a.rs", &text), [format!("the phrase `{phrase}`")]);
        }
    }

    #[test]
    fn every_macro_is_found_in_code_but_not_in_strings() {
        for name in MACROS {
            assert_eq!(whats("a.rs", &format!("    {name}();\n")), [format!("`{name}`")]);
            assert!(whats("a.rs", &format!("let a = \"{name}\";\n")).is_empty());
        }
        assert!(whats("a.rs", "mytodo!();\n").is_empty());
    }

    #[test]
    fn every_empty_type_word_is_found() {
        for word in TYPE_WORDS {
            let text = format!("pub struct Port{word};\n");
            assert_eq!(whats("a.rs", &text), [format!("`struct Port{word}`")]);
        }
        assert!(whats("a.rs", "struct Utilization;\n").is_empty());
        assert_eq!(whats("a.rs", "mod test_utils;\n"), ["`mod test_utils`"]);
    }

    #[test]
    fn every_empty_function_prefix_is_found() {
        for prefix in FUNCTION_PREFIXES {
            let text = format!("    pub(crate) fn {prefix}x(&self) {{}}\n");
            assert_eq!(whats("a.rs", &text), [format!("`fn {prefix}x`")]);
        }
        assert!(whats("a.rs", "fn get(&self) {}\nfn forget_it() {}\n").is_empty());
    }

    #[test]
    fn path_of_one_machine_is_found_in_any_file() {
        for home in HOMES {
            let text = format!("cd \"{home}x\"\n");
            assert_eq!(whats("a.toml", &text).len(), 1);
            assert!(whats("a.toml", &format!("https://host.example{home}x\n")).is_empty());
        }
    }

    #[test]
    fn quoted_word_in_a_document_is_not_said() {
        assert!(whats("a.md", "No `FIXME`.\n```\nXXX\n```\n").is_empty());
        assert_eq!(whats("a.md", "It is a HACK.\n").len(), 1);
    }
}
