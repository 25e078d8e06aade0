//! CLOSE-WAIT: the peer has closed, and we may still send.

use super::{Event, State, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.4
        //# CLOSE-WAIT STATE: ... send a FIN segment, enter LAST-ACK state
        Event::SendClosed => Transition::Enter(State::LastAck),
        Event::SynAcked | Event::SynCrossed | Event::FinAcked | Event::FinReceived => {
            Transition::Stay
        }
    }
}
