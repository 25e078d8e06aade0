//! Echo (RFC 862): what arrives goes back, in the frame it came in.

use stack::{CloseReason, Conn, Context, Data, Datagram, Refuse, Service};

use crate::counters::EchoCounters;

/// It keeps nothing of a connection: what cannot be sent yet stays in the stack's backlog, which
/// closes the peer's window, and is offered again when there is room.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    counters: EchoCounters,
}

impl Echo {
    pub(crate) fn counters(&self) -> EchoCounters {
        self.counters
    }
}

impl Service for Echo {
    fn on_open(&mut self, _cx: &mut Context<'_>, _conn: Conn) -> Result<(), Refuse> {
        self.counters.connections += 1;
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let taken = cx.send_data(conn, data);
        if taken == 0 {
            self.counters.stalls += 1;
        }
        self.counters.bytes += taken as u64;
        taken
    }

    /// All that the peer sent has been taken, and so is queued: it leaves before our FIN.
    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        cx.close(conn);
    }

    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        cx.resume(conn);
    }

    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, why: CloseReason) {
        self.counters.closed += 1;
        if why != CloseReason::Finished {
            self.counters.closed_early += 1;
        }
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, from: Datagram, data: &mut Data) {
        // Two echo services that answer each other never stop: one forged datagram would do.
        if from.source_port == from.local_port {
            self.counters.datagrams_looping += 1;
            return;
        }
        let len = data.bytes(cx).len();
        match cx.answer_data(&from, data) {
            Ok(()) => {
                self.counters.datagrams += 1;
                self.counters.datagram_bytes += len as u64;
            }
            Err(_) => self.counters.datagrams_lost += 1,
        }
    }
}
