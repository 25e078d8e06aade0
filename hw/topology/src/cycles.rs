//! The counter of cycles, and how fast it counts.

use std::time::{Duration, Instant};

/// The counter: it only grows, at one speed, which [`cycles_per_s`] measures. Where the processor
/// has none that may be read, it is the clock in nanoseconds.
#[inline(always)]
#[must_use]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every processor of this architecture has the instruction; it reads a counter and
        // touches no memory. Where the kernel has forbidden it to programs, it ends the process,
        // which no kernel does unless it was told to (`prctl(PR_SET_TSC)`).
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use std::sync::OnceLock;
        static ZERO: OnceLock<Instant> = OnceLock::new();
        let zero = ZERO.get_or_init(Instant::now);
        u64::try_from(zero.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Cycles per second, measured against the clock for as long as `time`: 10 ms give four digits.
#[must_use]
pub fn cycles_per_s(time: Duration) -> u64 {
    let (began, first) = (Instant::now(), cycles());
    let elapsed = loop {
        let elapsed = began.elapsed();
        if elapsed >= time {
            break elapsed;
        }
        std::hint::spin_loop();
    };
    let counted = u128::from(cycles().wrapping_sub(first));
    let per_s = counted * 1_000_000_000 / elapsed.as_nanos().max(1);
    u64::try_from(per_s).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{cycles, cycles_per_s};

    #[test]
    fn counter_grows_at_the_speed_of_a_processor() {
        let first = cycles();
        let per_s = cycles_per_s(Duration::from_millis(5));
        assert!(cycles() > first);
        // From slow counters of virtual machines to what no processor has.
        assert!((1_000_000..20_000_000_000).contains(&per_s), "{per_s}");
    }
}
