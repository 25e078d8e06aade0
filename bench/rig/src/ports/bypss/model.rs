//! A switch as simple as can be, which also can be told to be wrong in one way.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use protocol::{
    ClusterId, Epoch, Framing, Grants, Greeting, Holder, Limits, Nonce, Owner, RegisterCode,
    RegisterFailure, ReletAnswer, Request, RequestBody, RequestKind, Role, Sequence, SessionState,
    UnregisterCode, UnregisterFailure, VERSION, WaitMsgAnswer, Welcome, shard_of,
    write_bare_answer, write_query_port_answer, write_reg_port_answer, write_unreg_port_answer,
};

/// How the switch is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It says of the first name of each batch that another holds it.
    Refuses,
    /// It leaves out a sequence after each batch.
    SkipsSequences,
    /// It gives every batch the same sequences.
    RepeatsSequences,
    /// It counts a grant to another shard than the name's.
    WrongShard,
    /// It says that another node is the owner.
    WrongOwner,
    /// It finds the first name of each query free.
    Forgets,
    /// It keeps the first name of each batch that is released.
    Keeps,
    /// It answers a query with an answer to something else.
    Confuses,
}

/// What it knows.
#[derive(Debug)]
struct Model {
    fault: Fault,
    shards: u8,
    ports: HashMap<Vec<u8>, Sequence>,
    /// The next sequence of each shard.
    next: Vec<u64>,
}

/// A switch that serves on threads until the process ends.
pub(super) fn serve(fault: Fault, shards: u8, lease_ms: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let next = vec![1; usize::from(shards)];
    let model = Model { fault, shards, ports: HashMap::new(), next };
    let model = Arc::new(Mutex::new(model));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let model = Arc::clone(&model);
            // A client that is gone is the end of its connection.
            thread::spawn(move || connection(stream, &model, lease_ms).ok());
        }
    });
    address
}

fn connection(
    mut stream: TcpStream,
    model: &Mutex<Model>,
    lease_ms: u32,
) -> Result<(), std::io::Error> {
    let mut out = Vec::new();
    Greeting {
        version_min: VERSION,
        version_max: VERSION,
        features: 0,
        cluster: ClusterId([7; 16]),
        epoch: Epoch(1),
        nonce: Nonce([9; 32]),
    }
    .write(&mut out);
    let (mut input, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        stream.write_all(&out)?;
        out.clear();
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        input.extend_from_slice(&buffer[..len]);
        let mut left = input.as_slice();
        while let Framing::Whole { frame, rest, .. } =
            Framing::find(left, u32::MAX).expect("the client's frames are right")
        {
            let mut model = model.lock().expect("no other thread panics");
            model.answer(frame, lease_ms, &mut out);
            left = rest;
        }
        input = left.to_vec();
    }
}

impl Model {
    fn answer(&mut self, frame: &[u8], lease_ms: u32, out: &mut Vec<u8>) {
        let request = Request::parse(frame, &Limits::DEFAULT).expect("the client's are right");
        let id = request.header.id;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the client asks nothing else")]
        match request.body {
            RequestBody::Hello(hello) => {
                assert_eq!(hello.hello.cluster, ClusterId([7; 16]));
                self.welcome(lease_ms).write(out, id);
            }
            RequestBody::WaitMsg => {
                WaitMsgAnswer { state: SessionState::New, notice: 1 }.write(out, id);
            }
            RequestBody::Relet { relet } => {
                ReletAnswer { relet, lease_ms }.write(out, id);
            }
            RequestBody::RegPort(register) => self.register(register.names.iter(), id, out),
            RequestBody::QueryPort(query) => self.query(query.names.iter(), id, out),
            RequestBody::UnregPort(unregister) => {
                self.unregister(unregister.iter(), id, out);
            }
            RequestBody::Yield => {
                assert!(self.fault != Fault::None || self.ports.is_empty(), "ports are left");
                write_bare_answer(out, RequestKind::Yield, id);
            }
            RequestBody::Bye { .. } => write_bare_answer(out, RequestKind::Bye, id),
            other => panic!("the client asked {other:?}"),
        }
    }

    fn welcome(&self, lease_ms: u32) -> Welcome<'static> {
        Welcome {
            version: VERSION,
            role: Role::Node,
            shards: self.shards,
            features: 0,
            cluster: ClusterId([7; 16]),
            epoch: Epoch(1),
            map_version: 0,
            groups: 1,
            group: 0,
            lease_ms,
            exclusion_ms: lease_ms + 1,
            limits: Limits::DEFAULT,
            switch: "model",
        }
    }

    fn register<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>, id: u32, out: &mut Vec<u8>) {
        let mut counts = vec![0_u32; usize::from(self.shards)];
        let begun = self.next.clone();
        let mut failures = Vec::new();
        for (item, name) in (0..).zip(names) {
            let is_refused = self.fault == Fault::Refuses && item == 0;
            if is_refused || self.ports.contains_key(name) {
                failures.push(RegisterFailure {
                    item,
                    code: RegisterCode::Held,
                    owner: Some(0),
                    sequence: Sequence::NONE,
                });
                continue;
            }
            let mut shard = shard_of(name, self.shards);
            if self.fault == Fault::WrongShard {
                shard = (shard + 1) % self.shards;
            }
            let next = &mut self.next[usize::from(shard)];
            self.ports.insert(name.to_vec(), Sequence::new(shard, *next));
            *next += 1;
            counts[usize::from(shard)] += 1;
        }
        let grants: Vec<_> = (0..self.shards)
            .zip(begun.iter().zip(counts))
            .filter(|(_, (_, count))| *count > 0)
            .map(|(shard, (first, count))| Grants { first: Sequence::new(shard, *first), count })
            .collect();
        if self.fault == Fault::SkipsSequences {
            self.next.iter_mut().for_each(|next| *next += 1);
        }
        if self.fault == Fault::RepeatsSequences {
            self.next = begun;
        }
        let owners = (!failures.is_empty()).then_some(Owner { node: "other", address: "" });
        write_reg_port_answer(out, id, &grants, owners, failures);
    }

    fn query<'a>(&self, names: impl Iterator<Item = &'a [u8]>, id: u32, out: &mut Vec<u8>) {
        if self.fault == Fault::Confuses {
            return write_unreg_port_answer(out, id, []);
        }
        let node = if self.fault == Fault::WrongOwner { "other" } else { super::NODE };
        let found: Vec<_> = names
            .enumerate()
            .map(|(item, name)| match self.ports.get(name) {
                Some(sequence) if self.fault != Fault::Forgets || item > 0 => {
                    (*sequence, Holder::Owner(0))
                }
                Some(_) | None => (Sequence::NONE, Holder::Free),
            })
            .collect();
        write_query_port_answer(out, id, [Owner { node, address: "" }], &found);
    }

    fn unregister<'a>(
        &mut self,
        ports: impl Iterator<Item = (Sequence, &'a [u8])>,
        id: u32,
        out: &mut Vec<u8>,
    ) {
        let mut failures = Vec::new();
        for (item, (sequence, name)) in (0..).zip(ports) {
            if self.fault == Fault::Keeps && item == 0 {
                continue;
            }
            match self.ports.get(name) {
                Some(held) if *held == sequence => {
                    self.ports.remove(name);
                }
                Some(_) => failures.push(UnregisterFailure { item, code: UnregisterCode::Stale }),
                None => failures.push(UnregisterFailure { item, code: UnregisterCode::Free }),
            }
        }
        write_unreg_port_answer(out, id, failures);
    }
}
