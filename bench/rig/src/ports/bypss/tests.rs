//! The client against a simple switch: all is right there, and every way to be wrong is seen.

use std::time::Duration;

use super::model::{Fault, serve};
use super::*;
use crate::ports::engine::{Engine, Plan, Shape};
use crate::ports::single::{self, Load, Waiting};
use crate::stop::Stop;

const PORTS: u64 = 5_003;
const LEASE_MS: u32 = 3_000;
const SHAPE: Shape = Shape { connections: 3, window: 2, segment: None };

fn engine(address: SocketAddr) -> Engine<Bypss> {
    let dialect = Bypss::begin(Ports::new(PORTS, 16), address).expect("it welcomes");
    Engine::connect(address, SHAPE, dialect).expect("it welcomes")
}

fn cycle(engine: &mut Engine<Bypss>) -> Result<(), Error> {
    for op in Op::ALL {
        let pass = engine.pass(Plan { op, ports: PORTS, batch: 100 }, &Stop::default())?;
        assert_eq!(pass.ports, PORTS);
        engine.dialect.on_pass();
    }
    Ok(())
}

/// What was wrong after two cycles.
fn wrong(fault: Fault, shards: u8) -> Wrong {
    let mut engine = engine(serve(fault, shards, LEASE_MS));
    for _cycle in 0..2 {
        cycle(&mut engine).expect("every request has an answer");
    }
    engine.dialect.wrong()
}

#[test]
fn all_ports_go_round_twice_without_anything_wrong_in_one_shard_and_in_several() {
    for shards in [1, 2, 7] {
        assert_eq!(wrong(Fault::None, shards), Wrong::default(), "{shards} shards");
    }
}

#[test]
fn session_ends_with_its_ports_given_back() {
    let mut engine = engine(serve(Fault::None, 1, LEASE_MS));
    cycle(&mut engine).expect("every request has an answer");
    engine.into_dialect().end().expect("YIELD and BYE are answered");
}

#[test]
fn every_fault_of_a_switch_is_seen() {
    for shards in [1, 3] {
        assert!(wrong(Fault::Refuses, shards).refused > 0, "{shards} shards");
        assert!(wrong(Fault::Keeps, shards).refused > 0, "{shards} shards");
        for fault in [Fault::WrongOwner, Fault::Forgets] {
            assert!(wrong(fault, shards).mismatched > 0, "{fault:?}, {shards} shards");
        }
        for fault in [Fault::SkipsSequences, Fault::RepeatsSequences] {
            assert!(wrong(fault, shards).sequences > 0, "{fault:?}, {shards} shards");
        }
    }
    assert!(wrong(Fault::WrongShard, 3).sequences > 0);
}

#[test]
fn answer_to_something_else_is_an_error_that_names_the_daemon() {
    let mut engine = engine(serve(Fault::Confuses, 1, LEASE_MS));
    let error = cycle(&mut engine).expect_err("a query is answered like a release");
    assert!(error.to_string().contains("bypssd"), "{error}");
}

#[test]
fn lease_is_renewed_in_time_and_its_end_is_an_error() {
    let address = serve(Fault::None, 1, LEASE_MS);
    let mut dialect = Bypss::begin(Ports::new(1, 16), address).expect("it welcomes");
    let begin = Instant::now();
    let third = Duration::from_millis(u64::from(LEASE_MS) / 3);
    dialect.keep(begin + third / 2).expect("nothing is due");
    // The RELET leaves in the first call; its answer comes some calls later.
    while dialect.session.renewed_at < begin + third {
        dialect.keep(begin + third * 2).expect("it is answered");
    }
    let error = dialect.keep(begin + third * 6).expect_err("three seconds have passed");
    assert!(error.to_string().contains("lease"), "{error}");
}

#[test]
fn single_requests_are_timed_spinning_and_blocking_and_leave_all_ports_free() {
    let address = serve(Fault::None, 1, LEASE_MS);
    for waiting in [Waiting::Spin, Waiting::Block] {
        let mut dialect = Bypss::begin(Ports::new(10, 16), address).expect("it welcomes");
        let load = Load { address, waiting, ports: 10, length: Duration::from_millis(20) };
        let latency_ns = single::run(&load, &mut dialect, &Stop::default()).expect("it answers");
        assert!(latency_ns.len() >= 20, "{} requests", latency_ns.len());
        assert!(latency_ns.min() > 0);
        assert_eq!(dialect.wrong(), Wrong::default());
        dialect.end().expect("the model looks for ports that are left");
    }
}
