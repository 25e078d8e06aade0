//! SYN-SENT: our SYN is out, nothing is known of the peer.

use super::{Event, State, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
        //# If SND.UNA > ISS (our SYN has been ACKed), change the connection state to ESTABLISHED
        Event::SynAcked => Transition::Enter(State::Established),
        //# Otherwise, enter SYN-RECEIVED
        Event::SynCrossed => Transition::Enter(State::SynReceived),
        // A close waits until the connection is established: the FIN is queued behind the SYN.
        Event::SendClosed | Event::FinAcked | Event::FinReceived => Transition::Stay,
    }
}
