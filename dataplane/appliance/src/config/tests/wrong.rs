//! Every kind of mistake, and what is said of it.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use super::{LEAST, host};
use crate::config::{parse, unread};
use settings::Findings;

/// What is wrong with `text`, as the file `abele.toml` in `folder`.
fn findings(folder: &Path, text: &str) -> Findings {
    parse(&folder.join("abele.toml"), text, &host()).expect_err(text)
}

/// A line of a transcript for each mistake, under its configuration.
fn transcript(folder: &Path, texts: &[&str]) -> String {
    let mut transcript = String::new();
    for text in texts {
        let found = findings(folder, text).to_string();
        let found = found.replace(&format!("{}/", folder.display()), "");
        for line in text.trim_end().lines() {
            writeln!(transcript, "    {line}").expect("a string takes all");
        }
        writeln!(transcript, "{found}\n").expect("a string takes all");
    }
    transcript
}

/// The least configuration with these lines below.
fn with(lines: &str) -> String {
    format!("{LEAST}{lines}\n")
}

/// The transcript of mistakes in lines below the least configuration.
fn transcript_with(lines: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<_> = lines.iter().map(|lines| with(lines)).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    transcript(folder.path(), &texts)
}

#[test]
fn files_that_are_no_toml_name_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let texts = [
        "addresses = [\"10.77.0.2/24\"\n[tcp]\n",
        "addresses = \n[tcp\nwindow = 1 2\n",
        "[tcp]\nwindow = 4096\nwindow = 8192\n",
        "[tcp]\n[log]\n[tcp]\n",
    ];
    insta::assert_snapshot!(transcript(folder.path(), &texts));
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let texts = [
        "",
        "addresses = []\n[[listener]]\nprotocol = \"echo\"\n",
        "addresses = [\"10.77.0.2/24\"]\n[[listener]]\ntcp_port = 80\n",
        "listener = 5\naddresses = [\"10.77.0.2/24\"]\n",
        "addresses = [\"10.77.0.2/24\"]\n[listener]\nprotocol = \"http\"\n",
        "addresses = [\"10.77.0.2/24\"]\nlistener = [7]\n",
    ];
    insta::assert_snapshot!(transcript(folder.path(), &texts));
}

#[test]
fn unknown_keys_are_told_what_is_near() {
    insta::assert_snapshot!(transcript_with(&[
        "[tcp]\nconections = 5",
        "[intreface]\nmtu = 1500",
        "[interface]\naddresses = [\"10.77.0.3/24\"]",
        "colour = \"red\"",
        "[log]\ncolour = \"red\"",
        "keep_alive = { idle_seconds = 5 }",
    ]));
}

#[test]
fn addresses_are_judged_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let rest = "[[listener]]\nprotocol = \"echo\"\n";
    let lists = [
        "\"10.77.0.2\", \"fd77::2\"",
        "\"10.77.0.256/24\", \"ten/24\", \"10.77.0.2/33\", 7",
        "\"10.77.0.0/24\", \"10.77.0.255/24\", \"224.0.0.1/4\", \"::1/128\", \"0.0.0.0/0\"",
        "\"10.77.0.2/24\",\n  \"10.77.0.2/16\"",
        "\"192.0.2.9/24\"",
    ];
    let texts: Vec<_> = lists.iter().map(|list| format!("addresses = [{list}]\n{rest}")).collect();
    let mut texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let single = format!("addresses = \"10.77.0.2/24\"\n{rest}");
    texts.push(&single);
    insta::assert_snapshot!(transcript(folder.path(), &texts));
}

#[test]
fn routes_need_a_network_and_a_router_on_the_link() {
    insta::assert_snapshot!(transcript_with(&[
        "[[route]]\ngateway = \"10.77.0.1\"",
        "[[route]]\ndestination = \"10.0.0.1/8\"",
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.78.0.1\"",
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.1/24\"",
        "[[route]]\ndestination = \"::/0\"\ngateway = \"10.77.0.1\"",
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.2\"",
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"255.255.255.255\"",
        "[[route]]\ndestination = \"::/0\"\ngateway = \"fe80:0:0:1::1\"",
        "[interface]\nneighbours_max = 2\n\
         [[route]]\ndestination = \"10.0.0.0/8\"\ngateway = \"10.77.0.1\"\n\
         [[route]]\ndestination = \"11.0.0.0/8\"\ngateway = \"10.77.0.3\"",
        "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.1\"\n\
         [[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.9\"",
    ]));
}

