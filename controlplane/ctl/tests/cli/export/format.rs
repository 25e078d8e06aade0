//! A strict reader of Prometheus' text format, version 0.0.4: it takes what the format's page allows
//! and nothing else.

use std::collections::{BTreeMap, BTreeSet};

/// A family as it was told.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    /// Values by labels, which are sorted by name.
    pub(crate) samples: BTreeMap<Vec<(String, String)>, f64>,
}

/// All families of a text.
///
/// # Panics
/// At the first thing that is wrong.
pub(crate) fn read(text: &str) -> BTreeMap<String, Family> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut families = BTreeMap::<String, Family>::new();
    let (mut helped, mut current) = (BTreeSet::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
            assert!(is_name(name) && !words.is_empty(), "{line}");
            assert!(helped.insert(name.to_owned()), "told twice: {line}");
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
            assert!(helped.contains(name), "a type without a help before it: {line}");
            assert!(["counter", "gauge", "untyped"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let family = Family { kind: kind.to_owned(), ..Family::default() };
            assert!(families.insert(name.to_owned(), family).is_none(), "told twice: {line}");
            name.clone_into(&mut current);
        } else {
            let (name, labels, value) = sample(line);
            assert_eq!(name, current, "a sample outside of its family: {line}");
            let family = families.get_mut(name).unwrap_or_else(|| panic!("no type: {line}"));
            assert!(family.samples.insert(labels, value).is_none(), "told twice: {line}");
        }
    }
    families
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Name, labels and value of a line.
fn sample(line: &str) -> (&str, Vec<(String, String)>, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inner.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label) && !label.starts_with("__"), "{line}");
            let (value, after) = quoted(after, line);
            labels.push((label.to_owned(), value));
            match after.strip_prefix(',') {
                Some(next) => inner = next,
                None => {
                    rest = after.strip_prefix('}').unwrap_or_else(|| panic!("no end: {line}"));
                    break;
                }
            }
        }
    }
    labels.sort();
    let names: BTreeSet<_> = labels.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), labels.len(), "a label twice: {line}");
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(value.is_finite(), "{line}");
    (name, labels, value)
}

/// The text up to the closing quote, and what follows it.
fn quoted<'a>(text: &'a str, line: &str) -> (String, &'a str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, same @ ('\\' | '"'))) => value.push(same),
                other => panic!("an unknown escape {other:?}: {line}"),
            },
            other => value.push(other),
        }
    }
    panic!("no closing quote: {line}")
}

#[test]
fn the_reader_refuses_what_the_format_refuses() {
    let head = "# HELP a_total b\n# TYPE a_total counter\n";
    for right in ["a_total 1\n", "a_total{b=\"c\\\"\\\\\\n,}\",d=\"\"} 1.5\n", ""] {
        read(&format!("{head}{right}"));
    }
    for wrong in [
        "a_total 1",
        "a_total 1\na_total 1\n",
        "a_total{b=\"c\",b=\"d\"} 1\n",
        "a_total{b=c} 1\n",
        "a_total{b=\"c} 1\n",
        "a_total{b=\"\\t\"} 1\n",
        "a_total{2=\"c\"} 1\n",
        "a_total x\n",
        "a_total NaN\n",
        "b_total 1\n",
        "# TYPE b gauge\n",
        "# HELP a_total b\n",
        "# HELP b c\n# TYPE b counter\n",
    ] {
        let text = format!("{head}{wrong}");
        assert!(std::panic::catch_unwind(|| read(&text)).is_err(), "{text}");
    }
}
