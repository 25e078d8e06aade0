//! Any words as a tools' file: an error or something to read, and no panic.
#![cfg(not(loom))]

use std::sync::OnceLock;

use counters::{Counter, Description, Schema, View, Writer};

/// A small file of one core, as a gateway writes it.
fn whole() -> &'static [u64] {
    static WHOLE: OnceLock<Vec<u64>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = counters::path(folder.path(), "lab").expect("a plain name");
        let mut schema = Schema::new();
        schema.counter(Counter::new("tcp", "paws").drop_reason()).fact("device");
        let description = Description {
            instance: "lab",
            version: "1",
            started_unix_ns: 1,
            clock_zero_ns: 2,
            cycles_per_s: 3,
            cores: 1,
            schema: &schema,
        };
        let writer = Writer::create_at(&path, &description).expect("a free place");
        let view = memory::SharedView::open(writer.path(), 1 << 20).expect("it was just made");
        (0..view.len()).map(|index| view.load(index)).collect()
    })
}

fn read(words: Vec<u64>) {
    let Ok(view) = View::new(words) else { return };
    let about = view.about();
    assert!(!about.instance.chars().any(char::is_control));
    for counter in view.counters() {
        assert!(!counter.full_name().chars().any(char::is_control));
    }
    for core in 0..about.cores.min(8) {
        let found = view.core(core);
        assert_eq!(found.values.len(), view.counters().len());
        assert_eq!(found.facts.len(), view.facts().len());
        // At any time at all.
        let (late, early) = (found.is_stuck(about, u64::MAX), found.is_stuck(about, 0));
        assert!(late || !early, "time makes a core stuck, and never frees it");
    }
}

/// Nine bytes each: which word, and what is done to it. A last odd part shortens the file.
fn damage(bytes: &[u8]) -> Vec<u64> {
    let mut words = whole().to_vec();
    let (changes, rest) = bytes.as_chunks::<9>();
    for &[place, raw @ ..] in changes {
        let value = u64::from_le_bytes(raw);
        // Small changes of what is there are worth more than large ones.
        let word = &mut words[usize::from(place)];
        *word = if value >> 56 == 0 { word.wrapping_add(value) } else { *word ^ value };
    }
    if let &[a, b, ..] = rest {
        words.truncate(usize::from(u16::from_le_bytes([a, b])));
    }
    words
}

#[test]
fn fuzz_damaged_file() {
    read(whole().to_vec());
    bolero::check!().for_each(|bytes: &[u8]| read(damage(bytes)));
}

#[test]
fn fuzz_garbage() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let words: Vec<u64> =
            bytes.as_chunks::<8>().0.iter().map(|raw| u64::from_le_bytes(*raw)).collect();
        read(words);
    });
}
