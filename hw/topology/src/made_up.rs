//! Trees of the kernel's files that tests make up.

use std::fs;

use tempfile::TempDir;

use crate::tree::Tree;

/// A tree of these files, and the folder that goes with it.
pub(crate) fn tree(files: &[(&str, &str)]) -> (TempDir, Tree) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("it is ours");
        fs::write(path, text).expect("it is ours");
    }
    let tree = Tree::new(folder.path());
    (folder, tree)
}
