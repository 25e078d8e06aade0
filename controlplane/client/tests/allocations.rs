//! What a call allocates does not grow with its names, and a call of one name allocates little.
#![forbid(unsafe_code)]
#![expect(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

use base::{Duration, Instant};
use client::core::{Action, ConnId, Core};
use client::{Config, Done, Entropy, Grant, Holder, Registered};
use memory::counting;
use protocol::{
    ClusterId, Epoch, Framing, Grants, Greeting, Limits, Nonce, Owner, RegisterFlags, Request,
    RequestBody, Role, Sequence, SessionId, SessionState, Token, WaitMsgAnswer, Welcome,
};

#[global_allocator]
static ALLOCATOR: counting::CountingAllocator = counting::CountingAllocator;

const FLAGS: RegisterFlags = RegisterFlags { subscribe: false, wait: false };

/// A core and what it has allocated; what the test allocates does not count.
struct Bed {
    core: Core,
    now: Instant,
    conns: Vec<ConnId>,
    granted: u64,
    made: u64,
}

impl Bed {
    fn new() -> Self {
        assert!(counting::is_installed());
        let entropy = Entropy { session: SessionId([7; 16]), seed: 1 };
        let core = Core::new(Config::new("switch:7400", "n1"), entropy).expect("it is right");
        let now = Instant::ZERO + Duration::from_secs(60);
        let mut bed = Self { core, now, conns: Vec::new(), granted: 0, made: 0 };
        for _round in 0..3 {
            bed.turn();
        }
        assert!(bed.core.is_connected());
        bed
    }

    fn counted<T>(&mut self, call: impl FnOnce(&mut Core, Instant) -> T) -> T {
        let before = counting::allocations();
        let result = call(&mut self.core, self.now);
        self.made += counting::allocations() - before;
        result
    }

    /// What was allocated since it was last asked.
    fn made(&mut self) -> u64 {
        std::mem::take(&mut self.made)
    }

    /// Lets what waits leave, and answers all of it.
    fn turn(&mut self) {
        self.now += Duration::from_micros(100);
        self.counted(|core, now| core.poll(now));
        while let Some(action) = self.core.next_action() {
            if let Action::Connect { conn, .. } = action {
                self.conns.push(conn);
                self.core.handle_connected(conn);
                self.say(conn, greeting);
            }
        }
        for conn in self.conns.clone() {
            let bytes = self.core.outgoing(conn).to_vec();
            self.core.handle_sent(conn, bytes.len());
            let mut rest = &bytes[..];
            while let Ok(Framing::Whole { frame, rest: after, .. }) = Framing::find(rest, u32::MAX)
            {
                rest = after;
                let request = Request::parse(frame, &Limits::DEFAULT).expect("it is right");
                let mut out = Vec::new();
                self.answer(&request, &mut out);
                self.counted(|core, now| core.handle_bytes(conn, &out, now));
            }
        }
    }

    fn say(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        self.core.handle_bytes(conn, &out, self.now);
    }

    fn answer(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let id = request.header.id;
        match &request.body {
            RequestBody::Hello(_) => welcome(out, id),
            RequestBody::WaitMsg => {
                WaitMsgAnswer { state: SessionState::New, notice: 1 }.write(out, id);
            }
            RequestBody::RegPort(port) => {
                let first = Sequence::new(0, self.granted + 1);
                self.granted += u64::from(port.names.len());
                let grants = [Grants { first, count: port.names.len() }];
                protocol::write_reg_port_answer(out, id, &grants, [], []);
            }
            RequestBody::UnregPort(_) => protocol::write_unreg_port_answer(out, id, []),
            RequestBody::QueryPort(port) => {
                let owner = Owner { node: "n2", address: "10.0.0.2:1" };
                let holder = |count| (Sequence::new(0, count), protocol::Holder::Owner(0));
                let ports: Vec<_> = (1..=u64::from(port.names.len())).map(holder).collect();
                protocol::write_query_port_answer(out, id, [owner], &ports);
            }
            other => panic!("{other:?} was not asked for"),
        }
    }

