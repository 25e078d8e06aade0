//! Messages of this client: to ports, to several at once, to everybody.

use base::Instant;
use protocol::{Batch as Frame, Name, RequestKind, SendItem, Sequence, write_broadcast};

use super::Core;
use super::batch::{Kind, Tag};
use crate::error::CallError;

impl Core {
    /// Sends messages to ports, together with those of other calls; what becomes of them is only
    /// counted.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn send(&mut self, items: &[(&str, &[u8])], now: Instant) -> Result<(), CallError> {
        self.check(items.iter().map(|(name, _blob)| *name), blobs_len(items))?;
        items.iter().try_for_each(|(_name, blob)| self.check_blob(blob))?;
        for (name, blob) in items {
            self.push(Kind::Send, (name, Tag::Nobody, Sequence::NONE, blob), now);
        }
        Ok(())
    }

    /// Sends messages in one frame, and asks how many were delivered.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn send_counted(&mut self, items: &[(&str, &[u8])]) -> Result<u64, CallError> {
        self.check(items.iter().map(|(name, _blob)| *name), blobs_len(items))?;
        items.iter().try_for_each(|(_name, blob)| self.check_blob(blob))?;
        let limits = self.known_limits();
        self.solo(items.len(), RequestKind::Send, |out| {
            let mut frame = Frame::send(out, 0, &limits);
            let items = items.iter().copied();
            let mut sent = items.map(|(name, blob)| SendItem { name: name.as_bytes(), blob });
            sent.all(|item| frame.push(item));
            frame.finish()
        })
    }

    /// Sends one message to many ports.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn send_many(&mut self, names: &[&str], blob: &[u8]) -> Result<u64, CallError> {
        self.check(names.iter().copied(), blob.len())?;
        self.check_blob(blob)?;
        let limits = self.known_limits();
        let frame = |out: &mut Vec<u8>| fill(Frame::send_many(out, 0, blob, &limits), names);
        self.solo(names.len(), RequestKind::SendMany, frame)
    }

    /// Sends one message to every other session.
    ///
    /// # Errors
    ///
    /// If nothing was done.
    pub fn broadcast(&mut self, blob: &[u8]) -> Result<u64, CallError> {
        self.check_blob(blob)?;
        self.bare(RequestKind::Broadcast, |out| write_broadcast(out, 0, blob))
    }

    fn check_blob(&self, blob: &[u8]) -> Result<(), CallError> {
        let limit = self.known_limits().message_len_max();
        if u32::try_from(blob.len()).is_ok_and(|len| len <= limit) {
            return Ok(());
        }
        Err(CallError::TooLong { limit })
    }
}

fn blobs_len(items: &[(&str, &[u8])]) -> usize {
    items.iter().map(|(_name, blob)| blob.len()).sum()
}

pub(super) fn fill<'a>(mut frame: Frame<'_, Name<'a>>, names: &[&'a str]) -> u32 {
    names.iter().all(|name| frame.push(Name(name.as_bytes())));
    frame.finish()
}
