//! LAST-ACK: the peer closed first, then we; our FIN is not acknowledged.

use super::{Event, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# if our FIN is now acknowledged, delete the TCB, enter the CLOSED state
        Event::FinAcked => Transition::Finish,
        Event::SynAcked | Event::SynCrossed | Event::SendClosed | Event::FinReceived => {
            Transition::Stay
        }
    }
}
