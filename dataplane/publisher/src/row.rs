//! A connection of the stack as a row of the tools' file.

use counters::{Row, State};
use tcp::{Listed, Phase};

/// The row of a connection.
pub(crate) fn row(listed: &Listed, ip: &ip::Ip) -> Row {
    let state = match listed.phase {
        Phase::HalfOpen => State::SynReceived,
        Phase::TimeWait => State::TimeWait,
        Phase::Record(state) => state_of(state),
    };
    let local = ip.local_address(ip::LocalIndex(listed.tuple.local));
    Row {
        local: local.octets(),
        local_port: listed.tuple.local_port,
        listener: listed.listener,
        is_active: listed.is_active,
        is_busy: listed.is_busy,
        index: listed.index,
        generation: listed.generation,
        idle_s: listed.idle_s,
        srtt_us: listed.srtt_us,
        rttvar_us: listed.rttvar_us,
        cwnd: listed.cwnd,
        ssthresh: listed.ssthresh,
        snd_wnd: listed.snd_wnd,
        bytes_in_flight: listed.bytes_in_flight,
        bytes_queued: listed.bytes_queued,
        bytes_unread: listed.bytes_unread,
        ..Row::new(state, listed.tuple.remote.octets(), listed.tuple.remote_port)
    }
}

fn state_of(state: tcp::State) -> State {
    match state {
        tcp::State::Closed => State::Closed,
        tcp::State::SynSent => State::SynSent,
        tcp::State::SynReceived => State::SynReceived,
        tcp::State::Established => State::Established,
        tcp::State::FinWait1 => State::FinWait1,
        tcp::State::FinWait2 => State::FinWait2,
        tcp::State::CloseWait => State::CloseWait,
        tcp::State::Closing => State::Closing,
        tcp::State::LastAck => State::LastAck,
    }
}
