//! Figures, lists, watches, and the end of a node.

use protocol::{Hello, ListNodes, ListPorts, RequestKind, Role};

use super::bed::{
    Bed, PLAIN, WAIT, bare, config, hello, open_entry, query, query_node, reg, relet, send, unreg,
};
use crate::access::{AccessEntry, Prefixes};
use crate::config::SwitchConfig;
use crate::connection::ConnId;
use crate::counters::Counters;
use crate::quota::Quota;
use crate::switch::Switch;
use crate::switch::operate::GAUGES;

fn list_ports(cursor: u64, count_max: u32, prefix: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| ListPorts { cursor, count_max, prefix }.write(out, 9)
}

fn list_nodes(cursor: u64, count_max: u32) -> impl FnOnce(&mut Vec<u8>) {
    move |out| ListNodes { cursor, count_max }.write(out, 9)
}

fn drop_node(node: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| protocol::write_drop_node(out, 9, node)
}

fn watch(prefix: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| protocol::write_watch(out, 9, prefix)
}

fn with_role(bed: &mut Bed, role: Role) -> ConnId {
    let conn = bed.open();
    bed.say(conn, |out| Hello { role, ..hello("tool", 0) }.write(out, 1, None));
    bed.heard(conn);
    conn
}

#[test]
fn every_figure_has_a_meaning_and_every_meaning_a_figure() {
    let bed = Bed::new();
    let names: Vec<_> = bed.switch.figures().map(|(name, _value)| name).collect();
    for name in &names {
        let meaning = Switch::meaning(name).unwrap_or_else(|| panic!("{name} has none"));
        assert!(meaning.ends_with('.') && meaning.trim() == meaning, "{name}: {meaning:?}");
    }
    assert_eq!(names.len(), GAUGES.len() + Counters::meanings().count());
    assert_eq!(Switch::meaning("no such figure"), None);
}

#[test]
fn a_role_may_do_what_its_own_and_the_lower_ones_may() {
    let mut bed = Bed::new();
    let conns = [Role::Node, Role::Observer, Role::Operator].map(|role| with_role(&mut bed, role));
    let [node, observer, operator] = conns;
    let forbidden = "error Forbidden 0";
    assert_eq!(bed.ask(node, |out| bare(out, RequestKind::Status)), forbidden);
    assert_eq!(bed.ask(node, list_nodes(0, 9)), forbidden);
    assert_eq!(bed.ask(node, list_ports(0, 9, "")), forbidden);
    assert_eq!(bed.ask(node, watch("")), forbidden);
    assert_eq!(bed.ask(node, |out| bare(out, RequestKind::Ping)), "pong");
    assert_eq!(bed.ask(node, query_node(&["tool"])), "nodes Unknown() 0 ms 0 ports");
    let status = bed.ask(observer, |out| bare(out, RequestKind::Status));
    assert!(
        status.contains(" connections=3 ") && status.contains(" error_forbidden=4"),
        "{status}"
    );
    assert_eq!(bed.ask(observer, drop_node("a")), forbidden);
    assert_eq!(bed.ask(observer, |out| bare(out, RequestKind::WaitMsg)), forbidden);
    assert_eq!(bed.ask(observer, send(&[("p", "x")])), forbidden);
    assert_eq!(bed.ask(observer, reg(&["p"], PLAIN)), forbidden);
    assert_eq!(bed.ask(observer, query(&["p"], false)), "query free");
    assert_eq!(bed.ask(operator, drop_node("a")), "dropped None");
}

#[test]
fn a_dropped_node_drains_and_may_come_back_with_another_session() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    let operator = with_role(&mut bed, Role::Operator);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(b, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(operator, drop_node("a")), "dropped Drains");
    assert_eq!(bed.heard(a), ["error Evicted 3 closes", "closed"]);
    assert_eq!(bed.ask(operator, drop_node("a")), "dropped Drains");
    assert_eq!(bed.ask(b, query_node(&["a"])), "nodes Draining() 3000 ms 1 ports");
    let again = bed.receiver("a", 2);
    assert_eq!(bed.ask(again, reg(&["p"], PLAIN)), "reg 0:Draining(a)");
    bed.pass(2_999);
    assert!(bed.heard(b).is_empty());
    bed.ask(b, relet(1));
    bed.pass(1);
    assert_eq!(bed.heard(b), ["grant #1 2=p"]);
}

#[test]
fn nodes_are_listed_page_by_page() {
    let mut bed = Bed::new();
    let conns = ["a", "b", "c"].map(|node| bed.receiver(node, 1));
    assert_eq!(bed.ask(conns[1], reg(&["p"], PLAIN)), "reg 1*1");
    bed.receiver("b", 2);
    let tool = with_role(&mut bed, Role::Observer);
    let answer = bed.ask(tool, list_nodes(0, 2));
    assert_eq!(answer, "nodes next 2 a() Live 0 ports 0 queued b() Draining 1 ports 0 queued");
    let answer = bed.ask(tool, list_nodes(2, 9));
    assert_eq!(answer, "nodes next 0 c() Live 0 ports 0 queued b() Live 0 ports 0 queued");
    let all = bed.ask(tool, list_nodes(0, 0));
    assert_eq!(all.matches("queued").count(), 4);
    assert_eq!(bed.ask(tool, list_nodes(99, 9)), "nodes next 0");
    assert_eq!(bed.ask(tool, list_nodes(u64::MAX, 9)), "nodes next 0");
}

