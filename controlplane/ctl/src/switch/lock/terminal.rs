//! The terminal, of which one process group at a time is in the foreground.

use std::fs::File;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{Pid, tcgetpgrp, tcsetpgrp};

/// The terminal of the session, whatever standard input is; there may be none.
#[derive(Debug)]
pub(super) struct Terminal(Option<File>);

impl Terminal {
    pub(super) fn open() -> Self {
        Self(File::options().read(true).write(true).open("/dev/tty").ok())
    }

    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The group in the foreground.
    pub(super) fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(self.0.as_ref()?).ok()
    }

    /// Puts one group in the foreground in the place of another; `false`: that one was not there.
    pub(super) fn hand(&self, from: Pid, to: Pid) -> bool {
        let Some(file) = self.0.as_ref().filter(|_file| self.foreground() == Some(from)) else {
            return false;
        };
        // Who is in the background may do it only if it has this signal blocked, which it would
        // be stopped by.
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTTOU);
        let Ok(before) = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK) else {
            return false;
        };
        let is_done = tcsetpgrp(file, to).is_ok();
        before.thread_set_mask().ok();
        is_done
    }
}
