//! What is wanted of the queues of a NIC, and of the XDP program before them: the keys of
//! `[interface]` with kind = "af_xdp", and the sections `[access]` and `[syn_budget]`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use af_xdp::{BusyPoll, CopyMode, RING_SIZE_MAX, RING_SIZE_MIN, TX_BUDGET_MIN};
use loader::{Mode, Prefix, Rate, Rule, SynBudget};
use settings::{At, Ledger, Section};

use crate::limits::{ACCESS_RULES_MAX, BUSY_POLL_US_MAX};

/// What is wanted of the queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Xdp {
    pub(crate) mode: Mode,
    pub(crate) copy: CopyMode,
    /// Entries of each of a queue's rings.
    pub(crate) ring_size: u32,
    /// Descriptors that one system call may send in copy mode, if not the kernel's figure.
    pub(crate) tx_budget: Option<u32>,
    pub(crate) busy_poll: Option<BusyPoll>,
}

const MODES: &[(&str, Mode)] =
    &[("auto", Mode::Auto), ("native", Mode::Native), ("generic", Mode::Generic)];
const COPIES: &[(&str, CopyMode)] = &[("auto", CopyMode::Auto), ("copy", CopyMode::Copy)];
/// Whether zero-copy is a condition.
const REQUIRE: &[(&str, bool)] = &[("nothing", false), ("zerocopy", true)];

const RING_SIZE: u32 = 2048;
/// Packets that one busy poll takes: a burst.
const BUSY_POLL_BUDGET: u16 = 64;

/// Reads the keys of `[interface]`.
pub(super) fn read(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Xdp> {
    let mode = section.choice("xdp_mode", Mode::Auto, MODES, ledger);
    let copy = section.choice("copy", CopyMode::Auto, COPIES, ledger);
    let require = section.choice("require", false, REQUIRE, ledger);
    let ring_size = ring_size(section, ledger);
    let tx_budget = section.number("tx_budget", 0, 0..=RING_SIZE_MAX, ledger);
    let busy_poll_us = section.number("busy_poll_us", 0, 0..=BUSY_POLL_US_MAX, ledger);
    let (copy, require, ring_size) = (copy?, require?, ring_size?);
    if copy.value == CopyMode::Copy && require.value {
        let right = "use copy = \"auto\", or require nothing";
        ledger.refuse(copy.place, &section.path("copy"), "zero-copy is required as well", right);
        return None;
    }
    let tx_budget = tx_budget?;
    if tx_budget.value != 0 && !(TX_BUDGET_MIN..=ring_size).contains(&tx_budget.value) {
        let wrong = format!("{} is out of range", tx_budget.value);
        let right = format!("use {TX_BUDGET_MIN} to {ring_size}, the size of the ring, or 0");
        ledger.refuse(tx_budget.place, &section.path("tx_budget"), wrong, right);
        return None;
    }
    let busy_poll_us = busy_poll_us?.value;
    Some(Xdp {
        mode: mode?.value,
        copy: if require.value { CopyMode::ZeroCopy } else { copy.value },
        ring_size,
        tx_budget: (tx_budget.value != 0).then_some(tx_budget.value),
        busy_poll: (busy_poll_us != 0)
            .then_some(BusyPoll { us: busy_poll_us, budget: BUSY_POLL_BUDGET }),
    })
}

fn ring_size(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<u32> {
    const KEY: &str = "ring_size";
    let range = RING_SIZE_MIN..=RING_SIZE_MAX;
    let At { value, place } = section.number(KEY, RING_SIZE, range, ledger)?;
    if !value.is_power_of_two() {
        let right =
            format!("use {} or {}", value.next_power_of_two() / 2, value.next_power_of_two());
        ledger.refuse(place, &section.path(KEY), format!("{value} is no power of two"), right);
        return None;
    }
    Some(value)
}

/// Reads `[access]`: who is let in, and who is dropped before he costs a frame.
pub(super) fn access(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<Vec<(Prefix, Rule)>> {
    let found_before = ledger.found.len();
    let mut rules: Vec<(Prefix, Rule)> = Vec::new();
    let mut known = BTreeSet::new();
    for (key, rule) in [("deny", Rule::Deny), ("allow", Rule::Allow)] {
        for At { value: text, place } in section.texts(key, ledger) {
            match text.parse::<Prefix>() {
                Ok(prefix) if !known.insert(prefix) => {
                    let wrong = format!("{prefix} is there twice");
                    ledger.refuse(place, &section.path(key), wrong, "keep one of them");
                }
                Ok(prefix) => rules.push((prefix, rule)),
                Err(error) => {
                    let (wrong, right) = split(&error.to_string());
                    ledger.refuse(place, &section.path(key), wrong, right);
                }
            }
        }
    }
    if rules.len() > ACCESS_RULES_MAX {
        let wrong = format!("{} ranges are too many", rules.len());
        let right = format!("use at most {ACCESS_RULES_MAX} in `deny` and `allow` together");
        ledger.refuse(section.place, "access", wrong, right);
    }
    (ledger.found.len() == found_before).then_some(rules)
}

/// What is wrong, and what would be right.
fn split(message: &str) -> (String, String) {
    let (wrong, right) = message.split_once("; ").unwrap_or((message, "use a shorter prefix"));
    (wrong.to_owned(), right.to_owned())
}

const PER_S_RANGE: RangeInclusive<u32> = 0..=1_000_000_000;
const BURST: u32 = 256;
const BURST_RANGE: RangeInclusive<u32> = 1..=1_000_000_000;

/// Reads `[syn_budget]`.
pub(super) fn syn_budget(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<SynBudget> {
    let mut rate = |per_s, burst| {
        let per_s = section.number(per_s, 0, PER_S_RANGE, ledger);
        let burst = section.number(burst, BURST, BURST_RANGE, ledger);
        let (per_s, burst) = (per_s?.value, NonZeroU32::new(burst?.value)?);
        Some(NonZeroU32::new(per_s).map(|per_s| Rate { per_s, burst }))
    };
    let per_source = rate("per_source_per_s", "per_source_burst");
    let strangers = rate("strangers_per_s", "strangers_burst");
    Some(SynBudget { per_source: per_source?, strangers: strangers? })
}
