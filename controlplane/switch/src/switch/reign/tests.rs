//! Switches that come after others, and lists that change under those who are in.

use base::{Duration, Instant};
use protocol::{
    Answer, Batch, ClusterId, Epoch, ErrorCode, Framing, Greeting, Hello, Holder, Incoming,
    IncomingBody, Limits, Name, Nonce, RegisterFlags, RequestKind, Role, SessionId, VERSION,
};

use crate::{
    AccessEntry, ConnId, Identity, NodePattern, Peer, Prefixes, Proof, Quota, Switch, SwitchConfig,
};

const GRACE: Duration = Duration::from_millis(3_007);

fn entry(node: &str, proof: Proof, role: Role) -> AccessEntry {
    AccessEntry {
        nodes: NodePattern::parse(node),
        proof,
        role,
        register: Prefixes::any(),
        send: Prefixes::any(),
        query: Prefixes::any(),
        quota: Quota::default(),
    }
}

fn switch(access: Vec<AccessEntry>) -> Switch {
    let config = SwitchConfig {
        grace: GRACE,
        connections_max: 8,
        sessions_max: 8,
        ports_planned: 1_024,
        ports_max: 1_024,
        access,
        ..SwitchConfig::new()
    };
    let (cluster, epoch) = (ClusterId([7; 16]), Epoch(1_000));
    let name = "switch".to_owned();
    let identity = Identity { cluster, epoch, map_version: 0, groups: 1, group: 0, name };
    Switch::new(config, identity, [9; 32], at(0)).expect("it is right")
}

fn open() -> Switch {
    switch(vec![entry("*", Proof::Loopback, Role::Operator)])
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000_000) + Duration::from_millis(millis)
}

/// What the switch has for a connection, taken whole.
fn taken(switch: &mut Switch, conn: u32, now: Instant) -> Vec<u8> {
    let mut taken = Vec::new();
    while switch.next_dirty().is_some() {}
    loop {
        let out = switch.outgoing(ConnId(conn)).to_vec();
        if out.is_empty() {
            return taken;
        }
        switch.handle_sent(ConnId(conn), out.len(), now);
        taken.extend(out);
    }
}

/// The last frame of those.
fn last<T>(bytes: &[u8], read: impl FnOnce(&IncomingBody<'_>) -> T) -> T {
    let (mut rest, mut last) = (bytes, None);
    while let Ok(Framing::Whole { frame, rest: behind, .. }) = Framing::find(rest, u32::MAX) {
        (rest, last) = (behind, Some(frame));
    }
    let frame = last.expect("there is a frame");
    read(&Incoming::parse(frame, &Limits::DEFAULT).expect("it is right").body)
}

fn error_of(bytes: &[u8]) -> Option<(ErrorCode, bool, u64)> {
    last(bytes, |body| match body {
        IncomingBody::Error(error) => Some((error.code, error.closes, error.number)),
        IncomingBody::Answer(_) | IncomingBody::Push(_) => None,
    })
}

/// A connection that says HELLO; what it is answered.
fn enter(switch: &mut Switch, conn: u32, hello: Hello<'_>, secret: Option<&[u8]>) -> Vec<u8> {
    let peer = Peer { is_loopback: true, ..Peer::default() };
    switch.handle_opened(ConnId(conn), peer, at(0));
    let greeting = taken(switch, conn, at(0));
    let nonce = nonce_of(&greeting);
    let mut bytes = Vec::new();
    hello.write(&mut bytes, 1, secret.map(|secret| (secret, &nonce)));
    assert_eq!(switch.handle_bytes(ConnId(conn), &bytes, at(0)), bytes.len());
    taken(switch, conn, at(0))
}

fn nonce_of(greeting: &[u8]) -> Nonce {
    last(greeting, |body| {
        let IncomingBody::Push(protocol::Push::Greeting(Greeting { nonce, .. })) = body else {
            panic!("{body:?}");
        };
        *nonce
    })
}

fn hello(node: &str) -> Hello<'_> {
    Hello {
        version: VERSION,
        role: Role::Node,
        features: 0,
        cluster: ClusterId::ANY,
        epoch_seen: Epoch(0),
        session: SessionId([3; 16]),
        index: 0,
        generation: 0,
        map_version: 0,
        groups: 1,
        group: 0,
        node,
        address: "",
    }
}

fn ask(switch: &mut Switch, bytes: &[u8], now: Instant) -> Vec<u8> {
    assert_eq!(switch.handle_bytes(ConnId(0), bytes, now), bytes.len());
    taken(switch, 0, now)
}

fn register() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut batch = Batch::register(&mut bytes, 7, RegisterFlags::default(), &Limits::DEFAULT);
    assert!(batch.push(Name(b"port")));
    batch.finish();
    bytes
}

fn holder(switch: &mut Switch, now: Instant) -> Holder {
    let mut bytes = Vec::new();
    let mut batch = Batch::query(&mut bytes, 8, false, &Limits::DEFAULT);
    assert!(batch.push(Name(b"port")));
    batch.finish();
    let answer = ask(switch, &bytes, now);
    last(&answer, |body| {
        let IncomingBody::Answer(Answer::QueryPort(query)) = body else { panic!("{body:?}") };
        query.iter().next().expect("one").1
    })
}

