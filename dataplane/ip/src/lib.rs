//! ARP, neighbour discovery, IPv4, IPv6, ICMP and routes of one core: bytes and `now` in, bytes and
//! values out.
//!
//! It is not a stack: it knows no transport beyond its protocol number, opens no device, and does
//! not forward packets of others.
//!
//! # Why it is built this way
//!
//! The naive design sends a packet by asking a shared neighbour table under a lock, queues the
//! packet there without a bound while the answer is awaited, and learns from everything it hears.
//! It fails in three ways: every packet of every core pays for a table that hardly ever changes; a
//! scan of absent hosts fills the memory with queued packets and the table with their entries; and
//! one forged reply takes a gateway away. Here
//!
//! - a connection keeps a [`HopIndex`] and a packet costs one compare and one load, no search;
//! - entries, parked frames and errors have bounds, and each bound says who has to go;
//! - what may be learnt from whom is what the RFCs say, and less where they leave a choice: no
//!   entry is made for a reply that nobody waits for, and none is evicted for a question.
//!
//! ```text
//! frame --handle_frame--> Transport(Packet) --------------------------> tcp, udp
//!                    |--> Error(IcmpError)  --------------------------> tcp, udp
//!                    |--> Reply { len }     the same bytes are the frame to send
//!                    |--> Report(..)        --write_icmp_error--------> a frame to send
//!                    |--> Consumed, Drop(reason)
//!
//! transport bytes --resolve--> Known(hop) --encapsulate--------------> a frame to send
//!                         |--> Wait(hop)  --encapsulate, park--> ... --poll_released--> ...
//!                         |--> Unreachable(reason)
//! ping --write_echo_request--> a frame to send ... what became of it --take_echo_news-->
//! clock ---poll_transmit--> ARP requests, solicitations, announcements
//!
//! take_heard of the core that heard of a neighbour ---learn--> every other core
//! ```
//!
//! # Limits of this version
//!
//! Fragments are counted and dropped. Own addresses are configured: there is no duplicate address
//! detection, router discovery or redirect. Groups are joined (all hosts, all nodes, solicited
//! nodes) but not reported by IGMP or MLD, so a switch must not filter them. Nothing is sent to
//! groups, broadcasts or ourselves.
//!
//! RFC 791, 792, 826, 1122, 4291, 4443, 4861, 5227, 6724, 8200. Bounds: [`limits`]. The formats
//! themselves: [`wire`].
#![forbid(unsafe_code)]

mod addresses;
mod buckets;
mod config;
mod counters;
mod echo;
mod egress;
mod heard;
mod icmp;
mod ingress;
pub mod limits;
mod neighbours;
mod routes;
mod timer;

use base::Rng;
use memory::KeyedHash;
use wire::{Address, MacAddress};

pub use addresses::LocalIndex;
pub use config::{Cidr, Config, ConfigError, ParseCidrError, RouteConfig};
pub use counters::{Counters, DropReason};
pub use echo::{ECHO_HEADER_LEN, EchoNews, EchoOutcome, EchoRequest};
pub use egress::{
    CONTROL_FRAME_LEN_MAX, Envelope, HEADERS_LEN_V4, HEADERS_LEN_V6, Resolution, Unreachable,
};
pub use heard::Heard;
pub use icmp::{IcmpError, IcmpErrorKind, Report};
pub use ingress::{Ingress, Packet};
pub use neighbours::{HopIndex, Neighbour, NeighbourState, Released};

use addresses::Addresses;
use buckets::Buckets;
use echo::Echoes;
use limits::{MTU_MIN_V4, MTU_MIN_V6, NEIGHBOURS_MAX, PARKED_MAX};
use neighbours::Neighbours;
use routes::Routes;
use timer::Announcer;

/// The network layer of one interface on one core.
#[derive(Debug)]
pub struct Ip {
    mac: MacAddress,
    mtu: u16,
    addresses: Addresses,
    routes: Routes,
    neighbours: Neighbours,
    announcer: Announcer,
    buckets: Buckets,
    /// What the last frame has taught, for the other cores.
    heard: Option<Heard>,
    echoes: Echoes,
    counters: Counters,
}

impl Ip {
    /// A network layer that has yet to hear of any neighbour. `key` is a secret; it decides where
    /// addresses lie in tables, so that nobody else can choose it.
    ///
    /// # Errors
    ///
    /// What is wrong with `config`.
    pub fn new(config: &Config, key: [u8; 32]) -> Result<Self, ConfigError> {
        if !config.mac.is_unicast() {
            return Err(ConfigError::ConfigMac(config.mac));
        }
        let addresses = Addresses::new(config)?;
        let has_v6 = addresses.own().iter().any(|cidr| cidr.address().is_v6());
        let mtu_min = if has_v6 { MTU_MIN_V6 } else { MTU_MIN_V4 };
        if config.mtu < mtu_min {
            return Err(ConfigError::ConfigMtu { mtu: config.mtu, mtu_min });
        }
        let routes = Routes::new(config, &addresses)?;
        let (neighbours_max, gateways) = (config.neighbours_max, routes.gateways().len());
        if neighbours_max > NEIGHBOURS_MAX || usize::from(neighbours_max) <= gateways {
            return Err(ConfigError::ConfigNeighbours { neighbours_max, gateways });
        }
        if config.parked_max > PARKED_MAX {
            return Err(ConfigError::ConfigParked(config.parked_max));
        }
        let gateways: Vec<(Address, LocalIndex)> = routes
            .gateways()
            .iter()
            .map(|gateway| (*gateway, addresses.source_for(*gateway, *gateway).unwrap_or_default()))
            .collect();
        let hash = KeyedHash::new(key);
        let mut rng = Rng::seeded(hash.hash(0, 2));
        let parked_max = config.parked_max;
        let neighbours =
            Neighbours::new(&gateways, neighbours_max, parked_max, hash.clone(), &mut rng);
        let own_len = u16::try_from(addresses.own().len()).expect("at most `ADDRESSES_MAX`");
        Ok(Self {
            mac: config.mac,
            mtu: config.mtu,
            addresses,
            routes,
            neighbours,
            announcer: Announcer::new(own_len, config.announce),
            buckets: Buckets::new(hash),
            heard: None,
            echoes: Echoes::new(),
            counters: Counters::default(),
        })
    }

    /// The own address at `local`; the first one if there is no such.
    #[inline]
    #[must_use]
    pub fn local_address(&self, local: LocalIndex) -> Address {
        self.addresses.at(local)
    }

    /// Which own address `address` is.
    #[inline]
    #[must_use]
    pub fn local_index(&self, address: Address) -> Option<LocalIndex> {
        self.addresses.find_unicast(address)
    }

    /// All own addresses with their networks, in the order of their indices.
    #[must_use]
    pub fn locals(&self) -> &[Cidr] {
        self.addresses.own()
    }

    /// The Ethernet address of the interface.
    #[must_use]
    pub const fn mac(&self) -> MacAddress {
        self.mac
    }

    /// Bytes of the longest IP packet that the link takes.
    #[must_use]
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// What has been counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests;

// A fuzzing build instruments the unit tests too, and what they then call comes with bolero.
#[cfg(all(test, fuzzing))]
use bolero as _;
