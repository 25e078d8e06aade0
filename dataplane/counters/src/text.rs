//! Short texts as words: bytes in memory order, closed by zeros.

use crate::{source::Source, sync::AtomicU64, sync::Ordering};

/// Bytes of one word.
const WORD: usize = size_of::<u64>();

/// Words that hold `len` bytes.
pub(crate) const fn words(len: usize) -> usize {
    len.div_ceil(WORD)
}

/// Writes `text` over all of `words`, cut at the end of a character if it is too long.
pub(crate) fn store(words: &[AtomicU64], text: &str) {
    let end = text.floor_char_boundary(words.len() * WORD);
    let mut bytes = text.as_bytes()[..end].chunks(WORD);
    for word in words {
        let mut raw = [0; WORD];
        let chunk = bytes.next().unwrap_or_default();
        raw[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(raw), Ordering::Relaxed);
    }
}

/// Reads `count` words from `first` on. Whatever cannot be shown on a line becomes `?`: the file
/// may be garbage, and a terminal obeys what is written to it.
pub(crate) fn load<S: Source>(source: &S, first: usize, count: usize) -> String {
    let raw = (first..first + count).map(|index| source.load(index).to_le_bytes());
    from_bytes(raw)
}

/// The same of words that were read already.
pub(crate) fn from_words(words: &[u64]) -> String {
    from_bytes(words.iter().map(|word| word.to_le_bytes()))
}

fn from_bytes(raw: impl Iterator<Item = [u8; WORD]>) -> String {
    let bytes: Vec<u8> = raw.flatten().take_while(|&byte| byte != 0).collect();
    let show = |letter: char| match letter {
        char::REPLACEMENT_CHARACTER => '?',
        control if control.is_control() => '?',
        other => other,
    };
    String::from_utf8_lossy(&bytes).chars().map(show).collect()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn round_trip(text: &str, count: usize) -> String {
        let words: Vec<_> = (0..count).map(|_word| AtomicU64::new(u64::MAX)).collect();
        store(&words, text);
        load(&words.as_slice(), 0, count)
    }

    #[test]
    fn text_is_kept_and_cut_at_a_character() {
        assert_eq!(round_trip("", 1), "");
        assert_eq!(round_trip("eth0", 1), "eth0");
        assert_eq!(round_trip("exactly8", 1), "exactly8");
        assert_eq!(round_trip("nine nine", 1), "nine nin");
        assert_eq!(round_trip("sevenle\u{e9}", 1), "sevenle");
        assert_eq!(round_trip("two words of it", 2), "two words of it");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_shown() {
        assert_eq!(from_words(&[u64::from_le_bytes(*b"a\x1b[2J\n\xffb")]), "a?[2J??b");
    }
}
