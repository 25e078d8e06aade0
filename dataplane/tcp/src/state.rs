//! The states of a connection, and what moves it from one to the next.
//!
//! Segments are judged alike in all synchronized states (`ingress/judge.rs`); what differs by
//! state is what an *event* means, and that is one small pure function per state in a file of its
//! own. LISTEN is a listener, SYN-RECEIVED of a passive open a half-open record, TIME-WAIT a
//! record of its own kind: they are not states of this machine.

mod close_wait;
mod closing;
mod established;
mod fin_wait_1;
mod fin_wait_2;
mod last_ack;
mod syn_received;
mod syn_sent;

/// RFC 9293 section 3.3.2, less LISTEN and TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Ended; the service has yet to be told.
    Closed = 0,
    /// Our SYN is out.
    SynSent = 1,
    /// Both SYNs are out and ours is not acknowledged (simultaneous open).
    SynReceived = 2,
    /// Data flows both ways.
    Established = 3,
    /// We have closed; our FIN is not acknowledged.
    FinWait1 = 4,
    /// Our FIN is acknowledged; the peer may still send.
    FinWait2 = 5,
    /// The peer has closed; we may still send.
    CloseWait = 6,
    /// Both have closed; our FIN is not acknowledged.
    Closing = 7,
    /// The peer closed first, then we; our FIN is not acknowledged.
    LastAck = 8,
}

/// What can happen to a connection as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Our SYN is acknowledged (and, in SYN-SENT, the peer's SYN has come with it).
    SynAcked,
    /// A SYN without acknowledgement arrived in SYN-SENT.
    SynCrossed,
    /// The service sends no more.
    SendClosed,
    /// Our FIN is acknowledged.
    FinAcked,
    /// The peer's FIN has arrived in order.
    FinReceived,
}

/// What an event does to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The state stays.
    Stay,
    /// Another state.
    Enter(State),
    /// Both directions have ended and we closed first: the tuple rests.
    TimeWait,
    /// Both directions have ended and the peer holds the tuple.
    Finish,
}

impl State {
    /// Every state that a record may be in.
    pub const ALL: [Self; 9] = [
        Self::Closed,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
    ];

    pub(crate) fn from_nibble(nibble: u8) -> Self {
        Self::ALL[usize::from(nibble).min(Self::ALL.len() - 1)]
    }

    /// What `event` does in this state.
    #[must_use]
    pub fn on(self, event: Event) -> Transition {
        match self {
            Self::Closed => Transition::Stay,
            Self::SynSent => syn_sent::on(event),
            Self::SynReceived => syn_received::on(event),
            Self::Established => established::on(event),
            Self::FinWait1 => fin_wait_1::on(event),
            Self::FinWait2 => fin_wait_2::on(event),
            Self::CloseWait => close_wait::on(event),
            Self::Closing => closing::on(event),
            Self::LastAck => last_ack::on(event),
        }
    }

    /// Both sides' SYNs have been acknowledged.
    #[must_use]
    pub fn is_synchronized(self) -> bool {
        self >= Self::Established
    }

    /// A record may be without an extension in this state.
    #[must_use]
    pub fn may_be_quiet(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait | Self::FinWait2)
    }

    /// The service may still queue data.
    #[must_use]
    pub fn may_send(self) -> bool {
        matches!(self, Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait)
    }

    /// The peer may still send data.
    #[must_use]
    pub fn may_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// The name that RFC 9293 gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
        }
    }
}

#[cfg(test)]
mod tests;
