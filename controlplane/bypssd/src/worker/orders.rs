//! What other threads want of one: put into a bounded queue, and the bell is rung.
//!
//! A worker sleeps in the kernel, so a queue alone would wait for its next packet. The bell is a
//! pair of sockets of which the worker watches one end with its other sockets.

use std::io::{ErrorKind, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};

use base::Duration;
use rustls::ServerConfig;

use super::connection::Connection;
use super::counters::Counters;
use super::service::Figure;
use crate::config::{Access, Ending};
use crate::error::Error;
use crate::lane::Bell;
use crate::limits::{ORDERS_MAX, WORKER_PATIENCE};
use crate::load::Load;

/// What a thread is to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// To tell what it has counted.
    Tell(SyncSender<Told>),
    /// To let others in, from now on.
    Access { access: Vec<Access>, tls: Option<Arc<ServerConfig>>, done: SyncSender<()> },
    /// To serve a connection that another worker has let in.
    TakeIn(Box<Connection>),
    /// To tell everybody that the switch ends, and to end in time.
    Leave(Ending),
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
    /// What each thread that serves has taken.
    pub(crate) loads: Vec<Load>,
    /// What each of several workers has counted; `counters` is their sum then.
    pub(crate) each: Vec<Counters>,
}

/// The side of those who order.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    to: SyncSender<Order>,
    bell: Bell,
}

/// The side of the thread.
#[derive(Debug)]
pub(crate) struct Ordered {
    from: Receiver<Order>,
    pub(crate) bell: UnixStream,
}

/// Both sides.
pub(crate) fn orders() -> Result<(Orders, Ordered), Error> {
    let (to, from) = mpsc::sync_channel(ORDERS_MAX);
    let (bell, rung) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
    for end in [&bell, &rung] {
        end.set_nonblocking(true).map_err(Error::io("make a pair of sockets"))?;
    }
    Ok((Orders { to, bell: Bell::new(bell) }, Ordered { from, bell: rung }))
}

impl Orders {
    /// Orders something; whether there was room.
    pub(crate) fn give(&self, order: Order) -> bool {
        let is_given = self.to.try_send(order).is_ok();
        self.bell.ring();
        is_given
    }

    /// Hands a connection over; it comes back where there is no room for the order.
    pub(super) fn hand_over(&self, connection: Box<Connection>) -> Result<(), Box<Connection>> {
        let given = self.to.try_send(Order::TakeIn(connection));
        self.bell.ring();
        match given {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => match order {
                Order::TakeIn(connection) => Err(connection),
                Order::Tell(_) | Order::Access { .. } | Order::Leave(_) => Ok(()),
            },
        }
    }

    /// What wakes the thread.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
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
    pub(crate) fn still(&self) {
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
    pub(crate) fn next(&self) -> Option<Order> {
        self.from.try_recv().ok()
    }
}
