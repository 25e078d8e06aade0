//! The report for people.

use std::fmt::Write;

use serde::Serialize;

use super::{Figures, Number, Report};

impl<A: Serialize> Report<A> {
    /// Figures with their spread, then what to judge them by, then what they were measured on.
    pub(super) fn table(&self) -> String {
        let args = serde_json::to_string(&self.args).expect("arguments are plain fields");
        let mut out = format!("{} {args}, {} rounds\n", self.bench, self.rounds);
        section(&mut out, "figures", &self.figures);
        for peer in &self.peers {
            section(
                &mut out,
                &format!("{} {} ({})", peer.name, peer.version, peer.flags),
                &peer.figures,
            );
        }
        for (figure, by_peer) in &self.ratios.0 {
            for (peer, ratio) in by_peer {
                line(&mut out, &format!("{figure}, ours / {peer}: {}", ratio.grouped()));
            }
        }
        section(&mut out, "limits of this machine", &self.limits);
        let verdict = if self.checks.is_ok() { "right" } else { "WRONG" };
        let counts = self.checks.counts.iter().map(|(name, count)| format!(", {name} {count}"));
        line(&mut out, &format!("result {verdict}{}", counts.collect::<String>()));
        for note in &self.notes {
            line(&mut out, &format!("note: {note}"));
        }
        let machine = &self.machine;
        let gib = machine.memory_bytes >> 30;
        line(
            &mut out,
            &format!(
                "{}, {} cores, {gib} GiB, Linux {}, commit {}",
                machine.cpu, machine.cores, machine.kernel, self.commit
            ),
        );
        out
    }
}

fn section(out: &mut String, title: &str, figures: &Figures) {
    if figures.is_empty() {
        return;
    }
    line(out, title);
    for figure in figures.iter() {
        let spread = figure.spread();
        let median = Number(spread.median).grouped();
        let (min, max) = (Number(spread.min).grouped(), Number(spread.max).grouped());
        line(
            out,
            &format!("  {:<30} {median:>16} {:<4} [{min} .. {max}]", figure.name, figure.unit),
        );
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes any text");
}
