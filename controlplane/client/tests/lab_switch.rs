//! Clients at a real switch over TCP: owners, waiting, and what is told of a switch that dies.
#![expect(clippy::wildcard_enum_match_arm, reason = "other events may come between")]

#[path = "shared/switch.rs"]
mod switch;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use client::blocking::Client;
use client::{CallError, Config, Ended, Event, Holder, Over, PortGuard, Registered, RequestError};
use protocol::{ErrorCode, RegisterCode, RegisterFlags, Role};
use switch::{LONG, Switch};

const SECOND: Duration = Duration::from_secs(1);

/// Several shards and several workers.
const SPREAD: &str = "\
    listener = [{ address = \"127.0.0.1:0\" }]\n\
    ports = { planned = 1024, shards = 5 }\n\
    worker = { count = 2 }\n\
    lease = { grace = \"none\" }\n";

fn hold(client: &Client, name: &str) -> PortGuard {
    let ports = client.register(&[name], RegisterFlags::default(), LONG).expect("it answers");
    match ports.into_iter().next() {
        Some(Registered::Granted(guard)) => guard,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_has_one_owner_who_is_found_and_gets_messages() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (switch.client("one"), switch.client("two"));
    find_and_send(&one, &two);
}

#[test]
fn ports_of_several_shards_have_one_owner_each_who_is_found_and_gets_messages() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let Some(switch) = Switch::run(folder.path(), SPREAD) else { return };
    let (one, two) = (switch.client("one"), switch.client("two"));
    find_and_send(&one, &two);
    let client = switch.client("three");
    let names: Vec<String> = (0..100).map(|number| format!("many/{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ports = client.register(&names, RegisterFlags::default(), LONG).expect("it answers");
    let guards: Vec<_> = ports
        .into_iter()
        .map(|port| match port {
            Registered::Granted(guard) => guard,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(guards.len() == 100 && guards.iter().all(PortGuard::is_owner));
    for (name, guard) in names.iter().zip(&guards) {
        match client.owner(name, LONG).expect("it answers") {
            Holder::Owner(owner) => assert_eq!(owner.token, guard.token(), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_call_of_more_names_than_a_batch_may_have_is_split_and_answered_in_its_order() {
    let Some(switch) = Switch::dev_for("32768") else { return };
    let (one, two) = (switch.client("one"), switch.client("two"));
    let names: Vec<String> = (0..25_000).map(|number| format!("many/{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ports = one.register(&names, RegisterFlags::default(), LONG).expect("it answers");
    let granted = |port| match port {
        Registered::Granted(guard) => guard,
        Registered::Failed { code, .. } => panic!("{code:?}"),
    };
    let mut guards: Vec<PortGuard> = ports.into_iter().map(granted).collect();
    let at: Vec<&str> = guards.iter().map(PortGuard::name).collect();
    assert!(at == names, "each where it was asked for");
    for holders in [two.query(&names, LONG), two.subscribe(&names, LONG)] {
        let holders = holders.expect("it answers");
        assert_eq!(holders.len(), names.len());
        for (holder, guard) in holders.iter().zip(&guards) {
            let Holder::Owner(owner) = holder else { panic!("{}: {holder:?}", guard.name()) };
            assert_eq!(owner.token, guard.token(), "{}", guard.name());
        }
    }
    let again = two.register(&names, RegisterFlags::default(), LONG).expect("it answers");
    let is_held =
        |port: &Registered<_>| matches!(port, Registered::Failed { code: RegisterCode::Held, .. });
    assert!(again.len() == names.len() && again.iter().all(is_held));
    let kept = guards.split_off(24_000);
    let codes = one.unregister(guards, LONG).expect("it answers");
    assert!(codes.len() == 24_000 && codes.iter().all(Option::is_none));
    let is_free = |holder: &Holder| matches!(holder, Holder::Free);
    let holders = two.query(&names, LONG).expect("it answers");
    assert_eq!(holders.iter().filter(|holder| is_free(holder)).count(), 24_000);
    assert!(kept.iter().all(PortGuard::is_owner) && one.counters().batches_sent >= 6);
}

#[test]
fn the_last_messages_before_the_end_arrive_and_no_session_is_left() {
    let Some(switch) = Switch::dev() else { return };
    let one = switch.client("one");
    let _guard = hold(&one, "inbox");
    for round in 0_u32..20 {
        let two = switch.client("two");
        let blob = round.to_le_bytes();
        two.send(&[("inbox", &blob)]).expect("there is room");
        two.close();
        loop {
            let event = one.recv(LONG).expect("it is open").expect("the message comes");
            if let Event::Message { blob: came, .. } = event {
                assert_eq!(came, blob);
                break;
            }
        }
    }
    let config = Config { role: Role::Observer, ..Config::new(&switch.address, "observer") };
    let observer = Client::start(config, None).expect("it starts");
    let nodes = observer.nodes(LONG).expect("it answers");
    assert!(nodes.len() == 1 && nodes[0].node == "one", "{nodes:?}");
    let figures = observer.status(LONG).expect("it answers");
    let figure = |key| figures.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
    assert_eq!((figure("sessions_ended"), figure("sessions_replaced")), (Some(20), Some(0)));
}

/// One holds a port; two finds it, sends to it, and has it next.
fn find_and_send(one: &Client, two: &Client) {
    let guard = hold(one, "orders");
    assert!(guard.is_owner() && guard.remaining() > SECOND);
    let ports = two.register(&["orders"], RegisterFlags::default(), LONG).expect("it answers");
    let Registered::Failed { code: RegisterCode::Held, owner: Some(owner) } = &ports[0] else {
        panic!("{ports:?}")
    };
    assert_eq!(&*owner.node, "one");
    let Holder::Owner(owner) = two.owner("orders", LONG).expect("it answers") else {
        panic!("it is held")
    };
    assert_eq!((&*owner.node, owner.token), ("one", guard.token()));
    assert!(two.cached("orders").is_some());
    two.send(&[("orders", b"hello")]).expect("there is room");
    loop {
        match one.recv(LONG).expect("it is open").expect("a message comes") {
            Event::Message { port: Some((name, token)), blob } => {
                assert_eq!((&*name, token, &blob[..]), ("orders", guard.token(), &b"hello"[..]));
                break;
            }
            _other => {}
        }
    }
    drop(guard);
    let next = two.acquire("orders", LONG).expect("it is free");
    assert!(next.is_owner());
    assert!(two.cached("orders").is_none(), "the notice came before the grant");
}

#[test]
fn who_waits_gets_the_port_when_its_owner_ends() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (switch.client("one"), switch.client("two"));
    let guard = hold(&one, "lock");
    let waited = two.acquire("lock", Duration::from_millis(50));
    assert!(waited.is_err(), "{waited:?}");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| two.acquire("lock", LONG));
        std::thread::sleep(Duration::from_millis(100));
        let old = guard.token();
        one.close();
        assert!(!guard.is_owner());
        let next = waiter.join().expect("no panic").expect("it is granted");
        assert!(next.token() > old);
    });
}

#[test]
fn who_waits_keeps_its_place_however_often_it_looks_up() {
    let Some(switch) = Switch::dev() else { return };
    let holder = switch.client("holder");
    let clients = ["first", "second", "third"].map(|node| switch.client(node));
    let mut guard = hold(&holder, "lock");
    let mut places: Vec<_> = Vec::new();
    for client in &clients {
        let mut place = client.queue("lock").expect("it is open");
        assert!(place.wait(SECOND / 10).expect("it is only waited for").is_none());
        places.push(place);
    }
    let twice = clients[0].queue("lock");
    assert!(matches!(twice, Err(CallError::Taken { .. })), "{twice:?}");
    for _round in 0..3 {
        for place in &mut places {
            assert!(place.wait(SECOND / 100).expect("it is only waited for").is_none());
        }
    }
    // Each is granted when the one before it ends, though the later ones ask at every turn.
    while !places.is_empty() {
        drop(guard);
        let mut first = places.remove(0);
        guard = loop {
            let later = places.iter_mut().map(|place| place.wait(SECOND / 100));
            assert!(later.filter_map(Result::ok).flatten().count() == 0, "not its turn");
            if let Some(guard) = first.wait(SECOND / 10).expect("it is only waited for") {
                break guard;
            }
        };
        assert!(guard.is_owner());
    }
}

#[test]
fn a_place_that_is_given_up_is_nobodys_and_the_next_is_granted() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two, three) = (switch.client("one"), switch.client("two"), switch.client("three"));
    let guard = hold(&one, "lock");
    let given_up = two.queue("lock").expect("it is open");
    let mut place = three.queue("lock").expect("it is open");
    assert!(place.wait(SECOND / 10).expect("it is only waited for").is_none());
    drop(given_up);
    let again = two.queue("lock").expect("the place before was given up");
    drop(guard);
    let guard = place.wait(LONG).expect("it is granted").expect("in time");
    assert!(guard.is_owner());
    drop(guard);
    drop(place);
    let mut again = again;
    assert!(again.wait(LONG).expect("it is granted").expect("in time").is_owner());
}

#[test]
fn a_wrong_secret_and_a_wrong_cluster_end_a_client_long_before_its_time_is_over() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("secret");
    std::fs::write(&file, "what only the switches know").expect("the folder is ours");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("so is the file");
    let text = "\
        [[listener]]\naddress = \"127.0.0.1:0\"\n[ports]\nplanned = 1024\n\
        [[access]]\nnode = \"*\"\nproof = \"secret\"\nsecret_file = \"secret\"\n";
    let Some(switch) = Switch::run(folder.path(), text) else { return };
    for secret in [None, Some(b"what somebody else has guessed".to_vec())] {
        let config = Config { secret, ..Config::new(&switch.address, "one") };
        let client = Client::start(config, None).expect("it starts");
        let begun = Instant::now();
        let refused = client.connect(LONG);
        let Err(RequestError::Call(CallError::Over(Over::Refused { code, .. }))) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(code, ErrorCode::Unauthenticated);
        assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    }

    let mut switch = Switch::dev().expect("it was there before");
    let client = switch.client("one");
    switch.kill();
    // A switch of this kind begins a cluster of its own.
    let _other =
        Switch::start(&["dev", "--listen", &switch.address, "--for", "120", "--ports", "1024"]);
    let begun = Instant::now();
    let refused = client.connect(LONG);
    let wrong = RequestError::Call(CallError::Over(Over::WrongCluster));
    assert_eq!(refused, Err(wrong));
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
}

#[test]
fn a_switch_that_is_killed_takes_authority_away_with_the_lease() {
    let Some(mut switch) = Switch::dev() else { return };
    let client = switch.client("one");
    let guard = hold(&client, "a");
    switch.kill();
    while guard.is_owner() {
        match client.recv(LONG).expect("not over yet") {
            Some(Event::Lapsed { ports }) => assert_eq!(ports, 1),
            Some(_other) => {}
            None => panic!("the lease is over by now"),
        }
    }
}

#[test]
fn clients_of_a_switch_that_is_killed_and_started_again_learn_its_epoch() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let text = |tcp_port: &str| {
        format!("[[listener]]\naddress = \"127.0.0.1:{tcp_port}\"\n[ports]\nplanned = 1024\n")
    };
    let Some(mut switch) = Switch::run(folder.path(), &text("0")) else { return };
    let (one, two) = (switch.client("one"), switch.client("two"));
    let guard = hold(&one, "a");
    assert!(matches!(two.owner("a", LONG), Ok(Holder::Owner(_))));
    assert!(two.cached("a").is_some());

    switch.kill();
    let (_host, tcp_port) = switch.address.rsplit_once(':').expect("it has a port");
    let _again = Switch::run(folder.path(), &text(tcp_port)).expect("it was there before");
    for client in [&one, &two] {
        client.connect(LONG).expect("it is back");
    }
    assert!(two.cached("a").is_none(), "no answer of the old master");
    let mut is_told = false;
    while let Some(event) = one.recv(Duration::from_millis(100)).expect("it is not over") {
        is_told |= matches!(event, Event::NewEpoch { ports: 1, .. } | Event::Lapsed { ports: 1 });
    }
    assert!(is_told);
    // While the new master waits for old leases to end, a registration waits with it.
    let next = hold(&one, "a");
    assert!(next.token() > guard.token());
    assert!(!guard.is_owner(), "what the old master granted is over");
    let Ok(Holder::Owner(owner)) = two.owner("a", LONG) else { panic!("it is held") };
    assert_eq!(owner.token, next.token());
}

#[test]
fn an_owner_keeps_its_port_over_a_restart_for_the_rest_of_its_lease_and_the_next_comes_after() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let text = |tcp_port: &str| {
        format!("[[listener]]\naddress = \"127.0.0.1:{tcp_port}\"\n[ports]\nplanned = 1024\n")
    };
    let Some(mut switch) = Switch::run(folder.path(), &text("0")) else { return };
    let (one, two) = (switch.client("one"), switch.client("two"));
    let guard = hold(&one, "a");
    switch.kill();
    let left = guard.remaining();
    let deadline = Instant::now() + left;
    assert!(left > SECOND, "a lease of three seconds is renewed each second");
    let (_host, tcp_port) = switch.address.rsplit_once(':').expect("it has a port");
    let _again = Switch::run(folder.path(), &text(tcp_port)).expect("it was there before");
    for client in [&one, &two] {
        client.connect(LONG).expect("it is back");
    }
    assert!(guard.is_owner() && guard.is_running_out(), "the new master waits for it");
    let mut place = two.queue("a").expect("it is open");
    while guard.is_owner() {
        assert!(Instant::now() < deadline + SECOND / 20, "its lease is never longer");
        let granted = place.wait(SECOND / 100).expect("it is only waited for");
        assert!(granted.is_none_or(|_next| !guard.is_owner()), "two owners");
    }
    assert!(Instant::now() + SECOND / 20 > deadline, "nor shorter");
    assert_eq!(guard.ended(), Some(Ended::Lapsed));
    let next = place.wait(LONG).expect("it is granted").expect("in time");
    assert!(next.is_owner() && next.token() > guard.token());
    let mut told = Vec::new();
    while let Some(event) = one.recv(SECOND / 10).expect("it is not over") {
        match event {
            Event::NewEpoch { ports, .. } => told.push(("epoch", ports)),
            Event::Lapsed { ports } => told.push(("lapsed", ports)),
            _other => {}
        }
    }
    assert_eq!(told, [("epoch", 1), ("lapsed", 1)]);
}

#[test]
fn clients_go_where_a_switch_that_ends_sends_them_also_if_nobody_is_there_yet() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder for the test"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let next = free.local_addr().expect("it is bound").to_string();
    drop(free);
    let at = |address: &str| {
        format!("listener = [{{ address = \"{address}\" }}]\nlease = {{ grace = \"none\" }}\n")
    };
    let first = format!("{}stop = {{ hint = \"{next}\" }}\n", at("127.0.0.1:0"));
    let Some(mut first) = Switch::run(folders[0].path(), &first) else { return };
    let client = first.client("one");
    let _held = hold(&client, "before");
    first.stop();
    std::thread::sleep(Duration::from_millis(300));
    let Some(_second) = Switch::run(folders[1].path(), &at(&next)) else { return };
    client.connect(LONG).expect("it is found");
    assert!(hold(&client, "after").is_owner());
}

