//! Configurations that are wrong, each with everything that is said of it, and ones that are right.

use std::fs;
use std::path::Path;

use super::keys::KEYS;
use super::{Host, parse};
use crate::access_log::Target;
use crate::host::{HostAddress, HostMemory, Machine};
use crate::plan::Plan;
use wire::MacAddress;

mod kinds;
mod wrong;

const EXAMPLE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/abele-gateway.example.toml"));

/// The least that is right.
const LEAST: &str = "addresses = [\"10.77.0.2/24\"]\n[[listener]]\nprotocol = \"http\"\n";

/// A machine with the address 192.0.2.9, 64 cores, and 1 GiB of memory left.
fn host() -> Host {
    let address = "192.0.2.9".parse().expect("a literal");
    let addresses = vec![HostAddress { interface: "eth0".to_owned(), address }];
    let memory = HostMemory { total: 2 << 30, available: 1 << 30, huge: 0 };
    let cores = Some((0..64).collect());
    let machine = Machine { interfaces: None, cores, memory: Some(memory), locked_max: None };
    Host { addresses, machine }
}

fn right(text: &str) -> Plan {
    parse(Path::new("abele.toml"), text, &host()).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn the_least_configuration_is_addresses_and_a_listener() {
    let plan = right(LEAST);
    assert_eq!((plan.interface.name.as_str(), plan.interface.mtu), ("abele0", 1500));
    assert_eq!((plan.listeners.len(), plan.listeners[0].tcp_port), (1, 80));
    assert!(plan.document_root.is_none() && plan.interface.mac.is_some_and(MacAddress::is_unicast));
}

#[test]
fn the_example_names_every_key_of_every_section() {
    assert_eq!(KEYS.missing_in(EXAMPLE), [""; 0]);
}

#[test]
fn the_example_shows_the_defaults() {
    let mut example = right(EXAMPLE);
    let least = right(LEAST);
    // What an example must choose, and what it shows the use of.
    example.stack.ip.addresses.clone_from(&least.stack.ip.addresses);
    example.stack.ip.routes.clone_from(&least.stack.ip.routes);
    example.interface.kernel_addresses.clear();
    example.listeners.truncate(1);
    example.whole.listeners.truncate(1);
    assert_eq!(format!("{example:?}"), format!("{least:?}"));
}

#[test]
fn a_plan_is_printed_with_its_arithmetic() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("www")).unwrap();
    fs::write(folder.path().join("www/index.html"), [b'x'; 1500]).unwrap();
    fs::write(folder.path().join("www/.hidden"), "").unwrap();
    let text = "\
        addresses = [\"10.77.0.2/24\", \"fd77::2/64\"]\n\
        [interface]\n\
        name = \"lab0\"\n\
        mac = \"02:00:00:00:00:07\"\n\
        mtu = 1400\n\
        kernel_addresses = [\"10.77.0.1/24\"]\n\
        [[route]]\n\
        destination = \"0.0.0.0/0\"\n\
        gateway = \"10.77.0.1\"\n\
        [[route]]\n\
        destination = \"fd78::/64\"\n\
        [tcp]\n\
        connections = 1000\n\
        [memory]\n\
        frames = 2048\n\
        frame_len = \"4 KiB\"\n\
        [[listener]]\n\
        protocol = \"http\"\n\
        tcp_port = 8080\n\
        document_root = \"www\"\n\
        keep_alive = { idle_s = 60 }\n\
        [[listener]]\n\
        protocol = \"echo\"\n\
        udp = true\n\
        nodelay = false\n\
        connections_max = 10\n\
        [access_log]\n\
        path = \"access.log\"\n\
        sample = 100\n";
    let file = folder.path().join("abele.toml");
    let plan = parse(&file, text, &host()).unwrap_or_else(|found| panic!("{found}"));
    let shown = plan.to_string().replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_plan_of_ten_million_connections_says_what_each_part_takes() {
    let text = "addresses = [\"10.77.0.2/24\"]\n[[listener]]\nprotocol = \"echo\"\n\
                [interface]\nkind = \"af_xdp\"\n[workers]\ncores = [2, 3]\n\
                [tcp]\nconnections = 10_000_000\nbusy = 20_000\n[memory]\nframes = 65_536\n";
    let file = Path::new("abele.toml");
    let memory = HostMemory { total: 8 << 30, available: 6 << 30, huge: 512 << 21 };
    let mut host = host();
    host.machine.memory = Some(memory);
    let plan = parse(file, text, &host).unwrap_or_else(|found| panic!("{found}"));
    insta::assert_snapshot!(plan);
}

