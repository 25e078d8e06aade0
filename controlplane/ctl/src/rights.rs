//! What mends missing rights: the group that has them is named, if there is one.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::unistd::{Gid, Group, User, getegid, getgroups, getuid};

/// How to ask with the rights for `path`, by the command that was refused.
pub(crate) fn mend(path: &Path, command: &str) -> String {
    let as_owner = format!("ask as the gateway's user, or as root: sudo abelectl {command}");
    let Some(group) = group_of(path) else { return as_owner };
    let user = User::from_uid(getuid()).ok().flatten().map_or("USER".to_owned(), |user| user.name);
    format!(
        "{as_owner}; the group {group:?} may, too: sudo usermod -aG {group} {user}, then log in again"
    )
}

/// The group that passes where the asker does not: at the file, or at the folder that hides it.
fn group_of(path: &Path) -> Option<String> {
    let seen = path.ancestors().find_map(|path| fs::metadata(path).ok())?;
    let is_socket = seen.file_type().is_socket();
    let needed = match (seen.is_dir(), is_socket) {
        (true, _) => 0o050,
        (false, true) => 0o020,
        (false, false) => 0o040,
    };
    let group = Gid::from_raw(seen.gid());
    // Nobody becomes an operator by root's group, and whoever is in the group lacks another right.
    let helps = group.as_raw() != 0 && seen.mode() & needed == needed && !is_member(group);
    let group = helps.then(|| Group::from_gid(group).ok().flatten());
    group.flatten().map(|group| group.name)
}

fn is_member(group: Gid) -> bool {
    getegid() == group || getgroups().is_ok_and(|groups| groups.contains(&group))
}
