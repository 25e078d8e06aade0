//! One table of the file: typed values out, findings aside.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Fault, Finding};
use super::keys;
use super::size;

/// What has been found so far, and where the lines of the text begin.
#[derive(Debug)]
pub(crate) struct Ledger {
    line_starts: Vec<usize>,
    pub(crate) found: Vec<Finding>,
}

impl Ledger {
    pub(crate) fn new(text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { line_starts: std::iter::once(0).chain(ends).collect(), found: Vec::new() }
    }

    /// The line that holds byte `offset`, counted from one.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Notes that `key` on `line` is wrong.
    pub(crate) fn refuse(
        &mut self,
        line: usize,
        key: &str,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) {
        let (wrong, right, fault) = (wrong.into(), right.into(), Fault::Configuration);
        self.found.push(Finding { line, key: key.to_owned(), wrong, right, fault });
    }
}

/// A value, and the line that gave it; the section's line for a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

/// One table of the file. Its readers return `None` where they have noted why, so that the caller
/// can go on and find the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    name: &'static str,
    /// `None` where the file does not have the section: everything is at its default.
    entries: Option<&'a DeTable<'a>>,
    pub(crate) line: usize,
}

impl<'a> Section<'a> {
    /// A table under its heading; keys that it may not have are noted at once.
    pub(crate) fn new(
        name: &'static str,
        entries: Option<&'a DeTable<'a>>,
        line: usize,
        ledger: &mut Ledger,
    ) -> Self {
        let section = Self { name, entries, line };
        for key in entries.into_iter().flat_map(|table| table.keys()) {
            let (line, key) = (ledger.line(key.span().start), key.get_ref().as_ref());
            if !keys::keys_of(name).contains(&key) {
                let right = keys::suggestion(name, key);
                ledger.refuse(line, &section.path(key), "unknown key", right);
            }
        }
        section
    }

    /// The key with the section in front.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// The value of `key` and its line.
    pub(crate) fn find(&self, key: &str, ledger: &Ledger) -> Option<At<&'a DeValue<'a>>> {
        assert!(keys::keys_of(self.name).contains(&key), "{key} is not in the table of keys");
        let value = self.entries?.get(key)?;
        Some(At { value: value.get_ref(), line: ledger.line(value.span().start) })
    }

    /// The table under `key`, empty if there is none.
    pub(crate) fn table(&self, key: &str, name: &'static str, ledger: &mut Ledger) -> Section<'a> {
        let Some(At { value, line }) = self.find(key, ledger) else {
            return Section { name, entries: None, line: self.line };
        };
        let entries = value.as_table();
        if entries.is_none() {
            self.refuse_type(key, line, value, "a table", ledger);
        }
        Section::new(name, entries, line, ledger)
    }

    /// The tables under `[[key]]`, in order.
    pub(crate) fn tables(
        &self,
        key: &str,
        name: &'static str,
        ledger: &mut Ledger,
    ) -> Vec<Section<'a>> {
        let Some(At { value, line }) = self.find(key, ledger) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            let wrong = format!("one {}", value.type_str());
            ledger.refuse(line, &self.path(key), wrong, format!("begin each with [[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for element in array {
            let line = ledger.line(element.span().start);
            match element.get_ref().as_table() {
                Some(entries) => sections.push(Section::new(name, Some(entries), line, ledger)),
                None => self.refuse_type(key, line, element.get_ref(), "a table", ledger),
            }
        }
        sections
    }

    /// Text, if the key is there.
    pub(crate) fn text(&self, key: &str, ledger: &mut Ledger) -> Option<At<&'a str>> {
        let At { value, line } = self.find(key, ledger)?;
        match value.as_str() {
            Some(value) => Some(At { value, line }),
            None => {
                self.refuse_type(key, line, value, "text in quotes", ledger);
                None
            }
        }
    }

