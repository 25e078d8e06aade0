//! The table of requests over real sockets: the whole gateway on a TAP device answers it byte by
//! byte; and nginx is asked the same, where each difference is written down with its reason, in
//! `conformance/nginx.txt`.
//!
//! The gateway needs what `scripts/lab tap` needs and is built beside this test; nginx listens on a
//! loopback address. What is not there is said loudly and skipped; what `ABELE_REQUIRE` names of
//! `tap`, `gateway` and `nginx` must be there. `ABELE_PRINT_DIFFERENCES=1` prints the differences
//! that are found, as lines for the file.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "servers are asked over the kernel's sockets, in real time"
)]

#[path = "lab_conformance/appliance.rs"]
mod appliance;
#[path = "two_stacks/bed.rs"]
mod bed;
#[path = "lab_conformance/nginx.rs"]
mod nginx;
#[path = "lab_conformance/observed.rs"]
mod observed;
#[path = "conformance/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::{env, thread};

use nginx::Nginx;
use observed::{Observed, observe};
use table::{Case, cases};

/// The version whose differences are written down. Another one may have fewer of them, not more.
const VERSION: &str = "1.22.1";

const DIFFERENCES: &str = include_str!("conformance/nginx.txt");

#[global_allocator]
static ALLOCATOR: memory::counting::CountingAllocator = memory::counting::CountingAllocator;

/// What follows every case, to see whether the connection stays.
const MARKER: &[u8] = b"GET /stolen.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[expect(clippy::print_stderr, reason = "a skipped test is told")]
fn skip(lacking: &str, test: &str, why: &str) {
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|word| word.trim() == lacking);
    assert!(!is_required, "ABELE_REQUIRE names {lacking}, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: this machine lacks {lacking} ({why})");
}

/// What is written down: by the name of a case, what nginx does.
fn written() -> BTreeMap<&'static str, &'static str> {
    let mut written = BTreeMap::new();
    let mut reason = "";
    for line in DIFFERENCES.lines() {
        if let Some(text) = line.strip_prefix('#') {
            reason = text.trim();
        } else if line.is_empty() {
            reason = "";
        } else {
            assert!(reason.len() > 20, "no reason stands above the difference {line:?}");
            let (name, answer) = line.split_once(": ").expect("a name and an answer");
            let twice = written.insert(name, answer);
            assert_eq!(twice, None, "{name} is written down twice");
        }
    }
    written
}

/// How many cases are asked at once: each of them is mostly silence.
const AT_ONCE: usize = 16;

/// By the name of a case: what nginx does, and what the table says.
fn differences(nginx: &Nginx, cases: &[Case]) -> BTreeMap<&'static str, String> {
    let documents = bed::documents();
    let ask = |case: &Case| {
        let bytes = case.bytes(|path| nginx.etag(path));
        let observed = observe(nginx.address(), &bytes);
        let wanted = Observed::of_table(case, &documents);
        (observed != wanted).then(|| (case.name, format!("{observed} | {wanted}")))
    };
    thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(AT_ONCE));
        let asked: Vec<_> = parts
            .map(|part| scope.spawn(|| part.iter().filter_map(&ask).collect::<Vec<_>>()))
            .collect();
        asked.into_iter().flat_map(|thread| thread.join().expect("it asks")).collect()
    })
}

#[test]
fn every_difference_between_nginx_and_the_table_has_its_reason() {
    const TEST: &str = "every_difference_between_nginx_and_the_table_has_its_reason";
    let Some(nginx) = Nginx::start(&bed::documents()) else {
        return skip("nginx", TEST, "it is not installed");
    };
    let cases = cases();
    let found = differences(&nginx, &cases);
    let written = written();
    if env::var_os("ABELE_PRINT_DIFFERENCES").is_some() {
        for (name, answer) in &found {
            println!("{name}: {answer}");
        }
    }
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    for (name, answer) in &written {
        assert!(names.contains(name), "no case is named {name:?}");
        let now = found.get(name).map(String::as_str);
        if now.is_none() && nginx.version() != VERSION {
            continue;
        }
        assert_eq!(now, Some(*answer), "{name}: nginx does otherwise than is written down");
    }
    let unexplained: Vec<_> = found.keys().filter(|name| !written.contains_key(*name)).collect();
    assert!(unexplained.is_empty(), "differences without a reason: {unexplained:#?}");
    let version = nginx.version();
    println!("nginx {version}: {} cases, {} differences with reasons", cases.len(), found.len());
}
