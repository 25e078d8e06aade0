//! Nothing is allocated on the packet path: opens and closes, data, loss, unreachable neighbours.

use base::Duration;
use memory::counting::{self, CountingAllocator};
use nic::Impairments;
use stack::{CloseReason, Conn, Context, Data, ListenerOptions, Refuse, Service};

use crate::many::Echo;
use crate::pair::{Pair, Sizes, v4, v6};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const PORT: u16 = 7;

/// Opens a connection, asks once, closes, and opens the next, eight at a time.
struct Churn {
    wanted: u64,
    opened: u64,
    live: u64,
    finished: u64,
    failed: u64,
    /// Someone who is not there.
    absent: bool,
}

impl Service for Churn {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        assert_eq!(cx.send(conn, b"knock"), Ok(5));
        Ok(())
    }
    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        assert_eq!(data.bytes(cx), b"knock");
        cx.close(conn);
        5
    }
    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}
    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        if cx.word(conn) == Some(1) {
            self.failed += 1;
            self.absent = false;
            return;
        }
        self.live -= 1;
        self.finished += u64::from(why == CloseReason::Finished);
    }
    fn on_turn(&mut self, cx: &mut Context<'_>) {
        if self.opened.is_multiple_of(10_000) && !self.absent && self.opened < self.wanted {
            // Nobody has this address: solicitations go unanswered, the entry expires.
            self.absent = cx.connect(v4(99), PORT, 1).is_ok();
        }
        while self.live < 8 && self.opened < self.wanted {
            let to = if self.opened.is_multiple_of(2) { v4(2) } else { v6(2) };
            if cx.connect(to, PORT, 0).is_err() {
                return;
            }
            self.live += 1;
            self.opened += 1;
        }
    }
}

#[test]
fn hundred_thousand_opens_and_closes_under_loss_allocate_nothing() {
    let impairments = Impairments { loss_ppm: 2_000, ..Impairments::default() };
    let sizes = Sizes { impairments, ..Sizes::default() };
    let churn =
        Churn { wanted: 100_000, opened: 0, live: 0, finished: 0, failed: 0, absent: false };
    let mut pair = Pair::new(&sizes, churn, Echo::default());
    pair.b.stack_mut().core_mut().listen(PORT, ListenerOptions::default()).unwrap();
    // The first turns fill the rings of the wire.
    pair.pass(Duration::from_millis(1));
    let before = counting::allocations();
    pair.run_until(Duration::from_secs(100_000), |pair| {
        let churn = pair.a.service();
        churn.opened == churn.wanted && churn.live == 0
    });
    pair.pass(Duration::from_secs(300));
    assert_eq!(counting::allocations(), before, "the packet path has allocated");
    let churn = pair.a.service();
    println!("{} finished, {} to the absent one failed", churn.finished, churn.failed);
    assert!(churn.finished >= 99_000 && churn.failed >= 1);
    for engine_usage in [pair.a.stack().core(), pair.b.stack().core()] {
        assert_eq!(engine_usage.tcp().usage(), tcp::Usage::default());
    }
    assert!(pair.a.stack().queue().faults().lost > 500);
}
