//! One table of the file: typed values out, findings aside.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::finding::Place;
use crate::keys::nearest;
use crate::ledger::{At, Ledger};
use crate::size;

/// What a value should have been, as messages say it.
const NUMBER: &str = "a whole number";
const FLAG: &str = "true or false";

/// One table of the file. Its readers return `None` where they have noted why, so that the caller
/// can go on and find the rest.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    name: &'static str,
    /// `None` where the file does not have the section: everything is at its default.
    entries: Option<&'a DeTable<'a>>,
    /// Where it begins; the file's beginning where the file does not have it.
    pub place: Place,
}

impl<'a> Section<'a> {
    /// A table under its heading; keys that it may not have are noted at once.
    pub(crate) fn new(
        name: &'static str,
        entries: Option<&'a DeTable<'a>>,
        place: Place,
        ledger: &mut Ledger<'_>,
    ) -> Self {
        let section = Self { name, entries, place };
        for key in entries.into_iter().flat_map(|table| table.keys()) {
            let (place, key) = (ledger.place(key.span().start), key.get_ref().as_ref());
            if !ledger.keys.of(name).contains(&key) {
                let right = ledger.keys.suggestion(name, key);
                ledger.refuse(place, &section.path(key), "unknown key", right);
            }
        }
        section
    }

    /// The key with the section in front.
    #[must_use]
    pub fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// The value of `key` and its place.
    ///
    /// # Panics
    /// The table of keys does not have it: what nobody may write is not looked for.
    #[must_use]
    pub fn find(&self, key: &str, ledger: &Ledger<'_>) -> Option<At<&'a DeValue<'a>>> {
        assert!(ledger.keys.of(self.name).contains(&key), "{key} is not in the table of keys");
        let value = self.entries?.get(key)?;
        Some(At { value: value.get_ref(), place: ledger.place(value.span().start) })
    }

