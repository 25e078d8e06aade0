//! The oracle at the end of a run: whether all ends agree, and whether everything was given back.
//!
//! Bytes and the order of calls are judged by the services themselves, when they happen.

use stack::CloseReason;
use tcp::Usage;

use crate::host::Host;
use crate::network::Network;
use crate::plan::Plan;
use crate::player::{Side, Stage};
use crate::scenario::Scenario;

/// What does not agree between the ends of the connections.
pub(crate) fn of_connections(network: &Network, plans: &[Plan], scenario: Scenario) -> Vec<String> {
    let mut complaints = Vec::new();
    for (id, plan) in (0..).zip(plans) {
        for host in 0..network.hosts.len() {
            let side = network.hosts[host].side(id);
            let peer = network.hosts[1 - host].side(id);
            let role = if plan.opener == host { "opener" } else { "acceptor" };
            let cores = network.hosts[host].place_of(id).1;
            let complaint = if cores > 1 {
                Some(format!("lives on {cores} cores"))
            } else {
                of_side(side, peer, scenario)
            };
            if let Some(complaint) = complaint {
                complaints.push(format!(
                    "connection {id} at host {host} ({role}): {complaint}\n    this side {}\n    \
                     other side {}{}",
                    state_of(side),
                    state_of(peer),
                    record_of(&network.hosts[host], id),
                ));
            }
        }
    }
    complaints
}

fn state_of(side: &Side) -> String {
    let Side { stage, sent, received, has_finished, has_closed, has_end, .. } = side;
    let plan = &side.plan;
    let waits = [
        (side.is_write_paused, "rests from writing"),
        (side.is_read_paused, "rests from reading"),
        (side.is_blocked, "waits for room"),
        (side.is_reaped, "was ended by the run"),
        (side.is_forged, "got a forged RST"),
        (plan.is_echo, "echoes"),
    ];
    let waits: Vec<&str> = waits.iter().filter(|wait| wait.0).map(|wait| wait.1).collect();
    format!(
        "{stage:?}: sent {sent} of {}, received {received}, finished {has_finished}, closed \
         {has_closed}, end {has_end}, ending {:?}, {}",
        plan.send_len,
        plan.ending,
        waits.join(", ")
    )
}

fn record_of(host: &Host, id: u32) -> String {
    let core = host.cores()[host.place_of(id).0].stack().core();
    let record = host.side(id).conn.and_then(|conn| core.tcp().record(conn));
    record.map_or_else(String::new, |record| {
        let tuple = record.tuple();
        let (state, flags) = (record.state().name(), record.flags());
        format!("\n    {state} {}>{} {flags:?}", tuple.local_port, tuple.remote_port)
    })
}

/// What one side cannot have seen, given the other.
fn of_side(side: &Side, peer: &Side, scenario: Scenario) -> Option<String> {
    if side.received > peer.sent {
        return Some(format!("received {} bytes of {}", side.received, peer.sent));
    }
    if side.has_end && (side.received != peer.sent || !peer.has_finished) {
        let (received, sent) = (side.received, peer.sent);
        return Some(format!("was told of the end after {received} of {sent} bytes"));
    }
    match side.stage {
        Stage::Open | Stage::Asked => Some("never ends".to_owned()),
        Stage::Waiting => {
            // An opener whose service heard of an open connection has met somebody.
            let is_alone =
                peer.reason() == Some(CloseReason::Finished) && !peer.has_closed && peer.was_opened;
            is_alone.then(|| "was never opened, and its peer has finished".to_owned())
        }
        Stage::Refused | Stage::Skipped => None,
        Stage::Ended(reason) => of_reason(side, peer, reason, scenario),
    }
}

