//! From a plan to a switch, and the switch as the worker knows it.

use std::path::PathBuf;

use base::{Duration, Instant};
use memory::PageChoice;
use protocol::{ClusterId, Epoch, Limits};
use switch::{
    AccessEntry, ConnId, Counters, Identity, NodePattern, Peer, Prefixes, Proof, Quota, Switch,
    SwitchConfig,
};
use tracing::{error, warn};

use crate::config::{self, Access, Bounds};
use crate::entropy;
use crate::error::Error;
use crate::identity;
use crate::limits::EPOCH_AHEAD_MS_MAX;
use crate::plan::Plan;
use crate::worker::{self, Figure, Service};

/// The switch, and where its epochs are remembered.
#[derive(Debug)]
pub(crate) struct Served {
    switch: Switch,
    state_dir: Option<PathBuf>,
    /// The highest epoch above ours that was told of.
    epoch_told: Epoch,
}

/// Makes the switch of a plan, in an epoch that begins `now`.
pub(crate) fn assemble(plan: &Plan, epoch: u64, now: Instant) -> Result<Served, Error> {
    let Bounds { connections, sessions, places, items, frame_len, message_len, .. } = plan.bounds;
    let limits = Limits::new(frame_len, items, message_len).expect("the configuration was judged");
    let ports = |count: u64| u32::try_from(count).expect("the configuration was judged");
    let config = SwitchConfig {
        lease: Duration::from_millis(plan.lease.lease_ms.into()),
        drift_ppm: plan.lease.rho_ppm,
        grace: plan.lease.grace(),
        limits,
        connections_max: connections,
        sessions_max: sessions,
        shards: plan.ports.shards,
        ports_planned: ports(plan.ports.planned),
        ports_max: ports(plan.ports.max),
        places_max: places,
        access: entries(&plan.access),
        pages: PageChoice::Best,
    };
    let identity = Identity {
        cluster: ClusterId(plan.cluster.incarnation),
        epoch: Epoch(epoch),
        map_version: 0,
        groups: 1,
        group: 0,
        name: plan.name.clone(),
    };
    let switch = Switch::new(config, identity, entropy::key()?, now)?;
    Ok(Served { switch, state_dir: plan.state_dir.clone(), epoch_told: Epoch(0) })
}

/// The list as the switch has it.
fn entries(access: &[Access]) -> Vec<AccessEntry> {
    access.iter().map(entry).collect()
}

fn entry(access: &Access) -> AccessEntry {
    let Access { node, proof, role, register, send, query, quota } = access;
    let own = Quota::default();
    let config::Quota { ports_max, queue_len, messages_per_s, subscriptions_max, waiting_max } =
        *quota;
    let prefixes = |prefixes: &[String]| Prefixes::new(prefixes.to_vec());
    AccessEntry {
        nodes: NodePattern::parse(node),
        proof: match proof {
            config::Proof::Certificate => Proof::Certificate,
            config::Proof::Secret { file: _, secret } => Proof::Secret(secret.clone()),
            config::Proof::Loopback => Proof::Loopback,
        },
        role: match role {
            config::Role::Node => protocol::Role::Node,
            config::Role::Observer => protocol::Role::Observer,
            config::Role::Operator => protocol::Role::Operator,
        },
        register: prefixes(register),
        send: prefixes(send),
        query: prefixes(query),
        quota: Quota {
            ports_max: ports_max.unwrap_or(own.ports_max),
            queue_len_max: queue_len.unwrap_or(own.queue_len_max),
            messages_per_second: messages_per_s,
            subscriptions_max: subscriptions_max.unwrap_or(own.subscriptions_max),
            waiting_max: waiting_max.unwrap_or(own.waiting_max),
        },
    }
}

impl Served {
    /// A client has heard of a higher epoch. In the grace nothing was granted, so ours may rise above
    /// it; later, somebody has to look.
    fn on_epoch_ahead(&mut self, seen: Epoch, now: Instant) {
        // Whoever knows it comes back again and again: it is told once.
        let is_news = seen > self.epoch_told;
        self.epoch_told = self.epoch_told.max(seen);
        let (seen, own) = (seen.0, self.switch.epoch().0);
        let most = identity::wall_ms().saturating_add(EPOCH_AHEAD_MS_MAX);
        if seen >= most {
            if is_news {
                error!(seen, own, "a client claims an epoch more than a day ahead: refused");
            }
        } else if self.switch.grace_left(now) == Duration::ZERO {
            if is_news {
                error!(
                    seen,
                    own,
                    "a client has heard of a higher epoch: another switch serves this cluster, or \
                     this clock was set back; end the other, or start this one again to go above"
                );
            }
        } else {
            match identity::begin(self.state_dir.as_deref(), seen + 1) {
                Ok(epoch) => {
                    self.switch.raise_epoch(Epoch(epoch), now);
                    warn!(seen, own, epoch, "a client has heard of a higher epoch: ours is raised");
                }
                Err(error) => error!(seen, own, "the epoch cannot be raised: {error}"),
            }
        }
    }
}

impl Service for Served {
    fn handle_opened(&mut self, conn: u32, peer: worker::Peer, now: Instant) {
        let worker::Peer { certified, is_loopback } = peer;
        let peer = Peer { certified, certified_role: None, is_loopback };
        self.switch.handle_opened(ConnId(conn), peer, now);
    }

    #[inline]
    fn handle_bytes(&mut self, conn: u32, bytes: &[u8], now: Instant) -> usize {
        self.switch.handle_bytes(ConnId(conn), bytes, now)
    }

    fn handle_closed(&mut self, conn: u32, now: Instant) {
        self.switch.handle_closed(ConnId(conn), now);
    }

    fn poll(&mut self, now: Instant) -> Option<Instant> {
        if let Some(seen) = self.switch.take_epoch_ahead() {
            self.on_epoch_ahead(seen, now);
        }
        self.switch.poll(now)
    }

    fn next_dirty(&mut self) -> Option<u32> {
        self.switch.next_dirty().map(|ConnId(conn)| conn)
    }

    fn outgoing(&self, conn: u32) -> &[u8] {
        self.switch.outgoing(ConnId(conn))
    }

    fn handle_sent(&mut self, conn: u32, len: usize, now: Instant) {
        self.switch.handle_sent(ConnId(conn), len, now);
    }

    fn is_closing(&self, conn: u32) -> bool {
        self.switch.is_closing(ConnId(conn))
    }

    fn node(&self, conn: u32) -> Option<u32> {
        self.switch.node(ConnId(conn))
    }

    fn leave(&mut self, hint: &str, now: Instant) {
        self.switch.leave(hint, now);
    }

    fn handle_access(&mut self, access: &[Access], now: Instant) {
        let set = self.switch.set_access(entries(access), now);
        set.expect("the configuration allows fewer entries than the switch");
    }

    fn epoch(&self) -> u64 {
        self.switch.epoch().0
    }

    fn figures(&self, _now: Instant) -> Vec<Figure> {
        let is_counter = |name: &str| Counters::default().iter().any(|(known, _)| known == name);
        let figure = |(name, value)| Figure {
            name,
            help: Switch::meaning(name).unwrap_or_default(),
            value,
            is_counter: is_counter(name),
        };
        self.switch.figures().map(figure).collect()
    }

    fn grace_left(&self, now: Instant) -> Duration {
        self.switch.grace_left(now)
    }
}
