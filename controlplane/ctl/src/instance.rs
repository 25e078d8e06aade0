//! Which gateway is meant: the folders are searched for tools' files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use counters::{FILE_NAME, View};
use memory::SharedView;

use crate::args::Target;
use crate::error::Error;

/// A gateway's file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Whether the gateway lives. One that cannot be opened is told of when it is chosen.
    pub(crate) is_alive: bool,
}

/// Finds and opens the tools' file that is meant.
pub(crate) fn open(target: &Target) -> Result<(PathBuf, View<SharedView>), Error> {
    let instance = choose(target)?;
    let view = View::open(&instance.path);
    let view = view.map_err(|source| Error::Open { path: instance.path.clone(), source })?;
    Ok((instance.path, view))
}

/// The one of that name, else the only one: of several the one that lives.
fn choose(target: &Target) -> Result<Instance, Error> {
    let folders = match &target.folder {
        Some(folder) => vec![folder.clone()],
        None => counters::folders(std::env::var_os("XDG_RUNTIME_DIR").as_deref()),
    };
    let mut found = Vec::new();
    let mut refused = None;
    for folder in &folders {
        match search(folder) {
            Ok(instances) => found.extend(instances),
            Err(_denied) => refused = refused.or(Some(folder.clone())),
        }
    }
    let (mut meant, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|found| target.instance.as_ref().is_none_or(|name| *name == found.name));
    if meant.iter().any(|instance| instance.is_alive) {
        meant.retain(|instance| instance.is_alive);
    }
    match (meant.len(), refused, &target.instance) {
        (0, Some(folder), _) => Err(Error::FolderNotPermitted { folder }),
        (0, None, Some(name)) => {
            Err(Error::NoInstance { name: name.clone(), looked: folders, found: others })
        }
        (0, None, None) => Err(Error::NoGateway { looked: folders }),
        // One name in both folders: the order of the folders decides.
        (1, ..) | (_, _, Some(_)) => Ok(meant.swap_remove(0)),
        (_, _, None) => Err(Error::Several { found: meant }),
    }
}

/// All instances of a folder, by name. A folder that is missing has none.
fn search(folder: &Path) -> io::Result<Vec<Instance>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        Err(_missing) => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path().join(FILE_NAME);
        let is_there = match fs::symlink_metadata(&path) {
            Ok(_) => true,
            // It may be the one that is meant: opening it says what is missing.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        if is_there && let Ok(name) = entry.file_name().into_string() {
            let view = View::open(&path).ok();
            let is_alive = view.is_some_and(|view| view.is_alive().unwrap_or(true));
            found.push(Instance { name, path, is_alive });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
