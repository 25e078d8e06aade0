//! Kernels that are not here, played: what each refusal says.

use nix::errno::Errno;

use super::{Facts, Step, explain, is_about_mode, is_passing, missing_queue};
use crate::error::AfXdpError;
use crate::interface::Channels;

const ZERO_COPY: Step = Step::Bind { zero_copy: true };
const COPY: Step = Step::Bind { zero_copy: false };
const STEPS: [Step; 11] = [
    Step::Socket,
    Step::RegisterFrames,
    Step::MakeRing,
    Step::RingOffsets,
    Step::MapRing,
    Step::ReadMtu,
    Step::PreferBusyPoll,
    Step::BusyPoll,
    Step::TxBudget,
    ZERO_COPY,
    COPY,
];

fn facts() -> Facts<'static> {
    Facts {
        interface: "eth7",
        driver: "e1000",
        queue: 3,
        channels: Some(Channels { rx: 4, tx: 4, combined: 4 }),
        frame_bytes: 64 << 20,
        locked_bytes_max: 8 << 20,
        waited_ms: 2000,
    }
}

/// What is said, which must be one line.
fn said(step: Step, errno: Errno, facts: &Facts<'_>) -> String {
    let said = explain(step, errno, facts).to_string();
    assert!(!said.contains('\n') && !said.contains("  "), "{said:?}");
    said
}

#[test]
fn each_refusal_says_what_mends_it() {
    let cases = [
        (Step::Socket, Errno::EPERM, "setcap cap_net_raw"),
        (Step::Socket, Errno::EAFNOSUPPORT, "CONFIG_XDP_SOCKETS"),
        (Step::RegisterFrames, Errno::ENOBUFS, "ulimit -l unlimited"),
        (Step::RegisterFrames, Errno::ENOMEM, "free -m"),
        (Step::RegisterFrames, Errno::EFAULT, "no file on a disk"),
        (Step::RegisterFrames, Errno::ENOPROTOOPT, "Linux 5.4"),
        (Step::RingOffsets, Errno::ENOPROTOOPT, "Linux 5.4"),
        (Step::MakeRing, Errno::ENOMEM, "smaller rings"),
        (Step::MapRing, Errno::ENOMEM, "smaller rings"),
        (Step::PreferBusyPoll, Errno::ENOPROTOOPT, "Linux 5.11"),
        (Step::BusyPoll, Errno::EPERM, "cap_net_admin"),
        (Step::TxBudget, Errno::ENOPROTOOPT, "Linux 6.17"),
        (COPY, Errno::EBUSY, "queue 3 of eth7 is taken by another socket, still after 2000 ms"),
        (COPY, Errno::ENODEV, "no interface eth7"),
        (COPY, Errno::ENETDOWN, "ip link set dev eth7 up"),
        (COPY, Errno::EINVAL, "binding the socket for queue 3 of eth7: EINVAL"),
        (ZERO_COPY, Errno::EOPNOTSUPP, "eth7 (driver e1000) refuses zero-copy on queue 3"),
        (ZERO_COPY, Errno::EINVAL, "ethtool -i eth7"),
        // ENOTSUPP, which no library has a name for.
        (ZERO_COPY, Errno::UnknownErrno, "refuses zero-copy"),
        (ZERO_COPY, Errno::EBUSY, "is taken"),
        (ZERO_COPY, Errno::ENOMEM, "no memory"),
    ];
    for (step, errno, part) in cases {
        let said = said(step, errno, &facts());
        assert!(said.contains(part), "{step:?} {errno}: {said}");
    }
}

#[test]
fn the_limit_on_locked_memory_is_said_with_both_figures() {
    let said = said(Step::RegisterFrames, Errno::ENOBUFS, &facts());
    assert!(said.contains("65536 KiB") && said.contains("is 8192 KiB"), "{said}");
}

#[test]
fn a_queue_beyond_the_channels_is_named_whatever_the_kernel_said() {
    let few = Facts { channels: Some(Channels { rx: 2, tx: 2, combined: 2 }), ..facts() };
    for step in [COPY, ZERO_COPY] {
        let said = said(step, Errno::EINVAL, &few);
        assert!(
            said.contains("no queue 3") && said.contains("ethtool -L eth7 combined 4"),
            "{said}"
        );
    }
    let one_way = Facts { channels: Some(Channels { rx: 8, tx: 2, combined: 0 }), ..facts() };
    let error = missing_queue(&one_way).expect("it would receive and never send");
    assert!(error.to_string().contains("ethtool -L eth7 rx 4 tx 4"), "{error}");
    assert_eq!(missing_queue(&facts()), None);
    assert_eq!(missing_queue(&Facts { channels: None, ..facts() }), None, "nobody knows");
}

#[test]
fn no_right_is_no_right_at_every_step() {
    for step in STEPS {
        let error = explain(step, Errno::EPERM, &facts());
        assert!(matches!(error, AfXdpError::ResourceNotPermitted { .. }), "{step:?}: {error}");
    }
}

#[test]
fn every_number_at_every_step_is_one_line() {
    for step in STEPS {
        for number in 1..=133 {
            assert!(said(step, Errno::from_raw(number), &facts()).len() > 20);
        }
    }
}

#[test]
fn only_a_busy_queue_is_tried_again_and_only_a_mode_is_changed() {
    assert!(is_passing(Errno::EBUSY) && !is_passing(Errno::EINVAL));
    assert!(is_about_mode(Errno::EOPNOTSUPP) && is_about_mode(Errno::from_raw(524)));
    for errno in [Errno::EBUSY, Errno::EPERM, Errno::ENODEV, Errno::ENOMEM, Errno::ENETDOWN] {
        assert!(!is_about_mode(errno), "{errno}");
    }
}
