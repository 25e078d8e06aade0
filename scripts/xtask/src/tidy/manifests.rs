//! Every crate inherits the workspace's version, edition, lints and dependencies, and forbids
//! `unsafe` unless it drives the machine.

use toml::{Table, Value};

use super::exceptions::may_be_unsafe;
use super::finding::Finding;
use super::tree::File;
use crate::workspace::Member;

/// Keys of `[package]` that have one value for the whole workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// Tables of dependencies, also below `[target.'..']`.
const DEPENDENCIES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// All findings of this module in one crate; `files` holds its roots.
pub(crate) fn check(member: &Member, files: &[File]) -> Vec<Finding> {
    let path = format!("{}/Cargo.toml", member.folder);
    let mut findings = match member.manifest.parse::<Table>() {
        Ok(manifest) => inheritance(member, &path, &manifest),
        Err(error) => vec![Finding::error(&path, 1, error.message(), "a manifest in TOML")],
    };
    findings.extend(folder(member, &path));
    if !may_be_unsafe(&member.folder) {
        findings.extend(member.crate_roots.iter().filter_map(|root| forbids_unsafe(root, files)));
    }
    findings
}

fn inheritance(member: &Member, path: &str, manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut require = |table: &str, key: &str, value: Option<&Value>| {
        if !value.is_some_and(is_inherited) {
            let what = format!("`{key}` of [{table}] is not the workspace's");
            let right = format!("`{key}.workspace = true` in [{table}]");
            findings.push(Finding::error(path, line_of(&member.manifest, key), what, right));
        }
    };
    let package = manifest.get("package").and_then(Value::as_table);
    for key in INHERITED {
        require("package", key, package.and_then(|package| package.get(*key)));
    }
    for (table, dependencies) in dependency_tables(manifest) {
        for (name, value) in dependencies {
            require(&table, name, Some(value));
        }
    }
    if !manifest.get("lints").is_some_and(is_inherited) {
        let right = "`workspace = true` in [lints]";
        findings.push(Finding::error(path, 1, "the workspace's lints do not apply", right));
    }
    findings
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

fn dependency_tables(manifest: &Table) -> Vec<(String, &Table)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets.into_iter().flatten().filter_map(|(name, value)| {
        value.as_table().map(|table| (format!("target.'{name}'."), table))
    });
    let mut tables = Vec::new();
    for (prefix, table) in std::iter::once((String::new(), manifest)).chain(per_target) {
        for name in DEPENDENCIES {
            if let Some(found) = table.get(*name).and_then(Value::as_table) {
                tables.push((format!("{prefix}{name}"), found));
            }
        }
    }
    tables
}

fn line_of(text: &str, key: &str) -> usize {
    text.lines().position(|line| line.starts_with(key)).map_or(1, |at| at + 1)
}

/// Crate = folder = one noun.
fn folder(member: &Member, path: &str) -> Option<Finding> {
    let last = member.folder.rsplit('/').next().unwrap_or_default();
    (last != member.name).then(|| {
        let what = format!("package `{}` in folder `{last}`", member.name);
        Finding::error(path, line_of(&member.manifest, "name"), what, "one name for both")
    })
}

fn forbids_unsafe(root: &str, files: &[File]) -> Option<Finding> {
    let file = files.iter().find(|file| file.path == root)?;
    let forbids = file.layers().code.lines().any(|line| line == "#![forbid(unsafe_code)]");
    (!forbids).then(|| {
        let what = "the crate does not forbid `unsafe`";
        Finding::error(root, 1, what, "`#![forbid(unsafe_code)]` above the first item")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]
name = \"tcp\"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true
[dependencies]
base.workspace = true
zerocopy = { workspace = true, features = [\"simd\"] }
[target.'cfg(loom)'.dependencies]
loom.workspace = true
[lints]
workspace = true
";

    fn found(folder: &str, manifest: &str, lib: &str) -> Vec<String> {
        let root = format!("{folder}/src/lib.rs");
        let member = Member {
            name: "tcp".to_owned(),
            folder: folder.to_owned(),
            manifest: manifest.to_owned(),
            crate_roots: vec![root.clone()],
            dependencies: Vec::new(),
        };
        let files = [File::new(&root, lib, false)];
        check(&member, &files).into_iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
    }

    const LIB: &str = "//! T.\n#![forbid(unsafe_code)]\n";

    #[test]
    fn crate_that_inherits_everything_passes() {
        assert_eq!(found("dataplane/tcp", GOOD, LIB), [""; 0]);
    }

    #[test]
    fn every_key_that_is_not_inherited_is_found() {
        for key in INHERITED {
            let good = format!("\n{key}.workspace = true");
            let bad = GOOD.replace(&good, &format!("\n{key} = \"1\""));
            let found = found("dataplane/tcp", &bad, LIB);
            assert_eq!(found.len(), 1, "{key}: {found:?}");
            assert!(found[0].contains(&format!("`{key}` of [package]")), "{found:?}");
        }
    }

    #[test]
    fn crate_without_the_workspace_lints_is_found() {
        let bad = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(found("dataplane/tcp", &bad, LIB), ["1: the workspace's lints do not apply"]);
    }

    #[test]
    fn dependency_with_its_own_version_is_found_at_its_line() {
        let bad = GOOD.replace("base.workspace = true", "base = \"1\"");
        let what = "9: `base` of [dependencies] is not the workspace's";
        assert_eq!(found("dataplane/tcp", &bad, LIB), [what]);
        let bad = GOOD.replace("loom.workspace = true", "loom = \"0.7\"");
        let what = "12: `loom` of [target.'cfg(loom)'.dependencies] is not the workspace's";
        assert_eq!(found("dataplane/tcp", &bad, LIB), [what]);
    }

    #[test]
    fn crate_that_does_not_forbid_unsafe_is_found_outside_hw() {
        let lib = "//! T.\n// #![forbid(unsafe_code)]\n";
        let what = "1: the crate does not forbid `unsafe`";
        assert_eq!(found("dataplane/tcp", GOOD, lib), [what]);
        assert_eq!(found("hw/tcp", GOOD, lib), [""; 0]);
    }

    #[test]
    fn folder_with_another_name_is_found() {
        let found = found("dataplane/tcp-stack", GOOD, LIB);
        assert_eq!(found, ["2: package `tcp` in folder `tcp-stack`"]);
    }
}
