//! The memory of a process, as the kernel counts it from outside.

use std::fs;

use crate::error::Error;

/// Bytes that the process `id` holds: its part of shared pages, and all its huge ones, which the
/// former count leaves out.
pub(super) fn of_process(id: u32) -> Result<u64, Error> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(path).map_err(Error::io("read the memory of a server"))?;
    let fields = ["Pss", "Shared_Hugetlb", "Private_Hugetlb"].map(|name| bytes_in(&text, name));
    fields.into_iter().sum::<Option<u64>>().ok_or_else(|| Error::Lacks {
        what: "Pss and Hugetlb in /proc/PID/smaps_rollup".to_owned(),
        mend: "use a kernel of 5.0 or later".to_owned(),
    })
}

fn bytes_in(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(field, _)| *field == name)?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLUP: &str = "5581-7ffd ---p 00000000 00:00 0 [rollup]\n\
        Rss:                8804 kB\nPss:                2001 kB\nPss_Anon:            972 kB\n\
        Shared_Hugetlb:        0 kB\nPrivate_Hugetlb:    4096 kB\n";

    #[test]
    fn huge_pages_come_to_the_part_of_the_others() {
        assert_eq!(bytes_in(ROLLUP, "Pss"), Some(2_001 << 10));
        assert_eq!(bytes_in(ROLLUP, "Private_Hugetlb"), Some(4_096 << 10));
        assert_eq!(bytes_in(ROLLUP, "Ps"), None);
    }

    #[test]
    fn this_process_has_memory_and_more_after_it_took_some() {
        let id = std::process::id();
        let before = of_process(id).expect("it is mounted");
        let taken = vec![1_u8; 64 << 20];
        let after = of_process(id).expect("it is mounted");
        assert!(after > before + (60 << 20), "{before} and {after}, {} taken", taken.len());
    }
}
