//! SYN-RECEIVED of a simultaneous open; a passive open waits in a half-open record.

use super::{Event, State, Transition};

pub(super) fn on(event: Event) -> Transition {
    match event {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state
        Event::SynAcked => Transition::Enter(State::Established),
        Event::SynCrossed | Event::SendClosed | Event::FinAcked => Transition::Stay,
        //# SYN-RECEIVED STATE / ESTABLISHED STATE: Enter the CLOSE-WAIT state
        Event::FinReceived => Transition::Enter(State::CloseWait),
    }
}