    /// The texts of a list; an absent key is an empty list.
    pub(crate) fn texts(&self, key: &str, ledger: &mut Ledger) -> Vec<At<&'a str>> {
        let Some(At { value, line }) = self.find(key, ledger) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.refuse_type(key, line, value, "a list in brackets", ledger);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in array {
            let line = ledger.line(element.span().start);
            match element.get_ref().as_str() {
                Some(value) => texts.push(At { value, line }),
                None => self.refuse_type(key, line, element.get_ref(), "text in quotes", ledger),
            }
        }
        texts
    }

    /// Yes or no.
    pub(crate) fn flag(&self, key: &str, default: bool, ledger: &mut Ledger) -> Option<bool> {
        let Some(At { value, line }) = self.find(key, ledger) else { return Some(default) };
        if value.as_bool().is_none() {
            self.refuse_type(key, line, value, "true or false", ledger);
        }
        value.as_bool()
    }

    /// A whole number in `range`.
    pub(crate) fn number<T>(
        &self,
        key: &str,
        default: T,
        range: RangeInclusive<T>,
        ledger: &mut Ledger,
    ) -> Option<At<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let line = self.line;
        let Some(At { value, line }) = self.find(key, ledger) else {
            return Some(At { value: default, line });
        };
        let Some(wide) = integer(value) else {
            self.refuse_type(key, line, value, "a whole number", ledger);
            return None;
        };
        self.in_range(key, At { value: wide, line }, &range, ledger)
    }

    /// The whole numbers of a list, each in `range`; an absent key is an empty list.
    pub(crate) fn numbers<T>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
        ledger: &mut Ledger,
    ) -> Vec<At<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let Some(At { value, line }) = self.find(key, ledger) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.refuse_type(key, line, value, "a list in brackets", ledger);
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for element in array {
            let line = ledger.line(element.span().start);
            match integer(element.get_ref()) {
                Some(value) => {
                    numbers.extend(self.in_range(key, At { value, line }, &range, ledger));
                }
                None => self.refuse_type(key, line, element.get_ref(), "a whole number", ledger),
            }
        }
        numbers
    }

    /// A size in bytes in `range`, a number or text with a unit.
    pub(crate) fn size(
        &self,
        key: &str,
        default: u32,
        range: RangeInclusive<u32>,
        ledger: &mut Ledger,
    ) -> Option<At<u32>> {
        let line = self.line;
        let Some(At { value, line }) = self.find(key, ledger) else {
            return Some(At { value: default, line });
        };
        let bytes = match value.as_str() {
            Some(text) => size::parse(text).map(i128::from),
            None => integer(value),
        };
        let Some(bytes) = bytes else {
            ledger.refuse(line, &self.path(key), format!("{} is no size", show(value)), size::FORM);
            return None;
        };
        self.in_range(key, At { value: bytes, line }, &range, ledger)
    }

    /// One of the words of `choices`, as what it stands for.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        default: T,
        choices: &[(&'static str, T)],
        ledger: &mut Ledger,
    ) -> Option<At<T>> {
        if self.find(key, ledger).is_none() {
            return Some(At { value: default, line: self.line });
        }
        let At { value: word, line } = self.text(key, ledger)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(At { value: *value, line });
        }
        let words: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let wrong = format!("\"{word}\" is unknown");
        ledger.refuse(line, &self.path(key), wrong, format!("use {}", words.join(" or ")));
        None
    }

    fn in_range<T>(
        &self,
        key: &str,
        given: At<i128>,
        range: &RangeInclusive<T>,
        ledger: &mut Ledger,
    ) -> Option<At<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let At { value: wide, line } = given;
        let value = T::try_from(wide).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (wrong, least, most) =
                (format!("{wide} is out of range"), range.start(), range.end());
            ledger.refuse(line, &self.path(key), wrong, format!("use {least} to {most}"));
        }
        Some(At { value: value?, line })
    }

    fn refuse_type(
        &self,
        key: &str,
        line: usize,
        value: &DeValue<'_>,
        right: &str,
        ledger: &mut Ledger,
    ) {
        let wrong = format!("{} is {}", show(value), with_article(value.type_str()));
        ledger.refuse(line, &self.path(key), wrong, format!("use {right}"));
    }
}

/// The number in a value, if it is a whole one.
fn integer(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A value as a message quotes it: short ones as they are written.
fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => "this".to_owned(),
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// The table of a whole file.
pub(crate) fn root<'a>(table: &'a Spanned<DeTable<'a>>, ledger: &mut Ledger) -> Section<'a> {
    Section::new("", Some(table.get_ref()), 1, ledger)
}
