//! What a gateway that serves is asked: its addresses, routes, neighbours, listeners and access
//! rules, as they are after reloads too.
#![allow(clippy::print_stdout, reason = "what was told is shown")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::lab::{self, Gateway, PATIENCE, abelectl, ask_tool, configuration, fetch, in_lab, run};

/// Asks the gateway itself; what it tells.
fn ask(gateway: &Gateway, request: &str) -> Value {
    let path = format!("/run/abele/{}/control", gateway.instance());
    let mut stream = UnixStream::connect(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.write_all(format!("{request}\n").as_bytes()).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let told = answer.strip_prefix("0\n").unwrap_or_else(|| panic!("{request}: {answer}"));
    serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {told}"))
}

/// The one row of a list with these values.
fn row<'a>(told: &'a Value, list: &str, is: &[(&str, Value)]) -> &'a Value {
    let rows = told[list].as_array().unwrap_or_else(|| panic!("{told}"));
    let found: Vec<_> =
        (rows.iter()).filter(|row| is.iter().all(|(key, value)| row[*key] == *value)).collect();
    assert_eq!(found.len(), 1, "{is:?}: {told}");
    found[0]
}

fn with(sections: &str) -> String {
    let route = "[[route]]\ndestination = \"0.0.0.0/0\"\ngateway = \"10.77.0.1\"\n";
    configuration("", &format!("{sections}{route}[workers]\ncount = 2\n"))
}

