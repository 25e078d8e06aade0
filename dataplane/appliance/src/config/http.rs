//! `[http]`: how much and how slow a client of HTTP may be.

use base::Duration;
use gateway::HttpLimits;
use gateway::limits::TIMEOUT_MAX;
use settings::{Ledger, Section};

/// Reads the section.
pub(crate) fn read(section: Section<'_>, ledger: &mut Ledger<'_>) -> Option<HttpLimits> {
    let default = HttpLimits::default();
    let most = TIMEOUT_MAX.as_millis() / 1_000;
    let mut timeout = |key, default: Duration| {
        let seconds = section.number(key, default.as_millis() / 1_000, 1..=most, ledger);
        seconds.map(|at| Duration::from_secs(at.value))
    };
    let head_timeout = timeout("head_timeout_s", default.head_timeout);
    let body_timeout = timeout("body_timeout_s", default.body_timeout);
    let answer_timeout = timeout("answer_timeout_s", default.answer_timeout);
    let linger_timeout = timeout("linger_timeout_s", default.linger_timeout);
    let idle_s = default.idle_timeout.as_millis() / 1_000;
    let idle_s = section.number("idle_timeout_s", idle_s, 0..=most, ledger);
    let mut bytes = |key, default: u32| section.size(key, default, 0..=u32::MAX, ledger);
    let body_rate_min = bytes("body_rate_min", default.body_rate_min);
    let answer_rate_min = bytes("answer_rate_min", default.answer_rate_min);
    let body_len_max = bytes("body_len_max", default.body_len_max);
    Some(HttpLimits {
        head_timeout: head_timeout?,
        body_timeout: body_timeout?,
        body_rate_min: body_rate_min?.value,
        body_len_max: body_len_max?.value,
        answer_timeout: answer_timeout?,
        answer_rate_min: answer_rate_min?.value,
        linger_timeout: linger_timeout?,
        idle_timeout: Duration::from_secs(idle_s?.value),
    })
}