#[test]
fn the_interface_is_judged_with_its_frames() {
    insta::assert_snapshot!(transcript_with(&[
        "[interface]\nkind = \"tun\"",
        "[interface]\nname = \"an interface of many letters\"",
        "[interface]\nname = 0",
        "[interface]\nmac = \"02:00:00:00:00\"",
        "[interface]\nmac = \"01:00:5e:00:00:01\"",
        "[interface]\nmac = \"00:00:00:00:00:00\"",
        "[interface]\nmtu = 1279",
        "[interface]\nmtu = 2000",
        "[interface]\nmtu = 9000",
        "[interface]\nkernel_addresses = [\"10.77.0.2/24\"]",
        "[interface]\nkernel_addresses = [\"10.77.0.1\"]",
        "[interface]\nneighbours_max = 1",
        "interface = \"tap\"",
    ]));
}

#[test]
fn each_kind_of_device_has_its_own_keys() {
    let xdp = |rest: &str| format!("[interface]\nkind = \"af_xdp\"\n{rest}");
    let texts = [
        "[interface]\nxdp_mode = \"native\"\nring_size = 1024".to_owned(),
        "[access]\ndeny = [\"192.0.2.0/24\"]".to_owned(),
        "[syn_budget]\nper_source_per_s = 100".to_owned(),
        xdp("mac = \"02:00:00:00:00:01\"\nkernel_addresses = [\"10.77.0.1/24\"]"),
        xdp("xdp_mode = \"offload\"\ncopy = \"never\"\nrequire = \"zero-copy\""),
        xdp("copy = \"copy\"\nrequire = \"zerocopy\""),
        xdp("ring_size = 1000"),
        xdp("ring_size = 65536"),
        xdp("ring_size = 64\ntx_budget = 128"),
        xdp("busy_poll_us = 2000"),
        xdp("[access]\ndeny = [\"192.0.2.1/24\", \"all\", \"10.0.0.0/33\"]"),
        xdp("[access]\ndeny = [\"192.0.2.7\"]\nallow = [\"192.0.2.7/32\"]"),
        xdp("[syn_budget]\nper_source_burst = 0\nstrangers_per_s = -1"),
    ];
    insta::assert_snapshot!(transcript_with(&texts.each_ref().map(String::as_str)));
}

#[test]
fn numbers_and_sizes_have_types_and_ranges() {
    insta::assert_snapshot!(transcript_with(&[
        "[memory]\nframes = 10",
        "[memory]\nframes = -1",
        "[memory]\nframe_len = 1500",
        "[memory]\nframe_len = \"3 KiB\"",
        "[memory]\npages = \"hugh\"",
        "[tcp]\nconnections = 0",
        "[tcp]\nconnections = \"many\"",
        "[tcp]\nconnections = 1e6",
        "[tcp]\nconnections = 100\nbusy = 101",
        "[tcp]\nwindow = \"256 KB\"",
        "[tcp]\nwindow = \"2 GiB\"",
        "[tcp]\nwindow = true",
        "[tcp]\nsend_queue = 99999999999999999999999",
        "[gateway]\nsessions = 0\nheads = 99999999",
        "[workers]\ncount = 0\nidle = \"doze\"\nspin_us = 1000001",
        "[workers]\ncores = [-1, true]",
        "[workers]\ncores = 1",
        "[workers]\ncores = []",
        "[workers]\ncount = 2\ncores = [1]",
        "[workers]\ncores = [1, 1]",
        "[workers]\ncount = 20\n[memory]\nframes = 16384",
        "[worker]\nspin_us = 50",
        "[log]\nlevel = \"loud\"",
        "[log]\nlevel = 2026-01-01",
    ]));
}

#[test]
fn an_access_log_is_judged_before_a_request_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let sections = [
        "[access_log]",
        "[access_log]\nsample = 10",
        "[access_log]\npath = \"folder\"",
        "[access_log]\npath = \"missing/access.log\"",
        "[access_log]\npath = 5",
        "[access_log]\npath = \"-\"\nsample = 0\nerrors = \"none\"\nformat = \"jsno\"",
        "[access_log]\npath = \"stderr\"\nqueue = 1000",
        "[access_log]\npath = \"-\"\nqueue = 32",
        "[access_log]\nfile = \"-\"",
        "access_log = \"-\"",
    ];
    let texts: Vec<_> = sections.iter().map(|section| with(section)).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    insta::assert_snapshot!(transcript(folder.path(), &texts));
}

#[test]
fn listeners_are_judged_among_each_other() {
    let second = |lines: &str| format!("[[listener]]\n{lines}");
    let lines: Vec<_> = [
        "protocol = \"gopher\"",
        "protocol = \"http\"",
        "protocol = \"echo\"\ntcp_port = 80",
        "protocol = \"echo\"\ntcp_port = 0",
        "protocol = \"echo\"\ntcp_port = 65536",
        "protocol = \"http\"\ntcp_port = 81\nudp = true",
        "protocol = \"echo\"\nudp = \"yes\"",
        "protocol = \"echo\"\ndocument_root = \"www\"",
        "protocol = \"echo\"\nconnections_max = 65537",
        "protocol = \"echo\"\nnodelay = 1",
        "protocol = \"echo\"\nkeep_alive = true",
        "protocol = \"echo\"\nkeep_alive = { idle_s = 0, interval_s = 86401, probes_max = 15 }",
    ]
    .into_iter()
    .map(second)
    .collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    insta::assert_snapshot!(transcript_with(&lines));
}