#[test]
fn ports_are_listed_once_each_by_their_beginning() {
    let mut bed = Bed::new();
    let a = bed.receiver("a", 1);
    let names: Vec<String> = (0..10_000).map(|number| format!("{}/{number}", number % 2)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(bed.ask(a, reg(&names, PLAIN)), "reg 1*10000");
    let tool = with_role(&mut bed, Role::Observer);
    let (mut cursor, mut seen, mut pages) = (0, Vec::new(), 0);
    loop {
        let page = bed.ask(tool, list_ports(cursor, 999, "1/"));
        let mut words = page.split(' ').skip(2);
        cursor = words.next().expect("a cursor").parse().expect("a number");
        seen.extend(words.map(str::to_owned));
        pages += 1;
        if cursor == 0 {
            break;
        }
    }
    assert!(pages >= 6, "{pages}");
    seen.sort();
    let mut expected: Vec<_> =
        (1..10_000).step_by(2).map(|number| format!("{}=1/{number}@a", number + 1)).collect();
    expected.sort();
    assert!(seen == expected, "{} ports of {}", seen.len(), expected.len());
    let all = bed.ask(tool, list_ports(0, 0, ""));
    assert_eq!(all.matches("@a").count(), crate::limits::LIST_LOOKS_MAX as usize);
}

#[test]
fn a_watch_sees_what_happens_to_its_ports() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    let tool = with_role(&mut bed, Role::Observer);
    assert_eq!(bed.ask(tool, watch("p")), "watching");
    let twice = "error State 0 this connection watches already";
    assert_eq!(bed.ask(tool, watch("p")), twice);
    assert_eq!(bed.ask(a, reg(&["p1", "q", "p2"], PLAIN)), "reg 1*3");
    assert_eq!(bed.heard(tool).join(" "), "events Registered 1=p1@a Registered 3=p2@a");
    assert_eq!(bed.ask(b, reg(&["p1", "p3"], WAIT)), "reg 4*1 0:Waiting(a)");
    assert_eq!(bed.heard(tool), ["events Registered 4=p3@b"]);
    assert_eq!(bed.ask(a, unreg(&[("p1", 1), ("q", 2)])), "unreg");
    assert_eq!(bed.heard(tool).join(" "), "events Released 1=p1@a Registered 5=p1@b");
    bed.pass(2_000);
    bed.ask(b, relet(1));
    bed.pass(1_000);
    assert_eq!(bed.heard(tool), ["events Lost 3=p2@a"]);
    assert_eq!(bed.ask(b, |out| bare(out, RequestKind::Yield)), "yielded");
    bed.settle();
    let heard = bed.heard(tool).join(" ");
    assert!(heard.contains("Released 4=p3@b") && heard.contains("Released 5=p1@b"), "{heard}");
    bed.break_off(tool);
    assert!(bed.switch.watchers.is_empty());
}

#[test]
fn a_lost_node_without_a_connection_is_still_named_to_who_watches() {
    let mut bed = Bed::new();
    let gone = bed.receiver("gone", 1);
    let tool = with_role(&mut bed, Role::Observer);
    assert_eq!(bed.ask(tool, watch("")), "watching");
    assert_eq!(bed.ask(gone, reg(&["p"], PLAIN)), "reg 1*1");
    bed.break_off(gone);
    assert_eq!(bed.heard(tool), ["events Registered 1=p@gone"]);
    bed.pass(60_000);
    assert_eq!(bed.heard(tool), ["events Lost 1=p@gone"]);
    assert_eq!(bed.switch.sessions.nodes_count(), 1, "and is forgotten then");
}

