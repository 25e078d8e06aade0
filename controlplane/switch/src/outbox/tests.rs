//! Order, accounts and batches of an outbox.

use base::Rng;
use protocol::{Flush, FlushReason, Limits, Message, RequestKind, Sequence};

use super::{Outbox, Pushed, Spares};

fn message(blob: &[u8]) -> Pushed<'_> {
    Pushed::Message(Message { sequence: Sequence::new(0, 1), blob })
}

#[test]
fn messages_share_a_frame_until_it_is_shown() {
    let (mut outbox, mut spares) = (Outbox::new(Limits::DEFAULT), Spares::default());
    outbox.push(&mut spares, message(b"a"));
    outbox.push(&mut spares, message(b"b"));
    outbox.turn(&mut spares);
    // One header, one count, two items of a sequence and a blob of one byte.
    assert_eq!(outbox.outgoing().len(), 12 + 4 + 2 * 10);
    outbox.push(&mut spares, message(b"c"));
    assert_eq!((outbox.outgoing().len(), outbox.pushes_len()), (36, 36 + 26));
    outbox.handle_sent(36, &mut spares);
    assert_eq!((outbox.outgoing().len(), outbox.pushes_len()), (26, 26));
    outbox.handle_sent(26, &mut spares);
    assert!(outbox.is_empty());
}

#[test]
fn a_buffer_that_is_not_used_belongs_to_all() {
    let mut spares = Spares::default();
    let mut outboxes: Vec<_> = (0..100).map(|_| Outbox::new(Limits::DEFAULT)).collect();
    for outbox in &mut outboxes {
        outbox.push(&mut spares, message(&[0; 1_000]));
        outbox.turn(&mut spares);
        let len = outbox.outgoing().len();
        outbox.handle_sent(len, &mut spares);
    }
    assert_eq!(spares.buffers.len(), 1);
    outboxes[0].push(&mut spares, message(b"a"));
    outboxes[0].clear(&mut spares);
    assert_eq!((spares.buffers.len(), outboxes[0].is_empty()), (1, true));
}

#[test]
fn whatever_is_taken_the_order_holds_and_no_byte_is_forgotten() {
    let seed = 3;
    println!("seed {seed}");
    let mut rng = Rng::seeded(seed);
    let (mut outbox, mut spares) = (Outbox::new(Limits::DEFAULT), Spares::default());
    let (mut taken, mut written, mut pushes) = (Vec::new(), 0_u32, 0_u32);
    for step in 0..100_000_u32 {
        match rng.below(3) {
            0 => {
                let len = usize::try_from(rng.below(50)).unwrap();
                outbox.push(&mut spares, message(&[7; 50][..len]));
                pushes += 1;
            }
            1 => {
                let flush = Flush { notice: 1, reason: FlushReason::Overflow };
                outbox.push(&mut spares, Pushed::Flush(flush));
            }
            _ => {
                outbox.answer(&mut spares, |out| {
                    protocol::write_bare_answer(out, RequestKind::Ping, written);
                });
                written += 1;
            }
        }
        let waiting = outbox.sending.len() - outbox.sent + outbox.waiting.len();
        assert!(outbox.pushes_len() <= waiting && outbox.answers_len() <= waiting, "step {step}");
        assert!(outbox.pushes_len() + outbox.answers_len() >= waiting, "step {step}");
        outbox.turn(&mut spares);
        if step % 4_096 > 3_000 || rng.below(8) == 0 {
            let len = rng.below(outbox.outgoing().len() as u64 + 1);
            let len = usize::try_from(len).unwrap();
            taken.extend_from_slice(&outbox.outgoing()[..len]);
            outbox.handle_sent(len, &mut spares);
        }
    }
    while !outbox.is_empty() {
        taken.extend_from_slice(outbox.outgoing());
        outbox.handle_sent(outbox.outgoing().len(), &mut spares);
    }
    assert_eq!((outbox.pushes_len(), outbox.answers_len()), (0, 0));
    let (mut pongs, mut messages, mut rest) = (0, 0, taken.as_slice());
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        match rest[4] {
            0x90 => {
                assert_eq!(u32::from_le_bytes(rest[8..12].try_into().unwrap()), pongs);
                pongs += 1;
            }
            0x41 => messages += u32::from_le_bytes(rest[12..16].try_into().unwrap()),
            _ => {}
        }
        rest = &rest[len..];
    }
    assert_eq!((pongs, messages), (written, pushes));
}
