//! Bytes on the wire, from what the kernel's TCP counts of each connection.
//!
//! `ss` prints the kernel's `TCP_INFO`: bytes of payload and segments each way, those that only
//! acknowledge included. Over loopback a segment would have 64 KB; the connections that are counted
//! here are told that theirs have what fits an Ethernet frame.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::error::Error;
use crate::lab;

/// The largest segment that is told: 1,500 bytes without 20 of IP and 20 of TCP. Of it the time
/// stamps take 12.
pub(super) const SEGMENT: u32 = 1_460;
/// Bytes of a frame beside its segment's payload: Ethernet 14, IP 20, TCP 20, time stamps 12.
const OVERHEAD: u64 = 14 + 20 + 20 + 12;

/// What went over some connections, both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    payload: u64,
    segments: u64,
}

impl Counts {
    pub(super) fn since(self, before: Self) -> Self {
        Self { payload: self.payload - before.payload, segments: self.segments - before.segments }
    }

    /// As an Ethernet would have it, without preamble and checksum.
    pub(super) fn wire_bytes(self) -> u64 {
        self.payload + OVERHEAD * self.segments
    }
}

/// Reads the counts of connections.
#[derive(Debug)]
pub(super) struct Reader(PathBuf);

impl Reader {
    pub(super) fn find() -> Result<Self, Error> {
        lab::find_program("ss", "iproute2").map(Self)
    }

    /// Those of the connections from `locals` to `server`.
    pub(super) fn read(&self, locals: &[SocketAddr], server: SocketAddr) -> Result<Counts, Error> {
        let mut sum = Counts::default();
        for local in locals {
            let output = Command::new(&self.0)
                .args(["--tcp", "--info", "--numeric", "--no-header", "--oneline", "state"])
                .args(["established", "src", &local.to_string(), "dst", &server.to_string()])
                .output()
                .map_err(Error::io("start ss"))?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let counts = counts_in(&text).ok_or_else(|| Error::Child {
                side: "ss",
                what: format!("it said {text:?} of {local}"),
            })?;
            sum.payload += counts.payload;
            sum.segments += counts.segments;
        }
        Ok(sum)
    }
}

fn counts_in(text: &str) -> Option<Counts> {
    let number = |name: &str| {
        let mut words = text.split_whitespace();
        let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.parse::<u64>().ok())
    };
    // What is nothing is not printed.
    let bytes = |name: &str| number(name).unwrap_or_default();
    let payload = bytes("bytes_sent") + bytes("bytes_received");
    Some(Counts { payload, segments: number("segs_out")? + number("segs_in")? })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::ports::engine::open;

    #[test]
    fn counts_are_found_by_their_names() {
        let line = "0 0 127.0.0.1:1 127.0.0.1:2 cubic mss:1448 bytes_sent:34000 bytes_acked:34001 \
                    bytes_received:500 segs_out:25 segs_in:4 data_segs_out:24";
        let counts = Counts { payload: 34_500, segments: 29 };
        assert_eq!(counts_in(line), Some(counts));
        assert_eq!(counts.wire_bytes(), 34_500 + 29 * 66);
        assert_eq!(counts_in("nonsense"), None);
    }

    #[test]
    fn segments_of_a_connection_are_those_of_an_ethernet() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let server = listener.local_addr().expect("it is bound");
        let mut client = open(server, Some(SEGMENT)).expect("it listens");
        let (mut accepted, _) = listener.accept().expect("it connects");
        let reader = Reader::find().expect("iproute2 is there");
        let locals = [client.local_addr().expect("it is bound")];
        let before = reader.read(&locals, server).expect("it is there");
        client.write_all(&[1; 14_480]).expect("it fits");
        accepted.read_exact(&mut [0; 14_480]).expect("it comes");
        let counts = reader.read(&locals, server).expect("it is there").since(before);
        assert_eq!(counts.payload, 14_480);
        assert!((10..=25).contains(&counts.segments), "{counts:?}");
    }
}