#[test]
fn document_roots_are_folders_that_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("one")).unwrap();
    fs::create_dir(folder.path().join("two")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let large = fs::File::create(folder.path().join("two/large.bin")).unwrap();
    large.set_len(crate::limits::DOCUMENTS_LEN_MAX + 1).unwrap();
    let deep =
        (0..=crate::limits::DEPTH_MAX).fold(folder.path().join("deep"), |at, _| at.join("d"));
    fs::create_dir_all(deep).unwrap();
    let roots = [
        "document_root = \"missing\"",
        "document_root = \"file\"",
        "document_root = \"two\"",
        "document_root = \"deep\"",
        "document_root = 5",
        "document_root = \"one\"\n[[listener]]\nprotocol = \"http\"\ntcp_port = 81\n\
         document_root = \"two\"",
    ];
    let texts: Vec<_> = roots.iter().map(|root| with(root)).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    insta::assert_snapshot!(transcript(folder.path(), &texts));
}

#[test]
fn everything_is_found_in_one_run_and_told_in_the_order_of_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\
        addresses = [\"10.77.0.2\"]\n\
        adresses = []\n\
        [interface]\n\
        mtu = 100\n\
        [[route]]\n\
        destination = \"10.0.0.1/8\"\n\
        [memory]\n\
        pages = 4\n\
        [tcp]\n\
        window = \"huge\"\n\
        [[listener]]\n\
        protocol = \"http\"\n\
        document_root = \"missing\"\n\
        [[listener]]\n\
        protocol = \"echo\"\n\
        tcp_port = 80\n\
        [workers]\n\
        spin_us = -1\n";
    insta::assert_snapshot!(transcript(folder.path(), &[text]));
}

#[test]
fn a_machine_that_lacks_something_is_told_apart_from_a_wrong_file() {
    let folder = tempfile::tempdir().unwrap();
    let listener = "[[listener]]\nprotocol = \"echo\"\n";
    let taken = format!("addresses = [\"192.0.2.9/24\"]\n{listener}");
    let greedy = with("[memory]\nframes = 1048576");
    for text in [&taken, &greedy] {
        assert!(findings(folder.path(), text).are_of_the_machine(), "{text}");
    }
    let huge = with("[memory]\npages = \"huge\"");
    assert!(findings(folder.path(), &huge).are_of_the_machine(), "the pool is empty");
    let both = format!("addresses = [\"192.0.2.9/24\", \"10.0.0.1\"]\n{listener}");
    assert!(!findings(folder.path(), &both).are_of_the_machine());
    insta::assert_snapshot!(transcript(folder.path(), &[&taken, &greedy]));
}

#[test]
fn a_file_that_may_not_be_read_is_told_apart_from_one_that_is_none() {
    let said = |kind| unread(Path::new("etc/abele.toml"), &io::Error::from(kind)).to_string();
    assert_eq!(
        said(io::ErrorKind::PermissionDenied),
        "etc/abele.toml: cannot be read: permission denied; let this user read it and pass its \
         folders; see: namei -l etc/abele.toml"
    );
    assert!(said(io::ErrorKind::NotFound).contains("name a configuration, such as"));
}

#[test]
fn an_interface_that_is_not_there_is_lacking_unless_the_gateway_makes_it() {
    let mut host = host();
    host.machine.interfaces = Some(vec!["lo".to_owned(), "eth0".to_owned()]);
    let told = |interface: &str| {
        let text = with(&format!("[interface]\n{interface}"));
        let plan = parse(Path::new("abele.toml"), &text, &host);
        plan.map(drop).map_err(|found| (found.are_of_the_machine(), found.to_string()))
    };
    assert_eq!(told("kind = \"af_xdp\"\nname = \"eth0\""), Ok(()));
    assert_eq!(told("kind = \"tap\"\nname = \"eth9\""), Ok(()));
    let (is_of_machine, line) = told("kind = \"af_xdp\"\nname = \"eth9\"").unwrap_err();
    assert!(is_of_machine, "{line}");
    let wrong =
        "abele.toml:6:8: interface.name: there is no interface eth9 in this network namespace";
    assert!(line.starts_with(wrong), "{line}");
    // Where none is named, the section that stands for it.
    let (_, line) = told("kind = \"af_xdp\"").unwrap_err();
    assert!(
        line.starts_with("abele.toml:4:1: interface.name: there is no interface abele0"),
        "{line}"
    );
}

#[test]
fn a_finding_names_its_line_and_key() {
    let found = findings(Path::new("etc"), &with("[log]\nlevel = 3"));
    assert!(found.to_string().starts_with("etc/abele.toml:5:9: log.level: "), "{found}");
}
