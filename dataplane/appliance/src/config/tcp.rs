//! `[tcp]`: how many connections, and how much each may hold.

use settings::{At, Ledger, Section};
use tcp::Config;

use crate::limits::{CONNECTIONS_MAX, FRAMES_FREE_MIN, FRAMES_SCARCE, WINDOW_MAX, WINDOW_MIN};

/// Reads the section; the MTU and the pages come from others.
pub(crate) fn read(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Config> {
    let default = Config::default();
    let connections = section.number("connections", default.records, 1..=CONNECTIONS_MAX, ledger);
    // The defaults of the other tables are for many connections; few need no more than themselves.
    let records = connections.map_or(default.records, |at| at.value);
    let busy_default = default.extensions.min(records);
    let busy = section.number("busy", busy_default, 1..=CONNECTIONS_MAX, ledger);
    let segments = section.number("segments", default.nodes, 2..=CONNECTIONS_MAX, ledger);
    let half_open = section.number("half_open", default.half_open, 1..=CONNECTIONS_MAX, ledger);
    let time_wait = section.number("time_wait", default.time_wait, 1..=CONNECTIONS_MAX, ledger);
    let window = section.size("window", default.window_len, WINDOW_MIN..=WINDOW_MAX, ledger);
    let queue = section.size("send_queue", default.send_len_max, WINDOW_MIN..=WINDOW_MAX, ledger);
    let busy = busy.filter(|busy| is_within(*busy, section, records, ledger));
    let extensions = busy?.value;
    Some(Config {
        records: connections?.value,
        extensions,
        nodes: segments?.value,
        half_open: half_open?.value,
        time_wait: time_wait?.value,
        window_len: window?.value,
        send_len_max: queue?.value,
        extensions_free_min: default.extensions_free_min.min(extensions / 8),
        frames_free_min: FRAMES_FREE_MIN,
        frames_scarce: FRAMES_SCARCE,
        ..default
    })
}

fn is_within(busy: At<u32>, section: Section<'_>, records: u32, ledger: &mut Ledger<'_>) -> bool {
    let At { value, place } = busy;
    if value > records {
        let wrong = format!("{value} are more than there are connections");
        ledger.refuse(place, &section.path("busy"), wrong, format!("use at most {records}"));
    }
    value <= records
}
