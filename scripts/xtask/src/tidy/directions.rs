//! Who may depend on whom, and which foreign crates come near the packet path.
//!
//! The table is the picture of `docs/ARCHITECTURE.md` in rows. Rows for crates that are planned
//! stand in it already, so that a new crate finds its place instead of making one.

use cargo_metadata::DependencyKind;

use super::finding::Finding;
use crate::workspace::{Dependency, Member};

/// One crate and the crates of this workspace that it may use, normally and in build scripts.
struct Row {
    folder: &'static str,
    may_use: &'static [&'static str],
}

const fn row(folder: &'static str, may_use: &'static [&'static str]) -> Row {
    Row { folder, may_use }
}

/// What drives the machine knows no protocol.
const MACHINE: &[&str] = &["base", "memory", "nic"];
/// A protocol knows packets, and no other protocol of its own height.
const PROTOCOL: &[&str] = &["base", "memory", "wire"];

/// Every crate of the workspace.
const ROWS: &[Row] = &[
    row("hw/memory", &[]),
    row("hw/topology", MACHINE),
    row("hw/af_xdp", MACHINE),
    row("hw/dpdk-sys", &[]),
    row("hw/dpdk", &["base", "memory", "nic", "dpdk-sys"]),
    row("hw/tap", MACHINE),
    row("hw/ethtool", MACHINE),
    // A shared object around the stack, loaded by a foreign program: an end, like a binary.
    row(
        "hw/packetdrill",
        &["base", "memory", "nic", "wire", "ip", "udp", "tcp", "stack", "engine"],
    ),
    row("ebpf/abi", &[]),
    row("ebpf/loader", &["abi"]),
    row("dataplane/base", &[]),
    row("dataplane/counters", &["base", "memory"]),
    row("dataplane/wire", &["base", "memory"]),
    row("dataplane/nic", &["base", "memory", "wire"]),
    row("dataplane/ip", PROTOCOL),
    row("dataplane/udp", PROTOCOL),
    row("dataplane/tcp", PROTOCOL),
    row("dataplane/stack", &["base", "memory", "wire", "nic", "ip", "udp", "tcp", "counters"]),
    row(
        "dataplane/engine",
        &["base", "memory", "wire", "nic", "ip", "udp", "tcp", "stack", "counters"],
    ),
    row(
        "dataplane/gateway",
        &[
            "base", "memory", "wire", "nic", "ip", "udp", "tcp", "stack", "counters", "protocol",
            "client",
        ],
    ),
    // What a core shows the tools: joins the stack's and the service's counters to the file.
    row(
        "dataplane/publisher",
        &[
            "base", "memory", "nic", "ip", "udp", "tcp", "stack", "engine", "gateway", "counters",
            "topology", "abi",
        ],
    ),
    row(
        "dataplane/sim",
        &["base", "memory", "wire", "nic", "ip", "udp", "tcp", "stack", "engine", "counters"],
    ),
    row(
        "dataplane/appliance",
        &[
            "base",
            "memory",
            "wire",
            "nic",
            "ip",
            "udp",
            "tcp",
            "stack",
            "engine",
            "gateway",
            "publisher",
            "counters",
            "topology",
            "af_xdp",
            "dpdk",
            "tap",
            "ethtool",
            "abi",
            "loader",
            "protocol",
            "client",
            "logging",
            "settings",
            "signals",
        ],
    ),
    row("controlplane/protocol", &["base"]),
    row("controlplane/lease", &["base", "protocol"]),
    row("controlplane/owner", &["base", "protocol"]),
    row("controlplane/switch", &["base", "memory", "protocol"]),
    row("controlplane/client", &["base", "memory", "protocol", "owner"]),
    row(
        "controlplane/bypssd",
        &[
            "base",
            "memory",
            "protocol",
            "lease",
            "switch",
            "topology",
            "exposition",
            "logging",
            "settings",
            "signals",
        ],
    ),
    // `doctor` looks at the machine.
    row(
        "controlplane/ctl",
        &[
            "base",
            "memory",
            "protocol",
            "client",
            "counters",
            "topology",
            "ethtool",
            "exposition",
            "settings",
        ],
    ),
    row(
        "bench/rig",
        &[
            "base",
            "memory",
            "wire",
            "nic",
            "ip",
            "udp",
            "tcp",
            "stack",
            "engine",
            "gateway",
            "publisher",
            "counters",
            "topology",
            "af_xdp",
            "dpdk",
            "tap",
            "ethtool",
            "abi",
            "loader",
            "protocol",
            "lease",
            "switch",
            "client",
            "owner",
        ],
    ),
    // What a program needs besides its work knows no plane.
    row("daemon/exposition", &[]),
    row("daemon/logging", &[]),
    row("daemon/settings", &[]),
    row("daemon/signals", &[]),
    // What the programs' tests write their manual with.
    row("packaging/pages", &[]),
    row("scripts/xtask", &["sim"]),
];

/// Crates that no crate may depend on, not even in its tests.
const ENDS: &[&str] = &["rig", "xtask", "appliance", "bypssd", "ctl"];

/// Foreign crates that a part of the tree may use, outside its tests.
struct Foreign {
    /// The folder, or a whole plane.
    folder: &'static str,
    crates: &'static [&'static str],
}

