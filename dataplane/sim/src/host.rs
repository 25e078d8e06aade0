//! One host: a core or several, each an engine with its own service.

use base::{Instant, Rng};
use engine::{Engine, Turn};
use nic::Impaired;
use stack::{ConnectError, Context};
use wire::Address;

use crate::player::{Player, Side, Stage};
use crate::spread::Spread;
use crate::tapped::Tapped;

/// What a core receives and sends by.
pub(crate) type Queue = Tapped<Impaired<Spread>>;

/// One core: a stack, and its half of the service.
pub(crate) type Core = Engine<Queue, Player>;

/// The cores of one host. They share its addresses, and nothing else.
#[derive(Debug)]
pub(crate) struct Host {
    cores: Vec<Core>,
    /// Which core has no turn, now and then.
    rng: Rng,
}

impl Host {
    pub(crate) fn new(cores: Vec<Core>, seed: u64) -> Self {
        Self { cores, rng: Rng::seeded(seed) }
    }

    pub(crate) fn cores(&self) -> &[Core] {
        &self.cores
    }

    pub(crate) fn cores_mut(&mut self) -> &mut [Core] {
        &mut self.cores
    }

    pub(crate) fn into_cores(self) -> Vec<Core> {
        self.cores
    }

    /// The core that is alone in most runs, and the first of several.
    pub(crate) fn first(&self) -> &Core {
        &self.cores[0]
    }

    /// One turn of each core; of several, one in four comes late. `None` is a turn that was left
    /// out.
    pub(crate) fn turns(&mut self, now: Instant) -> impl Iterator<Item = Option<Turn>> {
        let Self { cores, rng } = self;
        let lags = cores.len() > 1;
        cores.iter_mut().map(move |core| {
            let is_late = lags && rng.below(4) == 0;
            (!is_late).then(|| core.turn(now))
        })
    }

    /// The core that has the connection, and how many have it; the first one while none has.
    pub(crate) fn place_of(&self, id: u32) -> (usize, usize) {
        let is_there = |core: &Core| core.service().side(id).stage != Stage::Waiting;
        let place = self.cores.iter().position(is_there).unwrap_or(0);
        (place, self.cores.iter().filter(|core| is_there(core)).count())
    }

    /// This host's end of a connection.
    pub(crate) fn side(&self, id: u32) -> &Side {
        self.cores[self.place_of(id).0].service().side(id)
    }

    /// Every end with the number of its connection.
    pub(crate) fn sides(&self) -> impl Iterator<Item = (u32, &Side)> {
        self.first().service().sides().map(|(id, _)| (id, self.side(id)))
    }

    /// Opens connection `id` from any core; gives the local port.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        id: u32,
        remote: (Address, u16),
    ) -> Result<u16, ConnectError> {
        let place = if self.cores.len() > 1 { self.rng.below(self.cores.len() as u64) } else { 0 };
        let core = &mut self.cores[usize::try_from(place).expect("one of them")];
        let conn = core.with_context(now, |player, cx| player.connect(cx, id, remote))?;
        let record = core.stack().core().tcp().record(conn).expect("it was just opened");
        Ok(record.tuple().local_port)
    }

    /// Acts on the core that has connection `id`.
    pub(crate) fn with_context<R>(
        &mut self,
        now: Instant,
        id: u32,
        act: impl FnOnce(&mut Player, &mut Context<'_>) -> R,
    ) -> R {
        let place = self.place_of(id).0;
        self.cores[place].with_context(now, act)
    }
}
