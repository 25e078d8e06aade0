//! Every key that a configuration may have, and the nearest one to a key that it may not.

/// The sections with their keys. The first are the keys before any section.
pub(crate) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "name",
            "state_dir",
            "cluster",
            "listener",
            "tls",
            "access",
            "ports",
            "lease",
            "limits",
            "worker",
            "metrics",
            "stop",
            "log",
        ],
    ),
    ("cluster", &["name", "incarnation"]),
    ("listener", &["address", "tls"]),
    ("tls", &["certificate_file", "key_file", "client_ca_file"]),
    (
        "access",
        &[
            "node",
            "proof",
            "secret_file",
            "role",
            "register",
            "send",
            "query",
            "ports_max",
            "queue_len",
            "messages_per_s",
            "subscriptions_max",
            "waiting_max",
        ],
    ),
    ("ports", &["planned", "max"]),
    ("lease", &["lease_ms", "rho_ppm", "grace"]),
    (
        "limits",
        &[
            "connections",
            "connections_per_source",
            "sessions",
            "places",
            "items",
            "frame_len",
            "message_len",
            "partial_len",
        ],
    ),
    ("worker", &["core", "idle", "spin_us"]),
    ("metrics", &["address", "enabled"]),
    ("stop", &["timeout_ms"]),
    ("log", &["level", "format"]),
];

/// The keys of a section.
pub(crate) fn keys_of(section: &str) -> &'static [&'static str] {
    let found = SECTIONS.iter().find(|(name, _)| *name == section);
    found.map_or(&[], |(_, keys)| keys)
}

/// What the writer of an unknown `key` in `section` may have meant.
pub(crate) fn suggestion(section: &str, key: &str) -> String {
    let own = keys_of(section);
    if let Some(near) = nearest(key, own) {
        return format!("did you mean `{near}`?");
    }
    // In TOML every key belongs to the section above it, so a key of the top that stands further
    // down, or a section's own key above its heading, is a common slip.
    let home = SECTIONS.iter().find(|(name, keys)| *name != section && keys.contains(&key));
    match home {
        Some(("", _)) => format!("`{key}` belongs above the first section"),
        Some((name, _)) => format!("`{key}` belongs into [{name}]"),
        None => format!("the keys here are {}", own.join(", ")),
    }
}

/// The word of `words` that is written most like `word`, if any is near: at most a third of the
/// letters differ.
pub(crate) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
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
    use super::{distance, nearest, suggestion};

    #[test]
    fn distance_counts_single_edits() {
        for (a, b, edits) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn a_slip_finds_its_key_and_nonsense_finds_none() {
        let keys = ["connections", "nodes", "frame_len"];
        assert_eq!(nearest("conections", &keys), Some("connections"));
        assert_eq!(nearest("frame-len", &keys), Some("frame_len"));
        assert_eq!(nearest("Nodes", &keys), Some("nodes"));
        assert_eq!(nearest("zzz", &keys), None);
    }

    #[test]
    fn a_key_in_the_wrong_section_is_told_its_own() {
        assert_eq!(suggestion("ports", "state_dir"), "`state_dir` belongs above the first section");
        assert_eq!(suggestion("", "lease_ms"), "`lease_ms` belongs into [lease]");
        assert_eq!(suggestion("log", "colour"), "the keys here are level, format");
    }
}
