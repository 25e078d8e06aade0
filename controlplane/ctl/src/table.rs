//! Tables for people: columns as wide as what stands in them, numbers to the right.

use std::io::{self, Write};

use crate::shown::shown;

/// Rows under a head.
#[derive(Debug)]
pub(crate) struct Table {
    /// Columns whose content is set to the right.
    is_right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head; a name that begins with `>` is a column set to the right.
    pub(crate) fn new(head: impl IntoIterator<Item = String>) -> Self {
        let (is_right, head) = head
            .into_iter()
            .map(|name| match name.strip_prefix('>') {
                Some(name) => (true, name.to_owned()),
                None => (false, name),
            })
            .unzip();
        Self { is_right, rows: vec![head] }
    }

    /// One row more, of as many cells as the head has; what does not print in them is escaped.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.is_right.len(), "cells and columns");
        self.rows.push(cells.iter().map(|cell| shown(cell).into_owned()).collect());
    }

    /// Whether there is no row but the head.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// Prints it; each line ends with `line_end`.
    pub(crate) fn print(&self, out: &mut dyn Write, line_end: &str) -> io::Result<()> {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.is_right.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), is_right) in row.iter().zip(&widths).zip(&self.is_right) {
                let padding = " ".repeat(width - cell.chars().count());
                let (before, after) =
                    if *is_right { (padding, "".into()) } else { ("".into(), padding) };
                line.push_str(&format!("{before}{cell}{after}  "));
            }
            write!(out, "{}{line_end}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number in few letters: `950`, `12.3k`, `4.0M`.
pub(crate) fn short(number: f64) -> String {
    const STEPS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    if number < 9_999.5 {
        return format!("{number:.0}");
    }
    let found = STEPS.iter().find(|(step, _)| number >= step * 0.999_5);
    let &(step, letter) = found.unwrap_or(&STEPS[3]);
    format!("{:.1}{letter}", number / step)
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{minutes} min {} s", seconds % 60),
        3_600..=86_399 => format!("{hours} h {} min", minutes % 60),
        86_400.. => format!("{days} d {} h", hours % 24),
    }
}

/// Nanoseconds as people say them.
pub(crate) fn nanos(nanos: u64) -> String {
    match nanos {
        0..=999_999 => format!("{} us", nanos / 1_000),
        1_000_000..=9_999_999_999 => format!("{} ms", nanos / 1_000_000),
        10_000_000_000.. => duration(nanos / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new(["name", ">total", "unit"].map(str::to_owned));
        assert!(table.is_empty());
        table.row(vec!["a".into(), "1".into(), "bytes".into()]);
        table.row(vec!["longer \u{e9}".into(), "1234567".into(), String::new()]);
        let mut out = Vec::new();
        table.print(&mut out, "\n").unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        name        total  unit
        a               1  bytes
        longer é  1234567
        ");
    }

    #[test]
    fn numbers_and_times_are_short() {
        let numbers = [0.0, 0.4, 9_999.0, 9_999.6, 12_345.0, 999_999.0, 2.5e6, 3e9, 7e12];
        let shown = numbers.map(short).join(" ");
        assert_eq!(shown, "0 0 9999 10.0k 12.3k 1.0M 2.5M 3.0G 7.0T");
        let times = [0, 59, 60, 3_599, 3_600, 86_399, 90_000];
        let shown = times.map(duration).join(", ");
        assert_eq!(shown, "0 s, 59 s, 1 min 0 s, 59 min 59 s, 1 h 0 min, 23 h 59 min, 1 d 1 h");
        let shown = [0, 999_999, 5_000_000, 9_999_999_999, 61_000_000_000].map(nanos).join(", ");
        assert_eq!(shown, "0 us, 999 us, 5 ms, 9999 ms, 1 min 1 s");
    }
}
