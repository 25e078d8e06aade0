//! Prometheus' text format, version 0.0.4: families of samples, each told once.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a family behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Nobody knows.
    Untyped,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        }
    }
}

#[derive(Debug)]
struct Family {
    kind: Type,
    help: String,
    /// Values by their labels as they are written, so that none is told twice.
    samples: BTreeMap<String, String>,
}

/// All families, by name.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, Family>,
}

impl Exposition {
    /// Makes a family known; one that has no sample is told of all the same.
    pub fn family(&mut self, name: &str, kind: Type, help: &str) {
        let made = || Family { kind, help: help.to_owned(), samples: BTreeMap::new() };
        self.families.entry(name.to_owned()).or_insert_with(made);
    }

    /// Adds a sample to a family that is known. The first with the same labels stays.
    ///
    /// # Panics
    /// The family was not made known.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let family = self.families.get_mut(name).expect("its family was made known");
        family.samples.entry(written(labels)).or_insert_with(|| value.to_owned());
    }

    /// The text of all of it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, Family { kind, help, samples }) in &self.families {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name())
                .expect("a string takes everything");
            for (labels, value) in samples {
                writeln!(text, "{name}{labels} {value}").expect("a string takes everything");
            }
        }
        text
    }
}

fn written(labels: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{}=\"{value}\"", word(name))
    };
    let labels: Vec<_> = labels.iter().map(one).collect();
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

/// A name of letters, digits and underscores, which does not begin with a digit.
#[must_use]
pub fn word(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut word: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if word.chars().next().is_none_or(|first| first.is_ascii_digit()) {
        word.insert(0, '_');
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_once_with_their_samples_behind_them() {
        let mut told = Exposition::default();
        told.family("abele_b_total", Type::Counter, "Backslash \\ and\nline.");
        told.family("abele_a", Type::Gauge, "Without samples.");
        told.sample("abele_b_total", &[("instance", "a\"b\\c\nd"), ("core", "0")], "7");
        told.sample("abele_b_total", &[("core", "1")], "8");
        told.sample("abele_b_total", &[("core", "1")], "9");
        told.family("abele_b_total", Type::Gauge, "Another time.");
        insta::assert_snapshot!(told.text(), @r#"
        # HELP abele_a Without samples.
        # TYPE abele_a gauge
        # HELP abele_b_total Backslash \\ and\nline.
        # TYPE abele_b_total counter
        abele_b_total{core="1"} 8
        abele_b_total{instance="a\"b\\c\nd",core="0"} 7
        "#);
    }

    #[test]
    fn names_are_made_of_what_a_name_may_have() {
        let names = ["rx_bytes", "need-wakeup", "2nd", "", "a.b c"].map(word);
        assert_eq!(names, ["rx_bytes", "need_wakeup", "_2nd", "_", "a_b_c"]);
    }
}
