//! How long each call took at least, over passes that make the same calls: what the table does in a
//! call it does each time, and what the machine does meets another call the next time.

use std::time::Duration;

/// The shortest time of each call of a pass.
#[derive(Debug)]
pub(super) struct Lengths {
    nanos: Vec<u32>,
    next: usize,
}

impl Lengths {
    /// For passes of so many calls. Its memory is touched here, so that it is not part of what is
    /// measured later.
    pub(super) fn new(calls: usize) -> Self {
        Self { nanos: vec![u32::MAX; calls], next: 0 }
    }

    /// A pass begins with its first call.
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    pub(super) fn on_call(&mut self, length: Duration) {
        if let Some(least) = self.nanos.get_mut(self.next) {
            let nanos = u32::try_from(length.as_nanos()).unwrap_or(u32::MAX);
            *least = nanos.min(*least);
        }
        self.next += 1;
    }

    /// The longest of them.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.nanos.iter().copied().max().unwrap_or_default().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_that_was_long_once_does_not_count_and_one_that_was_each_time_does() {
        let mut lengths = Lengths::new(3);
        for pass in [[1, 900, 40], [700, 2, 50]] {
            lengths.begin();
            pass.into_iter().map(Duration::from_micros).for_each(|one| lengths.on_call(one));
        }
        assert_eq!(lengths.longest(), Duration::from_micros(40));
    }
}
