//! Which gateway is meant: the folders are searched for tools' files.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use counters::{FILE_NAME, OpenError, View};
use memory::SharedView;

use crate::args::Target;
use crate::error::Error;
use crate::limits::DEAD_TOLD_MAX;

/// Whether a gateway runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// It cannot be seen; opening its file says why.
    Unknown,
}

/// A gateway's file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) life: Life,
    /// When it started.
    began: SystemTime,
}

/// What the folders hold that may be meant.
pub(crate) struct Search {
    /// The folders, in their order.
    pub(crate) looked: Vec<PathBuf>,
    /// Folder by folder, by name.
    pub(crate) found: Vec<Instance>,
    /// The first folder that may not be looked into.
    pub(crate) refused: Option<PathBuf>,
}

impl Search {
    /// Looks for all instances that have one of these files in their folder.
    pub(crate) fn run(target: &Target, is_file: fn(&str) -> bool) -> Self {
        let looked = match &target.folder {
            Some(folder) => vec![folder.clone()],
            None => counters::folders(std::env::var_os("XDG_RUNTIME_DIR").as_deref()),
        };
        let (mut found, mut refused) = (Vec::new(), None);
        for folder in &looked {
            match search(folder, is_file) {
                Ok(instances) => found.extend(instances),
                Err(_denied) => refused = refused.or(Some(folder.clone())),
            }
        }
        Self { looked, found, refused }
    }
}

/// Finds and opens the tools' file that is meant.
pub(crate) fn open(target: &Target) -> Result<(PathBuf, View<SharedView>), Error> {
    let instance = choose(target)?;
    let view = View::open(&instance.path);
    let view = view.map_err(|source| Error::Open { path: instance.path.clone(), source })?;
    Ok((instance.path, view))
}

/// The one of that name; else the one that lives, or may live, or is the only dead one.
fn choose(target: &Target) -> Result<Instance, Error> {
    let Search { looked, found, refused } = Search::run(target, |name| name == FILE_NAME);
    let (meant, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|found| target.instance.as_ref().is_none_or(|name| *name == found.name));
    let mut by_life = [Life::Alive, Life::Unknown, Life::Dead]
        .map(|life| meant.iter().filter(|found| found.life == life).cloned().collect::<Vec<_>>());
    let first = by_life.iter_mut().find(|found| !found.is_empty());
    match (first, &target.instance) {
        (Some(found), None) if found.len() > 1 => {
            let found = std::mem::take(found);
            Err(match found[0].life {
                Life::Dead => {
                    Error::AllDead { found: newest_first(found), folder: target.folder.clone() }
                }
                Life::Alive | Life::Unknown => Error::Several { found },
            })
        }
        // One name in both folders: the order of the folders decides.
        (Some(found), _) => Ok(found.swap_remove(0)),
        (None, name) => Err(none(looked, others, refused, name.as_deref())),
    }
}

/// Why none was found.
pub(crate) fn none(
    looked: Vec<PathBuf>,
    others: Vec<Instance>,
    refused: Option<PathBuf>,
    name: Option<&str>,
) -> Error {
    match (refused, name) {
        (Some(folder), _) => Error::FolderNotPermitted { folder },
        (None, Some(name)) => {
            let found = if others.len() > DEAD_TOLD_MAX { newest_first(others) } else { others };
            Error::NoInstance { name: name.to_owned(), looked, found }
        }
        (None, None) => Error::NoGateway { looked },
    }
}

/// Those that live are newer than those that have died.
fn newest_first(mut found: Vec<Instance>) -> Vec<Instance> {
    found.sort_by_key(|found| (found.life == Life::Dead, Reverse(found.began)));
    found
}

/// All instances of a folder, by name. A folder that is missing has none.
fn search(folder: &Path, is_file: fn(&str) -> bool) -> io::Result<Vec<Instance>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        Err(_missing) => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        if let Ok(name) = entry.file_name().into_string()
            && holds(&entry.path(), is_file)
        {
            let path = entry.path().join(FILE_NAME);
            found.push(Instance { name, life: life(&path), began: began(&path), path });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn holds(folder: &Path, is_file: fn(&str) -> bool) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries
            .any(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_file))),
        // It may be the one that is meant: opening it says what is missing.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn life(path: &Path) -> Life {
    let is_alive = match View::open(path) {
        Ok(view) => view.is_alive(),
        // Of whatever version it is, its lock tells.
        Err(OpenError::Layout(_)) => {
            SharedView::open(path, usize::MAX).and_then(|file| file.is_held())
        }
        Err(OpenError::Shared(error)) => Err(error),
    };
    match is_alive {
        Ok(true) => Life::Alive,
        Ok(false) => Life::Dead,
        Err(_unseen) => Life::Unknown,
    }
}

/// When the lock was written, which a gateway does once, as it starts.
fn began(path: &Path) -> SystemTime {
    let lock = fs::metadata(path.with_extension("lock"));
    lock.and_then(|lock| lock.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
