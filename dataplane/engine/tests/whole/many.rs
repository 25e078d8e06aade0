//! A hundred thousand connections, a hundred of them active.

use base::Duration;
use memory::PageChoice;
use stack::{CloseReason, Conn, Context, Data, ListenerOptions, Refuse, Service};

use crate::pair::{Pair, Sizes, v4};

const PORT: u16 = 7;

/// Echoes; counts what it has open.
#[derive(Default)]
pub(crate) struct Echo {
    pub(crate) open: usize,
}

impl Service for Echo {
    fn on_open(&mut self, _cx: &mut Context<'_>, _conn: Conn) -> Result<(), Refuse> {
        self.open += 1;
        Ok(())
    }
    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        cx.send_data(conn, data)
    }
    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        cx.resume(conn);
    }
    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, _why: CloseReason) {
        self.open -= 1;
    }
}

/// Opens connections, and keeps the first `active` of them asking.
struct Users {
    wanted: usize,
    active: usize,
    conns: Vec<Conn>,
    opening: usize,
    answers: u64,
    closed: usize,
}

impl Service for Users {
    fn on_open(&mut self, _cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        self.opening -= 1;
        self.conns.push(conn);
        Ok(())
    }
    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        self.answers += 1;
        cx.send_data(conn, data)
    }
    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        cx.resume(conn);
    }
    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, _why: CloseReason) {
        self.closed += 1;
    }
    fn on_turn(&mut self, cx: &mut Context<'_>) {
        while self.opening < 100 && self.conns.len() + self.opening < self.wanted {
            // Four thousand ports towards each of the peer's ports.
            let port = PORT + u16::try_from((self.conns.len() + self.opening) / 20_000).unwrap();
            if cx.connect(v4(2), port, 0).is_err() {
                return;
            }
            self.opening += 1;
        }
        if self.conns.len() == self.wanted && self.active > 0 {
            let active = core::mem::take(&mut self.active);
            for &conn in &self.conns[..active] {
                assert_eq!(cx.send(conn, b"still there?"), Ok(12));
            }
        }
    }
}

#[test]
fn hundred_thousand_connections_with_a_hundred_active_borrow_at_most_two_hundred_extensions() {
    const CONNECTIONS: u32 = 100_000;
    let tcp = tcp::Config {
        records: CONNECTIONS + 1_000,
        extensions: 4_096,
        half_open: 1_024,
        pages: PageChoice::Base,
        ..tcp::Config::default()
    };
    let sizes = Sizes { tcp, ..Sizes::default() };
    let users = Users {
        wanted: CONNECTIONS as usize,
        active: 0,
        conns: Vec::new(),
        opening: 0,
        answers: 0,
        closed: 0,
    };
    let mut pair = Pair::new(&sizes, users, Echo::default());
    for port in PORT..PORT + 5 {
        pair.b.stack_mut().core_mut().listen(port, ListenerOptions::default()).unwrap();
    }
    pair.run_until(Duration::from_secs(600), |pair| {
        pair.a.service().conns.len() == CONNECTIONS as usize
    });
    pair.a.service_mut().active = 100;
    // Longer than the quiet time, so that what is idle has given its extension back.
    pair.pass(Duration::from_millis(1_200));
    let (users, echo) = (pair.a.stack().core().tcp().usage(), pair.b.stack().core().tcp().usage());
    println!("users {users:?}\necho {echo:?}\nanswers {}", pair.a.service().answers);
    assert_eq!((users.records, echo.records), (CONNECTIONS, CONNECTIONS));
    assert!(pair.a.service().answers > 1_000);
    assert!(users.extensions <= 200, "{} extensions at the asking end", users.extensions);
    assert!(echo.extensions <= 200, "{} extensions at the answering end", echo.extensions);
    assert_eq!((pair.a.service().closed, pair.b.service().open), (0, CONNECTIONS as usize));
}
