//! The sweep as the switch's own figures show it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::{Answer, IncomingBody, Limits, RequestKind, Role, SessionId, write_bare};

use crate::error::Error;
use crate::limits::DEATH_STATUS_EVERY_US;
use crate::ports::bypss::session::Conn;
use crate::ports::engine::open;

/// An observer that asks for figures again and again.
#[derive(Debug)]
pub(super) struct Observer {
    conn: Conn,
    limits: Limits,
    asked_at: Option<Instant>,
    next: Instant,
    out: Vec<u8>,
    /// Ports of the dead that were there, each time, and when that was asked.
    pub(super) left: Vec<(Instant, u64)>,
    /// Ports that were swept, as told last.
    pub(super) swept: u64,
}

impl Observer {
    pub(super) fn begin(address: SocketAddr) -> Result<Self, Error> {
        let mut conn = Conn::new(open(address, None)?);
        let agreed = conn.greet("observer", (SessionId::NONE, 0, 0), Role::Observer)?;
        conn.set_blocks(false)?;
        Ok(Self {
            conn,
            limits: agreed.limits,
            asked_at: None,
            next: Instant::now(),
            out: Vec::new(),
            left: Vec::new(),
            swept: 0,
        })
    }

    /// Asks if it is time, and takes what came; true once no port of a dead session is left.
    pub(super) fn turn(&mut self) -> Result<bool, Error> {
        let now = Instant::now();
        let Some(asked_at) = self.asked_at else {
            if now >= self.next {
                self.out.clear();
                write_bare(&mut self.out, RequestKind::Status, 1);
                self.conn.say(&self.out)?;
                self.asked_at = Some(now);
            }
            return Ok(false);
        };
        self.conn.read()?;
        if !self.conn.has_frame(&self.limits)? {
            return Ok(false);
        }
        let [dead, swept] = self.conn.use_frame(&self.limits, "STATUS", |_id, body| {
            let IncomingBody::Answer(Answer::Status(figures)) = body else { return None };
            let value = |key| figures.iter().find(|figure| figure.key == key);
            Some([value("ports_dead")?.value, value("ports_swept")?.value])
        })?;
        self.asked_at = None;
        self.next = now + Duration::from_micros(DEATH_STATUS_EVERY_US);
        self.left.push((asked_at, dead));
        self.swept = swept;
        Ok(dead == 0)
    }
}
