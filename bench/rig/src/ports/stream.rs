//! What the kernel's own TCP carries one way over loopback, between the same two cores.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::place::Place;
use crate::cores;
use crate::error::Error;
use crate::stop::Stop;

/// What the receiving end reads at once.
const READ_LEN: usize = 256 << 10;
/// Pieces between two looks at the clock.
const CHUNKS: u32 = 64;

/// Bytes per second from the client's core to the server's, in pieces of `chunk_len` bytes; nothing
/// looks at them.
pub(crate) fn one_way(
    place: &Place,
    chunk_len: usize,
    length: Duration,
    stop: &Stop,
) -> Result<f64, Error> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("listen on loopback"))?;
    let address = listener.local_addr().map_err(Error::io("listen on loopback"))?;
    let core = place.server;
    thread::scope(|scope| {
        let sink = scope.spawn(move || {
            cores::pin(core)?;
            let (stream, _) = listener.accept().map_err(Error::io("accept on loopback"))?;
            drain(stream)
        });
        let begin = Instant::now();
        let sent = TcpStream::connect(address)
            .map_err(Error::io("connect over loopback"))
            .and_then(|stream| fill(stream, chunk_len, length, stop));
        // With the stream's end the other thread's comes, too.
        let received = sink.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (sent, received) = (sent?, received?);
        if sent != received {
            return Err(Error::Child {
                side: "loopback",
                what: format!("{sent} bytes were sent, {received} came"),
            });
        }
        Ok(super::float(received) / begin.elapsed().as_secs_f64())
    })
}

fn fill(
    mut stream: TcpStream,
    chunk_len: usize,
    length: Duration,
    stop: &Stop,
) -> Result<u64, Error> {
    stream.set_nodelay(true).map_err(Error::io("set TCP_NODELAY"))?;
    let chunk = vec![0x5a; chunk_len];
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed() < length {
        for _chunk in 0..CHUNKS {
            stream.write_all(&chunk).map_err(Error::io("send over loopback"))?;
            sent += chunk.len() as u64;
        }
        stop.check()?;
    }
    Ok(sent)
}

fn drain(mut stream: TcpStream) -> Result<u64, Error> {
    let mut buffer = vec![0; READ_LEN];
    let mut received = 0;
    loop {
        match stream.read(&mut buffer).map_err(Error::io("receive over loopback"))? {
            0 => return Ok(received),
            len => received += len as u64,
        }
    }
}
