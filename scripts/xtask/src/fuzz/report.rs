//! What libFuzzer says of one run, read from its lines.

use std::path::PathBuf;

/// The result of one target.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// `crate::module::test`.
    pub(crate) name: String,
    /// Whether no input failed.
    pub(crate) passed: bool,
    /// Inputs run.
    pub(crate) executions: u64,
    /// Edges reached (`cov:`).
    pub(crate) edges: u64,
    /// Features reached: edges with their counts and compared values (`ft:`).
    pub(crate) features: u64,
    /// Folder of the corpus.
    pub(crate) corpus: Option<PathBuf>,
    /// Folder of what failed.
    pub(crate) crashes: Option<PathBuf>,
    /// Inputs in the corpus after the run.
    pub(crate) corpus_files: usize,
    /// The file of the input that failed.
    pub(crate) failure: Option<String>,
}

impl Report {
    /// Nothing is known of `name` yet.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Takes one line of libFuzzer's standard error.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some((_, folder)) = line.split_once(" files found in ") {
            let folder = PathBuf::from(folder.trim());
            if folder.ends_with("crashes") {
                self.crashes = Some(folder);
            } else {
                self.corpus = Some(folder);
            }
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            self.failure = Some(file.trim().to_owned());
        } else if let Some(status) = line.strip_prefix('#') {
            self.read_status(status);
        }
    }

    /// `1386970 DONE   cov: 40 ft: 40 corp: 2/4b lim: 4096 exec/s: 126088 rss: 148Mb`.
    fn read_status(&mut self, status: &str) {
        let words: Vec<&str> = status.split_whitespace().collect();
        let Some(Ok(executions)) = words.first().map(|word| word.parse()) else {
            return;
        };
        self.executions = executions;
        for pair in words.windows(2) {
            match (pair[0], pair[1].parse()) {
                ("cov:", Ok(edges)) => self.edges = edges,
                ("ft:", Ok(features)) => self.features = features,
                _ => {}
            }
        }
    }
}

/// One line per target.
pub(crate) fn table(reports: &[Report]) -> String {
    let width = reports.iter().map(|report| report.name.len()).max().unwrap_or(0).max(6);
    let mut text = format!(
        "{:<width$} {:>12} {:>8} {:>9} {:>7}\n",
        "target", "executions", "edges", "features", "corpus"
    );
    for report in reports {
        text.push_str(&format!(
            "{:<width$} {:>12} {:>8} {:>9} {:>7}{}\n",
            report.name,
            report.executions,
            report.edges,
            report.features,
            report.corpus_files,
            verdict(report)
        ));
    }
    text
}

fn verdict(report: &Report) -> String {
    match (&report.failure, report.passed) {
        (_, true) => String::new(),
        (Some(file), false) => format!("  FAILED, input: {file}"),
        (None, false) => "  FAILED, see above".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "INFO:        3 files found in /x/__fuzz__/tests__a/corpus
INFO:        0 files found in /x/__fuzz__/tests__a/crashes
#2\tINITED cov: 38 ft: 39 corp: 1/1b exec/s: 0 rss: 35Mb
#1048576\tpulse  cov: 40 ft: 41 corp: 2/4b lim: 4096 exec/s: 131072 rss: 122Mb
    #0 0x55c864a7bf11 in __sanitizer_print_stack_trace
#1386970\tDONE   cov: 40 ft: 42 corp: 2/4b lim: 4096 exec/s: 126088 rss: 148Mb
";

    #[test]
    fn figures_are_those_of_the_last_status_line() {
        let mut report = Report::new("one::a");
        OUTPUT.lines().for_each(|line| report.read(line));
        report.passed = true;
        assert_eq!((report.executions, report.edges, report.features), (1_386_970, 40, 42));
        assert!(report.corpus.as_deref().is_some_and(|p| p.ends_with("tests__a/corpus")));
        assert!(report.crashes.as_deref().is_some_and(|p| p.ends_with("tests__a/crashes")));
        assert_eq!(
            table(&[report]),
            "target   executions    edges  features  corpus\n\
             one::a      1386970       40        42       0\n"
        );
    }

    #[test]
    fn failure_names_the_file_of_its_input() {
        let mut report = Report::new("one::a");
        report.read("artifact_prefix='/x/'; Test unit written to /x/crash-92");
        assert!(table(&[report]).ends_with("FAILED, input: /x/crash-92\n"));
    }

    #[test]
    fn failure_without_an_input_is_shown_too() {
        assert!(table(&[Report::new("one::a")]).ends_with("FAILED, see above\n"));
    }
}