#[test]
fn the_sum_is_that_of_the_tables_and_the_tables_are_those_of_the_design() {
    let plan = right(LEAST);
    let rows = crate::plan::memory_rows(&plan);
    let bytes = |name: &str| rows.iter().find(|row| row.name == name).expect(name).bytes();
    assert_eq!(bytes("records"), 65_536 * 64);
    assert!(bytes("extensions") <= 4_096 * 256, "at most 256 bytes each");
    assert_eq!(bytes("segment nodes"), 32_768 * 32);
    assert!(bytes("half-open") <= 4_096 * 64, "at most 64 bytes each");
    assert!(bytes("TIME-WAIT") <= 16_384 * 40, "at most 40 bytes each");
    // 86,016 flows at nine to a line and a load of four fifths.
    assert_eq!(bytes("flow index"), (107_520_u64.div_ceil(9) + 15) * 64);
    assert_eq!(bytes("frames"), 16_384 * 2_048);
    let sum: u64 = rows.iter().map(|row| row.count * row.each).sum();
    assert_eq!(crate::plan::memory_sum(&rows), sum);
}

#[test]
fn sizes_are_taken_as_numbers_and_with_units() {
    for window in ["262144", "\"256 KiB\"", "0x40000", "262_144"] {
        let plan = right(&format!("{LEAST}[tcp]\nwindow = {window}\n"));
        assert_eq!(plan.stack.tcp.window_len, 262_144, "{window}");
    }
}

#[test]
fn an_access_log_lies_beside_the_file_unless_its_path_is_whole() {
    let log = |lines: &str| {
        let text = format!("{LEAST}[access_log]\n{lines}\n");
        let plan = parse(Path::new("/etc/abele.toml"), &text, &host());
        plan.unwrap_or_else(|found| panic!("{found}")).access_log.expect("there is one")
    };
    assert_eq!(log("path = \"-\"").target, Target::Output);
    assert_eq!(log("path = \"stderr\"").target, Target::Error);
    assert_eq!(log("path = \"access.log\"").target, Target::File("/etc/access.log".into()));
    let log = log("path = \"/tmp/a\"\nsample = 9\nerrors = \"sampled\"\nqueue = 128");
    assert_eq!(log.target, Target::File("/tmp/a".into()));
    assert_eq!((log.terms.sample, log.terms.is_every_error, log.queue), (9, false, 128));
    assert_eq!(right(LEAST).access_log, None, "there is none unless it is asked for");
}

#[test]
fn few_connections_make_small_tables() {
    let plan = right(&format!("{LEAST}[tcp]\nconnections = 10\n"));
    assert_eq!(plan.stack.tcp.extensions, 10);
    assert_eq!((plan.service.sessions, plan.service.heads), (10, 10));
    assert_eq!(plan.listeners[0].options.connections_max, 10);
}

#[test]
fn every_plan_that_is_right_makes_a_stack() {
    let long = format!("{LEAST}[memory]\nframe_len = 4096\n[interface]\nmtu = 3953\n");
    let few =
        format!("{LEAST}[tcp]\nconnections = 1\nsegments = 2\nhalf_open = 1\ntime_wait = 1\n");
    let route = "[[route]]\ndestination = \"::/0\"\ngateway = \"fe80::1\"\n";
    let link_local = format!("{LEAST}{route}");
    for text in [EXAMPLE, LEAST, &long, &few, &link_local] {
        let plan = right(text);
        let frames = memory::FrameArena::new(plan.memory.frames, memory::PageChoice::Base).unwrap();
        let (queue, _peer) = nic::mem::pair(64, plan.interface.mtu).unwrap();
        let arena = frames.core().unwrap();
        let documents = gateway::Documents::new(Vec::new()).unwrap();
        let now = base::Instant::ZERO;
        let owners = stack::Owners::evenly(&[1; 40], 1);
        let end = stack::HandOver::between(&owners).remove(0);
        let parts = crate::assembly::Parts { documents, queue, arena, end };
        crate::assembly::assemble(&plan, parts, now).unwrap();
    }
}

