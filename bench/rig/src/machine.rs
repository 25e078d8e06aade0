//! What the figures were measured on: processor, memory, kernel, commit.

use std::fs;

use serde::Serialize;

use crate::cores;

/// The commit this program was built from, or "unknown" outside a repository.
pub(crate) const COMMIT: &str = env!("ABELE_COMMIT");

/// The machine as the report names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// Cores this process may use, not those that exist.
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
}

impl Machine {
    /// Asks the running system; a field it hides is "unknown" or 0.
    pub(crate) fn read() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            cpu: field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            cores: cores::allowed().len(),
            memory_bytes: field(&meminfo, "MemTotal").map_or(0, bytes_of_kib),
            kernel: kernel_release(),
        }
    }
}

/// The kernel's release, such as `6.18.44`; the version of every peer that is the kernel.
pub(crate) fn kernel_release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if release.is_empty() { "unknown".to_owned() } else { release.to_owned() }
}

/// The value of the first line `name : value` of a file of `/proc`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn bytes_of_kib(value: &str) -> u64 {
    let digits = value.split(' ').next().unwrap_or_default();
    digits.parse::<u64>().map_or(0, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_files_are_found_by_their_whole_name() {
        let text = "MemTotalNot: 3 kB\nMemTotal:   24689000 kB\nmodel name\t: Xeon : Gold\n";
        assert_eq!(field(text, "MemTotal").map(bytes_of_kib), Some(24_689_000 * 1024));
        assert_eq!(field(text, "model name"), Some("Xeon : Gold"));
        assert_eq!(field(text, "missing"), None);
    }

    #[test]
    fn this_machine_has_a_name_and_memory() {
        let machine = Machine::read();
        assert!(machine.cores > 0 && machine.memory_bytes > 0, "{machine:?}");
        assert_ne!(machine.kernel, "unknown");
    }
}
