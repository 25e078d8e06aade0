//! The documents of a folder: found and bounded by `check`, read into memory by `run`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gateway::Document;
use gateway::limits::PATH_LEN_MAX;

use crate::content_type::content_type;
use crate::error::{Error, error_text};
use crate::limits::{DEPTH_MAX, DOCUMENTS_LEN_MAX, DOCUMENTS_MAX};

/// The one name with a dot in front that is served, in the root alone.
const WELL_KNOWN: &str = ".well-known";

/// One file that is to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) file: PathBuf,
    /// The path in a URL, decoded, as `/img/logo.svg`.
    pub(crate) path: String,
    /// Bytes, when it was found.
    pub(crate) len: u64,
}

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalogue {
    /// Ordered by path.
    pub(crate) entries: Vec<Entry>,
    /// Files and folders that are not served: hidden ones, symbolic links, devices, names that are
    /// no UTF-8, and paths that are too long.
    pub(crate) left_out: usize,
}

impl Catalogue {
    /// Bytes of all documents.
    pub(crate) fn len(&self) -> u64 {
        self.entries.iter().map(|entry| entry.len).sum()
    }
}

/// What is wrong with a folder, and what would be right.
pub(crate) type Refusal = (String, String);

/// Finds every plain file in `root` and below.
///
/// Links are not followed: what is served is what lies in the folder, and no link leads out of it
/// or round in a circle.
pub(crate) fn find(root: &Path) -> Result<Catalogue, Refusal> {
    let show = root.display();
    let kind = fs::metadata(root).map_err(|error| {
        let right = "name a folder that the gateway may read".to_owned();
        (format!("{show} cannot be read: {}", error_text(&error)), right)
    })?;
    if !kind.is_dir() {
        let right = "name the folder that holds the documents".to_owned();
        return Err((format!("{show} is no folder"), right));
    }
    let mut catalogue = Catalogue::default();
    walk(root, "", 0, &mut catalogue)?;
    catalogue.entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(catalogue)
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    catalogue: &mut Catalogue,
) -> Result<(), Refusal> {
    if depth > DEPTH_MAX {
        let right = format!("use at most {DEPTH_MAX} folders below one another");
        return Err((format!("{} lies too deep", folder.display()), right));
    }
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        let (file, name) = (entry.path(), entry.file_name());
        // The type of the entry itself: a link is a link, wherever it leads.
        let kind = entry.file_type().map_err(unreadable(&file))?;
        let path = name.to_str().map(|name| format!("{prefix}/{name}"));
        // RFC 8615 has one folder whose name begins with a dot and that is for everybody.
        let is_hidden =
            name.as_encoded_bytes().starts_with(b".") && !(prefix.is_empty() && name == WELL_KNOWN);
        match path.filter(|path| !is_hidden && path.len() <= PATH_LEN_MAX) {
            Some(path) if kind.is_dir() => walk(&file, &path, depth + 1, catalogue)?,
            Some(path) if kind.is_file() => add(file, path, catalogue)?,
            Some(_) | None => catalogue.left_out += 1,
        }
    }
    Ok(())
}

fn add(file: PathBuf, path: String, catalogue: &mut Catalogue) -> Result<(), Refusal> {
    // Opening is the one answer that holds: modes say less than the kernel does.
    let opened = File::open(&file).and_then(|opened| opened.metadata());
    let len = opened.map_err(unreadable(&file))?.len();
    catalogue.entries.push(Entry { file, path, len });
    if catalogue.entries.len() > DOCUMENTS_MAX {
        let right = format!("use at most {DOCUMENTS_MAX}");
        return Err(("there are too many documents".to_owned(), right));
    }
    let bytes = catalogue.len();
    if bytes > DOCUMENTS_LEN_MAX {
        let right = format!("use at most {DOCUMENTS_LEN_MAX} bytes; they are kept in memory");
        return Err((format!("the documents have {bytes} bytes and more"), right));
    }
    Ok(())
}

fn unreadable(file: &Path) -> impl FnOnce(io::Error) -> Refusal {
    let wrong = format!("{} cannot be read", file.display());
    move |error| {
        let right = "let the gateway read everything in the folder".to_owned();
        (format!("{wrong}: {}", error_text(&error)), right)
    }
}

