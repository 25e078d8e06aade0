//! A fuzz target's corpus is kept in the tree, so a corpus folder without a file is a lost one.

use std::fs;
use std::io;
use std::path::Path;

use super::finding::Finding;
use crate::error::Error;

/// Folders that hold no source: what git and cargo write.
const SKIPPED: &[&str] = &["target", ".git"];

/// All findings of this module below `root`.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    visit(root, root, &mut findings)
        .map_err(|source| Error::Io { path: root.display().to_string(), source })?;
    Ok(findings)
}

fn visit(root: &Path, folder: &Path, findings: &mut Vec<Finding>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !entry.file_type()?.is_dir() || SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let path = entry.path();
        if name == "corpus" && fs::read_dir(&path)?.next().is_none() {
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let right = "commit the inputs that the fuzzer found, or remove the folder";
            findings.push(Finding::error(&shown, 1, "an empty corpus", right));
        }
        visit(root, &path, findings)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_corpus_is_found_and_full_one_is_not() {
        let root = tempfile::tempdir().expect("a folder for the test");
        let empty = root.path().join("wire/src/__fuzz__/a/corpus");
        let full = root.path().join("wire/src/__fuzz__/b/corpus");
        fs::create_dir_all(&empty).expect("a new folder");
        fs::create_dir_all(&full).expect("a new folder");
        fs::create_dir_all(root.path().join("target/corpus")).expect("a new folder");
        fs::write(full.join("1"), [0]).expect("a new file");
        let found = check(root.path()).expect("a readable folder");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file, "wire/src/__fuzz__/a/corpus");
    }
}
