//! `abelectl stats`: every counter by core, and what each core says of itself.

use std::io::Write;

use counters::View;
use memory::SharedView;
use serde_json::{Value, json};

use crate::args::StatsArgs;
use crate::error::Error;
use crate::instance;
use crate::pattern;
use crate::sample::{Sample, about_json, headline, values_json};
use crate::table::Table;

/// Prints it once.
pub(crate) fn run(args: &StatsArgs, out: &mut dyn Write) -> Result<(), Error> {
    let (_path, view) = instance::open(&args.target)?;
    let cores = view.about().cores;
    let meant: Vec<usize> = match args.core {
        Some(core) if core >= cores => return Err(Error::NoCore { core, cores }),
        Some(core) => vec![core],
        None => (0..cores).collect(),
    };
    let (chosen, with_zeros) = match &args.pattern {
        Some(pattern) => (pattern::select(view.counters(), pattern)?, true),
        None => ((0..view.counters().len()).collect(), args.all),
    };
    let sample = Sample::take(&view)?;
    if args.json {
        print_json(&view, &sample, &meant, &chosen, out)?;
    } else {
        print_tables(&view, &sample, &meant, &Chosen { counters: chosen, with_zeros }, out)?;
    }
    out.flush()?;
    sample.verdict(&view)
}

/// The counters that are printed.
struct Chosen {
    counters: Vec<usize>,
    with_zeros: bool,
}

fn print_tables(
    view: &View<SharedView>,
    sample: &Sample,
    meant: &[usize],
    chosen: &Chosen,
    out: &mut dyn Write,
) -> Result<(), Error> {
    writeln!(out, "{}\n", headline(view, sample.is_alive))?;
    let head = ["core", "state", ">last sign", ">turns"].map(str::to_owned);
    let mut cores = Table::new(head);
    for &core in meant {
        let found = &sample.cores[core];
        let state = if sample.is_stuck(view, core) { "STUCK" } else { found.state.name() };
        let own =
            [core.to_string(), state.to_owned(), sample.age(view, core), found.turns.to_string()];
        cores.row(own.into());
    }
    cores.print(out, "\n")?;
    writeln!(out)?;
    print_facts(view, sample, meant, out)?;

    let has_total = meant.len() > 1;
    let columns = meant.iter().map(|core| format!(">core {core}"));
    let total = has_total.then(|| ">total".to_owned());
    let head = ["counter", "unit"].map(str::to_owned);
    let mut table = Table::new(head.into_iter().chain(columns).chain(total));
    let mut zeros = 0;
    for &index in &chosen.counters {
        let counter = &view.counters()[index];
        let values: Vec<u64> = meant.iter().map(|&core| sample.cores[core].values[index]).collect();
        if !chosen.with_zeros && values.iter().all(|&value| value == 0) {
            zeros += 1;
            continue;
        }
        let mut row = vec![counter.full_name(), counter.unit.clone()];
        row.extend(values.iter().map(u64::to_string));
        row.extend(has_total.then(|| sample.total(index).to_string()));
        table.row(row);
    }
    if !table.is_empty() {
        table.print(out, "\n")?;
    }
    if zeros > 0 {
        writeln!(out, "({zeros} counters are zero; --all prints them)")?;
    }
    Ok(())
}

/// What the cores say of themselves, a line each: once where all say the same, else in the order of
/// the cores.
fn print_facts(
    view: &View<SharedView>,
    sample: &Sample,
    meant: &[usize],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut facts = Table::new(["fact", "value"].map(str::to_owned));
    for (place, name) in view.facts().iter().enumerate() {
        let mut said: Vec<&str> =
            meant.iter().map(|&core| sample.cores[core].facts[place].as_str()).collect();
        if said.iter().all(|text| text.is_empty()) {
            continue;
        }
        if said.windows(2).all(|pair| pair[0] == pair[1]) {
            said.truncate(1);
        }
        facts.row(vec![name.clone(), said.join(", ")]);
    }
    if !facts.is_empty() {
        facts.print(out, "\n")?;
        writeln!(out)?;
    }
    Ok(())
}

fn print_json(
    view: &View<SharedView>,
    sample: &Sample,
    meant: &[usize],
    chosen: &[usize],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let counters = view.counters();
    let cores = meant.iter().map(|&core| {
        let values = &sample.cores[core].values;
        let mut object = sample.core_json(view, core);
        let chosen = chosen.iter().map(|&index| (&counters[index], values[index]));
        object.insert("counters".to_owned(), values_json(chosen));
        Value::Object(object)
    });
    let sum = |index: usize| {
        meant.iter().fold(0, |sum: u64, &core| sum.wrapping_add(sample.cores[core].values[index]))
    };
    let total = values_json(chosen.iter().map(|&index| (&counters[index], sum(index))));
    let mut object = about_json(view, sample.is_alive);
    object.insert("cores".to_owned(), cores.collect());
    object.insert("total".to_owned(), json!(total));
    writeln!(out, "{}", Value::Object(object))?;
    Ok(())
}