/// Reads every document. None may have grown since it was found, so that the bound holds.
pub(crate) fn load(catalogue: &Catalogue) -> Result<Vec<Document>, Error> {
    catalogue.entries.iter().map(load_one).collect()
}

fn load_one(entry: &Entry) -> Result<Document, Error> {
    let Entry { file, path, len } = entry;
    let failed = |source| Error::Document { file: file.clone(), source };
    let mut body = Vec::with_capacity(usize::try_from(*len).unwrap_or(0));
    let opened = File::open(file).map_err(failed)?;
    let modified = modified(&opened).map_err(failed)?;
    opened.take(len + 1).read_to_end(&mut body).map_err(failed)?;
    if body.len() as u64 > *len {
        return Err(failed(io::Error::other("it has grown while the gateway started")));
    }
    let content_type = content_type(path).to_owned();
    Ok(Document { path: path.clone(), content_type, body, modified: Some(modified) })
}

/// When a file was last changed. It is never in the future: caches would believe that it changes
/// after they have fetched it.
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.2.1
//# If the last modification time is later than the server's time, the server MUST replace that value
fn modified(file: &File) -> io::Result<u64> {
    let modified = file.metadata()?.modified()?.min(SystemTime::now());
    Ok(modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use gateway::Document;

    use super::{Entry, find, load};

    #[test]
    fn plain_files_are_found_in_order_and_links_and_hidden_ones_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("img")).unwrap();
        fs::write(root.join("img/logo.svg"), "<svg/>").unwrap();
        fs::write(root.join("index.html"), "hello").unwrap();
        fs::write(root.join(".secret"), "no").unwrap();
        fs::create_dir(root.join(".well-known")).unwrap();
        fs::write(root.join(".well-known/security.txt"), "yes").unwrap();
        fs::create_dir(root.join("img/.well-known")).unwrap();
        fs::write(root.join("a b.txt"), "escaped").unwrap();
        fs::write(root.join(OsStr::from_bytes(b"\xff")), "no UTF-8").unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        let catalogue = find(root).unwrap();
        let rows: Vec<_> = catalogue.entries.iter().map(|e| (e.path.as_str(), e.len)).collect();
        let well_known = ("/.well-known/security.txt", 3);
        assert_eq!(rows, [well_known, ("/a b.txt", 7), ("/img/logo.svg", 6), ("/index.html", 5)]);
        assert_eq!((catalogue.left_out, catalogue.len()), (4, 21));
    }

    #[test]
    fn what_was_found_is_what_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.html"), "hello").unwrap();
        let mut catalogue = find(folder.path()).unwrap();
        let documents = load(&catalogue).unwrap();
        let Document { path, content_type, body, modified } = &documents[0];
        assert!(modified.is_some_and(|at| at > 1_700_000_000), "{modified:?}");
        assert_eq!((path.as_str(), body.as_slice()), ("/index.html", b"hello".as_slice()));
        assert!(content_type.starts_with("text/html"), "{content_type}");
        catalogue.entries[0] = Entry { len: 4, ..catalogue.entries[0].clone() };
        let grown = load(&catalogue).unwrap_err().to_string();
        assert!(grown.contains("grown"), "{grown}");
    }

    #[test]
    fn the_date_of_a_document_is_its_files_and_never_in_the_future() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a.txt")).unwrap();
        let loaded = |at: SystemTime| {
            file.set_modified(at).unwrap();
            load(&find(folder.path()).unwrap()).unwrap()[0].modified
        };
        assert_eq!(loaded(UNIX_EPOCH + Duration::from_millis(1_500)), Some(1));
        assert_eq!(loaded(UNIX_EPOCH - Duration::from_secs(5)), Some(0));
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let clamped = loaded(SystemTime::now() + Duration::from_secs(3_600)).unwrap();
        assert!((before..before + 60).contains(&clamped), "{clamped}");
    }

    #[test]
    fn a_folder_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(find(&file).unwrap_err().0.ends_with("is no folder"));
        let (wrong, _) = find(&folder.path().join("missing")).unwrap_err();
        assert!(wrong.ends_with("No such file or directory"), "{wrong}");
    }
}
