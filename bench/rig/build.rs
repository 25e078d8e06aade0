//! Tells the program which commit it was built from, where there is a repository to ask.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = Path::new("../..");
    let mut commit = None;
    if root.join(".git").exists() {
        commit = git(root, &["rev-parse", "HEAD"]);
        // The log of HEAD grows with every commit and every checkout; HEAD itself names only a branch.
        if let Some(log) = git(root, &["rev-parse", "--git-path", "logs/HEAD"]) {
            let log = root.join(log);
            if log.exists() {
                println!("cargo::rerun-if-changed={}", log.display());
            }
        }
    }
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=ABELE_COMMIT={commit}");
}

/// What git prints, or nothing where there is no git or no such revision.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