#[test]
fn a_dead_sessions_port_is_lost_to_who_watches_before_it_is_registered_again() {
    let mut bed = Bed::new();
    let (a, b, c) = (bed.receiver("a", 1), bed.receiver("b", 1), bed.receiver("c", 1));
    let tool = with_role(&mut bed, Role::Observer);
    assert_eq!(bed.ask(tool, watch("")), "watching");
    assert_eq!(bed.ask(a, reg(&["p", "q", "r", "s"], PLAIN)), "reg 1*4");
    assert_eq!(bed.ask(b, reg(&["q"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(b, query(&["r"], true)), "query 3@a");
    bed.pass(2_000);
    bed.ask(b, relet(1));
    bed.ask(c, relet(1));
    bed.heard(tool);
    bed.now += base::Duration::from_millis(1_000);
    // Nobody follows p, somebody waits for q, somebody follows r; none of them was swept. A name
    // that is twice in a batch is lost once.
    let answer = bed.ask(c, reg(&["p", "q", "r", "p"], PLAIN));
    assert_eq!(answer, "reg 5*2 1:Held(b) 3:Mine(c)");
    assert_eq!(
        bed.heard(tool).join(" ").replace("events ", ""),
        "Lost 1=p@a Registered 5=p@c Lost 3=r@a Registered 6=r@c Lost 2=q@a Registered 7=q@b"
    );
    bed.settle();
    assert_eq!(bed.heard(tool), ["events Lost 4=s@a"], "the sweep shows the rest, and no other");
}

#[test]
fn a_watcher_that_does_not_keep_up_is_told_that_events_are_missing() {
    let quota = Quota { queue_len_max: 500, ..Quota::default() };
    let access = vec![AccessEntry { quota, ..open_entry() }];
    let mut bed = Bed::with(SwitchConfig { access, ..config() });
    let a = bed.receiver("a", 1);
    let tool = with_role(&mut bed, Role::Observer);
    assert_eq!(bed.ask(tool, watch("")), "watching");
    bed.stop_reading(tool);
    let names: Vec<String> = (0..50).map(|number| format!("name {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(bed.ask(a, reg(&names, PLAIN)), "reg 1*50");
    bed.resume_reading(tool);
    let heard = bed.heard(tool);
    let told = usize::try_from(bed.switch.counters().events_told).unwrap();
    assert!((5..40).contains(&told), "{told} {heard:?}");
    assert_eq!(heard.join(" ").matches("Registered").count(), told);
    assert!(heard.last().is_some_and(|line| line.ends_with("Missing 0=?@?")), "{heard:?}");
    assert_eq!(bed.ask(a, unreg(&[("name 0", 1)])), "unreg");
    assert_eq!(bed.heard(tool), ["events Released 1=name 0@a"]);
}

#[test]
fn who_may_not_query_names_may_not_list_or_watch_them() {
    let query = Prefixes::new(vec!["web/".to_owned()]);
    let access = vec![AccessEntry { query, ..open_entry() }];
    let mut bed = Bed::with(SwitchConfig { access, ..config() });
    let tool = with_role(&mut bed, Role::Observer);
    assert_eq!(bed.ask(tool, list_ports(0, 9, "we")), "error Forbidden 0");
    assert_eq!(bed.ask(tool, watch("")), "error Forbidden 0");
    assert_eq!(bed.ask(tool, list_ports(0, 9, "web/x")), "ports next 0");
    assert_eq!(bed.ask(tool, watch("web/")), "watching");
}

#[test]
fn a_query_of_nodes_is_bounded_because_its_answer_is_so_much_longer() {
    let mut bed = Bed::new();
    let long = "a".repeat(255);
    let asked = Hello { address: &long, ..hello("n", 1) };
    let conn = bed.connect_as(asked);
    assert!(bed.ask(conn, |out| bare(out, RequestKind::WaitMsg)).starts_with("wait_msg"));
    let query = |count: u32| {
        let mut frame = vec![0, 0, 0, 0, 0x0f, 0, 0, 0, 7, 0, 0, 0];
        frame.extend(count.to_le_bytes());
        frame.extend(b"\x01n".repeat(count as usize));
        let len = u32::try_from(frame.len()).unwrap();
        frame[..4].copy_from_slice(&len.to_le_bytes());
        frame
    };
    let most = protocol::limits::QUERY_NODES_MAX;
    let answer = bed.ask(conn, |out| out.extend(query(most + 1)));
    assert_eq!(answer, "error TooLarge 4096 nodes_max");
    let before = bed.switch.counters().bytes_out;
    let answer = bed.ask(conn, |out| out.extend(query(most)));
    assert!(answer.starts_with("nodes Live(aaa"), "{}", &answer[..40]);
    let len = bed.switch.counters().bytes_out - before;
    assert_eq!(len, 16 + u64::from(most) * (1 + 2 + 255 + 4 + 8));
    // Who builds it is told by how many fit.
    let mut out = Vec::new();
    let mut batch = protocol::Batch::query_node(&mut out, 1, &protocol::Limits::DEFAULT);
    let fitting = std::iter::repeat_with(|| batch.push(protocol::Name(b"n")));
    assert_eq!(fitting.take(5_000).filter(|is_in| *is_in).count(), most as usize);
}

#[test]
fn who_does_not_read_has_no_more_than_a_mark_and_one_answer_waiting() {
    let mut bed = Bed::new();
    let conn = bed.connect("n", 0);
    bed.stop_reading(conn);
    let mut requests = Vec::new();
    for _ in 0..20 {
        query_node(&["n"; 4_096])(&mut requests);
        query(&["p"; 10_000], false)(&mut requests);
    }
    let mut at = 0;
    loop {
        let used = bed.switch.handle_bytes(conn, &requests[at..], bed.now);
        bed.pump();
        if used == 0 {
            break;
        }
        at += used;
    }
    assert!(at < requests.len() && bed.switch.is_held_back(conn));
    let waiting = bed.switch.connections.at(conn).outbox.answers_len();
    let longest = usize::try_from(protocol::limits::answer_len_max_of(10_000, 1)).unwrap();
    assert!(waiting <= crate::limits::ANSWERS_LEN_MAX + longest, "{waiting} bytes wait");
}
