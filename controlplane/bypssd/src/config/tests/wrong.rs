//! Every kind of mistake, and what is said of it.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{machine, secret_in};
use crate::config::{Machine, parse};
use settings::Findings;

fn findings(folder: &Path, text: &str, machine: &Machine) -> Findings {
    parse(&folder.join("bypssd.toml"), text, machine).expect_err(text)
}

/// A line of a transcript for each mistake, under its configuration.
fn transcript_in(folder: &Path, texts: &[&str]) -> String {
    let mut transcript = String::new();
    for text in texts {
        let found = findings(folder, text, &machine()).to_string();
        let found = found.replace(&format!("{}/", folder.display()), "");
        for line in text.trim_end().lines() {
            writeln!(transcript, "    {line}").expect("a string takes all");
        }
        writeln!(transcript, "{found}\n").expect("a string takes all");
    }
    transcript
}

fn transcript(texts: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    transcript_in(folder.path(), texts)
}

#[test]
fn files_that_are_no_toml_name_their_lines() {
    insta::assert_snapshot!(transcript(&[
        "name = \n[ports\nplanned = 1 2\n",
        "[ports]\nplanned = 4096\nplanned = 8192\n",
        "[log]\n[ports]\n[log]\n",
    ]));
}

#[test]
fn unknown_keys_are_told_what_is_near() {
    insta::assert_snapshot!(transcript(&[
        "[ports]\nplaned = 5000\n",
        "[listner]\naddress = \"127.0.0.1\"\n",
        "[ports]\nlease_ms = 1000\n",
        "[log]\nstate_dir = \"/\"\n",
        "[log]\ncolour = \"red\"\n",
    ]));
}

#[test]
fn values_are_of_their_type_and_in_their_range() {
    insta::assert_snapshot!(transcript(&[
        "name = 5\n",
        "name = \"\"\n",
        "state_dir = \"missing\"\n",
        "[cluster]\nincarnation = \"xyz\"\n",
        "[cluster]\nincarnation = \"00000000000000000000000000000000\"\n",
        "[ports]\nplanned = \"5000\"\n",
        "[ports]\nplanned = 10\n",
        "[ports]\nplanned = 5_000_000_000\n",
        "[ports]\nplanned = 100_000\nmax = 50_000\n",
        "[ports]\nshards = 0\n",
        "[lease]\nlease_ms = 49\nrho_ppm = 100_001\ngrace = \"never\"\n",
        "[limits]\nconnections = 0\nframe_len = \"32 MB\"\nitems = 1_000_001\n",
        "[limits]\nframe_len = 4096\nmessage_len = 4000\n",
        "[limits]\npartial_len = \"1 MiB\"\n",
        "[worker]\nidle = \"spinn\"\nspin_us = -1\n",
        "[worker]\ncount = 65\n",
        "[worker]\ncores = [1]\n",
        "[worker]\ncount = 3\ncores = [0, 1]\n",
        "[worker]\ncores = [1, 1]\n",
        "[worker]\ncores = [\"0\"]\n",
        "[metrics]\naddress = \"localhost\"\nenabled = \"yes\"\n",
        "[stop]\ntimeout_ms = 60_001\n",
        "[stop]\nhint = \"sw-2\"\n",
        "[stop]\nhint = \"sw-2:0\"\n",
        "[stop]\nhint = \"2001:db8::2:7400\"\n",
        "[stop]\nhint = \"sw 2:7400\"\n",
        "[stop]\nhint = \"0.0.0.0:7400\"\n",
        "[log]\nlevel = \"loud\"\nformat = true\n",
    ]));
}

#[test]
fn one_look_tells_everything_that_is_wrong_with_a_section() {
    insta::assert_snapshot!(transcript(&[
        "[ports]\nmax = 5\nshards = 0\n",
        "[ports]\nplanned = -1\nshards = 256\n",
        "[worker]\ncount = 0\ncores = [1, 1]\nidle = \"never\"\n",
        "[worker]\ncount = 0\n",
    ]));
}

#[test]
fn metrics_are_not_where_the_switch_listens() {
    insta::assert_snapshot!(transcript(&[
        "[metrics]\naddress = \"127.0.0.1:7400\"\n",
        "[[listener]]\naddress = \"127.0.0.1:7401\"\n",
        "[metrics]\naddress = \"0.0.0.0:7400\"\n",
    ]));
    for text in [
        "[metrics]\naddress = \"127.0.0.1:7400\"\nenabled = false\n",
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[metrics]\naddress = \"127.0.0.1:0\"\n",
        "[metrics]\naddress = \"127.0.0.2:7400\"\n",
    ] {
        parse(Path::new("f"), text, &machine()).unwrap_or_else(|found| panic!("{text}: {found}"));
    }
}

