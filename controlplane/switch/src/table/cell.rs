//! A cell: 32 bytes that are a port, a further piece of a long name, or free.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Flags;

/// Bytes of a name that lie in its port's own cell.
pub(super) const INLINE: usize = 16;
/// Of a name that goes on: the last four bytes of the name's field are the next cell.
pub(super) const HEAD: usize = 12;
/// Bytes of a name in a further cell.
pub(super) const PIECE: usize = 24;
/// The number of no cell.
pub(super) const NONE: u32 = u32::MAX;
/// Cells that a node of the free list names beside the next node.
pub(super) const FREE_ENTRIES: usize = 6;

const LEN_MASK: u32 = 0x7ff;
const FLAGS_SHIFT: u32 = 16;
const KIND_MASK: u32 = 0xff00_0000;
const KIND_FREE: u32 = 0;
const KIND_PORT: u32 = 1 << 24;
const KIND_PIECE: u32 = 2 << 24;

/// A port: its name, or the first of it; the sequence of its grant; its session's slot; and in
/// `meta` the name's length, the flags and what kind of cell it is.
///
/// A further piece of a name has 24 bytes of it in `name` and `sequence`, and the next cell in
/// `slot`. A free cell may be a node of the free list: six more free cells in `name` and
/// `sequence`, the next node in `slot`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C, align(32))]
pub(super) struct Cell {
    name: [u8; INLINE],
    pub(super) sequence: u64,
    pub(super) slot: u32,
    meta: u32,
}

const _: () = assert!(size_of::<Cell>() == 32);

impl Cell {
    /// Of all bytes zero: a free cell that was never used.
    pub(super) const FREE: Self = Self { name: [0; INLINE], sequence: 0, slot: 0, meta: KIND_FREE };

    /// A port whose name is `word`, `len` bytes of it, or goes on at `next`.
    #[inline]
    pub(super) fn port(word: u128, len: usize, next: u32, sequence: u64, slot: u32) -> Self {
        let mut name = word.to_le_bytes();
        if len > INLINE {
            name[HEAD..].copy_from_slice(&next.to_le_bytes());
        }
        Self { name, sequence, slot, meta: KIND_PORT | length(len) }
    }

    /// A further piece of a name.
    pub(super) fn piece(bytes: &[u8], next: u32) -> Self {
        let mut all = [0; PIECE];
        all[..bytes.len()].copy_from_slice(bytes);
        let (name, rest) = all.split_at(INLINE);
        Self {
            name: name.try_into().expect("split there"),
            sequence: u64::from_le_bytes(rest.try_into().expect("eight are left")),
            slot: next,
            meta: KIND_PIECE,
        }
    }

    #[inline]
    pub(super) fn is_port(&self) -> bool {
        self.meta & KIND_MASK == KIND_PORT
    }

    pub(super) fn is_piece(&self) -> bool {
        self.meta & KIND_MASK == KIND_PIECE
    }

    #[inline]
    pub(super) fn name_len(&self) -> usize {
        (self.meta & LEN_MASK) as usize
    }

    /// Whether this is the port of a name of `len` bytes that begins with `word`. It is the whole
    /// answer for a name that does not go on.
    #[inline]
    pub(super) fn begins(&self, word: u128, len: usize) -> bool {
        let kept = (self.meta & (KIND_MASK | LEN_MASK)) == (KIND_PORT | length(len));
        let differ = u128::from_le_bytes(self.name) ^ word;
        let compared = if len > INLINE { differ << (8 * (INLINE - HEAD)) } else { differ };
        kept && compared == 0
    }

    /// The name's field as one word.
    #[inline]
    pub(super) fn word(&self) -> u128 {
        u128::from_le_bytes(self.name)
    }

    /// The bytes of the name that lie here.
    pub(super) fn own_bytes(&self) -> &[u8] {
        let len = self.name_len();
        if len > INLINE { &self.name[..HEAD] } else { &self.name[..len] }
    }

    /// The cell where the name of a port goes on.
    pub(super) fn next_of_name(&self) -> u32 {
        let (_, next) = self.name.split_at(HEAD);
        u32::from_le_bytes(next.try_into().expect("four are left"))
    }

    /// The 24 bytes of a further piece.
    pub(super) fn piece_bytes(&self) -> [u8; PIECE] {
        let mut all = [0; PIECE];
        all[..INLINE].copy_from_slice(&self.name);
        all[INLINE..].copy_from_slice(&self.sequence.to_le_bytes());
        all
    }

    #[inline]
    pub(super) fn flags(&self) -> Flags {
        Flags((self.meta >> FLAGS_SHIFT).to_le_bytes()[0])
    }

    #[inline]
    pub(super) fn set_flags(&mut self, flags: Flags) {
        self.meta = self.meta & !(0xff << FLAGS_SHIFT) | u32::from(flags.0) << FLAGS_SHIFT;
    }

    /// Number `at` of the free cells that a node names.
    #[inline]
    pub(super) fn free_entry(&self, at: usize) -> u32 {
        let wide = if at < 4 { self.word() >> (32 * at) } else { self.tail() >> (32 * (at - 4)) };
        let [a, b, c, d, ..] = wide.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    #[inline]
    pub(super) fn set_free_entry(&mut self, at: usize, index: u32) {
        if at < 4 {
            self.name[4 * at..4 * at + 4].copy_from_slice(&index.to_le_bytes());
        } else {
            let shift = 32 * (at - 4);
            self.sequence = self.sequence & !(0xffff_ffff << shift) | u64::from(index) << shift;
        }
    }

    fn tail(&self) -> u128 {
        u128::from(self.sequence)
    }
}

#[inline]
fn length(len: usize) -> u32 {
    u32::try_from(len).expect("names are at most 1,024 bytes")
}

const _: () = assert!(crate::limits::NAME_LEN_MAX <= LEN_MASK as usize);
