//! The doctor at one end of a veth pair, held against `ethtool`, `ip`, `lscpu` and sysfs.
//!
//! It needs root. Without it says loudly that it was skipped; under `ABELE_REQUIRE=root` that is a
//! failure.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(test: &str, why: &str) {
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|what| what.trim() == "root");
    assert!(!is_required, "ABELE_REQUIRE names root, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// Runs `check` in a lab of its own: in this process if it lies in one, else in a second one.
fn in_lab(test: &str, check: impl FnOnce()) {
    if env::var("ABELE_LAB").is_ok_and(|lab| lab == "veth") {
        return check();
    }
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/lab");
    let binary = env::current_exe().expect("a test knows its binary");
    let mut command = Command::new(lab);
    command.args(["veth", "--"]).arg(binary).args(["--exact", test, "--nocapture"]);
    let output = command.output().expect("scripts/lab is there");
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    if output.status.code() == Some(3) {
        return skip(test, &told);
    }
    assert!(output.status.success(), "{test} failed in its lab: {told}");
    assert!(told.contains("1 passed"), "{test} is not the path of a test: {told}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command in the gateway's namespace.
fn beside_gateway(line: &[&str]) -> Output {
    let namespace = env::var("ABELE_GATEWAY_NETNS").expect("the lab has one");
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={namespace}")).arg("--").args(line);
    command.output().expect("nsenter is there")
}

/// What a program prints there, which must succeed.
fn told_beside_gateway(line: &[&str]) -> String {
    let output = beside_gateway(line);
    assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a program prints at the kernel's end, which must succeed.
fn told(line: &[&str]) -> String {
    let output = Command::new(line[0]).args(&line[1..]).output().expect("the lab needs it");
    assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The report on abele0, from its own namespace.
fn doctor(more: &[&str]) -> Value {
    let line = [env!("CARGO_BIN_EXE_abelectl"), "doctor", "--interface", "abele0", "--json"];
    let output = beside_gateway(&[&line, more].concat());
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    let summary = &report["summary"];
    let code = match (summary["bad"].as_u64(), summary["warn"].as_u64()) {
        (Some(0), Some(0)) => 0,
        (Some(0), Some(_)) => 1,
        _some_bad => 3,
    };
    assert_eq!(output.status.code(), Some(code), "{summary}");
    report
}

/// Level and value of a rule.
fn found<'a>(report: &'a Value, rule: &str) -> (&'a str, &'a str) {
    let findings = report["findings"].as_array().expect("a list");
    let finding = findings.iter().find(|finding| finding["rule"] == rule);
    let finding = finding.unwrap_or_else(|| panic!("{rule} finds nothing: {report}"));
    let text = |key: &str| finding[key].as_str().expect("text");
    (text("level"), text("value"))
}

/// The value behind `name:` in what `ethtool` and `lscpu` print, the last one of that name.
fn behind(printed: &str, name: &str) -> String {
    let mut lines = printed.lines().rev();
    let value = lines.find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    let value = value.unwrap_or_else(|| panic!("{name} is not in {printed}"));
    value.split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn queues_rings_spread_and_mtu_are_what_other_tools_say() {
    in_lab("queues_rings_spread_and_mtu_are_what_other_tools_say", || {
        let report = doctor(&[]);
        let channels = told_beside_gateway(&["ethtool", "-l", "abele0"]);
        let (level, value) = found(&report, "nic.queues");
        let (rx, tx) = (behind(&channels, "RX"), behind(&channels, "TX"));
        let expected = format!("{rx} that receive, {tx} that send, at most 2");
        assert!(value.starts_with(&expected), "{level} {value}: {channels}");

        // The kernel has no rings and no rule of a veth pair.
        assert!(!beside_gateway(&["ethtool", "-g", "abele0"]).status.success());
        assert_eq!(found(&report, "nic.rings").0, "ok");
        assert!(!beside_gateway(&["ethtool", "-x", "abele0"]).status.success());
        assert_eq!(found(&report, "spread.table").0, "warn");

        assert_eq!(found(&report, "nic.mtu").0, "ok");
        assert!(found(&report, "nic.mtu").1.starts_with("1500; "), "{report}");
        told_beside_gateway(&["ip", "link", "set", "abele0", "mtu", "1400"]);
        let report = doctor(&[]);
        let (level, value) = found(&report, "nic.mtu");
        assert!(level == "warn" && value.starts_with("1400; "), "{level} {value}");

        assert_eq!(found(&report, "nic.link"), ("ok", "up; veth"));
        told_beside_gateway(&["ip", "link", "set", "abele0", "down"]);
        assert_eq!(found(&doctor(&[]), "nic.link"), ("bad", "down; veth"));
    });
}

#[test]
fn offloads_of_both_ends_are_what_ethtool_says() {
    in_lab("offloads_of_both_ends_are_what_ethtool_says", || {
        let offloads = |printed: &str| {
            format!(
                "tx-checksumming {}, tso {}, gso {}, gro {}",
                behind(printed, "tx-checksumming"),
                // The group of that name also counts what cuts nothing alone.
                behind(printed, "tx-tcp-segmentation"),
                behind(printed, "generic-segmentation-offload"),
                behind(printed, "generic-receive-offload"),
            )
        };
        let check = |expected: &str| {
            let report = doctor(&[]);
            let (level, value) = found(&report, "offloads.peer");
            let there = offloads(&told(&["ethtool", "-k", "abele1"]));
            assert!(value.starts_with("abele1 in /proc/"), "{value}");
            assert!(value.ends_with(&there), "{value}: {there}");
            assert_eq!(level, expected, "{value}");
            let own = offloads(&told_beside_gateway(&["ethtool", "-k", "abele0"]));
            assert!(found(&report, "offloads.own").1.contains(&own), "{report}");
        };
        check("ok");
        told(&["ethtool", "-K", "abele1", "gro", "on"]);
        check("warn");
        told(&["ethtool", "-K", "abele1", "tx", "on"]);
        check("bad");
        // The mend that is printed mends it.
        let report = doctor(&[]);
        let findings = report["findings"].as_array().expect("a list");
        let peer = findings.iter().find(|finding| finding["rule"] == "offloads.peer").unwrap();
        let mend = peer["mend"].as_str().expect("text");
        told(&["bash", "-c", mend]);
        check("ok");
        told_beside_gateway(&["ethtool", "-K", "abele0", "tx", "off", "gro", "on"]);
        check("ok");
        // Both ends in one namespace: the other one is found without going anywhere.
        let pair = "ip link add near0 type veth peer name near1";
        told_beside_gateway(&pair.split(' ').collect::<Vec<_>>());
        let line = [env!("CARGO_BIN_EXE_abelectl"), "doctor", "--interface", "near0", "--json"];
        let report: Value = serde_json::from_slice(&beside_gateway(&line).stdout).unwrap();
        let (level, value) = found(&report, "offloads.peer");
        assert!(level == "bad" && value.starts_with("near1: tx-checksumming on"), "{value}");
    });
}

#[test]
fn cores_and_memory_are_what_lscpu_and_sysfs_say() {
    in_lab("cores_and_memory_are_what_lscpu_and_sysfs_say", || {
        let report = doctor(&[]);
        let cpus = told(&["lscpu"]);
        let (_, value) = found(&report, "cores.count");
        // lscpu lists two neighbours as 0,1 where sysfs has 0-1.
        let parsed = told(&["lscpu", "--online", "--parse=CPU"]);
        let count = parsed.lines().filter(|line| !line.starts_with('#')).count();
        let online = fs::read_to_string("/sys/devices/system/cpu/online").expect("Linux has it");
        assert!(value.starts_with(&format!("{count} run ({})", online.trim())), "{value}: {cpus}");
        let threads = behind(&cpus, "Thread(s) per core");
        let (_, value) = found(&report, "cores.smt");
        assert_eq!(value == "each core runs one thread", threads == "1", "{value}: {cpus}");
        let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB";
        if let Ok(total) = fs::read_to_string(format!("{pool}/nr_hugepages")) {
            let (_, value) = found(&report, "memory.huge_2m");
            assert!(value.contains(&format!("of {} pages", total.trim())), "{value}");
        }
        let release = told(&["uname", "-r"]);
        assert_eq!(found(&report, "kernel.release").1, release.trim());
        // Fewer cores are seen where fewer are allowed.
        let line = ["taskset", "-c", "0", env!("CARGO_BIN_EXE_abelectl"), "doctor", "--json"];
        let report: Value = serde_json::from_slice(&beside_gateway(&line).stdout).unwrap();
        assert!(found(&report, "cores.count").1.contains("may use 1 (0)"), "{report}");
        assert_eq!(report["interfaces"], serde_json::json!([]), "a veth is no physical one");
    });
}

#[test]
fn a_configuration_is_what_the_machine_is_judged_by() {
    in_lab("a_configuration_is_what_the_machine_is_judged_by", || {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("abele.toml");
        let path = file.to_str().expect("the folder's name is text");
        let config = |text: &str| fs::write(&file, text).expect("it is ours");
        config("[interface]\nname = \"abele0\"\nkind = \"af_xdp\"\n[workers]\ncount = 1\n");
        let report = doctor(&["--config", path]);
        // Two queues and one worker: the gateway refuses to start.
        let (level, value) = found(&report, "nic.queues");
        assert!(level == "bad" && value.contains("workers.count = 1"), "{level} {value}");
        told_beside_gateway(&["ethtool", "-L", "abele0", "rx", "1", "tx", "1"]);
        assert_eq!(found(&doctor(&["--config", path]), "nic.queues").0, "ok");
        config("[interface]\nname = \"abele0\"\nxdp_mode = \"native\"\nrequire = \"zerocopy\"\n");
        let report = doctor(&["--config", path]);
        assert_ne!(found(&report, "xdp.native").0, "warn", "{report}");
        // No kernel lends the queues of a veth pair.
        let (level, value) = found(&report, "xdp.zero_copy");
        assert!(level == "bad" || level == "unknown", "{level} {value}");
    });
}

#[test]
fn without_rights_the_other_end_is_unknown_and_the_rest_is_told() {
    in_lab("without_rights_the_other_end_is_unknown_and_the_rest_is_told", || {
        let copy = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .expect("a folder for the test");
        let program = copy.path().join("abelectl");
        fs::copy(env!("CARGO_BIN_EXE_abelectl"), &program).expect("there is room for it");
        let program = program.to_str().expect("the folder's name is text");
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let line = [&nobody[..], &[program, "doctor", "--interface", "abele0", "--json"]].concat();
        let output = beside_gateway(&line);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
        let (level, value) = found(&report, "offloads.peer");
        assert!(level == "unknown" && value.contains("cannot be entered"), "{level} {value}");
        assert!(found(&report, "nic.queues").1.starts_with("2 that receive"), "{report}");
        assert_eq!(found(&report, "xdp.attached"), ("ok", "no program is on it"));
    });
}
