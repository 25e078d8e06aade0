//! The bits of `Frame::flags` that a queue pair and the stack agree on.

/// The packet goes on in the next frame of the burst. Clear on a packet's last frame.
pub const CONTINUES: u16 = 1 << 0;

/// Receive: the device found the checksums of the IP header and of the transport right.
pub const CHECKSUM_VERIFIED: u16 = 1 << 1;

/// Whether the packet goes on in the frame behind `frame`.
#[must_use]
#[inline]
pub fn continues(frame: &memory::Frame) -> bool {
    frame.flags() & CONTINUES != 0
}
