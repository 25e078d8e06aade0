//! A hint to the cache: this line is needed soon.

/// Asks for the cache line at the start of `value` to be brought into every level of the cache.
///
/// A hint only: it never faults and never waits.
#[inline(always)]
pub fn prefetch<T: ?Sized>(value: &T) {
    prefetch_address(std::ptr::from_ref(value).cast());
}

/// Prefetches any address, mapped or not: the instruction ignores what it cannot reach.
#[inline(always)]
pub(crate) fn prefetch_address(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64; PREFETCHT0 does not fault on any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: PRFM does not fault on any address and touches no register, flag or stack.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{0}]", in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    std::hint::black_box(address);
}
