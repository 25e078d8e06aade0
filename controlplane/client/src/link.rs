//! One socket: dialled off the thread that keeps the lease, then never waited for.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;

use crate::tls::Tls;

/// A connected socket, with or without TLS.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Arc<TcpStream>,
    tls: Option<Box<ClientConnection>>,
    /// Whether the socket took less than there was.
    is_blocked: bool,
}

/// Connects to an endpoint; resolves its name, and so may take a while.
pub(crate) fn dial(endpoint: &str, tls: Option<&Tls>, timeout: Duration) -> io::Result<Link> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in endpoint.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let tls = tls.map(|tls| tls.begin(endpoint)).transpose();
                let tls = tls.map_err(io::Error::other)?.map(Box::new);
                return Ok(Link { stream: Arc::new(stream), tls, is_blocked: false });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Link {
    pub(crate) fn stream(&self) -> Arc<TcpStream> {
        Arc::clone(&self.stream)
    }

    /// Whether the socket is to be asked for room.
    pub(crate) fn wants_write(&self) -> bool {
        self.is_blocked || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Sends what it can, and says how many bytes were taken.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_blocked = false;
        let Some(tls) = &mut self.tls else {
            let taken = write_all(&self.stream, bytes)?;
            self.is_blocked = taken < bytes.len();
            return Ok(taken);
        };
        let mut taken = 0;
        loop {
            let count =
                if tls.is_handshaking() { 0 } else { tls.writer().write(&bytes[taken..])? };
            taken += count;
            while tls.wants_write() {
                match tls.write_tls(&mut &*self.stream) {
                    Ok(_len) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.is_blocked = true;
                        return Ok(taken);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if count == 0 {
                return Ok(taken);
            }
        }
    }

    /// Reads once into `buffer`; `None`: there is nothing now. Zero: the peer has closed.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(tls) = &mut self.tls else {
            return unless_blocked((&*self.stream).read(buffer));
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read.map(Some),
            }
            match unless_blocked(tls.read_tls(&mut &*self.stream))? {
                None => return Ok(None),
                Some(0) => return Ok(Some(0)),
                Some(_len) => {
                    let processed = tls.process_new_packets();
                    processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
                }
            }
        }
    }
}

fn write_all(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match unless_blocked(stream.write(&bytes[taken..]))? {
            None => break,
            Some(len) => taken += len,
        }
    }
    Ok(taken)
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(len) => Ok(Some(len)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}