#[test]
fn workers_share_every_table_and_each_has_what_it_needs() {
    let text = "[workers]\ncount = 3\n[tcp]\nconnections = 10\nsegments = 4\n\
                [[listener]]\nprotocol = \"echo\"\nconnections_max = 7\n";
    let plan = right(&format!("{LEAST}{text}"));
    let tcp::Config { records, extensions, nodes, .. } = plan.stack.tcp;
    assert_eq!((records, extensions, nodes), (4, 4, 2));
    assert_eq!((plan.service.sessions, plan.service.heads), (4, 4));
    let most = plan.listeners.iter().map(|listener| listener.options.connections_max);
    assert!(most.eq([4, 3]));
    assert_eq!((plan.memory.frames.cores, plan.workers.count), (3, 3));
    let rows = crate::plan::memory_rows(&plan);
    let count = |name: &str| rows.iter().find(|row| row.name == name).expect(name).count;
    assert_eq!((count("records"), count("frames"), count("frame counts")), (12, 16_384, 49_152));
    assert_eq!(count("hand-over"), 6 * 512);
}

#[test]
fn cores_that_are_named_are_counted() {
    let plan = right(&format!("{LEAST}[workers]\ncores = [4, 2]\nidle = \"wait\"\n"));
    assert_eq!((plan.workers.count, plan.workers.cores.as_deref()), (2, Some(&[4, 2][..])));
    assert_eq!(plan.workers.idle, base::IdlePolicy::Wait);
    let many = right(&format!("{LEAST}[workers]\ncount = 20\n"));
    assert_eq!(many.memory.frames.frames, 20 * 1_024, "the default is enough for all of them");
}

#[test]
fn as_many_ranges_as_the_xdp_program_holds_fit_into_a_file_and_no_more() {
    let ranges = |count: usize| {
        let one = |n: usize| {
            format!(
                "    \"fd00:0123:4567:89ab:cdef:0123:{:04x}:{:04x}/128\",\n",
                n >> 16,
                n & 0xffff
            )
        };
        let all: String = (0..count).map(one).collect();
        let kind = "[interface]\nkind = \"af_xdp\"\nname = \"test0\"\n";
        format!("{LEAST}{kind}[access]\ndeny = [\n{all}]\n")
    };
    let text = ranges(crate::limits::ACCESS_RULES_MAX);
    assert!((text.len() as u64) < crate::limits::CONFIG_LEN_MAX);
    let plan = parse(Path::new("abele.toml"), &text, &Host::default());
    assert_eq!(plan.unwrap_or_else(|found| panic!("{found}")).access.len(), 65_536);
    let found = parse(Path::new("abele.toml"), &ranges(65_537), &Host::default()).unwrap_err();
    assert!(found.to_string().contains("65537 ranges are too many"), "{found}");
}

#[test]
fn frames_are_short_below_half_of_those_that_the_rings_leave() {
    let plan = |text: &str| {
        let head = "addresses = [\"10.77.0.2/24\"]\n[[listener]]\nprotocol = \"echo\"\n";
        parse(Path::new("abele.toml"), &format!("{head}{text}"), &Host::default())
            .unwrap_or_else(|found| panic!("{found}"))
    };
    let tap = plan("[memory]\nframes = 10_000\n");
    assert_eq!(tap.stack.tcp.frames_short, 5_000, "a TAP device is lent none");
    // What lies in the rings is never free: an idle gateway would be short for ever.
    let card = "[interface]\nkind = \"af_xdp\"\nname = \"eth1\"\nring_size = 2048\n";
    for (workers, frames) in [(1, 3_072), (2, 16_384), (8, 8 * 3_072)] {
        let text = format!("{card}[workers]\ncount = {workers}\n[memory]\nframes = {frames}\n");
        let plan = plan(&text);
        let left = frames - workers * 2_048;
        assert_eq!(plan.stack.tcp.frames_short, left / 2, "{workers} workers");
        assert!(plan.stack.tcp.frames_short < left, "an idle gateway is not short");
    }
    // Nor are they scarce where there are as few as may be.
    let least = 2_048 + crate::limits::FRAMES_SCARCE;
    let least = plan(&format!("{card}[memory]\nframes = {least}\n"));
    assert!(least.memory.frames.frames - 2_048 >= least.stack.tcp.frames_scarce);
}
