//! A hundred megabytes over a clean wire and over a bad one, by hash.

use base::Duration;
use nic::Impairments;
use sha2::{Digest, Sha256};
use stack::{CloseReason, Conn, Context, Data, ListenerOptions, Refuse, Service};

use crate::pair::{Pair, Sizes, v4, v6};

const PORT: u16 = 80;
const LEN: usize = 100 * 1_000 * 1_000;

/// The byte at `offset` of the stream: eight of a mixed word each.
fn fill(offset: usize, bytes: &mut [u8]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        let at = (offset + i) as u64;
        let mut word = (at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word ^= word >> 29;
        *byte = word.to_le_bytes()[usize::try_from(at % 8).unwrap()];
    }
}

/// Sends the whole stream to whoever connects, and closes.
struct Source {
    conn: Option<Conn>,
    sent: usize,
    piece: Vec<u8>,
}

impl Source {
    fn pour(&mut self, cx: &mut Context<'_>, conn: Conn) {
        while self.sent < LEN {
            let len = self.piece.len().min(LEN - self.sent);
            fill(self.sent, &mut self.piece[..len]);
            let taken = cx.send(conn, &self.piece[..len]).unwrap();
            self.sent += taken;
            if taken < len {
                return;
            }
        }
        cx.close(conn);
    }
}

impl Service for Source {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        self.conn = Some(conn);
        self.pour(cx, conn);
        Ok(())
    }
    fn on_data(&mut self, _cx: &mut Context<'_>, _conn: Conn, _data: &mut Data) -> usize {
        panic!("the sink says nothing");
    }
    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        self.pour(cx, conn);
    }
    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, why: CloseReason) {
        assert_eq!(why, CloseReason::Finished);
        self.conn = None;
    }
}

/// Hashes what it receives.
struct Sink {
    to: wire::Address,
    hash: Sha256,
    received: usize,
    started: bool,
    why: Option<CloseReason>,
}

impl Service for Sink {
    fn on_open(&mut self, _cx: &mut Context<'_>, _conn: Conn) -> Result<(), Refuse> {
        Ok(())
    }
    fn on_data(&mut self, cx: &mut Context<'_>, _conn: Conn, data: &mut Data) -> usize {
        let bytes = data.bytes(cx);
        self.hash.update(bytes);
        self.received += bytes.len();
        bytes.len()
    }
    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}
    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, why: CloseReason) {
        self.why = Some(why);
    }
    fn on_turn(&mut self, cx: &mut Context<'_>) {
        if !self.started {
            self.started = true;
            cx.connect(self.to, PORT, 0).unwrap();
        }
    }
}

fn transfer(to: wire::Address, impairments: Impairments) {
    let sizes = Sizes { impairments, ..Sizes::default() };
    let sink = Sink { to, hash: Sha256::new(), received: 0, started: false, why: None };
    let source = Source { conn: None, sent: 0, piece: vec![0; 64 * 1_024] };
    let mut pair = Pair::new(&sizes, sink, source);
    pair.b.stack_mut().core_mut().listen(PORT, ListenerOptions::default()).unwrap();
    pair.run_until(Duration::from_secs(100_000), |pair| pair.a.service().why.is_some());
    let sent = pair.b.stack().core().tcp().counters();
    println!(
        "{} of virtual time, {} retransmits, {} time-outs, {} fast; faults {:?}",
        pair.now,
        sent.retransmits,
        sent.timeouts,
        sent.fast_retransmits,
        pair.b.stack().queue().faults()
    );
    let mut expected = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    for offset in (0..LEN).step_by(piece.len()) {
        let len = piece.len().min(LEN - offset);
        fill(offset, &mut piece[..len]);
        expected.update(&piece[..len]);
    }
    let sink = pair.a.service();
    assert_eq!((sink.received, sink.why), (LEN, Some(CloseReason::Finished)));
    assert_eq!(sink.hash.clone().finalize(), expected.finalize(), "the hashes differ");
}

#[test]
fn hundred_megabytes_arrive_with_equal_hash_over_a_clean_wire() {
    transfer(v4(2), Impairments::default());
}

#[test]
fn hundred_megabytes_arrive_with_equal_hash_over_a_wire_that_loses_reorders_and_corrupts() {
    let impairments = Impairments {
        loss_ppm: 10_000,
        reorder_ppm: 10_000,
        corrupt_ppm: 1_000,
        delay: Duration::from_micros(200),
        ..Impairments::default()
    };
    transfer(v6(2), impairments);
}
