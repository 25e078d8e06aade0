//! What the kernel says this process has of the machine's memory.

use std::fs;

use crate::error::Error;

/// Bytes of this process in memory, huge pages of the pool included.
pub(super) fn resident_bytes() -> Result<u64, Error> {
    let text = fs::read_to_string("/proc/self/status").map_err(Error::io("read its own status"))?;
    Ok(field(&text, "VmRSS:") + field(&text, "HugetlbPages:"))
}

/// The bytes of a line `name  123 kB`; 0 if there is none.
fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_status_are_in_kib() {
        let text = "VmSize:\t 9 kB\nVmRSS:\t   1234 kB\nHugetlbPages:\t 2048 kB\n";
        assert_eq!(field(text, "VmRSS:"), 1_234 * 1_024);
        assert_eq!(field(text, "HugetlbPages:"), 2 << 20);
        assert_eq!(field(text, "VmSwap:"), 0);
    }

    #[test]
    fn memory_that_is_touched_is_resident() {
        let before = resident_bytes().expect("there is a status");
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = resident_bytes().expect("there is a status");
        assert!(after - before > 60 << 20, "{before} and {after} with {}", touched.len());
    }
}
