//! What is wrong with a configuration: all of it, each with its line and its cure.

use std::fmt;
use std::path::{Path, PathBuf};

/// Whose fault something is; it decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file is wrong wherever it is read.
    Configuration,
    /// The file is right, but not for this machine as it is now.
    Machine,
}

/// Where something stands in a file. Shown, it is the number of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counted from one.
    pub line: usize,
    /// Letters from the beginning of the line, counted from one.
    pub column: usize,
}

impl Place {
    /// Where a file begins: the place of what is not in it.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where the value stands, or its section if there is none.
    pub place: Place,
    /// The key with its section, as `tcp.window`.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Everything that is wrong with one file.
#[derive(Clone, Debug)]
pub struct Findings {
    file: PathBuf,
    /// In the order of the file.
    found: Vec<Finding>,
}

impl Findings {
    /// At least one finding about `file`.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn new(file: &Path, mut found: Vec<Finding>) -> Self {
        assert!(!found.is_empty(), "a refusal has a reason");
        found.sort_by_key(|finding| finding.place);
        Self { file: file.to_owned(), found }
    }

    /// Whether another machine would take the file as it is.
    #[must_use]
    pub fn are_of_the_machine(&self) -> bool {
        self.found.iter().all(|finding| finding.fault == Fault::Machine)
    }
}

impl fmt::Display for Findings {
    /// A line each: `FILE:LINE:COLUMN: KEY: what is wrong; what would be right`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.found.iter().enumerate() {
            let Finding { place, key, wrong, right, fault: _ } = finding;
            let Place { line, column } = place;
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{line}:{column}: {key}: {wrong}; {right}", self.file.display())?;
        }
        Ok(())
    }
}
