//! What the real kernel refuses, and whether the command that the error names mends it.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::Command;

use libbpf_sys::{BPF_PROG_TYPE_XDP, bpf_insn, bpf_prog_load, bpf_xdp_attach};
use loader::{Attached, LoadError, Mode};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use crate::machine::{Pair, config, enter_namespace, is_root, run};

/// Set in a second process that is to load without rights.
const POOR: &str = "ABELE_TEST_WITHOUT_RIGHTS";

/// Attaches a program that passes everything, as `ip link set dev X xdp obj ..` does: without a
/// link, so that it stays when its loader is gone.
fn attach_foreign(interface: &str, flags: u32) {
    // r0 = XDP_PASS; exit
    let mut code = [bpf_insn::default(), bpf_insn::default()];
    code[0].code = 0xb7;
    code[0].imm = 2;
    code[1].code = 0x95;
    let name = c"foreign";
    let license = c"GPL";
    // SAFETY: both strings end with a zero, `code` holds two instructions, and no options are
    // given; the kernel copies all of it.
    let number = unsafe {
        bpf_prog_load(
            BPF_PROG_TYPE_XDP,
            name.as_ptr(),
            license.as_ptr(),
            code.as_ptr(),
            2,
            std::ptr::null_mut(),
        )
    };
    assert!(number >= 0, "{}", Errno::from_raw(-number));
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    let program = unsafe { OwnedFd::from_raw_fd(number) };
    let index = if_nametoindex(interface).expect("it is there");
    let index = i32::try_from(index).expect("a small number");
    // SAFETY: the program's descriptor is open, and no options are given.
    let result = unsafe { bpf_xdp_attach(index, program.as_raw_fd(), flags, std::ptr::null()) };
    assert_eq!(result, 0, "{}", Errno::from_raw(-result));
}

/// The command behind the last `: ` of an error.
fn mend(error: &LoadError) -> String {
    error.to_string().rsplit(": ").next().expect("an error names a command").to_owned()
}

#[test]
fn foreign_program_is_refused_by_name_and_its_mend_mends() {
    if !is_root("foreign_program_is_refused_by_name_and_its_mend_mends") {
        return;
    }
    let _pair = Pair::new();
    let places = [
        (libbpf_sys::XDP_FLAGS_SKB_MODE, "xdpgeneric"),
        (libbpf_sys::XDP_FLAGS_DRV_MODE, "xdpdrv"),
    ];
    for (flags, word) in places {
        attach_foreign("abele0", flags);
        for mode in [Mode::Auto, Mode::Native, Mode::Generic] {
            let mut steering = loader::load(&config("abele0", mode)).expect("root may");
            let refused = steering.attach().expect_err("the interface is taken");
            let text = refused.to_string();
            assert!(text.contains("abele0 has an XDP program already: \"foreign\""), "{text}");
            assert_eq!(mend(&refused), format!("ip link set dev abele0 {word} off"));
        }
        let mut steering = loader::load(&config("abele0", Mode::Generic)).expect("root may");
        let refused = steering.attach().expect_err("the interface is taken");
        run(&mend(&refused));
        steering.attach().expect("it is free");
    }
}

#[test]
fn missing_interface_is_named() {
    if !is_root("missing_interface_is_named") {
        return;
    }
    enter_namespace();
    let refused = loader::load(&config("nic7", Mode::Auto)).expect_err("there is none");
    assert_eq!(refused, LoadError::ResourceNoInterface { interface: "nic7".to_owned() });
    // One that goes away between loading and attaching.
    run("ip link add nic7 type veth peer name nic8");
    let mut steering = loader::load(&config("nic7", Mode::Auto)).expect("it is there");
    run("ip link delete nic7");
    let refused = steering.attach().expect_err("it is gone");
    assert_eq!(refused, LoadError::ResourceNoInterface { interface: "nic7".to_owned() });
}

#[test]
fn driver_without_xdp_is_refused_if_native_and_said_if_automatic() {
    if !is_root("driver_without_xdp_is_refused_if_native_and_said_if_automatic") {
        return;
    }
    enter_namespace();
    let mut native = loader::load(&config("lo", Mode::Native)).expect("root may");
    let refused = native.attach().expect_err("loopback knows no XDP");
    let (interface, errno) = ("lo".to_owned(), Errno::EOPNOTSUPP);
    assert_eq!(refused, LoadError::ResourceNoNative { interface, errno });
    let mut auto = loader::load(&config("lo", Mode::Auto)).expect("root may");
    let attached = auto.attach().expect("every interface can");
    assert_eq!(attached, Attached::Generic { native_refused: Some(errno) });
    assert!(attached.to_string().starts_with("generic (the driver refuses native: EOPNOTSUPP"));
}

/// Runs `test` again in a process that `wrapper` starts; it must succeed there.
fn run_poor(test: &str, wrapper: &[&str]) {
    let status = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg(std::env::current_exe().expect("a test knows its binary"))
        .args(["--exact", test, "--nocapture"])
        .env(POOR, "1")
        .status()
        .expect("util-linux is installed");
    assert!(status.success(), "{wrapper:?}: {status}");
}

#[test]
fn process_without_rights_is_told_which_it_lacks() {
    let test = "refusals::process_without_rights_is_told_which_it_lacks";
    if std::env::var_os(POOR).is_some() {
        let refused = loader::load(&config("lo", Mode::Auto)).expect_err("it may not");
        let rights = "CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN".to_owned();
        let what = "loading the XDP program".to_owned();
        assert_eq!(refused, LoadError::ResourceNotPermitted { what, rights });
        return;
    }
    if is_root(test) {
        run_poor(test, &["setpriv", "--bounding-set=-all", "--inh-caps=-all"]);
    }
}

#[test]
fn root_of_a_user_namespace_is_told_that_it_is_none() {
    let test = "refusals::root_of_a_user_namespace_is_told_that_it_is_none";
    if std::env::var_os(POOR).is_some() {
        let refused = loader::load(&config("lo", Mode::Auto)).expect_err("it may not");
        let what = "loading the XDP program".to_owned();
        assert_eq!(refused, LoadError::ResourceUserNamespace { what });
        return;
    }
    if is_root(test) {
        run_poor(test, &["unshare", "--user", "--map-root-user", "--net", "--"]);
    }
}
