//! What is told of a worker that answers, and of one that does not.

use super::*;
use crate::panel::Panel;
use crate::worker::{Counters, orders};

fn about() -> About {
    let (orders, ordered) = orders().unwrap();
    drop(ordered);
    let (name, cluster) = ("sw \"1\"".to_owned(), "bypss".to_owned());
    let panel = Panel::new(orders, Vec::new());
    About { panel, name, cluster, started_at_s: 1_760_000_000 }
}

fn figure(name: &'static str, value: u64, is_counter: bool) -> Figure {
    let help = switch::Switch::meaning(name).expect("the switch has such a figure");
    Figure { name, help, value, is_counter }
}

fn told() -> Told {
    Told {
        counters: Counters { accepted: 7, received_bytes: 12_345, ..Counters::default() },
        connections: 3,
        partial_len: 100,
        epoch: 1_760_000_000_000,
        grace_left: Duration::ZERO,
        is_leaving: false,
        figures: vec![figure("ports", 42, false), figure("ports_granted", 2, true)],
        loads: vec![Load {
            thread: "worker".to_owned(),
            busy: Duration::from_micros(1_500_000),
            cpu: Duration::from_millis(2_050),
        }],
        each: Vec::new(),
    }
}

#[test]
fn what_is_counted_is_told_in_the_format_of_prometheus() {
    insta::assert_snapshot!(exposition(&about(), Some(&told())).text());
}

#[test]
fn an_address_that_is_not_had_is_told_with_what_would_be_right() {
    // Of the documentation's network, so of nobody.
    let error = Metrics::serve("192.0.2.1:0".parse().unwrap(), about()).unwrap_err();
    assert!(error.to_string().contains("`ip address`"), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Metrics::serve(taken.local_addr().unwrap(), about()).unwrap_err();
    assert!(error.to_string().contains("`ss -ltnp`"), "{error}");
    assert!(mend(&io::ErrorKind::PermissionDenied.into()).contains("above 1023"));
}

#[test]
fn a_worker_that_does_not_answer_is_down() {
    let about = about();
    let Some(Page::Metrics(all)) = page("/metrics", &about) else { panic!("it is right") };
    let metrics = all.text();
    assert!(metrics.contains("bypssd_up 0\n"), "{metrics}");
    assert!(!metrics.contains("bypssd_connections"), "{metrics}");
    for path in ["/livez", "/readyz"] {
        let Some(Page::Unavailable(text)) = page(path, &about) else { panic!("{path} is right") };
        assert_eq!(text, "the worker does not answer: it hangs\n");
    }
    assert!(matches!(page("/", &about), Some(Page::Text(_))));
    assert!(page("/other", &about).is_none());
}

#[test]
fn a_switch_is_ready_when_it_grants() {
    assert!(readiness(&told()).0);
    let grace = Told { grace_left: Duration::from_millis(1_500), ..told() };
    let (is_ready, text) = readiness(&grace);
    assert!(!is_ready && text.contains("1500 ms"), "{text}");
    assert!(!readiness(&Told { is_leaving: true, ..told() }).0);
}

#[test]
fn several_workers_are_told_each_and_together() {
    let one = |accepted| Counters { accepted, ..Counters::default() };
    let told = Told { each: vec![one(3), one(4)], ..told() };
    let text = exposition(&about(), Some(&told)).text();
    for line in [
        "bypssd_worker_accepted_total 7\n",
        "bypssd_each_worker_accepted_total{worker=\"0\"} 3\n",
        "bypssd_each_worker_accepted_total{worker=\"1\"} 4\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
