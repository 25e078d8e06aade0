//! What two cores can tell each other: one line back and forth, and items through a ring.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use core_affinity::CoreId;

use super::{Measured, float, repeat};
use crate::cores;
use crate::error::Error;
use crate::limits::{RING_BATCH, RING_CAPACITY};
use crate::stop::Stop;

/// The word that ends the echoing side.
const OVER: u64 = u64::MAX;
/// Round trips or batches between two looks at the clock.
const CHUNK: u64 = 1_024;

/// A line that nothing else shares, nor the line that the prefetcher takes with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// Nanoseconds for a written line to be seen by the other core and its answer to be seen here.
pub(super) fn line_round_trip(
    other: CoreId,
    length: Duration,
    stop: &Stop,
) -> Result<Measured, Error> {
    let line = Line::default();
    let both_are_placed = Barrier::new(2);
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            let pinned = cores::pin(other);
            both_are_placed.wait();
            pinned.map(|()| echo_line(&line))
        });
        // A new thread starts on the core of its maker, where a maker that spins may never let it
        // begin.
        both_are_placed.wait();
        let mut word = 0;
        let measured = repeat(length, stop, || {
            for _trip in 0..CHUNK {
                // Odd goes there, even comes back.
                line.0.store(word + 1, Ordering::Release);
                word += 2;
                await_word(&line, word, || echo.is_finished(), stop)?;
            }
            Ok(CHUNK)
        });
        line.0.store(OVER, Ordering::Release);
        let echoed = echo.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let (trips, seconds) = measured?;
        Ok(Measured { value: seconds * 1e9 / float(trips), wrong: trips.abs_diff(echoed) })
    })
}

/// Spins until the line holds `word`.
fn await_word(
    line: &Line,
    word: u64,
    is_other_gone: impl Fn() -> bool,
    stop: &Stop,
) -> Result<(), Error> {
    while line.0.load(Ordering::Acquire) != word {
        // Only a thread that could not be pinned goes by itself; joining it says why.
        if is_other_gone() {
            return Err(Error::Interrupted);
        }
        stop.check()?;
    }
    Ok(())
}

/// Answers every odd word with the next even one; how many.
fn echo_line(line: &Line) -> u64 {
    let mut echoed = 0;
    loop {
        let word = line.0.load(Ordering::Acquire);
        if word == OVER {
            return echoed;
        }
        if word % 2 == 1 {
            line.0.store(word + 1, Ordering::Release);
            echoed += 1;
        }
    }
}

/// Items of one line each per second through the ring that joins two cores, in batches.
pub(super) fn ring_items(other: CoreId, length: Duration, stop: &Stop) -> Result<Measured, Error> {
    let (mut producer, mut consumer) = memory::ring::<[u64; 8]>(RING_CAPACITY);
    let both_are_placed = Barrier::new(2);
    thread::scope(|scope| {
        let both_are_placed = &both_are_placed;
        let taker = scope.spawn(move || {
            let pinned = cores::pin(other);
            both_are_placed.wait();
            pinned?;
            let (mut taken, mut wrong) = (0_u64, 0_u64);
            loop {
                // Asked before the last look: what was pushed before the end is still taken.
                let is_over = consumer.is_abandoned();
                let count = consumer.pop_into(RING_BATCH, |item| {
                    wrong += u64::from(item != [taken; 8]);
                    taken += 1;
                });
                if is_over && count == 0 {
                    return Ok::<_, Error>((taken, wrong));
                }
            }
        });
        both_are_placed.wait();
        let mut next = 0;
        let measured = repeat(length, stop, || {
            let begin = next;
            for _batch in 0..CHUNK {
                let mut batch = (next..next + RING_BATCH as u64).map(|number| [number; 8]);
                next += producer.push_from(&mut batch) as u64;
            }
            Ok(next - begin)
        });
        drop(producer);
        let (taken, wrong) =
            taker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let (pushed, seconds) = measured?;
        Ok(Measured { value: float(pushed) / seconds, wrong: wrong + pushed.abs_diff(taken) })
    })
}
