//! Each refusal of the kernel, simulated by its number, and the command that must be in the text.

use nix::errno::Errno;

use super::{LoadError, last_words};
use crate::config::Mode;
use crate::foreign::Foreign;
use crate::machine::Machine;

fn machine(release: &str, lacks: &[&'static str]) -> Machine {
    Machine { release: release.to_owned(), lacks: lacks.to_vec(), is_in_user_namespace: false }
}

/// The text of a refusal, which must be one line.
fn said(error: &LoadError) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    assert!(!text.contains("  "), "{text}");
    text
}

#[track_caller]
fn assert_says(error: &LoadError, words: &[&str]) {
    let text = said(error);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn no_rights_names_the_rights_and_how_to_give_them() {
    let poor = machine("6.1.0", &["CAP_BPF", "CAP_NET_ADMIN"]);
    let error = LoadError::of_load(Errno::EPERM, "", &poor);
    assert_says(&error, &["CAP_BPF and CAP_NET_ADMIN", "setcap cap_net_raw,cap_net_admin,cap_bpf"]);
    let error = LoadError::of_attach("eth0", Mode::Generic, Errno::EPERM, &poor);
    assert_says(&error, &["eth0", "as root"]);
    // The verifier's log would say that the program is wrong.
    let log = "-- BEGIN PROG LOAD LOG --\nR6 pointer comparison prohibited\n";
    let error = LoadError::of_load(Errno::EACCES, log, &machine("6.1.0", &["CAP_PERFMON"]));
    assert_says(&error, &["lacks CAP_PERFMON", "cap_perfmon"]);
}

#[test]
fn user_namespace_is_said_because_its_root_seems_to_have_every_right() {
    let inside = Machine { is_in_user_namespace: true, ..machine("6.1.0", &[]) };
    let error = LoadError::of_load(Errno::EPERM, "", &inside);
    assert_says(&error, &["user namespace", "kind = \"tap\""]);
}

#[test]
fn locked_memory_and_seccomp_are_named_where_the_rights_are_there() {
    let error = LoadError::of_load(Errno::EPERM, "", &machine("6.1.0", &[]));
    assert_says(&error, &["ulimit -l unlimited", "seccomp", "--privileged"]);
}

#[test]
fn old_kernel_is_named_whatever_number_it_gives() {
    for errno in [Errno::EINVAL, Errno::EPERM, Errno::EOPNOTSUPP] {
        let error = LoadError::of_load(errno, "", &machine("5.15.0-91-generic", &[]));
        assert_says(&error, &["5.15.0-91-generic is too old", "5.18", "apt-get dist-upgrade"]);
    }
    let error = LoadError::of_load(Errno::ENOSYS, "", &machine("6.1.0", &[]));
    assert_says(&error, &["without BPF", "CONFIG_BPF_SYSCALL"]);
}

#[test]
fn interface_without_xdp_names_the_generic_mode() {
    let machine = machine("6.1.0", &[]);
    let error = LoadError::of_attach("eth0", Mode::Native, Errno::EOPNOTSUPP, &machine);
    assert_says(&error, &["eth0", "xdp_mode = \"generic\""]);
    for errno in [Errno::ERANGE, Errno::EINVAL] {
        let error = LoadError::of_attach("eth0", Mode::Native, errno, &machine);
        assert_says(&error, &["ip link set dev eth0 mtu 1500", "xdp_mode = \"generic\""]);
    }
    let error = LoadError::of_attach("eth0", Mode::Generic, Errno::ENODEV, &machine);
    assert_says(&error, &["no interface eth0", "ip link show"]);
}

#[test]
fn other_program_is_named_with_what_removes_it() {
    let taken = |foreign| {
        let (interface, foreign) = ("eth0".to_owned(), Box::new(foreign));
        LoadError::ResourceTaken { interface, foreign }
    };
    let loose = Foreign::new("eth0", 7, "filter", "xdpgeneric");
    let words = ["eth0", "\"filter\"", "(id 7)", "ip link set dev eth0 xdpgeneric off"];
    assert_says(&taken(loose.clone()), &words);
    let held = loose.clone().with_link(9, Some((42, "abele-gateway".to_owned())));
    assert_says(&taken(held), &["process 42 (abele-gateway)", "kill 42"]);
    let pinned = loose.with_link(9, None);
    assert_says(&taken(pinned), &["link 9", "bpftool link detach id 9"]);
}

#[test]
fn memory_is_named() {
    let error = LoadError::of_load(Errno::ENOMEM, "", &machine("6.1.0", &[]));
    assert_says(&error, &["free -m", "MemoryMax"]);
}

#[test]
fn verifier_has_the_last_word() {
    let log = "libbpf: prog 'steer': BPF program load failed: -EACCES\n\
               libbpf: prog 'steer': -- BEGIN PROG LOAD LOG --\n\
               0: R1=ctx() R10=fp0\n; return *at;\n1: (71) r0 = *(u8 *)(r2 +0)\n\
               invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)\n\
               R2 offset is outside of the packet\nprocessed 2 insns (limit 1000000)\n\
               -- END PROG LOAD LOG --\nlibbpf: prog 'steer': failed to load: -EACCES\n\
               libbpf: failed to load object ''\n";
    let error = LoadError::of_load(Errno::EACCES, log, &machine("6.1.0", &[]));
    assert_says(&error, &["r0 = *(u8 *)(r2 +0) | invalid access", "outside of the packet"]);
    assert!(!said(&error).contains("processed"));
}

#[test]
fn other_refusal_says_what_libbpf_said() {
    let log =
        "libbpf: map 'sockets': failed to create: -EINVAL\nlibbpf: failed to load object ''\n";
    let error = LoadError::of_load(Errno::EINVAL, log, &machine("6.1.0", &[]));
    assert_says(&error, &["loading the XDP program", "map 'sockets'", "EINVAL"]);
    assert_eq!(last_words(""), "");
}
