//! The client for tasks on tokio, at a real switch: many tasks, `select!`, and futures that end early.
#![forbid(unsafe_code)]

#[expect(dead_code, reason = "its main has a loop without an end")]
#[path = "../examples/lead.rs"]
mod lead;
#[path = "shared/switch.rs"]
mod switch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::future::Client;
use client::{
    CallError, Config, Event, Holder, Over, PortGuard, Registered, RequestError, Trouble,
};
use protocol::{RegisterCode, RegisterFlags};
use switch::{LONG, Switch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const NONE: RegisterFlags = RegisterFlags { subscribe: false, wait: false };
const WAIT: RegisterFlags = RegisterFlags { subscribe: false, wait: true };

async fn start(switch: &Switch, node: &str) -> Arc<Client> {
    let client = Client::start(Config::new(&switch.address, node), None).expect("it starts");
    in_time(client.connect()).await.expect("the switch is there");
    Arc::new(client)
}

async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("it ends in time")
}

async fn hold(client: &Client, name: &str) -> PortGuard {
    let ports = in_time(client.register(&[name], NONE)).await.expect("it answers");
    match ports.into_iter().next() {
        Some(Registered::Granted(guard)) => guard,
        other => panic!("{other:?}"),
    }
}

/// What a switch would have sent by then has come, and what was given up has arrived there.
async fn settle(client: &Client, name: &str) {
    in_time(client.query(&[name])).await.expect("it answers");
}