fn wait_msg(switch: &mut Switch) {
    let mut bytes = Vec::new();
    protocol::write_bare(&mut bytes, RequestKind::WaitMsg, 2);
    assert_eq!(error_of(&ask(switch, &bytes, at(0))), None);
}

#[test]
fn in_its_grace_a_switch_grants_nothing_and_calls_no_port_free() {
    let mut switch = open();
    assert_eq!(error_of(&enter(&mut switch, 0, hello("web"), None)), None);
    wait_msg(&mut switch);
    let refused = error_of(&ask(&mut switch, &register(), at(7)));
    assert_eq!(refused, Some((ErrorCode::Grace, false, 3_000)));
    assert_eq!(holder(&mut switch, at(8)), Holder::Unknown);
    let last_moment = at(3_007 - 1);
    let refused = error_of(&ask(&mut switch, &register(), last_moment));
    assert_eq!(refused, Some((ErrorCode::Grace, false, 1)));
    assert_eq!(switch.grace_left(last_moment), Duration::from_millis(1));
    assert_eq!(holder(&mut switch, last_moment), Holder::Unknown);
}

#[test]
fn after_its_grace_it_grants() {
    let mut switch = open();
    enter(&mut switch, 0, hello("web"), None);
    let now = at(3_007);
    assert_eq!(switch.grace_left(now), Duration::ZERO);
    assert_eq!(holder(&mut switch, now), Holder::Free);
    let mut bytes = Vec::new();
    protocol::write_bare(&mut bytes, RequestKind::WaitMsg, 2);
    ask(&mut switch, &bytes, now);
    assert_eq!(error_of(&ask(&mut switch, &register(), now)), None);
    assert_eq!(holder(&mut switch, now), Holder::Owner(0));
}

#[test]
fn a_higher_epoch_is_believed_from_those_who_may_come_in_only() {
    let mut switch = switch(vec![entry("web", Proof::Secret(b"secret".to_vec()), Role::Node)]);
    let ahead = Hello { epoch_seen: Epoch(5_000), ..hello("web") };
    let refused = error_of(&enter(&mut switch, 0, ahead, Some(b"wrong")));
    assert_eq!(refused, Some((ErrorCode::Unauthenticated, true, 0)));
    assert_eq!(switch.take_epoch_ahead(), None);
    let refused = error_of(&enter(&mut switch, 1, ahead, Some(b"secret")));
    assert_eq!(refused, Some((ErrorCode::NotMaster, true, 0)));
    assert_eq!(switch.take_epoch_ahead(), Some(Epoch(5_000)));
    assert_eq!(error_of(&enter(&mut switch, 2, hello("web"), Some(b"secret"))), None);
    switch.raise_epoch(Epoch(5_001), at(1));
    assert_eq!((switch.epoch(), switch.take_epoch_ahead()), (Epoch(5_001), None));
    let told = error_of(&taken(&mut switch, 2, at(1)));
    assert_eq!(told, Some((ErrorCode::NotMaster, true, 0)), "all come back");
    assert_eq!(error_of(&enter(&mut switch, 3, ahead, Some(b"secret"))), None);
}

#[test]
#[should_panic(expected = "the grace is over")]
fn an_epoch_in_which_something_may_have_been_granted_does_not_rise() {
    open().raise_epoch(Epoch(5_001), at(3_007));
}

#[test]
fn a_new_list_is_for_those_who_are_in_too() {
    let old = |secret: &[u8]| Proof::Secret(secret.to_vec());
    let mut switch = switch(vec![
        entry("gone", old(b"1"), Role::Node),
        entry("stays", old(b"2"), Role::Node),
        entry("op", old(b"3"), Role::Operator),
    ]);
    for (conn, node, secret, role) in [
        (0, "gone", b"1", Role::Node),
        (1, "stays", b"2", Role::Node),
        (2, "op", b"3", Role::Operator),
    ] {
        let entered = enter(&mut switch, conn, Hello { role, ..hello(node) }, Some(secret));
        assert_eq!(error_of(&entered), None, "{node}");
    }
    let quota = Quota { queue_len_max: 5_000, ..Quota::default() };
    let stays = AccessEntry { quota, ..entry("stays", old(b"2"), Role::Node) };
    let new =
        vec![entry("op", old(b"3"), Role::Observer), stays, entry("gone", old(b"9"), Role::Node)];
    switch.set_access(new, at(5)).expect("it is short");
    let told = |switch: &mut Switch, conn| {
        let bytes = taken(switch, conn, at(5));
        if bytes.is_empty() { None } else { error_of(&bytes) }
    };
    let unauthenticated = Some((ErrorCode::Unauthenticated, true, 0));
    assert_eq!(told(&mut switch, 0), unauthenticated, "its secret is another");
    assert_eq!(told(&mut switch, 1), None);
    assert_eq!(switch.connections.at(ConnId(1)).queue_len_max, 5_000);
    assert_eq!(told(&mut switch, 2), Some((ErrorCode::Forbidden, true, 0)), "its role is too high");
    assert_eq!(error_of(&enter(&mut switch, 3, hello("gone"), Some(b"9"))), None);
}
