//! `abelectl clean`: removes what gateways left that were killed.
//!
//! A gateway that ends takes its files away; one that is killed cannot, and the next one of its
//! name takes its place. Those of which no next one comes stay until this.
//!
//! Looking whether it lives and then removing would remove what another one has made in between.
//! So the place is taken as a gateway takes it that starts, which only works while nobody holds its
//! lock, and is given back as by one that ends. A gateway of that name that starts in this very
//! moment is told that the place is held, as it would be beside another one.
//!
//! What lies in memory and no folder leads to, as after somebody removed the folder by hand, goes too
//! if no process holds it (see `memory::remove_orphans`).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use counters::{CONTROL_NAME, FILE_NAME};
use memory::{SharedError, SharedFile, remove_orphans};

use crate::args::CleanArgs;
use crate::error::Error;
use crate::instance::{self, Search};
use crate::limits::DEATHS_MAX;

/// Runs the command.
pub(crate) fn run(args: &CleanArgs, out: &mut impl Write) -> Result<(), Error> {
    let Search { looked, found, refused } = Search::run(&args.target, is_gateways);
    let name = args.target.instance.as_deref();
    let (meant, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| name.is_none_or(|name| name == found.name));
    if meant.is_empty() && (name.is_some() || refused.is_some()) {
        return Err(instance::none(looked, others, refused, name));
    }
    let (mut is_any, mut failed) = (false, None);
    for instance in &meant {
        let folder = instance.path.parent().unwrap_or(Path::new("/"));
        match remove(&instance.path) {
            Ok(()) => {
                is_any = true;
                let rest = if folder.exists() {
                    "; the folder stays, for there is more in it"
                } else {
                    ""
                };
                writeln!(out, "removed {}  ({}{rest})", instance.name, folder.display())?;
            }
            Err(SharedError::Held { pid, .. }) if name.is_some() => {
                return Err(Error::Lives { name: instance.name.clone(), pid });
            }
            Err(SharedError::Held { .. }) => {}
            Err(source) => failed = failed.or(Some(source)),
        }
    }
    // Only where the whole machine is meant: who names a folder does not mean what is elsewhere.
    if name.is_none() && args.target.folder.is_none() {
        let links: Vec<_> = Search::run(&args.target, is_gateways).found;
        let links: Vec<_> = links.into_iter().map(|instance| instance.path).collect();
        for orphan in remove_orphans(&links) {
            is_any = true;
            writeln!(out, "removed what lay in memory for nobody  ({})", orphan.display())?;
        }
    }
    match failed {
        Some(source) => Err(Error::Clean(source)),
        None if is_any => Ok(()),
        None => Ok(writeln!(out, "no gateway has died")?),
    }
}

/// Whether a file of that name is a gateway's.
fn is_gateways(name: &str) -> bool {
    name == FILE_NAME || name.strip_prefix(FILE_NAME) == Some(".lock") || is_unpublished(name)
}

/// What a gateway calls its file until it publishes it.
fn is_unpublished(name: &str) -> bool {
    let rest = name.strip_prefix(FILE_NAME).and_then(|rest| rest.strip_prefix('.'));
    rest.and_then(|rest| rest.strip_suffix(".new")).is_some_and(|pid| pid.parse::<u32>().is_ok())
}

/// Removes the files at `place` unless a living process holds it, and the folder if nothing else is
/// in it.
fn remove(place: &Path) -> Result<(), SharedError> {
    for _death in 0..DEATHS_MAX {
        let ours = SharedFile::create(place, 1)?;
        // The socket at which it could be asked; there may be none.
        fs::remove_file(place.with_file_name(CONTROL_NAME)).ok();
        // Each turn takes one file away with its words: what was published, then what was not.
        let next = unpublished(place);
        if let Some(next) = &next
            && fs::symlink_metadata(place).is_err()
        {
            fs::rename(next, place).map_err(|source| SharedError::System {
                path: next.clone(),
                operation: "remove",
                source,
            })?;
        }
        ours.publish()?;
        drop(ours);
        if next.is_none() {
            break;
        }
    }
    Ok(())
}

/// A file beside `place` that a process was making when it died. Whoever asks holds the lock, so
/// that none is being made but its own.
fn unpublished(place: &Path) -> Option<PathBuf> {
    let own = format!("{FILE_NAME}.{}.new", std::process::id());
    let mut entries = fs::read_dir(place.parent()?).ok()?.filter_map(Result::ok);
    entries.find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        (is_unpublished(&name) && name != own).then(|| entry.path())
    })
}
