//! What the tools say of packets that no core has seen, and of a device that is gone.
#![allow(clippy::print_stdout, reason = "what was seen is told")]

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{
    Gateway, PATIENCE, abelectl, ask_tool, beside_gateway, configuration, in_lab, run,
    run_beside_gateway, text,
};

/// Asks until what the tool says holds, and says it.
fn told(mut ask: impl FnMut() -> String, holds: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = ask();
        if holds(&said) {
            return said;
        }
        assert!(Instant::now() < deadline, "it never says so: {said}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_the_xdp_program_drops_is_among_the_drops_and_the_device_is_described() {
    in_lab(
        "tools::what_the_xdp_program_drops_is_among_the_drops_and_the_device_is_described",
        || {
            let Some(tool) = abelectl() else { return };
            run(&["ip", "address", "add", "198.18.0.8/32", "dev", "abele1"]);
            let sections = "[[route]]\ndestination = \"198.18.0.0/15\"\ngateway = \"10.77.0.1\"\n\
                        [access]\ndeny = [\"198.18.0.0/15\"]\n[workers]\ncount = 2";
            let gateway = Gateway::start(&configuration("", sections));
            let pings =
                ["ping", "-c", "20", "-i", "0.01", "-W", "0.1", "-I", "198.18.0.8", "10.77.0.2"];
            let pinged = Command::new(pings[0]).args(&pings[1..]).output();
            assert!(
                !pinged.expect("it is installed").status.success(),
                "a denied source is answered"
            );
            let drops = told(|| ask_tool(&tool, &gateway, &["drops"]), |said| said.contains(" 20"));
            println!("{drops}");
            assert!(drops.contains("xdp.denied"), "{drops}");
            let stats = ask_tool(&tool, &gateway, &["stats", "--all"]);
            println!("{stats}");
            for fact in ["driver  ", "xdp ", "native", "rings ", "need-wakeup on"] {
                assert!(stats.contains(fact), "{fact} is not told: {stats}");
            }
            // Its own program is no warning; other findings may be, and say so by the exit code.
            let mut doctor = beside_gateway(&tool.to_string_lossy());
            let found = doctor.args(["doctor", "--interface", "abele0"]).output();
            let found = text(&found.expect("nsenter is there").stdout);
            let ours = format!("of gateway {} runs in the driver", gateway.instance());
            assert!(found.contains(&ours), "{found}");
            for counter in ["device.rx_ring_full", "xdp.redirect_arp", "pool.frames_home"] {
                assert!(stats.contains(counter), "{counter} is not told: {stats}");
            }
        },
    );
}

/// Deletes the interface under a gateway whose cores do `idle`.
fn delete_under(idle: &str) {
    let sections = format!("[workers]\ncount = 2\nidle = \"{idle}\"");
    let mut gateway = Gateway::start(&configuration("", &sections));
    run_beside_gateway(&["ip", "link", "delete", "abele0"]);
    let (code, log) = gateway.ended();
    println!("{log}");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("abele0 is gone"), "{log}");
}

#[test]
fn a_deleted_interface_ends_a_gateway_that_waits() {
    in_lab("tools::a_deleted_interface_ends_a_gateway_that_waits", || delete_under("wait"));
}

#[test]
fn a_deleted_interface_ends_a_gateway_that_adapts() {
    in_lab("tools::a_deleted_interface_ends_a_gateway_that_adapts", || delete_under("adaptive"));
}

#[test]
fn a_deleted_interface_ends_a_gateway_that_spins() {
    in_lab("tools::a_deleted_interface_ends_a_gateway_that_spins", || delete_under("spin"));
}