#[test]
fn an_entry_that_no_node_comes_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    secret_in(folder.path(), "s", b"0123456789abcdef");
    secret_in(folder.path(), "t", b"0123456789abcdeg");
    let entry = |node: &str, file: &str| {
        format!("[[access]]\nnode = \"{node}\"\nproof = \"secret\"\nsecret_file = \"{file}\"\n")
    };
    let local = |node: &str| format!("[[access]]\nnode = \"{node}\"\nproof = \"loopback\"\n");
    insta::assert_snapshot!(transcript_in(
        folder.path(),
        &[
            &(local("*") + &local("web-1")),
            &(local("web-*") + &local("web-1*")),
            &(entry("*", "s") + &entry("a", "s")),
        ]
    ));
    for text in [
        local("web-1") + &local("web-*") + &local("*"),
        entry("*", "s") + &entry("a", "t"),
        entry("*", "s") + &local("a"),
        local("web") + &local("web-1"),
    ] {
        let parsed = parse(&folder.path().join("f"), &text, &machine());
        parsed.unwrap_or_else(|found| panic!("{text}: {found}"));
    }
}

#[test]
fn listeners_have_addresses_of_their_own() {
    insta::assert_snapshot!(transcript(&[
        "[[listener]]\n",
        "[listener]\naddress = \"127.0.0.1\"\n",
        "listener = [7]\n",
        "[[listener]]\naddress = \"localhost:7400\"\n",
        "[[listener]]\naddress = \"127.0.0.1:70000\"\n",
        "[[listener]]\naddress = \"127.0.0.1\"\n[[listener]]\naddress = \"127.0.0.1:7400\"\n",
        "[[listener]]\naddress = \"127.0.0.1\"\ntls = true\n",
    ]));
}

#[test]
fn nobody_comes_in_from_elsewhere_without_showing_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    secret_in(folder.path(), "secret", b"0123456789abcdef");
    insta::assert_snapshot!(transcript_in(
        folder.path(),
        &[
            "[[listener]]\naddress = \"0.0.0.0\"\n",
            "[[listener]]\naddress = \"192.0.2.7\"\n[[access]]\nnode = \"*\"\nproof = \"loopback\"\n",
            "[[access]]\nnode = \"a\"\nproof = \"certificate\"\n",
        ]
    ));
    // With a secret it is right.
    let text = "[[listener]]\naddress = \"192.0.2.7\"\n\
                [[access]]\nnode = \"*\"\nproof = \"secret\"\nsecret_file = \"secret\"\n";
    parse(&folder.path().join("f"), text, &machine()).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn entries_of_access_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    secret_in(folder.path(), "secret", b"0123456789abcdef");
    secret_in(folder.path(), "short", b"0123456789abcde\n");
    secret_in(folder.path(), "long", &[b'x'; 2_000]);
    fs::write(folder.path().join("open"), b"0123456789abcdef").unwrap();
    let entry = |lines: &str| format!("[[access]]\n{lines}\n");
    let texts: Vec<_> = [
        "proof = \"loopback\"",
        "node = \"a\"",
        "node = \"we*b\"\nproof = \"loopback\"",
        "node = \"\"\nproof = \"password\"",
        "node = \"a\"\nproof = \"loopback\"\nrole = \"root\"",
        "node = \"a\"\nproof = \"loopback\"\nsecret_file = \"secret\"",
        "node = \"a\"\nproof = \"secret\"",
        "node = \"a\"\nproof = \"secret\"\nsecret_file = \"missing\"",
        "node = \"a\"\nproof = \"secret\"\nsecret_file = \"short\"",
        "node = \"a\"\nproof = \"secret\"\nsecret_file = \"long\"",
        "node = \"a\"\nproof = \"secret\"\nsecret_file = \"open\"",
        "node = \"a\"\nproof = \"loopback\"\nregister = [\"user:*\"]\nsend = \"user:\"",
        "node = \"a\"\nproof = \"loopback\"\nports_max = -1\nqueue_len = \"1 KiB\"",
        "node = \"a\"\nproof = \"loopback\"\n[[access]]\nnode = \"a\"\nproof = \"loopback\"",
    ]
    .into_iter()
    .map(entry)
    .collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    insta::assert_snapshot!(transcript_in(folder.path(), &texts));
}

