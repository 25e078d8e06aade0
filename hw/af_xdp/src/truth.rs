//! What was got, as read back from the kernel, for the log.

use std::fmt;

use base::QueueId;
use memory::Pages;
use nix::errno::Errno;

use crate::config::{BusyPoll, RingSizes};

/// Descriptors that one system call may send in copy mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxBudget {
    /// The kernel's own figure, which was not asked to be another.
    Default,
    /// What was asked for; the kernel took it and lets nobody read it back.
    Set(u32),
    /// Something was asked for, and this kernel lacks the option (it takes Linux 6.17).
    Unsupported,
}

/// What was got of what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The interface's name.
    pub interface: String,
    /// The name of its driver.
    pub driver: String,
    /// The queue.
    pub queue: QueueId,
    /// The device reads and writes the arena's frames itself (read back).
    pub zero_copy: bool,
    /// Why zero-copy was refused, where it was tried.
    pub zero_copy_refused: Option<Errno>,
    /// The kernel says when it must be woken.
    pub need_wakeup: bool,
    /// Packets may lie in several frames.
    pub multi_buffer: bool,
    /// Busy polling (read back, but for the budget).
    pub busy_poll: Option<BusyPoll>,
    /// The transmit budget.
    pub tx_budget: TxBudget,
    /// The rings.
    pub rings: RingSizes,
    /// Bytes of a received packet that one frame takes.
    pub frame_room: u32,
    /// The pages that the frames lie in.
    pub pages: Pages,
}

impl Truth {
    /// The socket's options: need-wakeup, multi-buffer, busy poll and the transmit budget.
    #[must_use]
    pub fn options(&self) -> String {
        let on_off = |is_on| if is_on { "on" } else { "off" };
        let (wakeup, multi_buffer) = (on_off(self.need_wakeup), on_off(self.multi_buffer));
        let busy_poll = self
            .busy_poll
            .map_or("off".to_owned(), |BusyPoll { us, budget }| format!("{us} us by {budget}"));
        let tx_budget = match self.tx_budget {
            TxBudget::Default => "the kernel's".to_owned(),
            TxBudget::Set(budget) => budget.to_string(),
            TxBudget::Unsupported => "the kernel's (another takes Linux 6.17)".to_owned(),
        };
        format!(
            "need-wakeup {wakeup}, multi-buffer {multi_buffer}, busy poll {busy_poll}, transmit budget {tx_budget}"
        )
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {} of {} (driver {}): ", self.queue.0, self.interface, self.driver)?;
        match (self.zero_copy, self.zero_copy_refused) {
            (true, _) => f.write_str("zero-copy")?,
            (false, None) => f.write_str("copied by the kernel")?,
            (false, Some(errno)) => {
                write!(f, "copied by the kernel (zero-copy refused: {errno:?})")?;
            }
        }
        write!(f, ", {}, rings {}", self.options(), self.rings)?;
        write!(f, ", {} bytes of a packet in a frame, frames in {}", self.frame_room, self.pages)
    }
}

#[cfg(test)]
mod tests {
    use base::QueueId;
    use memory::Pages;
    use nix::errno::Errno;

    use super::{Truth, TxBudget};
    use crate::config::{BusyPoll, RingSizes};

    #[test]
    fn the_log_shows_what_was_got_and_what_was_refused() {
        let truth = Truth {
            interface: "eth7".to_owned(),
            driver: "veth".to_owned(),
            queue: QueueId(2),
            zero_copy: false,
            zero_copy_refused: Some(Errno::EOPNOTSUPP),
            need_wakeup: true,
            multi_buffer: false,
            busy_poll: Some(BusyPoll { us: 20, budget: 64 }),
            tx_budget: TxBudget::Unsupported,
            rings: RingSizes::default(),
            frame_room: 1792,
            pages: Pages::Base,
        };
        assert_eq!(
            truth.to_string(),
            "queue 2 of eth7 (driver veth): copied by the kernel (zero-copy refused: EOPNOTSUPP), \
             need-wakeup on, multi-buffer off, busy poll 20 us by 64, transmit budget the kernel's \
             (another takes Linux 6.17), rings fill 2048 completion 2048 rx 2048 tx 2048, 1792 \
             bytes of a packet in a frame, frames in base pages"
        );
        let zero_copy = Truth { zero_copy: true, tx_budget: TxBudget::Set(64), ..truth };
        assert!(zero_copy.to_string().contains(": zero-copy, need-wakeup"), "{zero_copy}");
    }
}
