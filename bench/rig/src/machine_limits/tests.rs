//! Every limit finds its own wrong result.

use super::*;

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn empty_call_costs_time_and_names_one_parent() {
    let measured = kernel::system_call(SHORT, &Stop::default()).expect("nobody stops it");
    assert!(measured.value > 0.0 && measured.wrong == 0, "{measured:?}");
}

#[test]
fn two_cores_agree_on_what_they_told_each_other() {
    let placement = cores::placement(Cores::Two);
    let Ok(placement) = placement else {
        eprintln!("SKIPPED: one core is allowed here, this takes two");
        return;
    };
    let (other, stop) = (placement.client, Stop::default());
    let measured = on_core(placement.server, || {
        Ok([
            pair::line_round_trip(other, SHORT, &stop)?,
            pair::ring_items(other, SHORT, &stop)?,
            kernel::eventfd_wake(other, SHORT, &stop)?,
        ])
    });
    for measured in measured.expect("nobody stops it") {
        assert!(measured.value > 0.0 && measured.wrong == 0, "{measured:?}");
    }
}

#[test]
fn core_that_does_not_exist_is_an_error_and_no_hang() {
    let (nowhere, stop) = (CoreId { id: 1_000 }, Stop::default());
    assert!(matches!(pair::line_round_trip(nowhere, SHORT, &stop), Err(Error::Lacks { .. })));
    assert!(matches!(pair::ring_items(nowhere, SHORT, &stop), Err(Error::Lacks { .. })));
    assert!(matches!(kernel::eventfd_wake(nowhere, SHORT, &stop), Err(Error::Lacks { .. })));
}

#[test]
fn wrong_results_add_up_over_the_rounds_and_are_named() {
    let mut collected = Collected::default();
    for wrong in [0, 1, 2] {
        collected.add("x", "/s", Measured { value: 1.0, wrong });
    }
    let checks = serde_json::to_string(&collected.checks()).expect("a map");
    assert_eq!(checks, r#"{"ok":false,"x":3,"results_checked":1}"#);
}
