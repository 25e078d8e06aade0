//! A table that allows everything is found here: each rule has a manifest that breaks it.

use super::*;

fn member(folder: &str, dependencies: &[(&str, DependencyKind, bool)]) -> Member {
    Member {
        name: folder.rsplit('/').next().unwrap_or_default().to_owned(),
        folder: folder.to_owned(),
        manifest: "[dependencies]\nbase.workspace = true\nip.workspace = true\n".to_owned(),
        crate_roots: Vec::new(),
        dependencies: dependencies
            .iter()
            .map(|(name, kind, is_ours)| Dependency {
                name: (*name).to_owned(),
                kind: *kind,
                is_ours: *is_ours,
            })
            .collect(),
    }
}

fn whats(folder: &str, dependency: &str, kind: DependencyKind, is_ours: bool) -> Vec<String> {
    check(&member(folder, &[(dependency, kind, is_ours)])).into_iter().map(|f| f.what).collect()
}

#[test]
fn every_crate_may_use_exactly_its_row() {
    let all: Vec<&str> =
        ROWS.iter().map(|row| row.folder.rsplit('/').next().unwrap_or_default()).collect();
    for row in ROWS {
        for name in &all {
            let found = whats(row.folder, name, DependencyKind::Normal, true);
            assert_eq!(found.is_empty(), row.may_use.contains(name), "{}: {name}", row.folder);
            let found = whats(row.folder, name, DependencyKind::Build, true);
            assert_eq!(found.is_empty(), row.may_use.contains(name), "{}: {name}", row.folder);
        }
    }
}

#[test]
fn table_has_no_cycle_and_no_name_without_a_row() {
    let row_of = |name: &str| ROWS.iter().find(|row| row.folder.rsplit('/').next() == Some(name));
    // Each round removes the crates whose dependencies are removed; a cycle stays.
    let mut left: Vec<&Row> = ROWS.iter().collect();
    loop {
        let names: Vec<&str> = left.iter().filter_map(|r| r.folder.rsplit('/').next()).collect();
        let count = left.len();
        left.retain(|row| row.may_use.iter().any(|name| names.contains(name)));
        if left.len() == count {
            break;
        }
    }
    assert!(left.is_empty(), "cycle among {:?}", left.iter().map(|r| r.folder).collect::<Vec<_>>());
    for name in ROWS.iter().flat_map(|row| row.may_use) {
        assert!(row_of(name).is_some(), "`{name}` has no row");
    }
}

#[test]
fn protocols_of_one_height_do_not_know_each_other() {
    assert_eq!(
        whats("dataplane/tcp", "ip", DependencyKind::Normal, true),
        ["dataplane/tcp depends on `ip`"]
    );
    assert!(!whats("dataplane/ip", "tcp", DependencyKind::Normal, true).is_empty());
    assert!(!whats("dataplane/engine", "gateway", DependencyKind::Normal, true).is_empty());
    assert!(!whats("controlplane/lease", "memory", DependencyKind::Normal, true).is_empty());
}

#[test]
fn only_gateway_and_appliance_reach_into_the_control_plane() {
    for row in ROWS.iter().filter(|row| row.folder.starts_with("dataplane/")) {
        let may = matches!(row.folder, "dataplane/gateway" | "dataplane/appliance");
        for name in ["protocol", "client"] {
            assert_eq!(row.may_use.contains(&name), may, "{}: {name}", row.folder);
        }
        for name in ["lease", "switch", "owner"] {
            assert!(!row.may_use.contains(&name), "{}: {name}", row.folder);
        }
    }
}

#[test]
fn simulator_is_for_tests_and_for_xtask() {
    assert!(whats("dataplane/tcp", "sim", DependencyKind::Development, true).is_empty());
    assert!(whats("scripts/xtask", "sim", DependencyKind::Normal, true).is_empty());
    for row in ROWS.iter().filter(|row| row.folder != "scripts/xtask") {
        assert!(!row.may_use.contains(&"sim"), "{}", row.folder);
    }
}

#[test]
fn nothing_depends_on_an_end_even_in_tests() {
    for end in ENDS {
        let found = whats("dataplane/tcp", end, DependencyKind::Development, true);
        assert_eq!(found, [format!("dataplane/tcp depends on `{end}`")]);
    }
}

#[test]
fn foreign_crate_that_is_not_listed_is_found_near_the_packet_path() {
    for folder in ["dataplane/tcp", "hw/tap", "controlplane/lease"] {
        let found = whats(folder, "tokio", DependencyKind::Normal, false);
        assert_eq!(found, [format!("{folder} depends on `tokio`")]);
        assert!(whats(folder, "insta", DependencyKind::Development, false).is_empty());
    }
    assert!(!whats("dataplane/tcp", "httparse", DependencyKind::Normal, false).is_empty());
    assert!(whats("dataplane/gateway", "httparse", DependencyKind::Normal, false).is_empty());
    assert!(whats("dataplane/gateway", "zerocopy", DependencyKind::Normal, false).is_empty());
    assert!(!whats("dataplane/tcp", "libc", DependencyKind::Normal, false).is_empty());
    assert!(whats("scripts/xtask", "toml", DependencyKind::Normal, false).is_empty());
}

#[test]
fn plane_is_a_folder_and_no_prefix_of_a_name() {
    assert!(lies_in("hw/tap", "hw"));
    assert!(!lies_in("hwx/tap", "hw"));
}

#[test]
fn crate_without_a_row_is_found() {
    let found = check(&member("dataplane/new", &[]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].what, "a crate without a place");
}

#[test]
fn finding_points_at_the_line_of_the_manifest() {
    let found = check(&member("dataplane/tcp", &[("ip", DependencyKind::Normal, true)]));
    assert_eq!(found[0].line, 3);
}
