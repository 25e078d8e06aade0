//! The whole table of states and events, read as a picture.

use super::{Event, State, Transition};

const EVENTS: [Event; 5] =
    [Event::SynAcked, Event::SynCrossed, Event::SendClosed, Event::FinAcked, Event::FinReceived];

#[test]
fn table_of_transitions_is_the_one_of_the_rfc() {
    let mut moves = Vec::new();
    for state in State::ALL {
        for event in EVENTS {
            let to = match state.on(event) {
                Transition::Stay => continue,
                Transition::Enter(next) => next.name(),
                Transition::TimeWait => "TIME-WAIT",
                Transition::Finish => "gone",
            };
            moves.push(format!("{} --{event:?}-> {to}", state.name()));
        }
    }
    let expected = [
        "SYN-SENT --SynAcked-> ESTABLISHED",
        "SYN-SENT --SynCrossed-> SYN-RECEIVED",
        "SYN-RECEIVED --SynAcked-> ESTABLISHED",
        "SYN-RECEIVED --FinReceived-> CLOSE-WAIT",
        "ESTABLISHED --SendClosed-> FIN-WAIT-1",
        "ESTABLISHED --FinReceived-> CLOSE-WAIT",
        "FIN-WAIT-1 --FinAcked-> FIN-WAIT-2",
        "FIN-WAIT-1 --FinReceived-> CLOSING",
        "FIN-WAIT-2 --FinReceived-> TIME-WAIT",
        "CLOSE-WAIT --SendClosed-> LAST-ACK",
        "CLOSING --FinAcked-> TIME-WAIT",
        "LAST-ACK --FinAcked-> gone",
    ];
    assert_eq!(moves, expected);
}

#[test]
fn a_nibble_comes_back_as_its_state() {
    for state in State::ALL {
        assert_eq!(State::from_nibble(state as u8), state);
    }
}