#[test]
fn a_registration_that_waits_and_is_not_answered_in_time_is_not_waited_for_at_the_switch() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two, three) = (switch.client("one"), switch.client("two"), switch.client("three"));
    let guard = hold(&one, "lock");
    let flags = RegisterFlags { subscribe: false, wait: true };
    let late = two.register(&["lock"], flags, Duration::ZERO);
    assert!(matches!(late, Err(RequestError::TimedOut { .. })), "{late:?}");
    let mut place = three.queue("lock").expect("it is open");
    // What one connection says of one name arrives in order.
    two.query(&["lock"], LONG).expect("it answers");
    drop(guard);
    assert!(place.wait(LONG).expect("it is granted").expect("in time").is_owner());
    assert_eq!(two.counters().grants, 0, "it had no place any more");
}

#[test]
fn who_cancels_what_a_registration_waits_for_gets_nothing_of_it() {
    let Some(switch) = Switch::dev() else { return };
    let (one, two) = (switch.client("one"), switch.client("two"));
    let (first, second) = (hold(&one, "first"), hold(&one, "second"));
    let flags = RegisterFlags { subscribe: false, wait: true };
    let ports = two.register(&["first", "second"], flags, LONG).expect("it answers");
    let is_waiting = |port: &Registered<_>| {
        matches!(port, Registered::Failed { code: RegisterCode::Waiting, .. })
    };
    assert!(ports.iter().all(is_waiting), "{ports:?}");
    let again = two.register(&["first"], flags, LONG);
    assert!(matches!(again, Err(RequestError::Call(CallError::Taken { .. }))), "{again:?}");
    let mut place = two.queue("third").expect("it is open");
    two.cancel_wait(&["first", "third"]).expect("it is open");
    two.query(&["first"], LONG).expect("it answers after the cancel");
    drop((first, second));
    let granted = loop {
        match two.recv(LONG).expect("it is open").expect("a grant comes") {
            Event::Granted(guard) => break guard,
            _other => {}
        }
    };
    assert_eq!(granted.name(), "second");
    let third = place.wait(LONG).expect("a place is ended by who has it").expect("in time");
    assert!(third.is_owner());
    let first = hold(&one, "first");
    assert!(first.is_owner() && two.counters().grants == 2);
}
