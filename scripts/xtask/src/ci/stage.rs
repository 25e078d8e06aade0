//! A stage: a name, a check, and how long it took.

use std::time::{Duration, Instant};

use crate::error::Error;

/// One named check.
pub(crate) struct Stage {
    /// As it is printed.
    pub(crate) name: &'static str,
    /// The check; see `main` for what it returns.
    pub(crate) run: fn() -> Result<bool, Error>,
}

/// Runs `stages` in order up to the first that fails, then prints the time of each.
pub(crate) fn run_all(stages: &[&Stage]) -> Result<bool, Error> {
    let mut times = Vec::new();
    let mut result = Ok(true);
    for (number, stage) in (1..).zip(stages) {
        println!("\n==== {number}/{}: {} ====", stages.len(), stage.name);
        let begin = Instant::now();
        result = (stage.run)();
        times.push((stage.name, begin.elapsed()));
        if !matches!(result, Ok(true)) {
            break;
        }
    }
    print!("\n{}", report(stages, &times, matches!(result, Ok(true))));
    result
}

fn report(stages: &[&Stage], times: &[(&str, Duration)], passed: bool) -> String {
    let mut text = String::from("stage              seconds\n");
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    let last = times.len().saturating_sub(1);
    for (index, (name, time)) in times.iter().enumerate() {
        let verdict = if !passed && index == last { "  FAILED" } else { "" };
        text.push_str(&format!("{name:<18} {:>7.1}{verdict}\n", time.as_secs_f64()));
    }
    for stage in stages.iter().skip(times.len()) {
        text.push_str(&format!("{:<18}       -  not run\n", stage.name));
    }
    text.push_str(&format!("{:<18} {:>7.1}\n", "all", total.as_secs_f64()));
    text.push_str(if passed { "ci: passed\n" } else { "ci: FAILED\n" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Stage = Stage { name: "good", run: || Ok(true) };
    const BAD: Stage = Stage { name: "bad", run: || Ok(false) };
    const NEVER: Stage = Stage { name: "never", run: || panic!("run after a failed stage") };

    #[test]
    fn stages_stop_at_the_first_that_fails() {
        assert!(!run_all(&[&GOOD, &BAD, &NEVER]).expect("no error"));
        assert!(run_all(&[&GOOD, &GOOD]).expect("no error"));
    }

    #[test]
    fn report_names_what_failed_and_what_was_not_run() {
        let second = Duration::from_secs(1);
        let text = report(&[&GOOD, &BAD, &NEVER], &[("good", second), ("bad", second)], false);
        let expected = "stage              seconds
good                   1.0
bad                    1.0  FAILED
never                    -  not run
all                    2.0
ci: FAILED
";
        assert_eq!(text, expected);
    }
}
