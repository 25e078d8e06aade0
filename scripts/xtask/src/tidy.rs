//! `cargo xtask tidy`: the rules of `docs/STYLE.md` and `docs/ARCHITECTURE.md` that a program can
//! check, over the manifests and the text of every file that git does not ignore.

mod clippy_files;
mod corpus;
mod directions;
mod exceptions;
mod finding;
mod lexer;
mod manifests;
mod opening;
mod shape;
mod shell;
mod tree;
mod words;

use crate::error::Error;
use crate::workspace::{self, Workspace};
use finding::{Finding, Weight};
use tree::File;

/// Prints every finding; whether there is no error among them.
pub(crate) fn run() -> Result<bool, Error> {
    let workspace = workspace::read()?;
    let files = tree::read(&workspace.root)?;
    let mut findings = check(&workspace, &files)?;
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    for finding in &findings {
        eprintln!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.weight == Weight::Error).count();
    let warnings = findings.len() - errors;
    println!(
        "tidy: {} files, {} crates: {errors} errors, {warnings} warnings",
        files.len(),
        workspace.members.len()
    );
    Ok(errors == 0)
}

fn check(workspace: &Workspace, files: &[File]) -> Result<Vec<Finding>, Error> {
    let mut findings = clippy_files::check(files);
    findings.extend(corpus::check(&workspace.root)?);
    for member in &workspace.members {
        findings.extend(directions::check(member));
        findings.extend(manifests::check(member, files));
    }
    for file in files {
        findings.extend(exceptions::check(file));
        findings.extend(opening::check(file));
        findings.extend(shape::check(file));
        findings.extend(shell::check(&workspace.root, file));
        findings.extend(words::check(file));
    }
    Ok(findings)
}
