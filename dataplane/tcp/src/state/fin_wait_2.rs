//! FIN-WAIT-2: our FIN is acknowledged, and the peer may still send.

use super::{Event, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# FIN-WAIT-2 STATE: Enter the TIME-WAIT state
        Event::FinReceived => Transition::TimeWait,
        Event::SynAcked | Event::SynCrossed | Event::SendClosed | Event::FinAcked => {
            Transition::Stay
        }
    }
}
