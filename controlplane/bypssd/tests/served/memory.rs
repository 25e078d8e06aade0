//! What the check says of memory, and what the kernel says of the process.

use crate::daemon::{Daemon, bypssd};

/// Bytes that the process has, huge pages of the pool included.
fn resident(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let kibibytes = |name: &str| -> f64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
        value.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    1_024.0 * (kibibytes("VmRSS:") + kibibytes("HugetlbPages:"))
}

#[test]
fn check_says_within_three_percent_what_the_process_has() {
    for (planned, max, sessions, shards) in [
        (4_000_000, 4_000_000, 4_096, 1),
        (4_000_000, 40_000_000, 4_096, 1),
        (3_000_000, 3_000_000, 200_000, 1),
        (4_000_000, 4_000_000, 4_096, 5),
        (3_000_000, 3_000_000, 200_000, 5),
    ] {
        let ports = "planned = 16384\n";
        let text = format!("{}{}", crate::daemon::FREE, crate::daemon::NO_GRACE)
            .replace(ports, &format!("planned = {planned}\nmax = {max}\nshards = {shards}\n"));
        let text = format!("{text}[limits]\nsessions = {sessions}\n");
        let daemon = Daemon::start(crate::daemon::folder(), &text, std::process::Stdio::piped());
        let output = bypssd().arg("check").arg(daemon.file()).output().expect("it was built");
        let plan = String::from_utf8(output.stdout).expect("it is text");
        let (_, said) = plan.split_once(" ports: ").unwrap_or_else(|| panic!("none in {plan}"));
        let (said, _) = said.split_once(" MiB at start").unwrap_or_else(|| panic!("{plan}"));
        let said = said.parse::<f64>().expect("a number") * f64::from(1 << 20);
        let has = resident(daemon.id());
        let ratio = said / has;
        println!(
            "{planned} of {max}, {sessions} sessions, {shards} shards: {said} said, {has} had, {ratio:.3}"
        );
        assert!((0.97..=1.03).contains(&ratio), "{said} said, {has} had: {ratio:.3}");
        daemon.stop();
    }
}
