//! Every key that a file may have, and the nearest one to a key that it may not.

/// The sections of a file with their keys. The first are the keys before any section, whose name is
/// empty; a table inside a section has a dot in its name, as `listener.keep_alive`.
#[derive(Clone, Copy, Debug)]
pub struct Keys(pub &'static [(&'static str, &'static [&'static str])]);

impl Keys {
    /// The keys of a section.
    #[must_use]
    pub fn of(self, section: &str) -> &'static [&'static str] {
        let found = self.0.iter().find(|(name, _)| *name == section);
        found.map_or(&[], |(_, keys)| keys)
    }

    /// What the writer of an unknown `key` in `section` may have meant.
    #[must_use]
    pub fn suggestion(self, section: &str, key: &str) -> String {
        let own = self.of(section);
        if let Some(near) = nearest(key, own) {
            return format!("did you mean `{near}`?");
        }
        // In TOML every key belongs to the section above it, so a key of the top that stands further
        // down, or a section's own key above its heading, is a common slip.
        let home = self.0.iter().find(|(name, keys)| *name != section && keys.contains(&key));
        match home {
            Some(("", _)) => format!("`{key}` belongs above the first section"),
            Some((name, _)) => format!("`{key}` belongs into [{name}]"),
            None => format!("the keys here are {}", own.join(", ")),
        }
    }

    /// The keys, with their sections, that an example of a file does not have. It has a key that is
    /// given, one behind a comment sign, as those are that have no default of their own, and one
    /// that names a section, which stands there as its heading.
    #[must_use]
    pub fn missing_in(self, example: &str) -> Vec<String> {
        let mut section = "";
        let mut named = Vec::new();
        for line in example.lines() {
            let line = line.trim_start_matches("# ").trim();
            if let Some(heading) = line.strip_prefix('[') {
                section = heading.trim_start_matches('[').split(']').next().unwrap_or_default();
            } else if let Some((key, _)) = line.split_once(" = ") {
                named.push((section, key));
            }
        }
        let is_heading =
            |key: &str| self.0.iter().any(|(name, _)| name.rsplit('.').next() == Some(key));
        let all = self.0.iter().flat_map(|(section, keys)| keys.iter().map(|key| (*section, *key)));
        all.filter(|key| !is_heading(key.1) && !named.contains(key))
            .map(|(section, key)| format!("{section}.{key}"))
            .collect()
    }
}

/// The word of `words` that is written most like `word`, if any is near: at most a third of the
/// letters differ.
#[must_use]
pub fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    let ranked = words.iter().map(|known| (distance(&lower, known), *known));
    let (edits, known) = ranked.min()?;
    (edits <= known.len().max(word.len()) / 3).then_some(known)
}

/// Insertions, deletions and replacements of a byte that make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // One row of the table: the edits from what was read of `a` to each beginning of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{Keys, distance, nearest};

    const KEYS: Keys = Keys(&[
        ("", &["name", "state_dir"]),
        ("tcp", &["connections", "window"]),
        ("log", &["level", "format"]),
    ]);

    #[test]
    fn distance_counts_single_edits() {
        for (a, b, edits) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn a_slip_finds_its_key_and_nonsense_finds_none() {
        let keys = ["connections", "window", "half_open"];
        assert_eq!(nearest("conections", &keys), Some("connections"));
        assert_eq!(nearest("half-open", &keys), Some("half_open"));
        assert_eq!(nearest("Window", &keys), Some("window"));
        assert_eq!(nearest("zzz", &keys), None);
    }

    #[test]
    fn a_key_in_the_wrong_section_is_told_its_own() {
        for (section, key, suggestion) in [
            ("tcp", "state_dir", "`state_dir` belongs above the first section"),
            ("", "window", "`window` belongs into [tcp]"),
            ("log", "colour", "the keys here are level, format"),
            ("log", "levels", "did you mean `level`?"),
        ] {
            assert_eq!(KEYS.suggestion(section, key), suggestion);
        }
    }

    #[test]
    fn an_example_lacks_what_it_neither_gives_nor_shows_behind_a_comment_sign() {
        let example = "name = \"a\"\n\n[tcp]\n# Words about window.\nconnections = 1\n\
                       [[log]]\n# level = \"info\"\nwindow = 1\n";
        assert_eq!(KEYS.missing_in(example), [".state_dir", "tcp.window", "log.format"]);
    }

    #[test]
    fn a_section_that_is_not_in_the_table_has_no_keys() {
        assert_eq!(KEYS.of("tcp"), ["connections", "window"]);
        assert!(KEYS.of("udp").is_empty());
    }
}
