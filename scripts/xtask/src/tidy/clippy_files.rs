//! Clippy reads only the nearest `.clippy.toml`, so a nearer one repeats every line of the root's.

use super::finding::Finding;
use super::tree::File;

const NAME: &str = ".clippy.toml";

/// All findings of this module in the tree.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let Some(root) = files.iter().find(|file| file.path == NAME) else {
        return vec![Finding::error(NAME, 1, "missing", "the project's thresholds for clippy")];
    };
    let nearer = files.iter().filter(|file| file.path.ends_with(&format!("/{NAME}")));
    nearer.flat_map(|file| missing_lines(root, file)).collect()
}

fn missing_lines(root: &File, file: &File) -> Vec<Finding> {
    root.text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter(|line| !file.text.lines().any(|own| own == *line))
        .map(|line| {
            let what = format!("a line of the root's {NAME} is missing");
            Finding::error(&file.path, 1, what, format!("add `{line}`"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearer_file_without_a_line_of_the_root_is_found() {
        let files = [
            File::new(".clippy.toml", "# Why.\na = 1\nb = 2\n", false),
            File::new("dataplane/.clippy.toml", "b = 2\nc = 3\n", false),
        ];
        let found = check(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].right, "add `a = 1`");
    }

    #[test]
    fn missing_root_file_is_found() {
        assert_eq!(check(&[]).len(), 1);
    }
}
