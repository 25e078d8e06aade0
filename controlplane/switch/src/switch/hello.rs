//! `HELLO`: who comes in, and as what.

use protocol::{
    ClusterId, Credential, ErrorFrame, Hello, SessionId, SignedHello, VERSION, WAITS_OUT, Welcome,
};

use super::Switch;
use crate::access::{self, Denied};
use crate::connection::{ConnId, Phase};
use crate::refusal;

/// Features of which a client that sets one needs them understood.
const FEATURES_NEEDED: u64 = 0xffff_ffff << 32;

impl Switch {
    /// What it can besides.
    pub(super) fn features(&self) -> u64 {
        if self.config.grace >= self.exclusion { WAITS_OUT } else { 0 }
    }

    pub(super) fn handle_hello(&mut self, conn: ConnId, id: u32, signed: &SignedHello<'_>) {
        match self.judge(conn, signed) {
            Ok(_) if signed.hello.epoch_seen > self.identity.epoch => {
                self.note_epoch(signed.hello.epoch_seen);
                self.refuse(conn, id, &refusal::STALE);
            }
            Ok(access) => {
                self.let_in(conn, &signed.hello, access);
                match self.follow(conn) {
                    Ok(()) => self.welcome(conn, id, &signed.hello),
                    Err(error) => self.refuse(conn, id, &error),
                }
            }
            Err(error) => self.refuse(conn, id, &ErrorFrame { closes: true, ..error }),
        }
    }

    /// Which entry of the list lets it in.
    fn judge(&self, conn: ConnId, signed: &SignedHello<'_>) -> Result<u32, ErrorFrame<'static>> {
        let hello = &signed.hello;
        let own = &self.identity;
        if hello.version != VERSION {
            return Err(refusal::version(VERSION));
        }
        if hello.cluster != ClusterId::ANY && hello.cluster != own.cluster {
            return Err(refusal::WRONG_CLUSTER);
        }
        let group = (hello.map_version, hello.groups, hello.group);
        if group != (own.map_version, own.groups, own.group) {
            return Err(refusal::wrong_group(own.map_version));
        }
        if hello.features & FEATURES_NEEDED != 0 {
            return Err(refusal::features(hello.features & FEATURES_NEEDED));
        }
        let connection = self.connections.at(conn);
        let is_known = |secret: &[u8]| signed.proves(secret, &connection.nonce);
        let offers = signed.credential == Credential::SharedSecret;
        let (list, peer) = (&self.config.access, &connection.peer);
        access::admit(list, peer, hello.node, hello.role, offers, is_known).map_err(|denied| {
            match denied {
                Denied::Unauthenticated => refusal::UNAUTHENTICATED,
                Denied::Role => refusal::FORBIDDEN_ROLE,
            }
        })
    }

    fn let_in(&mut self, conn: ConnId, hello: &Hello<'_>, access: u32) {
        let quota = self.config.access[access as usize].quota;
        let node = self.sessions.enter(hello.node);
        let connection = self.connections.at_mut(conn);
        connection.phase = Phase::Open;
        connection.limits = self.config.limits;
        connection.role = hello.role;
        connection.access = access;
        connection.node = node;
        connection.session_id = hello.session;
        connection.index = hello.index;
        connection.generation = hello.generation;
        connection.address.push_str(hello.address);
        connection.queue_len_max = quota.queue_len_max;
        self.deadlines.end(conn.0);
    }

    /// Nothing more is done of what came on the connection that this one follows, before it is answered. If
    /// the session has not begun, that is so before the first of its requests that is for the session.
    fn follow(&mut self, conn: ConnId) -> Result<(), ErrorFrame<'static>> {
        let connection = self.connections.at(conn);
        let SessionId(id) = connection.session_id;
        match self.sessions.find(connection.node, &id) {
            Some(session) => self.join(conn, session),
            None => Ok(()),
        }
    }

    fn welcome(&mut self, conn: ConnId, id: u32, hello: &Hello<'_>) {
        self.counters.welcomes += 1;
        let millis = |duration: base::Duration| u32::try_from(duration.as_millis());
        let own = &self.identity;
        let welcome = Welcome {
            version: VERSION,
            role: hello.role,
            shards: self.shards.count(),
            features: hello.features & self.features(),
            cluster: own.cluster,
            epoch: own.epoch,
            map_version: own.map_version,
            groups: own.groups,
            group: own.group,
            lease_ms: millis(self.config.lease).expect("a lease is at most a day"),
            exclusion_ms: millis(self.exclusion).expect("a lease is at most a day"),
            limits: self.config.limits,
            switch: &own.name,
        };
        self.connections.answer(conn, |out| welcome.write(out, id));
    }
}
