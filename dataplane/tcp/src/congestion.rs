//! Congestion control behind one trait, with its state in 32 bytes of the extension.
//!
//! Loss *detection* (duplicate acknowledgements, time-outs) belongs to the connection; what a loss
//! means for the window belongs here. A controller grows its window only while the window is the
//! limit (RFC 7661), which is its caller's to say: [`Acked::is_cwnd_limited`].

mod new_reno;

use zerocopy::FromBytes;

use base::{Duration, Instant};

use crate::extension::Extension;
use crate::limits::{INITIAL_WINDOW_BYTES, INITIAL_WINDOW_SEGMENTS};

pub(crate) use new_reno::NewReno;

/// Bytes of a controller's state inside the extension.
pub(crate) const STATE_LEN: usize = 32;

/// Which controller a connection has; chosen when its extension is borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Algorithm {
    /// RFC 5681 and 6582.
    #[default]
    NewReno = 0,
}

/// What an acknowledgement of new data told.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// The time of arrival.
    pub now: Instant,
    /// Bytes newly acknowledged.
    pub bytes: u32,
    /// Bytes that were in flight before.
    pub in_flight: u32,
    /// The round-trip time this acknowledgement measured, if it did.
    pub rtt: Option<Duration>,
    /// Whether the congestion window, not the application or the peer, held data back.
    pub is_cwnd_limited: bool,
    /// Payload bytes of a full segment.
    pub mss: u32,
}

/// What decides how much may be in flight. Windows are in bytes.
pub trait Congestion {
    /// New data was acknowledged outside of loss recovery.
    fn on_acked(&mut self, acked: &Acked);
    /// A loss was found by duplicate acknowledgements with `in_flight` bytes out.
    fn on_loss(&mut self, in_flight: u32, mss: u32, now: Instant);
    /// The data of the loss episode is acknowledged.
    fn on_recovered(&mut self, in_flight: u32, mss: u32, now: Instant);
    /// A retransmission time-out with `in_flight` bytes out; `is_first` unless it only backs off.
    fn on_timeout(&mut self, in_flight: u32, mss: u32, is_first: bool);
    /// Nothing was sent for longer than the time-out: the path must be probed again.
    fn on_idle_restart(&mut self, initial_window: u32);
    /// Bytes that may be in flight.
    fn window(&self) -> u32;
    /// The slow start threshold; `u32::MAX` while no loss was seen.
    fn threshold(&self) -> u32;
    /// Bytes per second at which to send, where the controller paces.
    fn pacing_rate(&self) -> Option<u64>;
}

/// RFC 6928: ten segments, at most 14,600 bytes, at least two segments.
#[must_use]
pub fn initial_window(mss: u32) -> u32 {
    (INITIAL_WINDOW_SEGMENTS * mss).min(INITIAL_WINDOW_BYTES.max(2 * mss))
}

/// The controller of a busy connection.
pub(crate) fn controller(extension: &mut Extension) -> &mut dyn Congestion {
    match algorithm(extension.algorithm) {
        Algorithm::NewReno => NewReno::mut_from_bytes(&mut extension.congestion)
            .expect("the state is plain integers of this size, aligned to one byte"),
    }
}

/// Starts the controller of a connection that has just become busy.
pub(crate) fn start(extension: &mut Extension, algorithm: Algorithm, window: u32, threshold: u32) {
    extension.algorithm = algorithm as u8;
    match algorithm {
        Algorithm::NewReno => {
            use zerocopy::IntoBytes;
            let state = NewReno::new(window, threshold);
            extension.congestion.copy_from_slice(state.as_bytes());
        }
    }
}

fn algorithm(_code: u8) -> Algorithm {
    Algorithm::NewReno
}
