//! Shell scripts stop at the first failure, parse, and can be run.

use std::path::Path;
use std::process::Command;

use super::finding::Finding;
use super::tree::{File, Kind};

/// The line that every script has.
const STRICT: &str = "set -euo pipefail";

/// All findings of this module in one file below `root`.
pub(crate) fn check(root: &Path, file: &File) -> Vec<Finding> {
    if file.kind != Kind::Shell {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = strict(file).into_iter().chain(runnable(file)).collect();
    findings.extend(parses(root, file));
    findings
}

fn strict(file: &File) -> Option<Finding> {
    let has = file.text.lines().any(|line| line == STRICT);
    (!has).then(|| {
        let right = format!("`{STRICT}` on a line of its own");
        Finding::error(&file.path, 1, "the script goes on after a failure", right)
    })
}

fn runnable(file: &File) -> Option<Finding> {
    let is_script = file.text.starts_with("#!");
    (is_script && !file.is_executable).then(|| {
        let right = format!("chmod +x {}", file.path);
        Finding::error(&file.path, 1, "a script that cannot be run", right)
    })
}

fn parses(root: &Path, file: &File) -> Option<Finding> {
    let output = Command::new("bash").arg("-n").arg(root.join(&file.path)).output();
    let message = match output {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("bash does not start: {error}"),
    };
    // bash prints `path: line 3: syntax error ...`.
    let line = message
        .split_once(": line ")
        .and_then(|(_, rest)| rest.split(':').next()?.parse().ok())
        .unwrap_or(1);
    Some(Finding::error(&file.path, line, message, "a script that `bash -n` accepts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(text: &str, is_executable: bool) -> Vec<Finding> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::fs::write(folder.path().join("a.sh"), text).expect("a new file");
        check(folder.path(), &File::new("a.sh", text, is_executable))
    }

    #[test]
    fn script_that_ignores_failures_is_found() {
        let found = on_disk("#!/usr/bin/env bash\nset -e\n", true);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "the script goes on after a failure");
    }

    #[test]
    fn script_that_does_not_parse_is_found_at_its_line() {
        let found = on_disk("#!/usr/bin/env bash\nset -euo pipefail\nif true; then\nfi )\n", true);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].line >= 3, "{found:?}");
    }

    #[test]
    fn script_without_execute_permission_is_found() {
        let text = "#!/usr/bin/env bash\nset -euo pipefail\ntrue\n";
        assert_eq!(on_disk(text, false).len(), 1);
        assert!(on_disk(text, true).is_empty());
    }
}
