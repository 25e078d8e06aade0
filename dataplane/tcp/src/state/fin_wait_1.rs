//! FIN-WAIT-1: we have closed, and our FIN is not acknowledged.

use super::{Event, State, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# if the FIN segment is now acknowledged, then enter FIN-WAIT-2
        Event::FinAcked => Transition::Enter(State::FinWait2),
        //# if our FIN has been ACKed ... enter TIME-WAIT; otherwise, enter the CLOSING state
        Event::FinReceived => Transition::Enter(State::Closing),
        Event::SynAcked | Event::SynCrossed | Event::SendClosed => Transition::Stay,
    }
}
