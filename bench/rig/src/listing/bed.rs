//! Both ends of the round trips, the tools' file of one of them, and the rounds.
//!
//! All rounds are of the same connections in the same memory, so that what differs between two of
//! them is the tool alone.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use base::{Duration, Instant};
use core_affinity::CoreId;
use counters::CoreWriter;
use memory::FrameArena;
use nic::mem::MemQueue;
use publisher::{Facts, Publisher};
use tcp::Seen;
use wire::Address;

use super::args::ListingArgs;
use super::ledger::{Listing, Place};
use super::lister::{Expected, Listers, Told};
use super::seats::Seats;
use super::tools;
use crate::args::Cores;
use crate::cores;
use crate::ends::mem::{Wires, join, share};
use crate::ends::{self, ClientEnd, ClientTally, Clock, Plan, ServerEnd, ServerTally};
use crate::error::Error;
use crate::limits::{LISTING_CONNECTIONS_PER_ADDRESS, LISTING_OPEN_MS_MAX, SETTLE_MS};
use crate::recorder::Recorded;
use crate::round::Round;
use crate::rr::asker::Asker;
use crate::stop::Stop;

/// Tuples that rest: no connection ends before all do.
const TIME_WAIT: u32 = 1_024;

/// A round without the tool and one with it.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) quiet: Recorded,
    pub(super) listed: Recorded,
    pub(super) listings: Vec<Listing>,
}

/// What all of it gave.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) pairs: Vec<Pair>,
    /// What both ends counted, from the first connection on.
    pub(super) totals: Round,
    /// The most entries of its tables that one turn of the serving core has looked at.
    pub(super) looks_max: u64,
}

/// What both ends share.
struct Bed<'a> {
    args: &'a ListingArgs,
    seats: Seats,
    plan: Plan,
    arena: FrameArena,
    clock: Clock,
    stop: &'a Stop,
}

/// What the serving end counted, and its `looks_max`.
type Served = (ServerTally, u64);

/// Opens all connections and runs all rounds.
pub(super) fn run(args: &ListingArgs, seats: Seats, stop: &Stop) -> Result<Outcome, Error> {
    let plan = plan(args);
    let Wires { arena, client, server, clock } = Wires::new(plan)?;
    // It stays until the end of this function.
    let mut file = tools::create(clock)?;
    let tools = file.core(0);
    let bed = Bed { args, seats, plan, arena, clock, stop };
    let (pairs, asked, (served, looks_max)) = thread::scope(|scope| {
        let listers = Listers::start(scope, seats.lister);
        match args.cores {
            Cores::One => join(scope.spawn(|| bed.on_one_core(client, server, tools, listers))),
            Cores::Two => {
                let is_over = AtomicBool::new(false);
                thread::scope(|scope| {
                    let server = scope.spawn(|| bed.serve(server, tools, &is_over));
                    let client = join(scope.spawn(|| {
                        let asked = bed.ask(client, listers);
                        // Whatever happened here, the server must not spin on.
                        is_over.store(true, Ordering::Relaxed);
                        asked
                    }));
                    let served = join(server);
                    let ((pairs, asked), served) = (client?, served?);
                    Ok((pairs, asked, served))
                })
            }
        }
    })?;
    Ok(Outcome { pairs, totals: ends::round(asked, served), looks_max })
}

fn plan(args: &ListingArgs) -> Plan {
    let addresses = args.total().div_ceil(LISTING_CONNECTIONS_PER_ADDRESS);
    let servers = u8::try_from(addresses).expect("LISTING_CONNECTIONS_MAX says so");
    let &ListingArgs { active, connections, .. } = args;
    Plan { connections: active, silent: connections, time_wait: TIME_WAIT, servers }
}

