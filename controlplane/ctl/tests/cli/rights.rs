//! Who may not ask, and what is said to mend it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fake::{Fake, Plan};
use crate::{folder, told};

/// A group that every Linux has, in which nobody is.
const GROUP: u32 = 1;

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn can_ask_as_others() -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|one| one == "root"), "root is required");
    println!("SKIPPED: only root can ask as somebody else");
    false
}

/// The program itself may lie where nobody else may look.
fn program(folder: &Path) -> PathBuf {
    let program = folder.join("abelectl");
    fs::copy(env!("CARGO_BIN_EXE_abelectl"), &program).expect("there is room for it");
    program
}

/// Asks as a user without rights who is in these groups.
fn as_nobody(
    program: &Path,
    folder: &Path,
    groups: &str,
    line: &str,
) -> (Option<i32>, String, String) {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--groups", groups]).arg(program);
    command.args(line.split_whitespace()).arg("--folder").arg(folder);
    told(folder, &command.output().expect("setpriv is there"))
}

#[test]
fn missing_rights_are_named_with_what_mends_them() {
    if !can_ask_as_others() {
        return;
    }
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let program = program(folder.path());
    let as_nobody = |line: &str| as_nobody(&program, folder.path(), "65534", line);
    let (code, _, stderr) = as_nobody("stats");
    assert_eq!(code, Some(3));
    insta::assert_snapshot!(stderr, @"abelectl: DIR/lab/stats: no right to read it; ask as the gateway's user, or as root: sudo abelectl ...");
    // Whoever may read and not write sees figures and no connections.
    let instance = folder.path().join("lab");
    fs::set_permissions(&instance, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(instance.join("stats"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(instance.join("stats.lock"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(as_nobody("stats").0, Some(0));
    let (code, _, stderr) = as_nobody("connections --json");
    assert_eq!(code, Some(3));
    assert!(stderr.contains("no right to write") && stderr.contains("sudo abelectl"), "{stderr}");
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let (code, _, stderr) = self::as_nobody(&program, &closed, "65534", "stats");
    assert_eq!(code, Some(3));
    assert!(stderr.contains("no right to look for gateways in DIR;"), "{stderr}");
}

#[test]
fn the_group_of_the_gateway_may_ask_and_is_named_to_who_is_not_in_it() {
    if !can_ask_as_others() {
        return;
    }
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let instance = folder.path().join("lab");
    let control = instance.join("control");
    let _listener = UnixListener::bind(&control).unwrap();
    let stats = ["stats", "stats.lock"].map(|name| instance.join(name));
    for path in [&instance, &control].into_iter().chain(&stats) {
        chown(path, None, Some(GROUP)).unwrap();
    }
    fs::set_permissions(&control, fs::Permissions::from_mode(0o660)).unwrap();
    let program = program(folder.path());
    let ask = |groups: &str, line: &str| as_nobody(&program, folder.path(), groups, line);

    let (code, _, stderr) = ask("65534", "stats");
    assert_eq!(code, Some(3));
    insta::assert_snapshot!(stderr, @r#"abelectl: DIR/lab/stats: no right to read it; ask as the gateway's user, or as root: sudo abelectl ...; the group "daemon" may, too: sudo usermod -aG daemon nobody, then log in again"#);
    assert_eq!(ask("1", "stats").0, Some(0));

    // The folder may be entered by all, and the socket still is not theirs.
    fs::set_permissions(&instance, fs::Permissions::from_mode(0o755)).unwrap();
    stats.iter().for_each(|path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    });
    let (code, _, stderr) = ask("65534", "reload");
    assert_eq!(code, Some(3));
    insta::assert_snapshot!(stderr, @r#"abelectl: no right to ask at DIR/lab/control; ask as the gateway's user, or as root: sudo abelectl reload; the group "daemon" may, too: sudo usermod -aG daemon nobody, then log in again"#);

    // A group that has no right either is not named; nor is it to who is in it.
    fs::set_permissions(&control, fs::Permissions::from_mode(0o600)).unwrap();
    for groups in ["65534", "1"] {
        let (code, _, stderr) = ask(groups, "reload");
        assert_eq!(code, Some(3));
        assert!(stderr.contains("no right to ask") && !stderr.contains("usermod"), "{stderr}");
    }
}
