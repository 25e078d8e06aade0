//! The client for tasks at a real switch, on an executor that has nothing of its own.

#[path = "shared/switch.rs"]
mod switch;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use client::future::Client;
use client::{CallError, Config, Event, Holder, PortGuard, Registered, RequestError};
use protocol::{DropState, GoneReason, RegisterFlags, Role};
use switch::{LONG, Switch};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}

/// Runs a future to its end, which must come.
fn run<F: Future>(future: F) -> F::Output {
    let (mut future, waker, begun) = (pin!(future), waker(), Instant::now());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park_timeout(LONG);
        assert!(begun.elapsed() < LONG, "nothing has woken it");
    }
}

/// Polls once; nothing is there yet.
fn poll_once<F: Future>(future: Pin<&mut F>) {
    let polled = future.poll(&mut Context::from_waker(&waker()));
    assert!(polled.is_pending(), "nothing is there yet");
}

fn start(switch: &Switch, node: &str) -> Client {
    let client = Client::start(Config::new(&switch.address, node), None).expect("it starts");
    run(client.connect()).expect("the switch is there");
    client
}

async fn hold(client: &Client, name: &str) -> PortGuard {
    let ports = client.register(&[name], RegisterFlags::default()).await.expect("it answers");
    match ports.into_iter().next() {
        Some(Registered::Granted(guard)) => guard,
        other => panic!("{other:?}"),
    }
}

/// The next event that is of interest.
async fn recv<T>(client: &Client, pick: impl Fn(Event<PortGuard>) -> Option<T>) -> T {
    loop {
        if let Some(picked) = pick(client.recv().await.expect("it is not over")) {
            return picked;
        }
    }
}

fn message(event: Event<PortGuard>) -> Option<(String, Vec<u8>)> {
    let Event::Message { port, blob } = event else { return None };
    Some((port.map_or_else(|| "*".to_owned(), |(name, _token)| name.to_string()), blob))
}

#[test]
fn a_task_holds_ports_and_is_told_when_others_go_away() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (start(&switch, "one"), start(&switch, "two"));
    run(async {
        let guards = vec![hold(&one, "a").await, hold(&one, "b").await];
        assert!(guards.iter().all(PortGuard::is_owner));
        let holders = two.query(&["a", "c"]).await.expect("it answers");
        assert!(
            matches!(&holders[..], [Holder::Owner(owner), Holder::Free] if &*owner.node == "one")
        );
        two.subscribe(&["a", "b"]).await.expect("it answers");
        assert!(matches!(two.owner("a").await, Ok(Holder::Owner(_))));
        assert!(two.cached("a").is_some());
        two.unsubscribe(&["b"]).expect("there is room");
        let token = guards[0].token();
        let codes = one.unregister(guards).await.expect("it answers");
        assert_eq!(codes, [None, None]);
        let gone = |event| match event {
            Event::Gone { name, token, reason } => Some((name, token, reason)),
            Event::Message { .. }
            | Event::Granted(_)
            | Event::WaitFailed { .. }
            | Event::SubscriptionsLost
            | Event::NewEpoch { .. }
            | Event::Lapsed { .. }
            | Event::Connected { .. }
            | Event::Disconnected
            | Event::Watched { .. } => None,
        };
        assert_eq!(recv(&two, gone).await, ("a".into(), token, GoneReason::Released));
        assert!(two.cached("a").is_none());
        assert!(hold(&two, "a").await.is_owner());
    });
    assert!(one.counters().grants == 2);
    one.close();
}

#[test]
fn a_task_may_name_more_ports_than_a_batch_may_have() {
    let Some(switch) = Switch::dev_for("32768") else { return };
    let (one, two) = (start(&switch, "one"), start(&switch, "two"));
    let names: Vec<String> = (0..25_000).map(|number| format!("many/{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    run(async {
        let ports = one.register(&names, RegisterFlags::default()).await.expect("it answers");
        let granted = |port| match port {
            Registered::Granted(guard) => guard,
            Registered::Failed { code, .. } => panic!("{code:?}"),
        };
        let guards: Vec<PortGuard> = ports.into_iter().map(granted).collect();
        let holders = two.query(&names).await.expect("it answers");
        assert_eq!((guards.len(), holders.len()), (names.len(), names.len()));
        for (holder, guard) in holders.iter().zip(&guards) {
            let Holder::Owner(owner) = holder else { panic!("{}: {holder:?}", guard.name()) };
            assert_eq!(owner.token, guard.token(), "{}", guard.name());
        }
        let codes = one.unregister(guards).await.expect("it answers");
        assert!(codes.len() == names.len() && codes.iter().all(Option::is_none));
    });
}

#[test]
fn messages_are_sent_counted_to_many_and_to_all() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (start(&switch, "one"), start(&switch, "two"));
    run(async {
        let _guards = [hold(&one, "a").await, hold(&one, "b").await];
        two.send(&[("a", b"1")]).expect("there is room");
        assert_eq!(recv(&one, message).await, ("a".to_owned(), b"1".to_vec()));
        let sent = two.send_counted(&[("a", b"2"), ("nobody", b"3")]).await.expect("it answers");
        assert_eq!((sent.delivered, sent.nobody), (1, 1));
        assert_eq!(recv(&one, message).await, ("a".to_owned(), b"2".to_vec()));
        assert_eq!(two.send_many(&["a", "b"], b"4").await.expect("it answers").delivered, 2);
        assert_eq!(recv(&one, message).await.1, b"4");
        assert_eq!(recv(&one, message).await.1, b"4");
        assert_eq!(two.broadcast(b"5").await.expect("it answers").delivered, 1);
        assert_eq!(recv(&one, message).await, ("*".to_owned(), b"5".to_vec()));
    });
}

