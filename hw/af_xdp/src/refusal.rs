//! What a refusal of the kernel means: a pure function of the step, the number and the facts.
//!
//! One number means different things at different steps, and not the same in each version of the
//! kernel. That is written down here once, where kernels that are not at hand can be played.

use nix::errno::Errno;

use crate::error::AfXdpError;
use crate::interface::Channels;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Socket,
    RegisterFrames,
    MakeRing,
    RingOffsets,
    MapRing,
    ReadMtu,
    PreferBusyPoll,
    BusyPoll,
    TxBudget,
    Bind { zero_copy: bool },
    ReadBack,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Socket => "opening an AF_XDP socket",
            Self::RegisterFrames => "registering the frames",
            Self::MakeRing => "making a ring",
            Self::RingOffsets => "asking where the rings lie",
            Self::MapRing => "mapping a ring",
            Self::ReadMtu => "asking for the MTU",
            Self::PreferBusyPoll => "setting SO_PREFER_BUSY_POLL",
            Self::BusyPoll => "setting up busy polling",
            Self::TxBudget => "setting the transmit budget",
            Self::Bind { .. } => "binding the socket",
            Self::ReadBack => "reading back what was got",
        }
    }
}

/// What is known besides.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) interface: &'a str,
    pub(crate) driver: &'a str,
    pub(crate) queue: u16,
    pub(crate) channels: Option<Channels>,
    pub(crate) frame_bytes: u64,
    pub(crate) locked_bytes_max: u64,
    pub(crate) waited_ms: u64,
}

/// The error for the user.
pub(crate) fn explain(step: Step, errno: Errno, facts: &Facts<'_>) -> AfXdpError {
    let what = step.name();
    if errno == Errno::EPERM || (errno == Errno::EACCES && step != Step::TxBudget) {
        return AfXdpError::ResourceNotPermitted { what };
    }
    let specific = match step {
        Step::Socket => of_socket(errno),
        Step::RegisterFrames => of_frames(errno, facts),
        Step::RingOffsets | Step::MakeRing => old_kernel(errno, "AF_XDP rings with flags", "5.4"),
        Step::PreferBusyPoll | Step::BusyPoll => {
            old_kernel(errno, "preferred busy polling", "5.11")
        }
        Step::TxBudget => old_kernel(errno, "XDP_MAX_TX_SKB_BUDGET", "6.17"),
        Step::Bind { zero_copy } => of_bind(zero_copy, errno, facts),
        Step::MapRing | Step::ReadMtu | Step::ReadBack => None,
    };
    if let Some(error) = specific {
        return error;
    }
    if matches!(errno, Errno::ENOMEM | Errno::ENOBUFS) {
        return AfXdpError::ResourceMemory { what };
    }
    let interface = facts.interface.to_owned();
    if matches!(errno, Errno::ENODEV | Errno::ENXIO) {
        return AfXdpError::ResourceNoInterface { interface };
    }
    AfXdpError::System { what, interface, queue: facts.queue, errno }
}

/// Whether a queue that was refused like this is worth another try in a moment.
pub(crate) fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::EBUSY | Errno::EAGAIN | Errno::EINTR)
}

/// Whether a refusal to bind is about the mode that was asked for, and another one may do.
pub(crate) fn is_about_mode(errno: Errno) -> bool {
    is_unsupported(errno) || matches!(errno, Errno::EINVAL | Errno::ENOSYS)
}

/// Drivers also let ENOTSUPP (524) through, a number of the kernel's own without a name here.
fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::UnknownErrno)
}

fn of_socket(errno: Errno) -> Option<AfXdpError> {
    let is_missing =
        matches!(errno, Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT);
    is_missing.then_some(AfXdpError::ResourceNoAfXdp { errno })
}

fn of_frames(errno: Errno, facts: &Facts<'_>) -> Option<AfXdpError> {
    // The kernel counts locked pages by user and says ENOBUFS above the limit.
    if errno == Errno::ENOBUFS {
        let (needed_kib, limit_kib) = (facts.frame_bytes >> 10, facts.locked_bytes_max >> 10);
        return Some(AfXdpError::ResourceLockedMemory { needed_kib, limit_kib });
    }
    if matches!(errno, Errno::EFAULT | Errno::EOPNOTSUPP) {
        return Some(AfXdpError::ResourceMapping { errno });
    }
    old_kernel(errno, "AF_XDP frame registration", "5.4")
}

fn old_kernel(errno: Errno, what: &'static str, since: &'static str) -> Option<AfXdpError> {
    let is_unknown = matches!(errno, Errno::ENOPROTOOPT | Errno::EOPNOTSUPP);
    is_unknown.then_some(AfXdpError::ResourceKernelOld { what, since })
}

fn of_bind(zero_copy: bool, errno: Errno, facts: &Facts<'_>) -> Option<AfXdpError> {
    let Facts { queue, waited_ms, .. } = *facts;
    let interface = facts.interface.to_owned();
    if errno == Errno::EBUSY {
        return Some(AfXdpError::ResourceQueueTaken { interface, queue, waited_ms });
    }
    if errno == Errno::ENETDOWN {
        return Some(AfXdpError::ResourceLinkDown { interface });
    }
    if let Some(error) = missing_queue(facts) {
        return Some(error);
    }
    if zero_copy && is_about_mode(errno) {
        let driver = facts.driver.to_owned();
        return Some(AfXdpError::ResourceNoZeroCopy { interface, driver, queue, errno });
    }
    None
}

/// The queue is not there, as far as the driver says how many there are.
///
/// A queue that receives and does not send binds, and then takes every packet and sends none.
pub(crate) fn missing_queue(facts: &Facts<'_>) -> Option<AfXdpError> {
    let Channels { rx, tx, combined } = facts.channels?;
    let queue = facts.queue;
    if u32::from(queue) < rx.min(tx) {
        return None;
    }
    let wanted = u32::from(queue) + 1;
    let mend = if combined > 0 {
        format!("combined {wanted}")
    } else {
        format!("rx {wanted} tx {wanted}")
    };
    Some(AfXdpError::ResourceNoQueue { interface: facts.interface.to_owned(), queue, rx, tx, mend })
}

#[cfg(test)]
mod tests;
