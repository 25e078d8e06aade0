//! One socket: dialled off the thread that keeps the lease, then never waited for.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;

use crate::tls::Tls;
use crate::trouble::{TlsFault, Trouble};

/// A connected socket, with or without TLS.
#[derive(Debug)]
pub(crate) struct Link {
    endpoint: Arc<str>,
    stream: Arc<TcpStream>,
    tls: Option<Box<ClientConnection>>,
    /// Whether the socket took less than there was.
    is_blocked: bool,
    /// Bytes that were deciphered and not taken yet.
    plain_len: usize,
}

/// Connects to an endpoint; resolves its name, and so may take a while.
pub(crate) fn dial(
    endpoint: Arc<str>,
    tls: Option<&Tls>,
    timeout: Duration,
) -> Result<Link, Trouble> {
    let unreachable = |error: &io::Error| {
        let endpoint = endpoint.to_string();
        Trouble::Unreachable { endpoint, why: error.to_string() }
    };
    let stream = connect(&endpoint, timeout).map_err(|error| unreachable(&error))?;
    let tls = tls.map(|tls| tls.begin(&endpoint)).transpose().map_err(|error| Trouble::Tls {
        endpoint: endpoint.to_string(),
        fault: TlsFault::Other(error.to_string()),
    })?;
    Ok(Link {
        endpoint,
        stream: Arc::new(stream),
        tls: tls.map(Box::new),
        is_blocked: false,
        plain_len: 0,
    })
}

fn connect(endpoint: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in endpoint.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(stream);
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

    /// Whether there is something to read that the socket does not know of any more.
    pub(crate) const fn has_plain(&self) -> bool {
        self.plain_len > 0
    }

    /// Sends what it can, and says how many bytes were taken.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Trouble> {
        self.send(bytes).map_err(|error| self.broken(&error))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
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

    /// Reads once into `buffer`; `None`: there is nothing now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Trouble> {
        let read = if self.tls.is_none() {
            unless_blocked((&*self.stream).read(buffer)).map_err(|error| self.broken(&error))?
        } else {
            self.read_tls(buffer)?
        };
        if read == Some(0) {
            return Err(Trouble::Closed { endpoint: self.endpoint.to_string() });
        }
        Ok(read)
    }

    fn read_tls(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Trouble> {
        loop {
            let Some(tls) = &mut self.tls else {
                return Ok(None);
            };
            if self.plain_len > 0 {
                let read = tls.reader().read(buffer).map_err(|error| self.broken(&error))?;
                self.plain_len = self.plain_len.saturating_sub(read);
                return Ok(Some(read));
            }
            match unless_blocked(tls.read_tls(&mut &*self.stream)) {
                Ok(None) => return Ok(None),
                Ok(Some(0)) => return Ok(Some(0)),
                Ok(Some(_len)) => {}
                Err(error) => return Err(self.broken(&error)),
            }
            match tls.process_new_packets() {
                Ok(state) => self.plain_len = state.plaintext_bytes_to_read(),
                Err(error) => {
                    // Whom it is not believed to be is told why, if the socket takes it.
                    self.send(&[]).ok();
                    let fault = TlsFault::of(&error);
                    return Err(Trouble::Tls { endpoint: self.endpoint.to_string(), fault });
                }
            }
        }
    }

    fn broken(&self, error: &io::Error) -> Trouble {
        Trouble::Broken { endpoint: self.endpoint.to_string(), why: error.to_string() }
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
