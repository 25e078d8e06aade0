//! What other threads want of the worker: put into a bounded queue, and the bell is rung.
//!
//! The worker sleeps in the kernel, so a queue alone would wait for its next packet. The bell is a
//! pair of sockets of which the worker watches one end with its other sockets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};

use base::Duration;
use rustls::ServerConfig;

use super::counters::Counters;
use super::service::Figure;
use crate::config::Access;
use crate::error::Error;
use crate::limits::{ORDERS_MAX, WORKER_PATIENCE};

/// What the worker is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// To tell what it has counted.
    Tell(SyncSender<Told>),
    /// To let others in, from now on.
    Access { access: Vec<Access>, tls: Option<Arc<ServerConfig>>, done: SyncSender<()> },
    /// To tell everybody that the switch ends, and to end within so long.
    Leave(Duration),
}

/// What it tells.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) counters: Counters,
    /// Connections that there are.
    pub(crate) connections: u32,
    /// Bytes of partial frames.
    pub(crate) partial_len: u64,
    /// The epoch of now.
    pub(crate) epoch: u64,
    /// How long nothing is given yet.
    pub(crate) grace_left: Duration,
    pub(crate) is_leaving: bool,
    /// What the service has counted.
    pub(crate) figures: Vec<Figure>,
}

/// The side of those who order.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    to: SyncSender<Order>,
    bell: Arc<UnixStream>,
}

/// The worker's side.
#[derive(Debug)]
pub(crate) struct Ordered {
    from: Receiver<Order>,
    pub(super) bell: UnixStream,
}

/// Both sides.
pub(crate) fn orders() -> Result<(Orders, Ordered), Error> {
    let (to, from) = mpsc::sync_channel(ORDERS_MAX);
    let (bell, rung) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
    for end in [&bell, &rung] {
        end.set_nonblocking(true).map_err(Error::io("make a pair of sockets"))?;
    }
    Ok((Orders { to, bell: Arc::new(bell) }, Ordered { from, bell: rung }))
}

impl Orders {
    /// Orders something; whether there was room.
    pub(crate) fn give(&self, order: Order) -> bool {
        let is_given = self.to.try_send(order).is_ok();
        // A bell that is full of rings rings already.
        (&*self.bell).write_all(b"x").ok();
        is_given
    }

    /// Asks the worker what it has counted; `None` if it does not answer in time.
    pub(crate) fn ask(&self) -> Option<Told> {
        let (to, told) = mpsc::sync_channel(1);
        if !self.give(Order::Tell(to)) {
            return None;
        }
        told.recv_timeout(WORKER_PATIENCE).ok()
    }

    /// Changes who comes in; whether the worker has done it.
    pub(crate) fn change_access(
        &self,
        access: Vec<Access>,
        tls: Option<Arc<ServerConfig>>,
    ) -> bool {
        let (done, is_done) = mpsc::sync_channel(1);
        if !self.give(Order::Access { access, tls, done }) {
            return false;
        }
        match is_done.recv_timeout(WORKER_PATIENCE) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}

impl Ordered {
    /// Stills the bell.
    pub(super) fn still(&self) {
        let mut rings = [0; 64];
        loop {
            match (&self.bell).read(&mut rings) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_empty) => return,
            }
        }
    }

    /// The next order.
    pub(super) fn next(&self) -> Option<Order> {
        self.from.try_recv().ok()
    }
}
