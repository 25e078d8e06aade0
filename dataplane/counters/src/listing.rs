//! A tool's part of a listing: one tool at a time asks, all cores answer, and the tool reads.

use std::{path::Path, sync::atomic::Ordering};

use base::{Duration, Instant};
use memory::SharedGuest;

use crate::{
    error::{ListingError, OpenError},
    layout::{Layout, halves, joined, request_at},
    limits::{CLAIM_LATE, FILE_LEN_MAX},
    row::{Filter, ROW_WORDS, Row},
    rows::{Ending, Found, Inbox, Shape},
    sync::{AtomicU64, fence},
};

/// How far a core is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It has not seen the request yet: it sleeps, or is stuck.
    Waiting,
    /// It looks at its records.
    Walking,
    /// All its rows have been read.
    Complete,
    /// It gave up, because nothing was read for too long: rows are missing.
    GivenUp,
}

/// One listing under way. Dropping it ends it, so that the next tool can begin.
#[derive(Debug)]
pub struct Listing {
    guest: SharedGuest,
    layout: Layout,
    claim: u64,
    id: u32,
    cores: Vec<(Inbox, Part)>,
    rows: Vec<[u64; ROW_WORDS]>,
}

impl Listing {
    /// Asks all cores of the gateway at `path` for their connections. `now` is the machine's
    /// monotonic clock.
    ///
    /// # Errors
    ///
    /// The file cannot be written, is no tools' file, or another tool that shows itself lists.
    pub fn begin(path: &Path, filter: &Filter, now: Instant) -> Result<Self, ListingError> {
        let guest = SharedGuest::open(path, FILE_LEN_MAX).map_err(OpenError::from)?;
        let layout = Layout::parse(&guest.words()).map_err(OpenError::from)?;
        let request = &guest.words()[layout.request.first..];
        let claim = take(request, now)?;
        let id = next_id(request);
        ask(request, id, filter);
        let Layout { rows, cores, .. } = layout;
        let shape = Shape { rows_at: rows.first, stride: rows.stride, count: rows.count };
        let cores = (0..cores).map(|_core| (Inbox::new(shape, id), Part::Waiting)).collect();
        Ok(Self { guest, layout, claim, id, cores, rows: Vec::new() })
    }

    /// Hands over all rows that are there, with the number of their core. Call it every few
    /// milliseconds: a core that finds no room waits with its walk. Returns how many it was.
    ///
    /// # Errors
    ///
    /// Another tool has taken over, or the rows make no sense.
    pub fn drain(
        &mut self,
        now: Instant,
        mut on_row: impl FnMut(usize, Row),
    ) -> Result<usize, ListingError> {
        let request = &self.guest.words()[self.layout.request.first..];
        if request[request_at::CLAIM].load(Ordering::Relaxed) != self.claim {
            return Err(ListingError::TakenOver);
        }
        request[request_at::CLAIM_BEAT].store(now.as_nanos(), Ordering::Relaxed);
        let mut count = 0;
        for (core, (inbox, part)) in self.cores.iter_mut().enumerate() {
            if matches!(part, Part::Complete | Part::GivenUp) {
                continue;
            }
            let channel = &self.guest.words()[self.layout.channels.at(core)..];
            self.rows.clear();
            *part = match inbox.drain(channel, &mut self.rows) {
                Found::Waiting => Part::Waiting,
                Found::Walking => Part::Walking,
                Found::Done(Ending::Complete) => Part::Complete,
                Found::Done(Ending::GivenUp) => Part::GivenUp,
                Found::TakenOver => return Err(ListingError::TakenOver),
                Found::Damaged => return Err(ListingError::Damaged { core }),
            };
            count += self.rows.len();
            self.rows.iter().for_each(|words| on_row(core, Row::from_words(words)));
        }
        Ok(count)
    }

    /// How far each core is.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = Part> + '_ {
        self.cores.iter().map(|&(_, part)| part)
    }

    /// Whether nothing more comes from any core.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.parts().all(|part| matches!(part, Part::Complete | Part::GivenUp))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let request = &self.guest.words()[self.layout.request.first..];
        // A tool that took over has its own id and claim there, which stay.
        let end = |place: usize, own: u64| {
            request[place].compare_exchange(own, 0, Ordering::Release, Ordering::Relaxed)
        };
        let (Ok(_) | Err(_)) = end(request_at::REQUEST, u64::from(self.id));
        let (Ok(_) | Err(_)) = end(request_at::CLAIM, self.claim);
    }
}

/// Claims the request: at once if nobody has it, or if whoever has it has not shown itself.
fn take(request: &[AtomicU64], now: Instant) -> Result<u64, ListingError> {
    // The low half tells two listings of one process apart.
    let [_, number] = halves(now.as_nanos());
    let own = joined(std::process::id(), number);
    let word = &request[request_at::CLAIM];
    let held = word.load(Ordering::Acquire);
    let beat = Instant::from_nanos(request[request_at::CLAIM_BEAT].load(Ordering::Relaxed));
    // A beat from the future is garbage, or of a machine's earlier life.
    let is_late = now.saturating_since(beat) > CLAIM_LATE || beat > now + CLAIM_LATE;
    let busy = |held| ListingError::Busy { pid: halves(held)[0] };
    if held != 0 && !is_late {
        return Err(busy(held));
    }
    word.compare_exchange(held, own, Ordering::AcqRel, Ordering::Acquire).map_err(busy)?;
    request[request_at::CLAIM_BEAT].store(now.as_nanos(), Ordering::Relaxed);
    Ok(own)
}

/// An id that no listing of this file has had, until 2^32 of them: never 0.
fn next_id(request: &[AtomicU64]) -> u32 {
    loop {
        let [_, last] = halves(request[request_at::LAST_ID].fetch_add(1, Ordering::Relaxed));
        if let id @ 1.. = last.wrapping_add(1) {
            return id;
        }
    }
}

/// Writes the request. A core that looks meanwhile sees none, or sees that it changed.
fn ask(request: &[AtomicU64], id: u32, filter: &Filter) {
    request[request_at::REQUEST].store(0, Ordering::Relaxed);
    fence(Ordering::Release);
    for (index, word) in filter.to_words().into_iter().enumerate() {
        request[request_at::FILTER + index].store(word, Ordering::Relaxed);
    }
    request[request_at::REQUEST].store(u64::from(id), Ordering::Release);
}

const _: () = assert!(CLAIM_LATE.as_nanos() >= 10 * Duration::from_millis(50).as_nanos());
