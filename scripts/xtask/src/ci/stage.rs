//! A stage: a name, a check, and how long it took.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::process::Outcome;

/// One named check.
pub(crate) struct Stage {
    /// As it is printed.
    pub(crate) name: &'static str,
    /// The check.
    pub(crate) run: fn() -> Result<Outcome, Error>,
}

/// A stage that was run.
struct Done {
    name: &'static str,
    time: Duration,
    /// `Failed` also where an error kept it from checking, which is printed elsewhere.
    outcome: Outcome,
}

/// Runs `stages` in order up to the first that fails, then prints the time of each and what was
/// skipped; whether none has failed.
pub(crate) fn run_all(stages: &[&Stage]) -> Result<bool, Error> {
    let mut done = Vec::new();
    let mut error = None;
    for (number, stage) in (1..).zip(stages) {
        println!("\n==== {number}/{}: {} ====", stages.len(), stage.name);
        let begin = Instant::now();
        let outcome = (stage.run)().unwrap_or_else(|reason| {
            error = Some(reason);
            Outcome::Failed
        });
        done.push(Done { name: stage.name, time: begin.elapsed(), outcome });
        if done.last().is_some_and(Done::has_failed) {
            break;
        }
    }
    print!("\n{}", report(stages, &done));
    error.map_or_else(|| Ok(!done.iter().any(Done::has_failed)), Err)
}

impl Done {
    fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

fn report(stages: &[&Stage], done: &[Done]) -> String {
    let mut text = String::from("stage              seconds\n");
    for Done { name, time, outcome } in done {
        let verdict = match outcome {
            Outcome::Passed => "",
            Outcome::Failed => "  FAILED",
            Outcome::Skipped { .. } => "  SKIPPED",
        };
        text.push_str(&format!("{name:<18} {:>7.1}{verdict}\n", time.as_secs_f64()));
    }
    for stage in stages.iter().skip(done.len()) {
        text.push_str(&format!("{:<18}       -  not run\n", stage.name));
    }
    let total: Duration = done.iter().map(|done| done.time).sum();
    text.push_str(&format!("{:<18} {:>7.1}\n", "all", total.as_secs_f64()));
    for Done { outcome, .. } in done {
        if let Outcome::Skipped { what, because } = outcome {
            text.push_str(&format!("skipped: {what} ({because})\n"));
        }
    }
    let passed = !done.iter().any(Done::has_failed);
    text.push_str(if passed { "ci: passed\n" } else { "ci: FAILED\n" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Stage = Stage { name: "good", run: || Ok(Outcome::Passed) };
    const BAD: Stage = Stage { name: "bad", run: || Ok(Outcome::Failed) };
    const NEVER: Stage = Stage { name: "never", run: || panic!("run after a failed stage") };
    const ERROR: Stage = Stage {
        name: "error",
        run: || Err(Error::Answer { program: "a".to_owned(), message: "b".to_owned() }),
    };
    const LACKING: Stage = Stage { name: "lacking", run: || Ok(skipped()) };

    fn skipped() -> Outcome {
        Outcome::Skipped {
            what: "miri",
            because: "not installed; something ran instead".to_owned(),
        }
    }

    #[test]
    fn stages_stop_at_the_first_that_fails() {
        assert!(!run_all(&[&GOOD, &BAD, &NEVER]).expect("no error"));
        assert!(run_all(&[&GOOD, &ERROR, &NEVER]).is_err());
        assert!(run_all(&[&GOOD, &LACKING, &GOOD]).expect("no error"));
    }

    #[test]
    fn report_names_what_failed_what_was_skipped_and_what_was_not_run() {
        let done = |name, outcome| Done { name, time: Duration::from_secs(1), outcome };
        let all = [
            done("good", Outcome::Passed),
            done("lacking", skipped()),
            done("bad", Outcome::Failed),
        ];
        let text = report(&[&GOOD, &LACKING, &BAD, &NEVER], &all);
        let expected = "stage              seconds
good                   1.0
lacking                1.0  SKIPPED
bad                    1.0  FAILED
never                    -  not run
all                    3.0
skipped: miri (not installed; something ran instead)
ci: FAILED
";
        assert_eq!(text, expected);
        let text = report(&[&GOOD, &LACKING], &all[..2]);
        assert!(text.ends_with("something ran instead)\nci: passed\n"), "{text}");
    }
}
