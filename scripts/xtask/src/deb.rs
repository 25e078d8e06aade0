//! `cargo xtask deb`: the four Debian packages, with manual and completions made on the way.
//!
//! What lies where in a package stands in the manifest of each program, what else belongs to them in
//! `packaging/`. `scripts/package --test` installs and removes them in a fresh Debian.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::process::{answer, cargo, succeeds};
use crate::workspace::{self, Workspace};

/// The packager, at one version: what it makes of a manifest is part of the packages.
const CARGO_DEB: &str = "3.8.0";

/// The crates that are packaged.
const CRATES: [&str; 4] = ["appliance", "bypssd", "ctl", "rig"];

/// The test of each of them that writes its manual and completions, if `ABELE_PAGES` says where.
const PAGES_TEST: &str = "the_manual_and_the_completions_name_every_option";

/// One page of each, which is there if that test has run.
const PAGES: [&str; 6] = [
    "man8/abele-gateway.8",
    "man5/abele-gateway.toml.5",
    "man8/bypssd.8",
    "man5/bypssd.toml.5",
    "man8/abelectl.8",
    "man1/abele-bench.1",
];

/// Builds and packs; prints the path of each package.
pub(crate) fn run() -> Result<bool, Error> {
    let workspace = workspace::read()?;
    require_shlibdeps()?;
    let path = path_with_cargo_deb(&workspace)?;
    if !succeeds(per_crate(&mut cargo(&["build", "--release", "--locked", "--bins"])))? {
        return Ok(false);
    }
    if !write_pages(&workspace.target.join("release/pages"))? {
        return Ok(false);
    }
    let packages = workspace.target.join("debian");
    remove_if_there(&packages)?;
    for package in CRATES {
        let mut deb = cargo(&["deb", "--no-build", "--strip", "--no-dbgsym", "--package", package]);
        deb.arg("--output").arg(&packages).env("PATH", &path);
        if let Some(epoch) = last_change(&workspace.root) {
            deb.env("SOURCE_DATE_EPOCH", epoch);
        }
        if !succeeds(&mut deb)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn per_crate(command: &mut Command) -> &mut Command {
    CRATES.iter().fold(command, |command, package| command.args(["--package", package]))
}

/// The manual and the completions, made anew: a command that is gone leaves no page behind.
fn write_pages(folder: &Path) -> Result<bool, Error> {
    remove_if_there(folder)?;
    let mut test = cargo(&["test", "--quiet", "--locked", "--bins"]);
    per_crate(&mut test).args(["--", PAGES_TEST]).env("ABELE_PAGES", folder);
    if !succeeds(&mut test)? {
        return Ok(false);
    }
    if let Some(page) = PAGES.iter().find(|page| !folder.join(page).exists()) {
        let message = format!("no test of the name {PAGES_TEST} has written {page}");
        return Err(Error::Answer { program: "cargo test".to_owned(), message });
    }
    compress(folder)
}

/// Debian's manual is compressed; the packager takes for a program what lies below `release`, and
/// leaves it as it is.
fn compress(folder: &Path) -> Result<bool, Error> {
    let sections = ["man1", "man5", "man8"].map(|section| folder.join(section));
    // Without name and time, so that the same page is the same file.
    succeeds(Command::new("gzip").args(["--best", "--no-name", "--recursive"]).args(sections))
}

fn remove_if_there(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { path: folder.display().to_string(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// It says which libraries of Debian's a program needs; without it a package would name none.
fn require_shlibdeps() -> Result<(), Error> {
    let mut shlibdeps = Command::new("dpkg-shlibdeps");
    if answer(shlibdeps.arg("--version")).is_some() {
        return Ok(());
    }
    let source = io::Error::from(io::ErrorKind::NotFound);
    let mend = "apt-get install dpkg-dev (as root)";
    Err(Error::Missing { program: "dpkg-shlibdeps".to_owned(), source, mend })
}

/// The search path with the project's own cargo-deb in front, installed if it is not that version.
fn path_with_cargo_deb(workspace: &Workspace) -> Result<OsString, Error> {
    let tools = workspace.target.join("tools");
    let mut path = tools.join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let version = answer(cargo(&["deb", "--version"]).env("PATH", &path));
    if version.is_some_and(|version| version.trim().ends_with(CARGO_DEB)) {
        return Ok(path);
    }
    eprintln!("cargo-deb {CARGO_DEB} is missing; it goes to {}", tools.display());
    let mut install = cargo(&["install", "--locked", "cargo-deb", "--version", CARGO_DEB]);
    if succeeds(install.arg("--root").arg(&tools))? {
        return Ok(path);
    }
    let message = "cargo install failed; see above".to_owned();
    Err(Error::Answer { program: "cargo install cargo-deb".to_owned(), message })
}

/// When the tree was changed last, so that the same tree makes the same packages.
fn last_change(root: &Path) -> Option<String> {
    let mut git = Command::new("git");
    let time = answer(git.args(["log", "-1", "--format=%ct"]).current_dir(root))?;
    Some(time.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packaged_crate_has_the_test_that_writes_its_pages() {
        let workspace = workspace::read().expect("cargo knows the workspace");
        for package in CRATES {
            let member = workspace.members.iter().find(|member| member.name == package);
            let member = member.unwrap_or_else(|| panic!("there is no crate {package}"));
            assert!(member.manifest.contains("[package.metadata.deb]"), "{package}");
            let args = workspace.root.join(&member.folder).join("src/args");
            let files = [args.with_extension("rs"), args.join("tests.rs")];
            let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
            assert!(texts.collect::<String>().contains(PAGES_TEST), "{package}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_need_not_be_removed() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let inner = folder.path().join("a");
        fs::create_dir_all(inner.join("b")).expect("it is ours");
        remove_if_there(&inner).expect("it is ours");
        remove_if_there(&inner).expect("it is gone already");
        assert!(!inner.exists());
    }
}
