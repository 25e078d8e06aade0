//! The content type that follows from a file's extension.

/// What is sent where nothing is known: a browser then offers to save it.
const UNKNOWN: &str = "application/octet-stream";

/// By extension, in lower case. Text is said to be UTF-8, which everything here is or should be.
const TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// The content type of the document at `path`.
pub(crate) fn content_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((_, extension)) = name.rsplit_once('.') else { return UNKNOWN };
    let known = TYPES.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known));
    known.map_or(UNKNOWN, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{TYPES, UNKNOWN, content_type};

    #[test]
    fn the_extension_decides_in_any_case() {
        assert_eq!(content_type("/a/index.HTML"), "text/html; charset=utf-8");
        for unknown in ["/index", "/html", "/a.html/b", "/a.unheard"] {
            assert_eq!(content_type(unknown), UNKNOWN, "{unknown}");
        }
    }

    #[test]
    fn each_extension_is_there_once_and_in_order() {
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
