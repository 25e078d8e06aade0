//! `abelectl drops`: why something was dropped or refused, how often and where.

use std::io::Write;

use counters::View;
use memory::SharedView;
use serde_json::{Value, json};

use crate::args::DropsArgs;
use crate::error::Error;
use crate::instance;
use crate::interrupt::Interrupt;
use crate::sample::{Sample, about_json, growth, headline};
use crate::table::Table;

/// Prints it once, after the interval if there is one.
pub(crate) fn run(
    args: &DropsArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let (_path, view) = instance::open(&args.target)?;
    let before = match args.interval {
        Some(interval) => {
            let before = Sample::take(&view)?;
            interrupt.sleep(interval)?;
            Some(before)
        }
        None => None,
    };
    let sample = Sample::take(&view)?;
    let drops = collect(&view, before.as_ref(), &sample);
    if args.json {
        let mut object = about_json(&view, sample.is_alive);
        object.insert("drops".to_owned(), drops.iter().map(Drop::to_json).collect());
        writeln!(out, "{}", Value::Object(object))?;
    } else {
        print_table(&view, &sample, &drops, before.is_some(), out)?;
    }
    out.flush()?;
    sample.verdict(&view)
}

/// One reason.
struct Drop {
    name: String,
    unit: String,
    cores: Vec<u64>,
    total: u64,
    per_s: Option<f64>,
}

impl Drop {
    fn to_json(&self) -> Value {
        let Self { name, unit, cores, total, per_s } = self;
        let mut object = json!({ "name": name, "unit": unit, "cores": cores, "total": total });
        if let (Some(per_s), Value::Object(fields)) = (per_s, &mut object) {
            fields.insert("per_s".to_owned(), json!(per_s));
        }
        object
    }
}

/// All reasons that have happened, the most frequent first.
fn collect(view: &View<SharedView>, before: Option<&Sample>, sample: &Sample) -> Vec<Drop> {
    let mut drops = Vec::new();
    for (index, counter) in view.counters().iter().enumerate().filter(|(_, c)| c.is_drop) {
        let total = sample.total(index);
        if total == 0 {
            continue;
        }
        let per_s = before.map(|before| {
            let nanos = sample.taken_at.saturating_sub(before.taken_at).max(1);
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = growth(counter, before.total(index), total) as f64 * 1e9 / nanos as f64;
            rate
        });
        let cores = sample.cores.iter().map(|core| core.values[index]).collect();
        let (name, unit) = (counter.full_name(), counter.unit.clone());
        drops.push(Drop { name, unit, cores, total, per_s });
    }
    drops.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.name.cmp(&b.name)));
    drops
}

fn print_table(
    view: &View<SharedView>,
    sample: &Sample,
    drops: &[Drop],
    has_rates: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    writeln!(out, "{}\n", headline(view, sample.is_alive))?;
    if drops.is_empty() {
        writeln!(out, "nothing was dropped or refused")?;
        return Ok(());
    }
    let has_total = sample.cores.len() > 1;
    let mut head = vec!["dropped or refused".to_owned()];
    head.extend((0..sample.cores.len()).map(|core| format!(">core {core}")));
    head.extend(has_total.then(|| ">total".to_owned()));
    head.extend(has_rates.then(|| ">per s".to_owned()));
    let mut table = Table::new(head);
    for drop in drops {
        let mut row = vec![drop.name.clone()];
        row.extend(drop.cores.iter().map(u64::to_string));
        row.extend(has_total.then(|| drop.total.to_string()));
        row.extend(drop.per_s.map(|per_s| format!("{per_s:.1}")));
        table.row(row);
    }
    table.print(out, "\n")?;
    Ok(())
}
