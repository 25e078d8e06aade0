//! The service of the tests: it knows lengths, and sends back what comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Duration, Instant};

use crate::config::Access;
use crate::worker::{Figure, Peer, Service};

/// Sends every frame back; a frame of kind 1 asks for the end, one of kind 2 is answered a
/// thousandfold, and one of kind 3 says which node it is by its length.
#[derive(Debug, Default)]
pub(super) struct Echo {
    conns: Vec<EchoConn>,
    dirty: VecDeque<u32>,
    pub(super) most_in_one_call: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct EchoConn {
    is_open: bool,
    is_closing: bool,
    node: Option<u32>,
    out: Vec<u8>,
}

/// Bytes of answers above which the echo takes no more.
const MARK: usize = 1 << 20;

impl Service for Echo {
    fn handle_opened(&mut self, conn: u32, peer: Peer, _now: Instant) {
        let index = conn as usize;
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, EchoConn::default);
        }
        assert!(!self.conns[index].is_open, "{conn} was closed before");
        assert!(peer.is_loopback);
        let greeting = peer.certified.unwrap_or_else(|| "hello".to_owned()).into_bytes();
        self.conns[index] = EchoConn { is_open: true, out: greeting, ..EchoConn::default() };
        self.dirty.push_back(conn);
    }

    fn handle_bytes(&mut self, conn: u32, bytes: &[u8], _now: Instant) -> usize {
        let EchoConn { is_open, is_closing, node, out } = &mut self.conns[conn as usize];
        assert!(*is_open);
        if *is_closing {
            return bytes.len();
        }
        let mut used = 0;
        let mut frames = 0;
        while let Some(header) = bytes.get(used..used + 12) {
            let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
            let Some(frame) = bytes.get(used..used + len).filter(|_| out.len() < MARK) else {
                break;
            };
            let times = if frame[4] == 2 { 1_000 } else { 1 };
            for _ in 0..times {
                out.extend_from_slice(frame);
            }
            used += len;
            frames += 1;
            if frame[4] == 3 {
                *node = u32::try_from(len).ok();
            }
            if frame[4] == 1 {
                *is_closing = true;
                used = bytes.len();
            }
        }
        self.most_in_one_call.fetch_max(frames, Ordering::Relaxed);
        self.dirty.push_back(conn);
        used
    }

    fn handle_closed(&mut self, conn: u32, _now: Instant) {
        assert!(std::mem::take(&mut self.conns[conn as usize]).is_open);
    }

    fn poll(&mut self, _now: Instant) -> Option<Instant> {
        None
    }

    fn next_dirty(&mut self) -> Option<u32> {
        self.dirty.pop_front()
    }

    fn outgoing(&self, conn: u32) -> &[u8] {
        &self.conns[conn as usize].out
    }

    fn handle_sent(&mut self, conn: u32, len: usize, _now: Instant) {
        self.conns[conn as usize].out.drain(..len);
    }

    fn is_closing(&self, conn: u32) -> bool {
        self.conns[conn as usize].is_closing
    }

    fn node(&self, conn: u32) -> Option<u32> {
        self.conns[conn as usize].node
    }

    fn leave(&mut self, _hint: &str, _now: Instant) {
        for (index, conn) in (0..).zip(&mut self.conns) {
            if conn.is_open {
                conn.out.extend_from_slice(b"bye");
                conn.is_closing = true;
                self.dirty.push_back(index);
            }
        }
    }

    fn handle_access(&mut self, _access: &[Access], _now: Instant) {}

    fn epoch(&self) -> u64 {
        7
    }

    fn figures(&self, _now: Instant) -> Vec<Figure> {
        let value = self.conns.iter().filter(|conn| conn.is_open).count() as u64;
        vec![Figure { name: "open", help: "Open ones.", value, is_counter: false }]
    }

    fn grace_left(&self, _now: Instant) -> Duration {
        Duration::ZERO
    }
}