#[test]
fn a_gateway_tells_what_it_has_also_after_a_reload() {
    in_lab("inquiries::a_gateway_tells_what_it_has_also_after_a_reload", || {
        let deny = "[access]\ndeny = [\"192.0.2.0/24\"]\n[syn_budget]\nper_source_per_s = 900\n";
        let gateway = Gateway::start(&with(deny));
        let kept: Vec<_> =
            (0..6).map(|_| TcpStream::connect("10.77.0.2:7").expect("it is served")).collect();
        assert!(fetch("10.77.0.2"));

        let addresses = ask(&gateway, "addresses");
        row(&addresses, "addresses", &[("address", json!("10.77.0.2")), ("prefix_len", json!(24))]);
        row(&addresses, "addresses", &[("address", json!("fd77::2")), ("scope", json!("global"))]);
        row(&addresses, "addresses", &[("scope", json!("link"))]);
        assert_eq!(addresses["interface"], "abele0");

        let routes = ask(&gateway, "routes");
        let default = row(&routes, "routes", &[("destination", json!("0.0.0.0/0"))]);
        assert_eq!(default["gateway"], "10.77.0.1");

        let neighbours = ask(&gateway, "neighbours");
        let peer = run(&["ip", "-o", "link", "show", "abele1"]);
        let known = neighbours["neighbours"].as_array().expect("a list").iter();
        let known: Vec<_> =
            known.filter(|row| row["mac"].as_str().is_some_and(|mac| peer.contains(mac))).collect();
        assert!(known.iter().any(|row| row["age_ms"].is_u64()), "{neighbours}");
        assert!(known.iter().any(|row| row["router"] == true), "{neighbours}");
        assert_eq!(neighbours["missing_cores"], json!([]));

        let listeners = ask(&gateway, "listeners");
        let echo = row(&listeners, "listeners", &[("port", json!(7)), ("transport", json!("tcp"))]);
        assert_eq!((&echo["connections"], &echo["open"]), (&json!(6), &json!(true)));
        let by_core = echo["by_core"].as_array().expect("a list").iter();
        assert_eq!(by_core.filter_map(Value::as_u64).sum::<u64>(), 6);
        row(&listeners, "listeners", &[("port", json!(7)), ("transport", json!("udp"))]);

        let access = ask(&gateway, "access");
        row(&access, "rules", &[("prefix", json!("192.0.2.0/24")), ("action", json!("deny"))]);
        assert_eq!(access["syn_budget"]["per_source"]["per_s"], 900);
        let tcp = row(&access, "counters", &[("name", json!("redirect_tcp"))]);
        assert!(tcp["packets"].as_u64().is_some_and(|packets| packets > 6), "{access}");

        let allow = "[access]\ndeny = [\"198.51.100.0/24\"]\n[[listener]]\nprotocol = \"echo\"\n\
                     tcp_port = 70\n";
        let changed = with(allow)
            .replace("protocol = \"echo\"\nudp = true", "protocol = \"http\"\ntcp_port = 81");
        gateway.configure(&changed);
        gateway.signal(nix::sys::signal::Signal::SIGHUP);
        let begun = std::time::Instant::now();
        while !gateway.log().contains("access: ") {
            assert!(begun.elapsed() < PATIENCE, "{}", gateway.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let listeners = ask(&gateway, "listeners");
        let closed = row(&listeners, "listeners", &[("open", json!(false))]);
        assert_eq!((&closed["port"], &closed["connections"]), (&json!(7), &json!(6)));
        row(&listeners, "listeners", &[("port", json!(70)), ("protocol", json!("echo"))]);
        row(&listeners, "listeners", &[("port", json!(81)), ("protocol", json!("http"))]);
        let access = ask(&gateway, "access");
        row(&access, "rules", &[("prefix", json!("198.51.100.0/24"))]);
        assert_eq!(access["rules"].as_array().map(Vec::len), Some(1), "{access}");
        assert_eq!(access["syn_budget"]["per_source"], json!(null));

        drop(kept);
        show(&gateway);
        gateway.stop();
    });
}

/// Its counters as Prometheus fetches them: all that the gateway counts, in the format.
fn exported(gateway: &Gateway, tool: &Path) {
    let name = gateway.instance();
    let mut exporter = Command::new(tool);
    exporter.args(["export", "--listen", "127.0.0.1:0", "--instance", &name]);
    let mut exporter = exporter.stdout(Stdio::piped()).spawn().expect("it was built");
    let mut line = String::new();
    let told = exporter.stdout.as_mut().expect("it is piped");
    BufReader::new(told).read_line(&mut line).expect("it is text");
    let address = line.trim_start_matches("listening on http://").trim_end();
    let address = address.trim_end_matches("/metrics");
    let answer = lab::ask(address, b"GET /metrics HTTP/1.0\r\n\r\n").expect("it answers");
    exporter.kill().expect("it is our child");
    exporter.wait().expect("it is our child");
    let (_head, text) = answer.split_once("\r\n\r\n").expect("a head");
    for sample in [
        format!("abele_up{{instance=\"{name}\"}} 1\n"),
        format!("abele_xdp_redirect_tcp_total{{instance=\"{name}\",core=\"0\"}} "),
        format!("abele_tcp_accepted_total{{instance=\"{name}\",core=\"1\"}} "),
        format!("abele_pool_frames_free{{instance=\"{name}\",core=\"1\"}} "),
    ] {
        assert!(text.contains(&sample), "no {sample}: {text}");
    }
    let judge = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    let Ok(mut judge) = judge else {
        return println!("SKIPPED promtool: it is not installed; apt-get install prometheus");
    };
    let mut input = judge.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes()).expect("it reads to the end");
    drop(input);
    assert!(judge.wait().expect("it is our child").success(), "{text}");
}

/// The same as people see it.
fn show(gateway: &Gateway) {
    let Some(tool) = abelectl() else { return };
    for command in ["addresses", "routes", "neighbours", "listeners", "access"] {
        let told = ask_tool(&tool, gateway, &[command]);
        println!("$ abelectl {command}\n{told}");
        let told = ask_tool(&tool, gateway, &[command, "--json"]);
        let told: Value = serde_json::from_str(&told).expect("it is JSON");
        assert_eq!(told["instance"], gateway.instance());
    }
    exported(gateway, &tool);
    let nowhere = Command::new(&tool).args(["routes", "--instance", "no-such"]).output();
    let nowhere = nowhere.expect("it was built");
    assert_eq!(nowhere.status.code(), Some(3));
}
