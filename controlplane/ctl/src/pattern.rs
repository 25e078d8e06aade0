//! Which counters are meant by a word of the user's.

use counters::Counter;

use crate::error::Error;
use crate::limits::NEAR_MAX;

/// The places of all counters that `pattern` means: those of a group, else those of that name,
/// else those that match it with `*`, else those that contain it.
pub(crate) fn select(counters: &[Counter], pattern: &str) -> Result<Vec<usize>, Error> {
    let ways: [&dyn Fn(&Counter) -> bool; 4] = [
        &|counter| counter.group == pattern,
        &|counter| counter.full_name() == pattern || counter.name == pattern,
        &|counter| {
            pattern.contains('*') && matches(pattern.as_bytes(), counter.full_name().as_bytes())
        },
        &|counter| !pattern.is_empty() && counter.full_name().contains(pattern),
    ];
    for way in ways {
        let found: Vec<usize> =
            (0..counters.len()).filter(|&index| way(&counters[index])).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(Error::NoCounter { pattern: pattern.to_owned(), near: near(counters, pattern) })
}

/// Whether `*` can stand for something so that the pattern is the name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], rest) => rest.is_empty(),
        ([b'*', after @ ..], rest) => {
            (0..=rest.len()).any(|skipped| matches(after, &rest[skipped..]))
        }
        ([letter, after @ ..], [first, rest @ ..]) => letter == first && matches(after, rest),
        (_, []) => false,
    }
}

/// Names and groups that differ from the pattern by a slip of the hand or two.
fn near(counters: &[Counter], pattern: &str) -> Vec<String> {
    let mut names: Vec<(usize, String)> = counters
        .iter()
        .flat_map(|counter| {
            let full = counter.full_name();
            let least = distance(pattern, &full).min(distance(pattern, &counter.name));
            [(distance(pattern, &counter.group), counter.group.clone()), (least, full)]
        })
        .filter(|(slips, name)| *slips <= 2.max(pattern.len() / 4) && *slips < name.len())
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|(_, name)| name).take(NEAR_MAX).collect()
}

/// Letters to change, add or leave out to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (place, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Vec<Counter> {
        [
            ("queue", "rx_packets"),
            ("queue", "tx_packets"),
            ("tcp", "paws"),
            ("tcp", "checksum"),
            ("ip", "checksum"),
        ]
        .map(|(group, name)| Counter::new(group, name))
        .to_vec()
    }

    #[test]
    fn word_means_a_group_then_a_name_then_a_pattern_then_a_part() {
        let found = |pattern: &str| select(&counters(), pattern).unwrap();
        assert_eq!(found("queue"), [0, 1]);
        assert_eq!(found("tcp.paws"), [2]);
        assert_eq!(found("checksum"), [3, 4]);
        assert_eq!(found("*.rx_*"), [0]);
        assert_eq!(found("*"), [0, 1, 2, 3, 4]);
        assert_eq!(found("packets"), [0, 1]);
    }

    #[test]
    fn unknown_word_is_answered_with_near_names() {
        let refused = |pattern: &str| select(&counters(), pattern).unwrap_err().to_string();
        insta::assert_snapshot!(
            ["tpc", "tcp.pows", "chekcsum", "quue", "wholly-different", ""].map(refused).join("\n"),
            @r#"
        no counter is called or contains "tpc"; near it are tcp
        no counter is called or contains "tcp.pows"; near it are tcp.paws
        no counter is called or contains "chekcsum"; near it are ip.checksum, tcp.checksum
        no counter is called or contains "quue"; near it are queue
        no counter is called or contains "wholly-different"; `abelectl stats --all` prints all of them
        no counter is called or contains ""; `abelectl stats --all` prints all of them
        "#
        );
    }

    #[test]
    fn long_pattern_of_stars_does_not_take_for_ever() {
        let stars = "*a".repeat(8);
        assert!(select(&counters(), &stars).is_err());
    }
}
