//! Configurations that are wrong, each with everything that is said of it, and ones that are right.

use std::path::Path;

use base::IdlePolicy;

use super::keys::KEYS;
use super::{Machine, Proof, Role, parse};
use crate::plan::Plan;

mod wrong;

const EXAMPLE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bypssd.example.toml"));

/// A machine of four cores with 16 GiB left.
fn machine() -> Machine {
    Machine {
        cores: Some(vec![0, 1, 2, 3]),
        memory_available: Some(16 << 30),
        descriptors: Some(1 << 20),
        now: None,
    }
}

fn right(text: &str) -> Plan {
    parse(Path::new("bypssd.toml"), text, &machine()).unwrap_or_else(|found| panic!("{found}"))
}

/// A file with a secret in a folder of its own.
fn secret_in(folder: &Path, name: &str, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    std::fs::write(&file, bytes).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_empty_file_is_a_switch_for_this_machine() {
    let plan = right("");
    assert_eq!(plan.listeners.len(), 1);
    assert_eq!(plan.listeners[0].address.to_string(), "127.0.0.1:7400");
    assert!(plan.listeners[0].is_local() && !plan.listeners[0].is_tls);
    let [access] = &plan.access[..] else { panic!("{:?}", plan.access) };
    assert_eq!(
        (access.node.as_str(), &access.proof, access.role),
        ("*", &Proof::Loopback, Role::Operator)
    );
    assert_eq!(plan.metrics.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:7401"));
}

#[test]
fn the_example_names_every_key_of_every_section() {
    assert_eq!(KEYS.missing_in(EXAMPLE), [""; 0]);
}

#[test]
fn the_example_shows_the_defaults() {
    assert_eq!(format!("{:?}", right(EXAMPLE)), format!("{:?}", right("")));
}

#[test]
fn a_plan_is_printed_with_its_arithmetic() {
    let folder = tempfile::tempdir().unwrap();
    secret_in(folder.path(), "web.secret", b"0123456789abcdef\n");
    let text = "\
        name = \"sw-1\"\n\
        state_dir = \".\"\n\
        [cluster]\n\
        name = \"shop\"\n\
        [[listener]]\n\
        address = \"0.0.0.0\"\n\
        [[listener]]\n\
        address = \"[::1]:7500\"\n\
        [[access]]\n\
        node = \"web-*\"\n\
        proof = \"secret\"\n\
        secret_file = \"web.secret\"\n\
        register = [\"user:\", \"web:\"]\n\
        send = []\n\
        ports_max = 2_000_000\n\
        [[access]]\n\
        node = \"*\"\n\
        proof = \"loopback\"\n\
        role = \"operator\"\n\
        [ports]\n\
        planned = 250_000_000\n\
        max = 400_000_000\n\
        shards = 16\n\
        [lease]\n\
        lease_ms = 5000\n\
        [stop]\n\
        hint = \"[2001:db8::7]:7400\"\n\
        [worker]\n\
        core = 3\n\
        idle = \"spin\"\n";
    let file = folder.path().join("bypssd.toml");
    let plan = parse(&file, text, &machine()).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(plan.worker.idle, IdlePolicy::Spin);
    let shown = plan.to_string().replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_secret_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    secret_in(folder.path(), "s", b"hunter2-hunter2-hunter2\r\n");
    let text = "[[access]]\nnode = \"a\"\nproof = \"secret\"\nsecret_file = \"s\"\n";
    let plan = parse(&folder.path().join("f"), text, &machine()).unwrap();
    let Proof::Secret { secret, .. } = &plan.access[0].proof else { panic!("it is one") };
    assert_eq!(secret, b"hunter2-hunter2-hunter2", "without the end of its line");
    assert!(!format!("{plan:?}{plan}").contains("hunter2"));
}

#[test]
fn one_end_of_a_line_behind_a_secret_is_not_of_it_and_all_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[access]]\nnode = \"a\"\nproof = \"secret\"\nsecret_file = \"s\"\n";
    for (end, kept) in
        [("", ""), ("\n", ""), ("\r\n", ""), ("\n\n", "\n"), ("\r", "\r"), (" \n", " ")]
    {
        secret_in(folder.path(), "s", format!("0123456789abcdef{end}").as_bytes());
        let plan = parse(&folder.path().join("f"), text, &machine()).unwrap();
        let Proof::Secret { secret, .. } = &plan.access[0].proof else { panic!("it is one") };
        assert_eq!(secret, format!("0123456789abcdef{kept}").as_bytes(), "{end:?}");
    }
}

#[test]
fn the_exclusion_is_the_lease_on_the_slowest_clock_rounded_up() {
    for (lease_ms, rho_ppm, exclusion_ms) in
        [(3_000, 1_000, 3_007), (1_000, 0, 1_000), (50, 100_000, 62)]
    {
        let text = format!("[lease]\nlease_ms = {lease_ms}\nrho_ppm = {rho_ppm}\n");
        let lease = right(&text).lease;
        assert_eq!(lease.exclusion_ms(), exclusion_ms);
        assert_eq!(lease.grace().as_millis(), u64::from(exclusion_ms));
    }
    assert_eq!(right("[lease]\ngrace = \"none\"").lease.grace(), base::Duration::ZERO);
}