    /// The table under `key`, empty if there is none.
    pub fn table(&self, key: &str, name: &'static str, ledger: &mut Ledger<'_>) -> Section<'a> {
        let Some(At { value, place }) = self.find(key, ledger) else {
            return Section { name, entries: None, place: self.place };
        };
        let entries = value.as_table();
        if entries.is_none() {
            self.refuse_type(key, place, value, "a table", ledger);
        }
        Section::new(name, entries, place, ledger)
    }

    /// The tables under `[[key]]`, in order.
    pub fn tables(
        &self,
        key: &str,
        name: &'static str,
        ledger: &mut Ledger<'_>,
    ) -> Vec<Section<'a>> {
        let Some(At { value, place }) = self.find(key, ledger) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            let wrong = format!("one {}", value.type_str());
            ledger.refuse(place, &self.path(key), wrong, format!("begin each with [[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for element in array {
            let place = ledger.place(element.span().start);
            match element.get_ref().as_table() {
                Some(entries) => sections.push(Section::new(name, Some(entries), place, ledger)),
                None => self.refuse_type(key, place, element.get_ref(), "a table", ledger),
            }
        }
        sections
    }

    /// Text, if the key is there.
    pub fn text(&self, key: &str, ledger: &mut Ledger<'_>) -> Option<At<&'a str>> {
        let At { value, place } = self.find(key, ledger)?;
        match value.as_str() {
            Some(value) => Some(At { value, place }),
            None => {
                self.refuse_type(key, place, value, "text in quotes", ledger);
                None
            }
        }
    }

    /// The texts of a list; an absent key is an empty list.
    pub fn texts(&self, key: &str, ledger: &mut Ledger<'_>) -> Vec<At<&'a str>> {
        let Some(At { value, place }) = self.find(key, ledger) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.refuse_type(key, place, value, "a list in brackets", ledger);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in array {
            let place = ledger.place(element.span().start);
            match element.get_ref().as_str() {
                Some(value) => texts.push(At { value, place }),
                None => self.refuse_type(key, place, element.get_ref(), "text in quotes", ledger),
            }
        }
        texts
    }

    /// Yes or no.
    pub fn flag(&self, key: &str, default: bool, ledger: &mut Ledger<'_>) -> Option<bool> {
        let Some(At { value, place }) = self.find(key, ledger) else { return Some(default) };
        if value.as_bool().is_none() {
            self.refuse_type(key, place, value, FLAG, ledger);
        }
        value.as_bool()
    }

    /// A whole number in `range`.
    pub fn number<T>(
        &self,
        key: &str,
        default: T,
        range: RangeInclusive<T>,
        ledger: &mut Ledger<'_>,
    ) -> Option<At<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let place = self.place;
        let Some(At { value, place }) = self.find(key, ledger) else {
            return Some(At { value: default, place });
        };
        let Some(wide) = integer(value) else {
            self.refuse_type(key, place, value, NUMBER, ledger);
            return None;
        };
        self.in_range(key, At { value: wide, place }, &range, ledger)
    }

    /// The whole numbers of a list, each in `range`; an absent key is an empty list.
    pub fn numbers<T>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
        ledger: &mut Ledger<'_>,
    ) -> Vec<At<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let Some(At { value, place }) = self.find(key, ledger) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.refuse_type(key, place, value, "a list in brackets", ledger);
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for element in array {
            let place = ledger.place(element.span().start);
            match integer(element.get_ref()) {
                Some(value) => {
                    numbers.extend(self.in_range(key, At { value, place }, &range, ledger));
                }
                None => self.refuse_type(key, place, element.get_ref(), NUMBER, ledger),
            }
        }
        numbers
    }

    /// A size in bytes in `range`, a number or text with a unit.
    pub fn size<T>(
        &self,
        key: &str,
        default: T,
        range: RangeInclusive<T>,
        ledger: &mut Ledger<'_>,
    ) -> Option<At<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let place = self.place;
        let Some(At { value, place }) = self.find(key, ledger) else {
            return Some(At { value: default, place });
        };
        let bytes = match value.as_str() {
            Some(text) => size::parse(text).map(i128::from),
            None => integer(value),
        };
        let Some(bytes) = bytes else {
            let near = value.as_str().and_then(size::near);
            let near = near.map_or(String::new(), |near| format!("did you mean \"{near}\"? "));
            let (wrong, right) = (format!("{} is no size", show(value)), size::FORM);
            ledger.refuse(place, &self.path(key), wrong, format!("{near}{right}"));
            return None;
        };
        self.in_range(key, At { value: bytes, place }, &range, ledger)
    }

    /// A whole number in `range`, if the key is there. Outside, `None` is noted why not; inside, no such key.
    pub fn maybe_number<T>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
        ledger: &mut Ledger<'_>,
    ) -> Option<Option<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        if self.find(key, ledger).is_none() {
            return Some(None);
        }
        let least = *range.start();
        self.number(key, least, range, ledger).map(|at| Some(at.value))
    }

    /// A size in bytes in `range`, if the key is there. Outside, `None` is noted why not; inside, no
    /// such key.
    pub fn maybe_size<T>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
        ledger: &mut Ledger<'_>,
    ) -> Option<Option<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        if self.find(key, ledger).is_none() {
            return Some(None);
        }
        let least = *range.start();
        self.size(key, least, range, ledger).map(|at| Some(at.value))
    }

    /// A path, if the key is there: one that is not absolute begins at `folder`.
    pub fn path_of(
        &self,
        key: &str,
        folder: &Path,
        ledger: &mut Ledger<'_>,
    ) -> Option<At<PathBuf>> {
        self.find(key, ledger)?;
        let At { value, place } = self.text(key, ledger)?;
        if value.is_empty() {
            ledger.refuse(place, &self.path(key), "it is empty", "name a file, or remove the key");
            return None;
        }
        Some(At { value: folder.join(value), place })
    }

    /// One of the words of `choices`, as what it stands for.
    pub fn choice<T: Copy>(
        &self,
        key: &str,
        default: T,
        choices: &[(&'static str, T)],
        ledger: &mut Ledger<'_>,
    ) -> Option<At<T>> {
        if self.find(key, ledger).is_none() {
            return Some(At { value: default, place: self.place });
        }
        let At { value: word, place } = self.text(key, ledger)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(At { value: *value, place });
        }
        let words: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let known: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let near = nearest(word, &known);
        let near = near.map_or(String::new(), |near| format!("did you mean \"{near}\"? "));
        let wrong = format!("\"{word}\" is unknown");
        let right = format!("{near}use {}", words.join(" or "));
        ledger.refuse(place, &self.path(key), wrong, right);
        None
    }

    fn in_range<T>(
        &self,
        key: &str,
        given: At<i128>,
        range: &RangeInclusive<T>,
        ledger: &mut Ledger<'_>,
    ) -> Option<At<T>>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let At { value: wide, place } = given;
        let value = T::try_from(wide).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (wrong, least, most) =
                (format!("{wide} is out of range"), range.start(), range.end());
            ledger.refuse(place, &self.path(key), wrong, format!("use {least} to {most}"));
        }
        Some(At { value: value?, place })
    }

    fn refuse_type(
        &self,
        key: &str,
        place: Place,
        value: &DeValue<'_>,
        right: &str,
        ledger: &mut Ledger<'_>,
    ) {
        let wrong = format!("{} is {}", show(value), with_article(value.type_str()));
        let right = match value.as_str() {
            // A number or a truth in quotes is a common slip.
            Some(text) if is_quoted(text, right) => format!("write {text} without quotes"),
            Some(_) | None => format!("use {right}"),
        };
        ledger.refuse(place, &self.path(key), wrong, right);
    }
}

/// Whether a text would be the number or the truth that is wanted, without its quotes.
fn is_quoted(text: &str, wanted: &str) -> bool {
    (wanted == NUMBER && text.parse::<i128>().is_ok())
        || (wanted == FLAG && text.parse::<bool>().is_ok())
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

#[cfg(test)]
mod tests;
