//! The report as tables and JSON, read as text.

use super::*;

#[derive(Serialize)]
struct Args {
    queue: &'static str,
    connections: u32,
}

fn figures(values: &[(&'static str, &'static str, f64)]) -> Figures {
    let mut figures = Figures::default();
    for &(name, unit, value) in values {
        figures.record(name, unit, value);
    }
    figures
}

fn report() -> Report<Args> {
    let mut ours =
        figures(&[("transactions_per_s_core", "/s", 3_000_000.4), ("p50_ns", "ns", 9.5)]);
    ours.record("transactions_per_s_core", "/s", 2_000_000.0);
    ours.record("transactions_per_s_core", "/s", 4_000_000.0);
    let peers = vec![Peer {
        name: "kernel-epoll",
        version: "6.18".to_owned(),
        flags: "spinning".to_owned(),
        figures: figures(&[("transactions_per_s_core", "/s", 250_000.0)]),
    }];
    Report {
        bench: "rr",
        args: Args { queue: "mem", connections: 100 },
        ratios: Ratios::of("transactions_per_s_core", &ours, &peers),
        figures: ours,
        checks: Checks::default().must_be_zero("bytes_lost", 0).note("retransmits", 2),
        limits: figures(&[("random_lines_per_s", "/s", 6e7)]),
        peers,
        rounds: 3,
        machine: Machine {
            cpu: "Xeon".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "6.18".to_owned(),
        },
        commit: "unknown",
        notes: vec!["closed loop".to_owned()],
    }
}

#[test]
fn json_has_the_agreed_keys_in_their_order_and_medians_as_values() {
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&report()).expect("every key is a string"),
        @r#"
    {
      "bench": "rr",
      "args": {
        "queue": "mem",
        "connections": 100
      },
      "figures": {
        "transactions_per_s_core": 3000000,
        "p50_ns": 9.5
      },
      "checks": {
        "ok": true,
        "bytes_lost": 0,
        "retransmits": 2
      },
      "limits": {
        "random_lines_per_s": 60000000
      },
      "peers": [
        {
          "name": "kernel-epoll",
          "version": "6.18",
          "flags": "spinning",
          "figures": {
            "transactions_per_s_core": 250000
          }
        }
      ],
      "ratios": {
        "transactions_per_s_core": {
          "kernel-epoll": 12
        }
      },
      "rounds": 3,
      "machine": {
        "cpu": "Xeon",
        "cores": 2,
        "memory_bytes": 25769803776,
        "kernel": "6.18"
      },
      "commit": "unknown"
    }
    "#
    );
}

#[test]
fn table_shows_medians_with_their_spread() {
    insta::assert_snapshot!(report().table(), @r#"
    rr {"queue":"mem","connections":100}, 3 rounds
    figures
      transactions_per_s_core               3 000 000 /s   [2 000 000 .. 4 000 000]
      p50_ns                                      9.5 ns   [9.5 .. 9.5]
    kernel-epoll 6.18 (spinning)
      transactions_per_s_core                 250 000 /s   [250 000 .. 250 000]
    transactions_per_s_core, ours / kernel-epoll: 12
    limits of this machine
      random_lines_per_s                   60 000 000 /s   [60 000 000 .. 60 000 000]
    result right, bytes_lost 0, retransmits 2
    note: closed loop
    Xeon, 2 cores, 24 GiB, Linux 6.18, commit unknown
    "#);
}

#[test]
fn median_of_an_even_number_of_rounds_is_the_mean_of_the_middle() {
    let mut figures = figures(&[("x", "", 4.0)]);
    for value in [1.0, 100.0, 2.0] {
        figures.record("x", "", value);
    }
    let spread = figures.iter().next().expect("it was recorded").spread();
    assert_eq!((spread.min, spread.median, spread.max), (1.0, 3.0, 100.0));
}

#[test]
fn numbers_are_whole_from_a_hundred_and_grouped_for_people() {
    let text = |value| serde_json::to_string(&Number(value)).expect("a number");
    assert_eq!(text(0.0), "0");
    assert_eq!(text(0.12345), "0.123");
    assert_eq!(text(99.9999), "100");
    assert_eq!(text(123_456.7), "123457");
    assert_eq!(Number(1_234_567.0).grouped(), "1 234 567");
    assert_eq!(Number(12.5).grouped(), "12.5");
}

#[test]
fn ratio_to_a_peer_without_the_figure_is_left_out() {
    let ours = figures(&[("x", "", 4.0)]);
    let mut peer = report().peers.remove(0);
    peer.figures = Figures::default();
    let ratios = Ratios::of("x", &ours, &[peer]);
    assert_eq!(serde_json::to_string(&ratios).expect("a map"), "{}");
}

#[test]
fn one_wrong_count_makes_the_checks_wrong() {
    assert!(!Checks::default().must_be_zero("a", 1).must_be_zero("b", 0).is_ok());
    assert!(Checks::default().must_be_zero("a", 0).note("b", 1).is_ok());
}
