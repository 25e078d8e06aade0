//! One core's section: written whole by its core, read whole by anybody, and neither waits.
//!
//! It is a sequence lock. The core makes the sequence odd, writes, and makes it even; a reader
//! that finds it odd, or changed by the time it is done, reads again. The words themselves are
//! atomics and relaxed, so that a torn read is an old number and never undefined.

use crate::{
    limits::READ_ATTEMPTS,
    source::Source,
    sync::{AtomicU64, Ordering, fence},
};

/// Writes words under the sequence in `words[0]`, of which this is the only writer.
#[inline]
pub(crate) fn write(words: &[AtomicU64], fill: impl FnOnce(&[AtomicU64])) {
    // A writer before this one may have died in the middle and left it odd.
    let sequence = words[0].load(Ordering::Relaxed) & !1;
    words[0].store(sequence.wrapping_add(1), Ordering::Relaxed);
    // Whoever sees a word that is written below sees the odd sequence, too.
    fence(Ordering::Release);
    fill(words);
    words[0].store(sequence.wrapping_add(2), Ordering::Release);
}

/// Reads the words from `first + 2` on, behind sequence and state, into `out`. Returns whether
/// they belong together: if the writer is in the middle of writing for all attempts, `out` is what
/// could be had.
pub(crate) fn read<S: Source>(source: &S, first: usize, out: &mut [u64]) -> bool {
    for _attempt in 0..READ_ATTEMPTS {
        if attempt(source, first, out) {
            return true;
        }
        core::hint::spin_loop();
    }
    false
}

fn attempt<S: Source>(source: &S, first: usize, out: &mut [u64]) -> bool {
    let before = source.load(first);
    fence(Ordering::Acquire);
    for (index, word) in (first + 2..).zip(out.iter_mut()) {
        *word = source.load(index);
    }
    // Whoever has read a word of a later writing sees its odd sequence, too.
    fence(Ordering::Acquire);
    before & 1 == 0 && source.load(first) == before
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    #[test]
    fn loom_what_is_read_whole_is_never_torn() {
        loom::model(|| {
            let words: Arc<Vec<_>> = Arc::new((0..4).map(|_word| AtomicU64::new(0)).collect());
            let shared = Arc::clone(&words);
            let writer = thread::spawn(move || {
                for value in 1..=2 {
                    write(&shared, |words| {
                        words[2].store(value, Ordering::Relaxed);
                        words[3].store(value * 10, Ordering::Relaxed);
                    });
                }
            });
            let mut out = [0; 2];
            if attempt(&words.as_slice(), 0, &mut out) {
                assert_eq!(out[1], out[0] * 10);
            }
            writer.join().unwrap();
            assert!(read(&words.as_slice(), 0, &mut out));
            assert_eq!(out, [2, 20]);
        });
    }
}
