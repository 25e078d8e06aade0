//! The gateway pings the kernel at the other end of its wire, from its own stack.
#![allow(clippy::print_stdout, reason = "what was told is shown")]

use std::process::Command;

use serde_json::{Value, json};

use crate::lab::{Gateway, abelectl, ask_tool, configuration, counted, in_lab, run, text};

fn configured() -> String {
    // Behind the router there is nobody: it says so, or nobody does.
    let route = "[[route]]\ndestination = \"198.51.100.0/24\"\ngateway = \"10.77.0.1\"\n";
    configuration("", &format!("{route}[workers]\ncount = 2\n"))
}

#[test]
fn a_host_on_the_link_answers_and_who_does_not_is_told_why() {
    in_lab("pings::a_host_on_the_link_answers_and_who_does_not_is_told_why", || {
        let Some(tool) = abelectl() else { return };
        let gateway = Gateway::start(&configured());
        let ping = |line: &str| {
            let mut command = Command::new(&tool);
            command.args(["ping", "--instance", &gateway.instance()]).args(line.split(' '));
            let output = command.output().expect("it was built");
            println!("$ abelectl ping {line}\n{}{}", text(&output.stdout), text(&output.stderr));
            (output.status.code(), text(&output.stdout))
        };
        for core in ["0", "1"] {
            for address in ["10.77.0.1", "fd77::1"] {
                let line = ["ping", "--json", "-c", "4", "-i", "0.05", "--core", core, address];
                let told = ask_tool(&tool, &gateway, &line);
                let told: Value = serde_json::from_str(&told).expect("it is JSON");
                assert_eq!((&told["sent"], &told["answered"]), (&json!(4), &json!(4)), "{told}");
                assert_eq!((&told["duplicates"], &told["missing_cores"]), (&json!(0), &json!([])));
                let least = told["rtt_ns"]["min"].as_u64().expect("some were answered");
                assert!(least < 1_000_000_000, "{told}");
            }
        }
        let (code, told) = ping("-c 3 -i 0.02 10.77.0.1");
        assert_eq!(code, Some(0));
        assert!(told.contains("3 sent, 3 answered, 0 lost (0 %); round trip at least"), "{told}");
        // The largest that the link takes, and one byte more.
        let (code, told) = ping("-c 1 -s 1472 10.77.0.1");
        assert!(code == Some(0) && told.contains("1472 bytes from 10.77.0.1"), "{told}");
        for (line, why) in [
            ("-c 1 -s 1473 10.77.0.1", "not sent: a packet on this link has room for 1472 bytes"),
            ("-c 1 192.0.2.1", "not sent: no route leads there"),
            ("-c 1 10.77.0.2", "not sent: the address is not that of another host"),
            ("-c 1 ff02::1", "not sent: the address is not that of another host"),
            // Nobody has it: three questions, a second between them.
            ("-c 1 -W 5 10.77.0.99", "seq 1: the neighbour did not answer"),
            ("-c 1 -W 5 fd77::99", "seq 1: the neighbour did not answer"),
        ] {
            let (code, told) = ping(line);
            assert_eq!(code, Some(1), "{line}: {told}");
            assert!(told.contains(why), "{line}: {told}");
        }
        // The kernel says that it leads nowhere from there.
        run(&["ip", "route", "add", "unreachable", "198.51.100.0/24"]);
        run(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
        let (code, told) = ping("-c 1 198.51.100.7");
        assert_eq!(code, Some(1));
        assert!(told.contains("seq 1: the host does not answer, says 10.77.0.1"), "{told}");
        // The kernel drops what it is asked: then only time tells.
        run(&["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"]);
        let (code, told) = ping("-c 2 -i 0.01 -W 0.3 10.77.0.1");
        assert_eq!(code, Some(1));
        assert!(told.contains("seq 2: no answer within 0.3 s"), "{told}");
        run(&["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0"]);
        // Who leaves nothing behind: a reply that nobody listens for is a counted drop as ever.
        let summary = gateway.stop();
        assert_eq!(counted(&summary, "ip_echo_replies_heard").first(), Some(&20), "{summary}");
        assert!(counted(&summary, "ip_drop_icmp_unused").is_empty(), "{summary}");
    });
}
