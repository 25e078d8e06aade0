//! Every kind of mistake once, with its name: the list of what the gateway refuses to start with.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{LEAST, host};
use crate::config::{Host, parse};
use crate::limits::DEPTH_MAX;

/// A kind of mistake, and lines below the least configuration that make it.
const KINDS: &[(&str, &str)] = &[
    ("no TOML", "[tcp\nwindow = 4096"),
    ("a key twice", "[tcp]\nwindow = 4096\nwindow = 8192"),
    ("an unknown key", "[tcp]\nconections = 5"),
    ("an unknown section", "[intreface]\nmtu = 1500"),
    ("a key of another section", "[interface]\nwindow = 4096"),
    ("a key of the top further down", "[interface]\naddresses = [\"10.77.0.3/24\"]"),
    ("a list where a section belongs", "[listener.keep_alive]\n[[log]]"),
    ("a section once that is a list", "[route]\ndestination = \"::/0\""),
    ("a list where a word belongs", "[interface]\nkind = [\"tap\"]"),
    ("a word where a list belongs", "[interface]\nkernel_addresses = \"10.77.0.1/24\""),
    ("a number where text belongs", "[interface]\nname = 0"),
    ("text where a number belongs", "[tcp]\nconnections = \"many\""),
    ("a number in quotes", "[tcp]\nconnections = \"1000\""),
    ("a fraction where a whole number belongs", "[tcp]\nconnections = 1e6"),
    ("a number out of range", "[workers]\ncount = 65"),
    ("a number below zero", "[memory]\nframes = -1"),
    ("a number beyond all words", "[tcp]\nsend_queue = 99999999999999999999999"),
    ("an idle time-out out of range", "[http]\nidle_timeout_s = 3601"),
    ("text where true or false belongs", "[[listener]]\nprotocol = \"echo\"\nudp = \"yes\""),
    ("true in quotes", "[[listener]]\nprotocol = \"echo\"\nudp = \"true\""),
    ("a date", "[log]\nlevel = 2026-01-01"),
    ("a misspelt word", "[workers]\nidle = \"adaptiv\""),
    ("a word in other letters", "[log]\nlevel = \"INFO\""),
    ("a word that is far from all", "[log]\nlevel = \"loud\""),
    ("a decimal unit", "[tcp]\nwindow = \"256 KB\""),
    ("no size", "[tcp]\nwindow = \"huge\""),
    ("a size out of range", "[tcp]\nwindow = \"2 GiB\""),
    ("an instance that is no name", "[log]\n[[listener]]\nprotocol = \"echo\"\ninstance = \"a/b\""),
    ("an interface that is no name", "[interface]\nname = \"eth 0\""),
    ("a short Ethernet address", "[interface]\nmac = \"02:00:00:00:00\""),
    ("a group's Ethernet address", "[interface]\nmac = \"01:00:5e:00:00:01\""),
    ("an Ethernet address of zeros", "[interface]\nmac = \"00:00:00:00:00:00\""),
    ("packets longer than a frame", "[interface]\nmtu = 2000"),
    ("an address at both ends", "[interface]\nkernel_addresses = [\"10.77.0.2/24\"]"),
    ("an address without a prefix", "[interface]\nkernel_addresses = [\"10.77.0.1\"]"),
    ("an address that is none", "[interface]\nkernel_addresses = [\"10.77.0.256/24\"]"),
    ("an address twice", "[interface]\nkernel_addresses = [\"10.77.0.1/24\", \"10.77.0.1/16\"]"),
    ("a network's own address", "[interface]\nkernel_addresses = [\"10.77.0.0/24\"]"),
    ("a TAP device with keys of a card", "[interface]\nring_size = 1024"),
    (
        "a card with keys of a TAP device",
        "[interface]\nkind = \"af_xdp\"\nmac = \"02:00:00:00:00:01\"",
    ),
    ("an access list before a TAP device", "[access]\ndeny = [\"192.0.2.0/24\"]"),
    ("budgets before a TAP device", "[syn_budget]\nper_source_per_s = 100"),
    (
        "copying and zero-copy at once",
        "[interface]\nkind = \"af_xdp\"\ncopy = \"copy\"\nrequire = \"zerocopy\"",
    ),
    ("a ring that is no power of two", "[interface]\nkind = \"af_xdp\"\nring_size = 1000"),
    (
        "more to send than a ring holds",
        "[interface]\nkind = \"af_xdp\"\nring_size = 64\ntx_budget = 128",
    ),
    (
        "an access range that is none",
        "[interface]\nkind = \"af_xdp\"\n[access]\ndeny = [\"everybody\"]",
    ),
    (
        "an access range with bits beyond",
        "[interface]\nkind = \"af_xdp\"\n[access]\ndeny = [\"192.0.2.1/24\"]",
    ),
    (
        "an access range twice",
        "[interface]\nkind = \"af_xdp\"\n[access]\ndeny = [\"::/0\"]\nallow = [\"::/0\"]",
    ),
    ("a route without its network", "[[route]]\ngateway = \"10.77.0.1\""),
    ("a route with bits beyond", "[[route]]\ndestination = \"10.0.0.1/8\""),
    (
        "a route twice",
        "[[route]]\ndestination = \"10.0.0.0/8\"\n[[route]]\ndestination = \"10.0.0.0/8\"",
    ),
    (
        "a router that is no address",
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.1/24\"",
    ),
    ("a router beyond the link", "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.78.0.1\""),
    ("a router of the other family", "[[route]]\ndestination = \"::/0\"\ngateway = \"10.77.0.1\""),
    ("a router that we are", "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.2\""),
    ("a router that is no host", "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"224.0.0.1\""),
    (
        "more routers than neighbours",
        "[interface]\nneighbours_max = 2\n\
      [[route]]\ndestination = \"10.0.0.0/8\"\ngateway = \"10.77.0.1\"\n\
      [[route]]\ndestination = \"11.0.0.0/8\"\ngateway = \"10.77.0.3\"",
    ),
    ("a frame of no known length", "[memory]\nframe_len = \"3 KiB\""),
    ("too few frames for the workers", "[workers]\ncount = 20\n[memory]\nframes = 16384"),
    (
        "too few frames for all rings",
        "[interface]\nkind = \"af_xdp\"\nring_size = 8192\n\
      [workers]\ncount = 2\n[memory]\nframes = 16384",
    ),
    ("more busy than there are", "[tcp]\nconnections = 100\nbusy = 101"),
    ("a listener without a protocol", "[[listener]]\ntcp_port = 81"),
    ("a protocol that is not spoken", "[[listener]]\nprotocol = \"https\""),
    ("a port twice", "[[listener]]\nprotocol = \"echo\"\ntcp_port = 80"),
    ("a port that is none", "[[listener]]\nprotocol = \"echo\"\ntcp_port = 0"),
    ("HTTP over UDP", "[[listener]]\nprotocol = \"http\"\ntcp_port = 81\nudp = true"),
    ("documents of echo", "[[listener]]\nprotocol = \"echo\"\ndocument_root = \"www\""),
    ("more at once than connections", "[[listener]]\nprotocol = \"echo\"\nconnections_max = 65537"),
    ("documents that are not there", "document_root = \"missing\""),
    ("documents in a file", "document_root = \"file\""),
    ("documents too deep", "document_root = \"deep\""),
    (
        "two document roots",
        "document_root = \"one\"\n\
      [[listener]]\nprotocol = \"http\"\ntcp_port = 81\ndocument_root = \"two\"",
    ),
    ("an end that takes longer than an hour", "[drain]\ntimeout_s = 3601"),
    ("a time with its unit", "[drain]\ntimeout_s = \"10 s\""),
    ("a log in a format of its own", "[log]\nformat = \"jason\""),
    ("no core at all", "[workers]\ncores = []"),
    ("fewer cores than workers", "[workers]\ncount = 2\ncores = [1]"),
    ("a core twice", "[workers]\ncores = [1, 1]"),
    ("a core that the process may not use", "[workers]\ncores = [77]"),
    ("more memory than there is", "[memory]\nframes = 1048576"),
    ("more huge pages than there are", "[memory]\npages = \"huge\""),
    ("more locked memory than allowed", "[interface]\nkind = \"af_xdp\"\n[workers]\ncount = 2"),
];

