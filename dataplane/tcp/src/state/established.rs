//! ESTABLISHED: data flows both ways.

use super::{Event, State, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.4
        //# ESTABLISHED STATE ... form a FIN segment and send it. In any case, enter FIN-WAIT-1
        Event::SendClosed => Transition::Enter(State::FinWait1),
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# Enter the CLOSE-WAIT state
        Event::FinReceived => Transition::Enter(State::CloseWait),
        Event::SynAcked | Event::SynCrossed | Event::FinAcked => Transition::Stay,
    }
}
