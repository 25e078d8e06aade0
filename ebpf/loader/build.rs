//! Compiles the XDP program with clang, against the header that the crate `abi` writes.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MEND_HEADER: &str = "cargo run --package abi --example header > ebpf/steer/abi.h";
const MEND_TOOLS: &str = "scripts/setup run (Debian and Ubuntu: apt-get install clang)";

fn main() {
    // Asked when it runs, not when it was compiled: another checkout may share its folder.
    let steer = folder("CARGO_MANIFEST_DIR").join("../steer");
    println!("cargo::rerun-if-changed=../steer");
    println!("cargo::rerun-if-env-changed=CLANG");
    let header = fs::read_to_string(steer.join("abi.h")).expect("ebpf/steer/abi.h is in the tree");
    assert_eq!(header, abi::c_header(), "ebpf/steer/abi.h is stale; run: {MEND_HEADER}");
    compile(&steer.join("steer.c"), &folder("OUT_DIR").join("steer.o"));
}

/// A folder that cargo names.
fn folder(variable: &str) -> PathBuf {
    PathBuf::from(env::var_os(variable).expect("cargo sets it for a build script"))
}

fn compile(source: &Path, object: &Path) {
    let program = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let parent = source.parent().expect("a file lies in a folder");
    let mut clang = Command::new(&program);
    // Version 3 of the instructions has the atomic exchange. `-g` gives the types of the maps.
    clang.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11"]);
    clang.args(["-Wall", "-Wextra", "-Werror"]);
    // The headers of libbpf are those of the version that loads the object.
    clang.arg("-I").arg(folder("DEP_BPF_INCLUDE"));
    // For this target clang does not look into the folder of Debian where <asm/types.h> is.
    let machine = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it for a build script");
    clang.arg("-idirafter").arg(format!("/usr/include/{machine}-linux-gnu"));
    // No path of this machine goes into the object.
    clang.arg(format!("-ffile-prefix-map={}=.", parent.display()));
    clang.arg("-c").arg(source).arg("-o").arg(object);
    match clang.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{program} refused {}: {status}", source.display()),
        Err(error) => panic!("{program} does not start ({error}); install it: {MEND_TOOLS}"),
    }
}