/// Mistakes that are not made below the least configuration, but by a whole file.
const WHOLE: &[(&str, &str)] = &[
    ("an empty file", ""),
    ("no address of its own", "addresses = []\n[[listener]]\nprotocol = \"echo\""),
    ("no listener", "addresses = [\"10.77.0.2/24\"]"),
    (
        "an address of the kernel's",
        "addresses = [\"192.0.2.9/24\"]\n[[listener]]\nprotocol = \"echo\"",
    ),
    (
        "a name that a folder cannot have",
        "instance = \"a/b\"\naddresses = [\"10.77.0.2/24\"]\n\
      [[listener]]\nprotocol = \"echo\"",
    ),
];

/// The machine of the other tests, on which little may be locked.
fn poor() -> Host {
    let mut host = host();
    host.machine.locked_max = Some(64 << 10);
    host
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("file"), "").unwrap();
    let deep = (0..=DEPTH_MAX).fold(folder.path().join("deep"), |at, _| at.join("d"));
    fs::create_dir_all(deep).unwrap();
    folder
}

/// What is said of `text`, a line each, each with the name of the file alone.
fn told(folder: &Path, text: &str) -> Vec<String> {
    let found = parse(&folder.join("abele.toml"), text, &poor()).expect_err(text).to_string();
    let found = found.replace(&format!("{}/", folder.display()), "");
    found.lines().map(str::to_owned).collect()
}