/// The release of a dropped guard leaves with the thread's next turn.
async fn until_free(client: &Client, name: &str) {
    loop {
        let holders = in_time(client.query(&[name])).await.expect("it answers");
        if matches!(holders[..], [Holder::Free]) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Two tasks of one client do not wait for one port: the later one is told so, and tries again.
async fn acquire(client: &Client) -> PortGuard {
    loop {
        match client.acquire("lock").await {
            Ok(guard) => return guard,
            Err(
                RequestError::Call(CallError::Taken { .. })
                | RequestError::NotGranted { code: RegisterCode::Mine, .. },
            ) => sleep(Duration::from_millis(1)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_tasks_have_one_lock_one_after_the_other() {
    let Some(switch) = Switch::dev() else { return };
    let clients = [start(&switch, "one").await, start(&switch, "two").await];
    let mut tasks = JoinSet::new();
    for task in 0..100 {
        let client = Arc::clone(&clients[task % 2]);
        tasks.spawn(async move {
            let guard = acquire(&client).await;
            assert!(guard.is_owner());
            tokio::task::yield_now().await;
            assert!(guard.is_owner(), "nobody has it meanwhile");
            guard.token()
        });
    }
    let mut tokens = in_time(tasks.join_all()).await;
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 100, "each had a grant of its own");
    in_time(until_free(&clients[0], "lock")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_that_are_dropped_at_any_moment_leave_nothing_held_and_nothing_waited_for() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (start(&switch, "one").await, start(&switch, "two").await);
    for round in 0..200_u64 {
        // From before the request leaves to long after its answer came.
        let pause = Duration::from_micros(round * 5);
        let guards = [hold(&one, "registered").await, hold(&one, "acquired").await];
        let mut ends = 0;
        ends += u32::from(timeout(pause, two.register(&["registered", "a"], WAIT)).await.is_err());
        ends += u32::from(timeout(pause, two.acquire("acquired")).await.is_err());
        ends += u32::from(timeout(pause, two.register(&["b"], NONE)).await.is_err());
        assert!(ends > 0, "what another holds is not acquired");
        // Half of the time it is granted while it is being given up.
        if round % 2 == 0 {
            settle(&two, "acquired").await;
        }
        drop(guards);
        two.cancel_wait(&["registered"]).expect("it is open");
        for name in ["registered", "acquired", "a", "b"] {
            settle(&two, name).await;
            in_time(until_free(&one, name)).await;
        }
    }
    let counters = two.counters();
    assert!(counters.grants >= 200, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_keeps_its_turn_over_select_and_time_outs() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (start(&switch, "one").await, start(&switch, "two").await);
    let three = start(&switch, "three").await;
    let guard = hold(&one, "lock").await;
    let mut first = two.queue("lock").expect("it is open");
    settle(&two, "lock").await;
    let mut second = three.queue("lock").expect("it is open");
    settle(&three, "lock").await;
    let mut messages = 0;
    while messages < 20 {
        let sender = three.send_many(&["lock"], b"to its owner");
        tokio::select! {
            granted = first.wait() => panic!("{granted:?}"),
            granted = second.wait() => panic!("{granted:?}"),
            sent = sender => messages += sent.expect("it answers").delivered,
        }
        assert!(timeout(Duration::from_micros(100), first.wait()).await.is_err());
    }
    drop(guard);
    let guard = in_time(async {
        tokio::select! {
            granted = first.wait() => granted.expect("it is granted"),
            granted = second.wait() => panic!("it is not its turn: {granted:?}"),
        }
    })
    .await;
    assert!(guard.is_owner());
    drop(guard);
    assert!(in_time(second.wait()).await.expect("it is granted").is_owner());
}

#[tokio::test]
async fn an_event_is_taken_by_the_task_that_gets_it_and_by_none_that_was_dropped() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (start(&switch, "one").await, start(&switch, "two").await);
    let _guard = hold(&one, "a").await;
    let mut heard = Vec::new();
    for number in 0..100_u8 {
        two.send(&[("a", &[number])]).expect("there is room");
        // Most of these end before the message is there.
        if let Ok(event) = timeout(Duration::from_micros(50), one.recv()).await {
            heard.push(event.expect("it is not over"));
        }
    }
    let is_message = |event: &Event<PortGuard>| matches!(event, Event::Message { .. });
    while heard.iter().filter(|event| is_message(event)).count() < 100 {
        heard.push(in_time(one.recv()).await.expect("it is not over"));
    }
    let blobs = heard.into_iter().filter_map(|event| match event {
        Event::Message { blob, .. } => Some(blob[0]),
        Event::Granted(_)
        | Event::WaitFailed { .. }
        | Event::Gone { .. }
        | Event::SubscriptionsLost
        | Event::NewEpoch { .. }
        | Event::Lapsed { .. }
        | Event::Connected { .. }
        | Event::Disconnected
        | Event::Watched { .. } => None,
    });
    assert!(blobs.eq(0..100), "each once, in their order");
}

async fn until_over(client: &Client) -> Over {
    loop {
        if let Err(over) = client.recv().await {
            return over;
        }
    }
}

#[tokio::test]
async fn every_task_is_told_of_the_end_of_its_client() {
    let Some(mut switch) = Switch::dev() else { return };
    let client = start(&switch, "one").await;
    let _guard = hold(&client, "a").await;
    let other = start(&switch, "two").await;
    let _held = hold(&other, "b/held by another").await;
    let mut tasks = JoinSet::new();
    for task in 0..3 {
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            match task {
                0 => client.acquire("b/held by another").await.map(drop),
                1 => client.query(&["a"]).await.map(drop),
                _ => Err(until_over(&client).await.into()),
            }
        });
    }
    // They have begun.
    settle(&client, "a").await;
    switch.kill();
    let _again =
        Switch::start(&["dev", "--listen", &switch.address, "--for", "120", "--ports", "1024"]);
    let ends = in_time(tasks.join_all()).await;
    let wrong = RequestError::from(Over::WrongCluster);
    assert!(ends.iter().filter(|end| **end == Err(wrong.clone())).count() >= 2, "{ends:?}");
    assert_eq!(in_time(client.connect()).await, Err(wrong));
}

#[tokio::test]
async fn a_connect_without_a_time_of_its_own_ends_where_no_time_would_help() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _address) = listener.accept().expect("a client comes");
        std::io::Write::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.9\r\n").expect("it listens");
        stream
    });
    let client = Client::start(Config::new(&address, "n"), None).expect("it starts");
    let begun = Instant::now();
    let unreached = in_time(client.connect()).await;
    let Err(RequestError::Unreached { trouble: Trouble::Nonsense { endpoint, .. } }) = unreached
    else {
        panic!("{unreached:?}")
    };
    assert_eq!(endpoint, address);
    assert!(begun.elapsed() < Duration::from_secs(2));
    server.join().expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_leads_and_hands_over() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (start(&switch, "one").await, start(&switch, "two").await);
    let (first, second) = in_time(async { tokio::join!(lead::lead(&one), lead::lead(&two)) }).await;
    assert_eq!((first.expect("it leads"), second.expect("it leads")), (10, 10));
    in_time(until_free(&one, "example/leader")).await;
}
