//! One violation of a rule: where it is, what is wrong, and what would be right.

use std::fmt;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Printed, and nothing more.
    Warning,
    /// Printed, and `tidy` exits 1.
    Error,
}

/// One violation, printed as `file:line: what: what would be right`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path below the workspace's root.
    pub(crate) file: String,
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What would be right.
    pub(crate) right: String,
    /// Whether it fails the run.
    pub(crate) weight: Weight,
}

impl Finding {
    /// An error at `file:line`.
    pub(crate) fn error(
        file: &str,
        line: usize,
        what: impl Into<String>,
        right: impl Into<String>,
    ) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
            right: right.into(),
            weight: Weight::Error,
        }
    }

    /// The same finding as a warning.
    pub(crate) fn into_warning(mut self) -> Self {
        self.weight = Weight::Warning;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.weight {
            Weight::Warning => "warning: ",
            Weight::Error => "",
        };
        write!(f, "{}:{}: {prefix}{}: {}", self.file, self.line, self.what, self.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_prints_file_line_what_and_what_would_be_right() {
        let finding = Finding::error("src/a.rs", 3, "a tab", "four spaces");
        assert_eq!(finding.to_string(), "src/a.rs:3: a tab: four spaces");
        assert_eq!(finding.into_warning().to_string(), "src/a.rs:3: warning: a tab: four spaces");
    }
}