    fn done(&mut self) -> Done<Grant> {
        self.core.next_done().expect("it was answered").1
    }

    fn grants(&mut self) -> Vec<Grant> {
        let Done::Registered(ports) = self.done() else { panic!("a registration") };
        let grant = |port| match port {
            Registered::Granted(grant) => grant,
            Registered::Failed { code, .. } => panic!("{code:?}"),
        };
        ports.into_iter().map(grant).collect()
    }
}

fn greeting(out: &mut Vec<u8>) {
    let (cluster, epoch, nonce) = (ClusterId([1; 16]), Epoch(5), Nonce([9; 32]));
    let (version_min, version_max) = (1, 1);
    Greeting { version_min, version_max, features: 0, cluster, epoch, nonce }.write(out);
}

fn welcome(out: &mut Vec<u8>, id: u32) {
    let welcome = Welcome {
        version: 1,
        role: Role::Node,
        shards: 1,
        features: 0,
        cluster: ClusterId([1; 16]),
        epoch: Epoch(5),
        map_version: 0,
        groups: 1,
        group: 0,
        lease_ms: 60_000,
        exclusion_ms: 61_000,
        limits: Limits::DEFAULT,
        switch: "s1",
    };
    welcome.write(out, id);
}

/// What a call of so many names allocates: registered, asked for, released.
fn of_a_call(count: usize) -> [u64; 3] {
    let mut bed = Bed::new();
    let names: Vec<String> =
        (0..count).map(|name| format!("a name of some length/{name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut made = [0; 3];
    // Buffers that stay have their size after the first round.
    for _round in 0..2 {
        bed.made();
        bed.counted(|core, now| core.register(&names, FLAGS, now)).expect("there is room");
        bed.turn();
        let grants = bed.grants();
        assert!(
            grants.len() == count && grants.iter().zip(&names).all(|(g, name)| g.name == *name)
        );
        made[0] = bed.made();
        bed.counted(|core, now| core.query(&names, false, false, now)).expect("there is room");
        bed.turn();
        let Done::Holders(holders) = bed.done() else { panic!("a query") };
        assert!(holders.iter().all(|holder| matches!(holder, Holder::Owner(_))));
        made[1] = bed.made();
        let ports: Vec<(&str, Token)> =
            grants.iter().map(|grant| (&*grant.name, grant.token)).collect();
        bed.counted(|core, now| core.unregister(&ports, now)).expect("there is room");
        bed.turn();
        let Done::Unregistered(codes) = bed.done() else { panic!("a release") };
        assert!(codes.len() == count && codes.iter().all(Option::is_none));
        made[2] = bed.made();
    }
    made
}

#[test]
fn a_call_of_a_thousand_names_allocates_as_much_as_one_of_ten() {
    let (ten, thousand) = (of_a_call(10), of_a_call(1_000));
    println!("registered, asked for, released: {ten:?} for 10 names, {thousand:?} for 1,000");
    for (ten, thousand) in ten.iter().zip(thousand) {
        assert!(thousand <= 12, "{thousand} allocations for a thousand names, {ten} for ten");
    }
}

#[test]
fn calls_of_one_name_that_share_a_frame_allocate_little_each() {
    const CALLS: usize = 100;
    let names: Vec<String> = (0..CALLS).map(|name| format!("a name/{name}")).collect();
    let mut bed = Bed::new();
    for _round in 0..2 {
        bed.made();
        for name in &names {
            bed.counted(|core, now| core.register(&[name], FLAGS, now)).expect("there is room");
        }
        bed.turn();
        let made = bed.made();
        let grants: Vec<Grant> = names.iter().flat_map(|_name| bed.grants()).collect();
        println!("{made} allocations for {CALLS} calls of one name");
        let calls = u64::try_from(CALLS).expect("a few");
        // A list of outcomes, the text of the name, and what guards share; lists of all calls grow
        // by doubling.
        assert!(made <= 3 * calls + 64, "{made} allocations for {CALLS} calls");
        for grant in &grants {
            bed.core.release(&grant.name, grant.token, bed.now);
        }
        bed.turn();
    }
}