#[test]
fn every_kind_of_mistake_is_told_with_its_place_and_what_would_be_right() {
    let folder = folder();
    let below = KINDS.iter().map(|(name, lines)| (*name, format!("{LEAST}{lines}\n"), 3));
    let whole = WHOLE.iter().map(|(name, text)| (*name, (*text).to_owned(), 0));
    let mut transcript = String::new();
    let mut count = 0;
    for (name, text, known) in below.chain(whole) {
        writeln!(transcript, "## {name}").unwrap();
        for line in text.lines().skip(known) {
            writeln!(transcript, "    {line}").unwrap();
        }
        for line in told(folder.path(), &text) {
            // FILE:LINE:COLUMN: KEY: what is wrong; what would be right
            let rest = line.strip_prefix("abele.toml:").unwrap_or_else(|| panic!("{line}"));
            let (place, rest) = rest.split_once(": ").unwrap();
            let (row, column) = place.split_once(':').unwrap();
            let (row, column): (usize, usize) = (row.parse().unwrap(), column.parse().unwrap());
            let lines = text.lines().count();
            assert!((1..=lines.max(1)).contains(&row) && column >= 1, "{name}: {line}");
            let (key, rest) = rest.split_once(": ").unwrap();
            assert!(!key.is_empty() && !key.contains(' '), "{name}: {line}");
            let (wrong, right) = rest.split_once("; ").unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(!wrong.is_empty() && !right.is_empty(), "{name}: {line}");
            writeln!(transcript, "{line}").unwrap();
        }
        transcript.push('\n');
        count += 1;
    }
    assert!(count >= 40, "{count} kinds");
    insta::assert_snapshot!(transcript);
}

#[test]
fn no_two_kinds_have_one_name() {
    let mut names: Vec<_> = KINDS.iter().chain(WHOLE).map(|(name, _)| *name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