fn of_reason(side: &Side, peer: &Side, reason: CloseReason, scenario: Scenario) -> Option<String> {
    let is_tiny = scenario == Scenario::Tiny;
    let is_forged = side.is_forged || peer.is_forged;
    let is_known = match reason {
        CloseReason::Finished => {
            let is_whole = side.has_end && side.received == peer.sent;
            let has_ended = side.has_finished || side.has_closed;
            has_ended && (is_whole || side.has_closed)
        }
        CloseReason::Aborted => {
            // Unread data makes a reset of a close.
            side.has_aborted || side.has_closed || side.is_reaped || is_tiny
        }
        CloseReason::DataAfterClose => side.has_closed,
        CloseReason::PeerReset => {
            has_reset(peer, scenario)
                || is_forged
                || scenario.is_lossy() && is_outlasted(side, peer)
        }
        CloseReason::PeerRefused => false,
        CloseReason::TimedOut | CloseReason::UserTimeout => {
            let is_unheard = !side.was_opened || peer.is_gone();
            is_tiny || is_unheard && scenario.is_lossy()
        }
        CloseReason::KeepAlive => scenario.is_lossy() && peer.is_gone(),
        CloseReason::FramesScarce => is_tiny,
    };
    (!is_known).then(|| format!("{reason:?}, which nothing explains"))
}

/// Whether only the acknowledgement of our FIN was missing: where it is lost for as long as the
/// peer's TIME-WAIT lasts, the FIN meets nobody at last.
fn is_outlasted(side: &Side, peer: &Side) -> bool {
    let is_finished = peer.reason() == Some(CloseReason::Finished);
    is_finished && side.has_finished && side.has_end && peer.received == side.sent
}

/// Whether a RST from this peer is no surprise.
fn has_reset(peer: &Side, scenario: Scenario) -> bool {
    let is_lossy = scenario.is_lossy() || scenario == Scenario::Tiny;
    let is_own = match peer.stage {
        Stage::Refused => true,
        // The handshake was never completed there, and was given up.
        Stage::Waiting | Stage::Skipped => is_lossy,
        Stage::Asked | Stage::Open => false,
        Stage::Ended(reason) => match reason {
            CloseReason::Aborted
            | CloseReason::DataAfterClose
            | CloseReason::KeepAlive
            | CloseReason::TimedOut
            | CloseReason::UserTimeout
            | CloseReason::FramesScarce => true,
            // TIME-WAIT was cut short by a full table, or FIN-WAIT-2 by its time-out.
            CloseReason::Finished => scenario == Scenario::Tiny || peer.has_closed,
            CloseReason::PeerReset | CloseReason::PeerRefused => false,
        },
    };
    is_own || peer.has_aborted || peer.has_closed || peer.is_reaped
}

/// What is still held although nothing goes on any more.
pub(crate) fn of_rest(network: &Network, scenario: Scenario) -> Vec<String> {
    let mut complaints = Vec::new();
    let hosts = network.hosts.iter().enumerate();
    let cores =
        hosts.flat_map(|(number, host)| host.cores().iter().map(move |core| (number, core)));
    for (number, engine) in cores {
        let core = engine.stack().core();
        let mut check = |what: &str, is_right: bool, found: String| {
            if !is_right {
                complaints.push(format!("host {number} at rest: {what}: {found}"));
            }
        };
        let usage = core.tcp().usage();
        check("tables are not empty", usage == Usage::default(), format!("{usage:?}"));
        let held = core.arena().frames_held();
        check("frames are held", held == 0, held.to_string());
        let timers = core.timers_set();
        check("the service's timers are set", timers == 0, timers.to_string());
        let backlog = core.tx_backlog();
        check("packets wait to be sent", backlog == 0, backlog.to_string());
        check("connections wait to send", !core.tcp().has_dirty(), "some".to_owned());
        let on_wire = engine.stack().queue().inner().packets_held();
        check("packets are on the wire", on_wire == 0, on_wire.to_string());
        check("another core's packets wait", !core.has_waiting(), "some".to_owned());
        if scenario == Scenario::Clean {
            let counters = core.tcp().counters();
            let (timeouts, fast) = (counters.timeouts, counters.fast_retransmits);
            let is_right = fast == 0 && (timeouts == 0 || is_excused(network));
            let found = format!("{timeouts} time-outs, {fast} fast retransmits");
            check("segments were sent again on a wire without faults", is_right, found);
        }
    }
    complaints
}

/// Whether a segment may have gone unheard although the wire lost none: of a crowd of first packets
/// only three wait for the neighbour's address, and while a shut window is probed, an
/// acknowledgement from before the probe's byte may meet a receiver that has taken it.
fn is_excused(network: &Network) -> bool {
    network.cores().any(|core| {
        let core = core.stack().core();
        let is_parked = core.counters().dropped(stack::DropReason::ParkedFull) > 0;
        is_parked || core.tcp().counters().window_probes > 0
    })
}