impl Bed<'_> {
    fn on_one_core(
        &self,
        client: MemQueue,
        server: MemQueue,
        tools: CoreWriter,
        listers: Listers,
    ) -> Result<(Vec<Pair>, ClientTally, Served), Error> {
        cores::pin(self.seats.ends.server)?;
        let mut server = self.server(server, tools)?;
        let mut client = self.client(client)?;
        let serve = || server.turn(self.clock.now());
        let pairs = Drive { bed: self, client: &mut client, serve, listers }.rounds()?;
        client.settle(self.clock);
        server.settle(self.clock);
        Ok((pairs, client.finish(), (server.tally(), server.looks_max())))
    }

    /// The serving core of two.
    fn serve(
        &self,
        queue: MemQueue,
        tools: CoreWriter,
        over: &AtomicBool,
    ) -> Result<Served, Error> {
        cores::pin(self.seats.ends.server)?;
        let mut server = self.server(queue, tools)?;
        while !over.load(Ordering::Relaxed) {
            server.turn(self.clock.now());
        }
        server.settle(self.clock);
        Ok((server.tally(), server.looks_max()))
    }

    /// The asking core of two.
    fn ask(&self, queue: MemQueue, listers: Listers) -> Result<(Vec<Pair>, ClientTally), Error> {
        cores::pin(self.seats.ends.client)?;
        let mut client = self.client(queue)?;
        let pairs = Drive { bed: self, client: &mut client, serve: || {}, listers }.rounds()?;
        Ok((pairs, client.finish()))
    }

    fn server(&self, queue: MemQueue, tools: CoreWriter) -> Result<ServerEnd<MemQueue>, Error> {
        let mut server = ServerEnd::new(self.plan, queue, share(&self.arena), self.clock)?;
        let CoreId { id: cpu } = self.seats.ends.server;
        server.show(|queue| {
            let (interface, pages) = ("memory", self.arena.pages());
            let facts = Facts { queue, interface, pages, cpu, device: Vec::new(), board: None };
            Publisher::new(tools, facts)
        });
        Ok(server)
    }

    fn client(&self, queue: MemQueue) -> Result<ClientEnd<MemQueue, Asker>, Error> {
        let &ListingArgs { connections, active, size, seconds, .. } = self.args;
        let size = usize::try_from(size).expect("SIZE_MAX fits any usize");
        let servers = self.plan.server_addresses().into_iter().map(Address::from).collect();
        let length = std::time::Duration::from_secs_f64(seconds);
        let asker = Asker::new(servers, active, size, length).among_silent(connections);
        ClientEnd::new(self.plan, queue, share(&self.arena), self.clock, asker)
    }
}

/// The rounds, from the core of the asking end.
struct Drive<'a, 'b, F> {
    bed: &'a Bed<'b>,
    client: &'a mut ClientEnd<MemQueue, Asker>,
    /// A turn of the serving end, where it is on the same core.
    serve: F,
    listers: Listers,
}

impl<F: FnMut()> Drive<'_, '_, F> {
    fn rounds(mut self) -> Result<Vec<Pair>, Error> {
        self.open()?;
        let expected = Expected { client: self.client_address(), places: self.places()? };
        let mut pairs = Vec::new();
        for round in 0..self.bed.args.rounds {
            let pair = if round % 2 == 0 {
                let quiet = self.round()?;
                let (listed, listings) = self.listed_round(&expected)?;
                Pair { quiet, listed, listings }
            } else {
                let (listed, listings) = self.listed_round(&expected)?;
                Pair { quiet: self.round()?, listed, listings }
            };
            pairs.push(pair);
        }
        Ok(pairs)
    }

    /// A turn of each end, or of the one that is on this core; whether the round goes on.
    #[inline]
    fn turn(&mut self) -> Result<bool, Error> {
        (self.serve)();
        self.client.turn(self.bed.clock.now(), self.bed.stop)
    }

    /// Turns until every connection is open, and nothing is under way any more.
    fn open(&mut self) -> Result<(), Error> {
        let deadline = self.bed.clock.now() + Duration::from_millis(LISTING_OPEN_MS_MAX);
        while !self.client.service().is_open() {
            self.turn()?;
            if self.bed.clock.now() > deadline {
                let what = "not all connections were open in time".to_owned();
                return Err(Error::Child { side: "client", what });
            }
        }
        self.rest()
    }

    fn rest(&mut self) -> Result<(), Error> {
        let until: Instant = self.bed.clock.now() + Duration::from_millis(SETTLE_MS);
        while self.bed.clock.now() < until {
            self.turn()?;
        }
        Ok(())
    }

    fn round(&mut self) -> Result<Recorded, Error> {
        self.rest()?;
        self.client.service_mut().begin();
        while self.turn()? {}
        Ok(self.client.service_mut().end())
    }

    fn listed_round(&mut self, expected: &Expected) -> Result<(Recorded, Vec<Listing>), Error> {
        self.listers.begin(expected.clone());
        self.told()?;
        let recorded = self.round()?;
        self.listers.end();
        match self.told()? {
            Told::Ended(listings) => Ok((recorded, listings)),
            Told::Begun => unreachable!("it was told to end, and had begun"),
        }
    }

    /// Turns until something is told.
    fn told(&mut self) -> Result<Told, Error> {
        loop {
            if let Some(told) = self.listers.poll()? {
                return Ok(told);
            }
            self.turn()?;
        }
    }

    fn client_address(&self) -> IpAddr {
        ends::CLIENT_ADDRESS.into()
    }

    /// All connections as the asking end has them: the listing is of the other end.
    fn places(&self) -> Result<Vec<Place>, Error> {
        let (tcp, now) = (self.client.tcp(), self.bed.clock.now());
        let (mut places, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = match tcp.look(cursor, now) {
                Seen::Connection(next, listed) => {
                    let server = listed.tuple.remote.to_v6().to_canonical();
                    places.push((server, listed.tuple.local_port));
                    next
                }
                Seen::Nothing(next) => next,
                Seen::End => break,
            };
        }
        let total = self.bed.args.total() as usize;
        if places.len() != total {
            let what = format!("it has {} connections, and opened {total}", places.len());
            return Err(Error::Child { side: "client", what });
        }
        Ok(places)
    }
}