#[test]
fn an_operator_lists_watches_and_drops() {
    let Some(switch) = Switch::dev() else { return };
    let one = start(&switch, "one");
    let config = Config { role: Role::Operator, ..Config::new(&switch.address, "operator") };
    let operator = Client::start(config, None).expect("it starts");
    run(async {
        operator.watch("p").await.expect("it answers");
        let guard = hold(&one, "p").await;
        let watched = |event| match event {
            Event::Watched { name, node, .. } => Some((name, node)),
            Event::Message { .. }
            | Event::Granted(_)
            | Event::WaitFailed { .. }
            | Event::Gone { .. }
            | Event::SubscriptionsLost
            | Event::NewEpoch { .. }
            | Event::Lapsed { .. }
            | Event::Connected { .. }
            | Event::Disconnected => None,
        };
        assert_eq!(recv(&operator, watched).await, ("p".to_owned(), "one".to_owned()));
        let (ports, next) = operator.ports("p", 0).await.expect("it answers");
        assert!(next == 0 && ports.len() == 1 && ports[0].node == "one", "{ports:?}");
        let nodes = operator.nodes().await.expect("it answers");
        assert!(nodes.iter().any(|node| node.node == "one" && node.ports == 1), "{nodes:?}");
        let asked = operator.query_node(&["one"]).await.expect("it answers");
        assert_eq!(asked[0].ports, 1);
        let figures = operator.status().await.expect("it answers");
        assert!(figures.iter().any(|(key, value)| key == "sessions" && *value == 1), "{figures:?}");
        assert_eq!(operator.drop_node("one").await.expect("it answers"), DropState::Drains);
        let over = loop {
            if let Err(over) = one.recv().await {
                break over;
            }
        };
        assert_eq!(over, client::Over::Dropped);
        assert!(!guard.is_owner());
        assert!(matches!(one.query(&["p"]).await, Err(RequestError::Call(_))));
    });
}

#[test]
fn a_future_that_is_dropped_gives_up_its_place_and_the_next_task_is_granted() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two, three) = (start(&switch, "one"), start(&switch, "two"), start(&switch, "three"));
    let guard = run(hold(&one, "lock"));
    {
        let mut dropped = pin!(two.acquire("lock"));
        poll_once(dropped.as_mut());
    }
    let mut next = pin!(three.acquire("lock"));
    poll_once(next.as_mut());
    // A question on the same connection is answered after the registration before it.
    run(three.query(&["lock"])).expect("it answers");
    drop(guard);
    let guard = run(next).expect("it is granted");
    assert!(guard.is_owner());
}

#[test]
fn a_registration_that_is_dropped_before_its_answer_is_not_waited_for_at_the_switch() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two, three) = (start(&switch, "one"), start(&switch, "two"), start(&switch, "three"));
    let guard = run(hold(&one, "lock"));
    let flags = RegisterFlags { subscribe: false, wait: true };
    {
        let mut dropped = pin!(two.register(&["lock"], flags));
        poll_once(dropped.as_mut());
        // The answer that it waits is there, and nobody takes it.
        run(two.query(&["lock"])).expect("it answers");
    }
    let mut next = pin!(three.acquire("lock"));
    poll_once(next.as_mut());
    run(two.query(&["lock"])).expect("it answers");
    drop(guard);
    assert!(run(next).expect("it is granted").is_owner());
    assert_eq!(two.counters().grants, 0, "it had no place any more");
}

#[test]
fn a_place_in_the_queue_is_kept_over_futures_that_are_dropped() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two, three) = (start(&switch, "one"), start(&switch, "two"), start(&switch, "three"));
    let guard = run(hold(&one, "lock"));
    let mut place = two.queue("lock").expect("it is open");
    assert!(matches!(two.queue("lock"), Err(CallError::Taken { .. })));
    run(two.query(&["lock"])).expect("it answers");
    let mut later = three.queue("lock").expect("it is open");
    for _turn in 0..3 {
        poll_once(pin!(place.wait()).as_mut());
        poll_once(pin!(later.wait()).as_mut());
    }
    drop(guard);
    let guard = run(place.wait()).expect("it is granted");
    assert!(guard.is_owner());
    poll_once(pin!(later.wait()).as_mut());
    // A place that is dropped with its grant in it gives that back too.
    drop(guard);
    while three.counters().grants == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    drop(later);
    assert!(run(two.acquire("lock")).expect("it is free").is_owner());
}

#[test]
fn every_task_that_waits_for_events_is_woken() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (start(&switch, "one"), start(&switch, "two"));
    let _guard = run(hold(&one, "a"));
    thread::scope(|scope| {
        let tasks = [(); 3].map(|()| scope.spawn(|| run(recv(&one, message)).1));
        thread::sleep(Duration::from_millis(100));
        for blob in [b"1", b"2", b"3"] {
            two.send(&[("a", blob)]).expect("there is room");
        }
        let mut blobs = tasks.map(|task| task.join().expect("no panic"));
        blobs.sort();
        assert_eq!(blobs, [b"1", b"2", b"3"]);
    });
}
