//! The rows of one listing on their way from a core to a tool.
//!
//! A ring with one writer and one reader, in which neither trusts the other to live: both cursors
//! carry the id of the listing, so that a tool of an earlier listing, stopped and woken up again,
//! can neither move the cursor of a later one nor read its rows for its own.

use crate::{
    layout::{channel_at, halves, joined},
    limits::ROWS,
    sync::{AtomicU64, Ordering, fence},
};

/// How a core's part of a listing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every record was looked at.
    Complete = 1,
    /// The tool read nothing for too long.
    GivenUp = 2,
}

/// The ring's place and shape within a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rows_at: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

impl Shape {
    fn row(&self, number: u32) -> usize {
        self.rows_at + (number as usize % self.count) * self.stride
    }
}

/// The core's end.
#[derive(Debug)]
pub(crate) struct Outbox {
    shape: Shape,
    id: u32,
    written: u32,
    /// What `TAIL` was when it was last looked at.
    read: u32,
}

impl Outbox {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, id: 0, written: 0, read: 0 }
    }

    /// Begins listing `id`: from now on nobody takes what is in the ring for rows of another.
    pub(crate) fn begin(&mut self, channel: &[AtomicU64], id: u32) {
        *self = Self { shape: self.shape, id, written: 0, read: 0 };
        channel[channel_at::HEAD].store(joined(id, 0), Ordering::Relaxed);
        // Whoever sees a row that is written below sees the new id, too.
        fence(Ordering::Release);
    }

    /// Whether there is room for a row.
    pub(crate) fn has_room(&mut self, channel: &[AtomicU64]) -> bool {
        if self.is_full() {
            // Acquire: the rows are overwritten only after they were read.
            let [id, read] = halves(channel[channel_at::TAIL].load(Ordering::Acquire));
            // Another process writes this word: what makes no sense is not believed.
            let is_sane = id == self.id && self.written.wrapping_sub(read) <= self.len();
            if is_sane && read.wrapping_sub(self.read) <= self.len() {
                self.read = read;
            }
        }
        !self.is_full()
    }

    /// Writes one row; [`Outbox::has_room`] has said that there is room. It is seen from the next
    /// [`Outbox::show`] on.
    pub(crate) fn push(&mut self, channel: &[AtomicU64], row: &[u64]) {
        let first = self.shape.row(self.written);
        for (word, &value) in channel[first..].iter().zip(row) {
            word.store(value, Ordering::Relaxed);
        }
        self.written = self.written.wrapping_add(1);
    }

    pub(crate) fn show(&self, channel: &[AtomicU64]) {
        channel[channel_at::HEAD].store(joined(self.id, self.written), Ordering::Release);
    }

    /// Says that no row follows.
    pub(crate) fn end(&self, channel: &[AtomicU64], ending: Ending) {
        channel[channel_at::DONE].store(joined(self.id, ending as u32), Ordering::Release);
    }

    fn is_full(&self) -> bool {
        self.written.wrapping_sub(self.read) >= self.len()
    }

    fn len(&self) -> u32 {
        u32::try_from(self.shape.count).expect("a ring has at most ROWS rows")
    }
}

/// What a tool found in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The core has not seen the request yet.
    Waiting,
    /// More may come.
    Walking,
    /// No more comes.
    Done(Ending),
    /// The core lists for somebody else.
    TakenOver,
    /// The cursor makes no sense.
    Damaged,
}

/// The tool's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    shape: Shape,
    id: u32,
    read: u32,
    has_begun: bool,
}

impl Inbox {
    pub(crate) fn new(shape: Shape, id: u32) -> Self {
        Self { shape, id, read: 0, has_begun: false }
    }

