//! Every key that a configuration may have, and the nearest one to a key that it may not.

/// The sections with their keys. The first are the keys before any section.
pub(crate) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "instance",
            "addresses",
            "interface",
            "route",
            "memory",
            "tcp",
            "gateway",
            "http",
            "listener",
            "workers",
            "drain",
            "access",
            "syn_budget",
            "log",
            "access_log",
        ],
    ),
    (
        "interface",
        &[
            "kind",
            "name",
            "mac",
            "mtu",
            "kernel_addresses",
            "neighbours_max",
            "xdp_mode",
            "copy",
            "require",
            "ring_size",
            "tx_budget",
            "busy_poll_us",
        ],
    ),
    ("route", &["destination", "gateway"]),
    ("memory", &["frames", "frame_len", "pages"]),
    ("tcp", &["connections", "busy", "segments", "half_open", "time_wait", "window", "send_queue"]),
    (
        "listener",
        &[
            "protocol",
            "tcp_port",
            "udp",
            "document_root",
            "nodelay",
            "connections_max",
            "keep_alive",
        ],
    ),
    ("gateway", &["sessions", "heads"]),
    (
        "http",
        &[
            "head_timeout_s",
            "body_timeout_s",
            "body_rate_min",
            "body_len_max",
            "answer_timeout_s",
            "answer_rate_min",
            "linger_timeout_s",
            "idle_timeout_s",
        ],
    ),
    ("listener.keep_alive", &["idle_s", "interval_s", "probes_max"]),
    ("workers", &["count", "cores", "idle", "spin_us"]),
    ("access", &["deny", "allow"]),
    ("syn_budget", &["per_source_per_s", "per_source_burst", "strangers_per_s", "strangers_burst"]),
    ("drain", &["timeout_s"]),
    ("log", &["level", "format"]),
    ("access_log", &["path", "sample", "errors", "format", "queue"]),
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
        let keys = ["connections", "window", "half_open"];
        assert_eq!(nearest("conections", &keys), Some("connections"));
        assert_eq!(nearest("half-open", &keys), Some("half_open"));
        assert_eq!(nearest("Window", &keys), Some("window"));
        assert_eq!(nearest("zzz", &keys), None);
    }

    #[test]
    fn a_key_in_the_wrong_section_is_told_its_own() {
        assert_eq!(
            suggestion("interface", "addresses"),
            "`addresses` belongs above the first section"
        );
        assert_eq!(suggestion("", "window"), "`window` belongs into [tcp]");
        assert_eq!(suggestion("log", "colour"), "the keys here are level, format");
    }
}
