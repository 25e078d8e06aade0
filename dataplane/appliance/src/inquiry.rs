//! What the running gateway has, for who asks at the control socket: `addresses`, `routes`,
//! `neighbours`, `listeners`, `access`.
//!
//! The answer is a line of JSON. What was configured is told from the plan that is served, which a
//! reload replaces; what the kernel has is read from it; and what only a core knows is asked of all
//! cores at once, a part at a time. No packet buffer is needed for any of it, and a core that hangs
//! is named while the others are told of.

mod tables;

#[cfg(test)]
mod tests;

use std::thread;
use std::time::{Duration, Instant};

use gateway::HttpLimits;
use serde_json::Value;

use crate::bell::Bell;
use crate::control::Answer;
use crate::limits::{CORE_PATIENCE, LOOK_EVERY};
use crate::order::{Clerk, Order};
use crate::reload::Reloader;
use crate::sight::{Seen, Sight, What};

/// Every request of this kind.
pub(crate) const REQUESTS: [&str; 5] = ["addresses", "routes", "neighbours", "listeners", "access"];

/// The answer to a request; `None` if it is none of [`REQUESTS`].
pub(crate) fn answer(request: &str, reloader: &mut Reloader<'_>) -> Option<Answer> {
    let told = match request {
        "addresses" => Ok(tables::addresses(&reloader.plan)),
        "routes" => Ok(tables::routes(&reloader.plan)),
        "neighbours" => Ok(tables::neighbours(&of_cores(reloader, What::Neighbours))),
        "listeners" => {
            let told = of_cores(reloader, What::Listeners);
            Ok(tables::listeners(&reloader.plan, &told))
        }
        "access" => tables::access(&reloader.plan, reloader.steering),
        _other => return None,
    };
    Some(match told {
        Ok(table) => Answer { code: u8::from(is_partial(&table)), text: table.to_string() },
        Err(error) => {
            let text = format!("the kernel does not tell what the XDP program has: {error}");
            Answer { code: 3, text }
        }
    })
}

/// Whether a core is missing in it.
fn is_partial(table: &Value) -> bool {
    table["missing_cores"].as_array().is_some_and(|missing| !missing.is_empty())
}

/// What each core told; `None` of those that did not.
type Told = Vec<Option<Vec<Seen>>>;

fn of_cores(reloader: &mut Reloader<'_>, what: What) -> Told {
    let limits = reloader.plan.http;
    ask(&mut reloader.clerks, reloader.bells, what, limits, CORE_PATIENCE)
}

/// Asks all cores for a table and waits for those that answer.
fn ask(
    clerks: &mut [Clerk],
    bells: &[Bell],
    what: What,
    limits: HttpLimits,
    patience: Duration,
) -> Told {
    // One that did not answer the last time may have done so since.
    clerks.iter_mut().for_each(|clerk| drop(clerk.take()));
    // Where each goes on; `None` where there is nothing more to ask, or nobody.
    let mut next: Vec<_> = clerks.iter().map(|clerk| (!clerk.is_waiting()).then_some(0)).collect();
    let mut told: Told = next.iter().map(|next| next.map(|_first: u16| Vec::new())).collect();
    let begun = Instant::now();
    loop {
        for ((clerk, bell), (next, rows)) in
            clerks.iter_mut().zip(bells).zip(next.iter_mut().zip(told.iter_mut()))
        {
            let (Some(from), Some(rows)) = (*next, rows) else { continue };
            if let Some(sight) = clerk.take().and_then(|order| order.sight) {
                rows.extend(sight.rows);
                *next = sight.next;
                continue;
            }
            if !clerk.is_waiting() {
                clerk.give(Order::look(Sight::new(what, from), limits)).expect("none is out");
                bell.ring();
            }
        }
        if next.iter().all(Option::is_none) {
            return told;
        }
        if begun.elapsed() > patience {
            let late = told.iter_mut().zip(&next).filter(|(_, next)| next.is_some());
            late.for_each(|(rows, _)| *rows = None);
            return told;
        }
        thread::sleep(LOOK_EVERY);
    }
}