#[test]
fn files_of_tls_hold_what_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    for (name, text) in [
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
        ("other.pem", other.serialize_pem()),
        ("none.pem", "nothing\n".to_owned()),
    ] {
        secret_in(folder.path(), name, text.as_bytes());
    }
    for (name, mode) in [("open.pem", 0o644), ("group.pem", 0o640)] {
        let file = folder.path().join(name);
        fs::write(&file, key.serialize_pem()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    insta::assert_snapshot!(transcript_in(
        folder.path(),
        &[
            "[tls]\n",
            "[tls]\ncertificate_file = \"missing.pem\"\nkey_file = \"key.pem\"\n",
            "[tls]\ncertificate_file = \"none.pem\"\nkey_file = \"key.pem\"\n",
            "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"none.pem\"\n",
            "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"other.pem\"\n",
            "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"key.pem\"\nclient_ca_file = \"none.pem\"\n",
            "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"key.pem\"\n[[listener]]\naddress = \"192.0.2.7\"\n",
            "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"open.pem\"\n",
        ]
    ));
    // Of a group it may be.
    let text = "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"group.pem\"\n";
    parse(&folder.path().join("f"), text, &machine()).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn a_certificate_is_judged_by_the_time_of_day_if_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2025, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    secret_in(folder.path(), "cert.pem", certificate.pem().as_bytes());
    secret_in(folder.path(), "key.pem", key.serialize_pem().as_bytes());
    let text = "[tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
    let at = |day: u64| {
        let since = std::time::Duration::from_secs(day * 86_400);
        let now = Some(rustls::pki_types::UnixTime::since_unix_epoch(since));
        let parsed = parse(&folder.path().join("f"), text, &Machine { now, ..machine() });
        parsed.map_err(|found| found.to_string())
    };
    // 2024 begins with the day 19,723.
    let wrong = at(19_713).unwrap_err();
    assert!(
        wrong.contains("f:2:20: tls.certificate_file: ") && wrong.contains("cert.pem"),
        "{wrong}"
    );
    assert!(wrong.contains("is not valid before 10 days have passed; renew it"), "{wrong}");
    at(19_723).unwrap();
    let plan = at(20_088).unwrap();
    let wrong = at(20_096).unwrap_err();
    assert!(wrong.contains("a certificate in it is over since 7 days; renew it"), "{wrong}");
    // A start goes on, and says so in the log.
    parse(&folder.path().join("f"), text, &machine()).unwrap();
    let tls = plan.tls.unwrap();
    assert!(tls.wrong_at(rustls::pki_types::UnixTime::now()).is_some(), "2025 is over");
}

#[test]
fn everything_is_found_in_one_run_and_told_in_the_order_of_the_lines() {
    insta::assert_snapshot!(transcript(&["\
        nmae = \"a\"\n\
        [[listener]]\n\
        address = \"here\"\n\
        [[access]]\n\
        node = \"a*b\"\n\
        proof = \"loopback\"\n\
        [ports]\n\
        planned = 0\n\
        [lease]\n\
        lease_ms = 1\n\
        [worker]\n\
        idle = \"sleep\"\n\
        [log]\n\
        level = 3\n"]));
}

#[test]
fn a_machine_that_lacks_something_is_told_apart_from_a_wrong_file() {
    let folder = tempfile::tempdir().unwrap();
    let texts = [
        "[worker]\ncore = 7\n",
        "[ports]\nplanned = 1_000_000_000\n",
        "[limits]\nconnections = 1_048_576\n",
    ];
    for text in texts {
        assert!(findings(folder.path(), text, &machine()).are_of_the_machine(), "{text}");
    }
    let cores = "[worker]\ncore = 1\ncount = 2\ncores = [2, 7]\n";
    let told = findings(folder.path(), cores, &machine()).to_string();
    let at = "bypssd.toml:4:9: worker.cores: this process may not run on core 7";
    assert!(told.contains(at), "{told}");
    let both = "[worker]\ncore = 7\nidle = \"spin\"\n[log]\nlevel = 3\n";
    assert!(!findings(folder.path(), both, &machine()).are_of_the_machine());
    insta::assert_snapshot!(transcript(&texts));
}
