//! `abelectl top`: load, packets, connections and drops of each core, again and again.

mod figures;
mod screen;

use std::io::Write;
use std::path::Path;

use counters::View;
use memory::SharedView;
use serde_json::Value;

use self::figures::Figures;
use self::screen::Screen;
use crate::args::TopArgs;
use crate::error::Error;
use crate::instance;
use crate::interrupt::Interrupt;
use crate::sample::{Sample, about_json, headline};
use crate::table::Table;

/// Prints until the count is reached or a signal comes.
pub(crate) fn run(
    args: &TopArgs,
    interrupt: &Interrupt,
    is_terminal: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let (path, mut view) = instance::open(&args.target)?;
    let mut screen = Screen::open(out, is_terminal && !args.json)?;
    let mut before = Sample::take(&view)?;
    let mut shown: u64 = 0;
    loop {
        interrupt.sleep(args.interval)?;
        if let Some(next) = successor(&view, &path) {
            view = next;
            before = Sample::take(&view)?;
            continue;
        }
        let sample = Sample::take(&view)?;
        let figures = Figures::of(&view, &before, &sample);
        let frame = if args.json {
            json(&view, &sample, &figures)
        } else {
            text(&view, &sample, &figures)?
        };
        screen.show(&frame)?;
        shown += 1;
        before = sample;
        if args.count.is_some_and(|count| shown >= count) {
            drop(screen);
            return before.verdict(&view);
        }
    }
}

/// The file of a gateway that was started in this one's place.
fn successor(view: &View<SharedView>, path: &Path) -> Option<View<SharedView>> {
    if view.is_current() { None } else { View::open(path).ok() }
}

fn json(view: &View<SharedView>, sample: &Sample, figures: &Figures) -> String {
    let mut object = about_json(view, sample.is_alive);
    object.insert("interval_s".to_owned(), figures.seconds.into());
    let cores = figures.cores.iter().enumerate().map(|(core, figures)| {
        let mut object = sample.core_json(view, core);
        object.extend(figures.to_json());
        Value::Object(object)
    });
    object.insert("cores".to_owned(), cores.collect());
    object.insert("total".to_owned(), Value::Object(figures.total.to_json()));
    format!("{}\n", Value::Object(object))
}

fn text(view: &View<SharedView>, sample: &Sample, figures: &Figures) -> Result<String, Error> {
    let mut table = Table::new(figures.head());
    for (core, one) in figures.cores.iter().enumerate() {
        let state = if sample.is_stuck(view, core) {
            "STUCK"
        } else if sample.is_alive {
            sample.cores[core].state.name()
        } else {
            "dead"
        };
        table.row(figures.row(core.to_string(), state, one));
    }
    if figures.cores.len() > 1 {
        table.row(figures.row("all".to_owned(), "", &figures.total));
    }
    let mut frame = format!("{}\n", headline(view, sample.is_alive)).into_bytes();
    table.print(&mut frame, "\n")?;
    Ok(String::from_utf8_lossy(&frame).into_owned())
}