/// Rows add up: a crate may use what stands in every row whose folder it lies in. A plane that
/// has no row is not restricted.
const FOREIGN: &[Foreign] = &[
    Foreign {
        folder: "dataplane",
        crates: &["arrayvec", "bitflags", "loom", "siphasher", "thiserror", "zerocopy"],
    },
    Foreign { folder: "dataplane/gateway", crates: &["httparse"] },
    Foreign { folder: "daemon/logging", crates: &["thiserror", "tracing", "tracing-subscriber"] },
    Foreign { folder: "daemon/settings", crates: &["toml"] },
    Foreign { folder: "daemon/signals", crates: &["signal-hook"] },
    Foreign { folder: "dataplane/sim", crates: &["clap", "serde", "serde_json", "sha2"] },
    Foreign {
        folder: "dataplane/appliance",
        crates: &[
            "clap",
            "core_affinity",
            "getrandom",
            "nix",
            "sd-notify",
            "serde",
            "serde_json",
            "signal-hook",
            "tracing",
        ],
    },
    Foreign {
        folder: "hw",
        crates: &[
            "arrayvec",
            "bitflags",
            "core_affinity",
            "crossbeam-queue",
            "getrandom",
            "libc",
            "loom",
            "memmap2",
            "nix",
            "siphasher",
            "thiserror",
            "tracing",
            "zerocopy",
        ],
    },
    Foreign { folder: "hw/dpdk-sys", crates: &["bindgen", "cc", "pkg-config"] },
    Foreign { folder: "ebpf/abi", crates: &["zerocopy"] },
    Foreign {
        folder: "ebpf/loader",
        crates: &["getrandom", "libbpf-rs", "libbpf-sys", "nix", "thiserror", "zerocopy"],
    },
    Foreign {
        folder: "controlplane/protocol",
        crates: &["crc32fast", "hmac", "sha2", "thiserror"],
    },
    Foreign {
        folder: "controlplane/lease",
        crates: &["arrayvec", "bitflags", "thiserror", "zerocopy"],
    },
    Foreign {
        folder: "controlplane/owner",
        crates: &["arrayvec", "bitflags", "thiserror", "zerocopy"],
    },
    Foreign {
        folder: "controlplane/switch",
        crates: &["arrayvec", "bitflags", "siphasher", "thiserror", "zerocopy"],
    },
];

/// All findings of this module in one crate.
pub(crate) fn check(member: &Member) -> Vec<Finding> {
    let path = format!("{}/Cargo.toml", member.folder);
    let Some(row) = ROWS.iter().find(|row| row.folder == member.folder) else {
        let right = "a row in scripts/xtask/src/tidy/directions.rs and in docs/ARCHITECTURE.md";
        return vec![Finding::error(&path, 1, "a crate without a place", right)];
    };
    let verdicts = member.dependencies.iter().filter_map(|dependency| {
        let (what, right) = if dependency.is_ours {
            ours(row, dependency)?
        } else {
            foreign(&member.folder, dependency)?
        };
        let line = member.manifest.lines().position(|line| names(line, &dependency.name));
        Some(Finding::error(&path, line.map_or(1, |at| at + 1), what, right))
    });
    verdicts.collect()
}

fn ours(row: &Row, dependency: &Dependency) -> Option<(String, String)> {
    let name = dependency.name.as_str();
    let is_test = dependency.kind == DependencyKind::Development;
    if ENDS.contains(&name) {
        let what = format!("{} depends on `{name}`", row.folder);
        return Some((what, "nothing depends on a binary, a bench or a script".to_owned()));
    }
    if is_test || row.may_use.contains(&name) {
        return None;
    }
    let allowed =
        if row.may_use.is_empty() { "nothing".to_owned() } else { row.may_use.join(", ") };
    let right = match name {
        "sim" => "`sim` as a dev-dependency".to_owned(),
        _ => format!("of this workspace, {allowed}"),
    };
    Some((format!("{} depends on `{name}`", row.folder), right))
}

fn foreign(folder: &str, dependency: &Dependency) -> Option<(String, String)> {
    let is_test = dependency.kind == DependencyKind::Development;
    let rows: Vec<&Foreign> = FOREIGN.iter().filter(|row| lies_in(folder, row.folder)).collect();
    let name = dependency.name.as_str();
    if is_test || rows.is_empty() || rows.iter().any(|row| row.crates.contains(&name)) {
        return None;
    }
    let allowed: Vec<&str> = rows.iter().flat_map(|row| row.crates.iter().copied()).collect();
    Some((format!("{folder} depends on `{name}`"), format!("of others, {}", allowed.join(", "))))
}

fn lies_in(folder: &str, plane: &str) -> bool {
    folder.strip_prefix(plane).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a line of a manifest begins with this dependency.
fn names(line: &str, dependency: &str) -> bool {
    line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
}

#[cfg(test)]
mod tests;
