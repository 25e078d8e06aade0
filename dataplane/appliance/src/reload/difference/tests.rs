//! Pairs of configurations, and what is said of their difference.

use std::fmt::Write as _;
use std::path::Path;

use gateway::Document;

use super::{Digests, difference};
use crate::config::{Host, parse};
use crate::plan::Plan;
use crate::serving::Change;

const LEAST: &str = "addresses = [\"10.77.0.2/24\"]\n[[listener]]\nprotocol = \"http\"\n";

fn plan(text: &str) -> Plan {
    let file = Path::new("abele.toml");
    parse(file, text, &Host::default()).unwrap_or_else(|found| panic!("{found}"))
}

fn digests(documents: &[(&str, &str)]) -> Digests {
    let document = |(path, body): &(&str, &str)| Document {
        path: (*path).to_owned(),
        content_type: "text/plain".to_owned(),
        body: body.as_bytes().to_vec(),
        modified: None,
    };
    Digests::of(&documents.iter().map(document).collect::<Vec<_>>())
}

/// What is said where the file was `LEAST` with `old` and is `LEAST` with `new`.
fn said(old: &str, new: &str) -> String {
    let (old, new) = (plan(&format!("{LEAST}{old}")), plan(&format!("{LEAST}{new}")));
    let same = Digests::default();
    difference(&old, &new, &same, &same).show("abele.toml")
}

#[test]
fn what_may_change_and_what_stays_is_told_by_its_name() {
    let xdp = "[interface]\nkind = \"af_xdp\"\n";
    let pairs = [
        ("".to_owned(), "".to_owned()),
        ("".to_owned(), "[[listener]]\nprotocol = \"echo\"".to_owned()),
        ("[[listener]]\nprotocol = \"echo\"".to_owned(), "".to_owned()),
        ("".to_owned(), "nodelay = false".to_owned()),
        (
            "[[listener]]\nprotocol = \"echo\"".to_owned(),
            "[[listener]]\nprotocol = \"http\"\ntcp_port = 7".to_owned(),
        ),
        ("".to_owned(), "[http]\nhead_timeout_s = 3".to_owned()),
        (
            format!("{xdp}[access]\ndeny = [\"192.0.2.0/24\", \"10.0.0.0/8\"]"),
            format!("{xdp}[access]\ndeny = [\"10.0.0.0/8\"]\nallow = [\"10.1.0.0/16\"]"),
        ),
        (xdp.to_owned(), format!("{xdp}[syn_budget]\nper_source_per_s = 9")),
        ("".to_owned(), "[log]\nlevel = \"debug\"\nformat = \"json\"".to_owned()),
        ("".to_owned(), "[access_log]\npath = \"-\"".to_owned()),
        (
            "[access_log]\npath = \"-\"".to_owned(),
            "[access_log]\npath = \"-\"\nsample = 9".to_owned(),
        ),
        ("[access_log]\npath = \"-\"".to_owned(), "".to_owned()),
        (
            "".to_owned(),
            "[interface]\nname = \"lab7\"\n[memory]\nframes = 2048\n[workers]\ncount = 2\n\
             [tcp]\nconnections = 100"
                .to_owned(),
        ),
    ];
    let mut transcript = String::new();
    for (old, new) in pairs {
        for (sign, text) in [('-', &old), ('+', &new)] {
            text.lines().for_each(|line| writeln!(transcript, "    {sign} {line}").unwrap());
        }
        writeln!(transcript, "{}\n", said(&old, &new)).unwrap();
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn documents_differ_by_path_and_content() {
    let (old, new) = (plan(LEAST), plan(LEAST));
    let before = digests(&[("/a", "1"), ("/b", "2"), ("/c", "3")]);
    let after = digests(&[("/a", "1"), ("/b", "other"), ("/d", "4")]);
    let difference = difference(&old, &new, &before, &after);
    assert!(difference.has_documents);
    let said = difference.show("abele.toml");
    assert!(said.contains("documents: 1 new, 1 changed, 1 gone; now 3"), "{said}");
    let none = super::difference(&old, &new, &before, &before);
    assert!(!none.has_documents && none.listeners.is_empty());
}

#[test]
fn closed_listeners_come_before_opened_ones_on_the_same_port() {
    let old = plan(&format!("{LEAST}[[listener]]\nprotocol = \"echo\"\n"));
    let new = plan(&format!("{LEAST}[[listener]]\nprotocol = \"http\"\ntcp_port = 7\n"));
    let same = Digests::default();
    let listeners = difference(&old, &new, &same, &same).listeners;
    assert!(
        matches!(listeners[..], [Change::Close(echo), Change::Open(http)]
            if echo.tcp_port == 7 && http.tcp_port == 7),
        "{listeners:?}"
    );
}

#[test]
fn a_new_listener_gets_the_share_of_the_workers_that_there_are() {
    let old = plan(&format!("{LEAST}[tcp]\nconnections = 100\n[workers]\ncount = 2\n"));
    let new = plan(&format!(
        "{LEAST}[[listener]]\nprotocol = \"echo\"\n[tcp]\nconnections = 1000\n[workers]\ncount = 4\n"
    ));
    let same = Digests::default();
    let difference = difference(&old, &new, &same, &same);
    let [Change::Open(echo)] = difference.listeners[..] else { panic!("{difference:?}") };
    assert_eq!(echo.options.connections_max, 50);
    let mut served = old;
    difference.keep_what_stays(&mut served, new);
    assert_eq!((served.listeners.len(), served.workers.count), (2, 2));
    assert_eq!(served.stack.tcp.records, 50, "what is taken stays taken");
}
