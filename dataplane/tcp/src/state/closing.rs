//! CLOSING: both have closed, and our FIN is not acknowledged.

use super::{Event, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# if the ACK acknowledges our FIN, then enter the TIME-WAIT state
        Event::FinAcked => Transition::TimeWait,
        Event::SynAcked | Event::SynCrossed | Event::SendClosed | Event::FinReceived => {
            Transition::Stay
        }
    }
}