    /// Appends all rows that are there to `out`, which comes empty.
    pub(crate) fn drain<const WORDS: usize>(
        &mut self,
        channel: &[AtomicU64],
        out: &mut Vec<[u64; WORDS]>,
    ) -> Found {
        debug_assert!(out.is_empty(), "rows are read once");
        // First, so that what was written before the end is seen below.
        let [done_id, ending] = halves(channel[channel_at::DONE].load(Ordering::Acquire));
        let [id, written] = halves(channel[channel_at::HEAD].load(Ordering::Acquire));
        if id != self.id {
            return if self.has_begun { Found::TakenOver } else { Found::Waiting };
        }
        self.has_begun = true;
        let count = written.wrapping_sub(self.read);
        if count as usize > self.shape.count {
            return Found::Damaged;
        }
        for number in (0..count).map(|ahead| self.read.wrapping_add(ahead)) {
            let row = &channel[self.shape.row(number)..];
            out.push(std::array::from_fn(|word| row[word].load(Ordering::Relaxed)));
        }
        fence(Ordering::Acquire);
        if halves(channel[channel_at::HEAD].load(Ordering::Relaxed))[0] != self.id {
            out.clear();
            return Found::TakenOver;
        }
        self.read = written;
        if count > 0 {
            // Release: the core overwrites them only after they were read.
            channel[channel_at::TAIL].store(joined(self.id, self.read), Ordering::Release);
        }
        match ending {
            _ if done_id != self.id => Found::Walking,
            1 => Found::Done(Ending::Complete),
            2 => Found::Done(Ending::GivenUp),
            _ => Found::Damaged,
        }
    }
}

const _: () = assert!(ROWS <= u32::MAX as usize && ROWS.is_power_of_two());

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    const SHAPE: Shape = Shape { rows_at: channel_at::ROWS, stride: 1, count: 1 };

    fn channel() -> Arc<Vec<AtomicU64>> {
        Arc::new((0..=channel_at::ROWS).map(|_word| AtomicU64::new(0)).collect())
    }

    fn write(channel: &[AtomicU64], outbox: &mut Outbox, id: u32, rows: &[u64]) {
        outbox.begin(channel, id);
        for &row in rows {
            while !outbox.has_room(channel) {
                thread::yield_now();
            }
            outbox.push(channel, &[row]);
            outbox.show(channel);
        }
        outbox.end(channel, Ending::Complete);
    }

    #[test]
    fn loom_rows_arrive_in_order_and_once_and_the_end_comes_last() {
        loom::model(|| {
            let channel = channel();
            let shared = Arc::clone(&channel);
            let core = thread::spawn(move || {
                write(&shared, &mut Outbox::new(SHAPE), 7, &[10, 11]);
            });
            let mut inbox = Inbox::new(SHAPE, 7);
            let mut all = Vec::new();
            loop {
                let mut rows: Vec<[u64; 1]> = Vec::new();
                let found = inbox.drain(&channel, &mut rows);
                all.extend(rows.into_iter().flatten());
                match found {
                    Found::Done(Ending::Complete) => break,
                    Found::Waiting | Found::Walking => thread::yield_now(),
                    Found::Done(Ending::GivenUp) | Found::TakenOver | Found::Damaged => {
                        panic!("{found:?}")
                    }
                }
            }
            assert_eq!(all, [10, 11]);
            core.join().unwrap();
        });
    }

    #[test]
    fn loom_end_is_never_seen_without_the_rows_before_it() {
        loom::model(|| {
            let channel = channel();
            let shared = Arc::clone(&channel);
            let core = thread::spawn(move || {
                write(&shared, &mut Outbox::new(SHAPE), 7, &[10]);
            });
            // One look: a loop with pauses would see what loom takes for news.
            let mut rows: Vec<[u64; 1]> = Vec::new();
            if let Found::Done(_) = Inbox::new(SHAPE, 7).drain(&channel, &mut rows) {
                assert_eq!(rows, [[10]]);
            }
            core.join().unwrap();
        });
    }

    #[test]
    fn loom_rows_of_a_later_listing_are_never_taken_for_an_earlier_ones() {
        loom::model(|| {
            let channel = channel();
            let shared = Arc::clone(&channel);
            let core = thread::spawn(move || {
                let mut outbox = Outbox::new(SHAPE);
                write(&shared, &mut outbox, 1, &[10]);
                write(&shared, &mut outbox, 2, &[20]);
            });
            let mut rows: Vec<[u64; 1]> = Vec::new();
            let found = Inbox::new(SHAPE, 1).drain(&channel, &mut rows);
            assert!(rows.is_empty() || rows == [[10]], "{rows:?} with {found:?}");
            core.join().unwrap();
        });
    }
}
