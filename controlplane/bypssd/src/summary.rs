//! What the worker has counted, as it is printed at the end.

use std::fmt::Write as _;

use settings::grouped;

use crate::worker::Counters;

/// A line for each counter that is not zero.
pub(crate) fn show(counters: &Counters) -> String {
    let mut text = "summary:".to_owned();
    for (name, help, value) in counters.each() {
        if value > 0 {
            let (name, value) = (name.replace('_', " "), grouped(value));
            write!(text, "\n  {name:<20} {value:>20} {help}").expect("a string takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::show;
    use crate::worker::Counters;

    #[test]
    fn what_has_happened_is_shown_and_nothing_else() {
        let counters = Counters { accepted: 12_345, closed: 1, ..Counters::default() };
        insta::assert_snapshot!(show(&counters), @r"
        summary:
          accepted                           12,345  Connections that were taken.
          closed                                  1  Connections that are gone, for whatever reason.
        ");
    }
}
