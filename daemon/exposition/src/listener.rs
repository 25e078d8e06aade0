//! Who asks is taken in, if there is room, and answered by a thread of its own.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::http::{self, Page};
use crate::limits::{ASKERS_MAX, PAUSE};

/// Why nobody was answered.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The kernel does not say when somebody asks.
    #[error("cannot wait for who asks: {0}")]
    System(io::Error),
    /// It gave no thread for one who asks, and who was let go.
    #[error("cannot start a thread: {0}")]
    ResourceThread(io::Error),
}

/// An address that pages are fetched from.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    askers: Arc<AtomicUsize>,
}

/// The place of one who is being answered. It is free again with the value.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Listener {
    /// Listens at `wanted`.
    ///
    /// # Errors
    /// The address was not had.
    pub fn bind(wanted: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(wanted)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, askers: Arc::default() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits at most `slice_ms` milliseconds for one who asks, and has it answered with the page at
    /// its path, if there is one. Who is being answered at the end is not waited for.
    ///
    /// # Errors
    /// Nobody was answered, though somebody may have asked.
    pub fn serve_one<F>(&self, slice_ms: u16, page: F) -> Result<(), ServeError>
    where
        F: FnOnce(&str) -> Option<Page> + Send + 'static,
    {
        let Some(stream) = self.accept(slice_ms)? else { return Ok(()) };
        let Some(place) = self.place() else {
            http::refuse(stream);
            return Ok(());
        };
        let thread = thread::Builder::new().name("asker".to_owned()).spawn(move || {
            // Who has gone meanwhile is told nothing.
            http::serve(stream, page).ok();
            drop(place);
        });
        thread.map(drop).map_err(ServeError::ResourceThread)
    }

    /// The next who asks, if somebody does before it is time to look at something else.
    fn accept(&self, slice_ms: u16) -> Result<Option<TcpStream>, ServeError> {
        let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(slice_ms)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(None),
            Err(errno) => return Err(ServeError::System(errno.into())),
        }
        match self.listener.accept() {
            Ok((stream, _address)) => Ok(Some(stream)),
            // Nobody asks, or who did has gone meanwhile.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            // There is no descriptor for it, and it waits until there is.
            Err(_lack) => {
                thread::sleep(PAUSE);
                Ok(None)
            }
        }
    }

    fn place(&self) -> Option<Place> {
        // One thread takes places, so there cannot be more than it has counted.
        if self.askers.load(Ordering::Acquire) >= ASKERS_MAX {
            return None;
        }
        self.askers.fetch_add(1, Ordering::AcqRel);
        Some(Place(Arc::clone(&self.askers)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::{Exposition, Type};

    fn page(path: &str) -> Option<Page> {
        match path {
            "/metrics" => {
                let mut all = Exposition::default();
                all.family("a_up", Type::Gauge, "It is.");
                all.sample("a_up", &[], "1");
                Some(Page::Metrics(all))
            }
            "/" => Some(Page::Text("See /metrics.\n".to_owned())),
            "/readyz" => Some(Page::Unavailable("not yet\n".to_owned())),
            _other => None,
        }
    }

    fn asked(listener: &Listener, request: &str) -> String {
        let mut stream = TcpStream::connect(listener.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        listener.serve_one(5_000, page).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn each_page_has_its_status_and_its_type() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        for (path, status, kind, body) in [
            (
                "/metrics",
                "200 OK",
                "text/plain; version=0.0.4; charset=utf-8",
                "# HELP a_up It is.\n# TYPE a_up gauge\na_up 1\n",
            ),
            ("/", "200 OK", "text/plain; charset=utf-8", "See /metrics.\n"),
            ("/readyz", "503 Service Unavailable", "text/plain; charset=utf-8", "not yet\n"),
            ("/other", "404 Not Found", "text/plain; charset=utf-8", "404 Not Found\n"),
        ] {
            let answer = asked(&listener, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let len = body.len();
            let whole = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
                 Connection: close\r\n\r\n{body}"
            );
            assert_eq!(answer, whole);
        }
        let head = asked(&listener, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(head.contains("Content-Length: 14\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn one_for_whom_there_is_no_room_is_told_so_at_once() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let places: Vec<_> = (0..ASKERS_MAX).map(|_| listener.place().unwrap()).collect();
        let answer = asked(&listener, "");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("too many"), "{answer}");
        drop(places);
        let answer = asked(&listener, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    #[test]
    fn nobody_is_waited_for_longer_than_the_slice() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.serve_one(1, page).unwrap();
        assert!(Listener::bind(listener.address()).is_err(), "the address is taken");
    }
}
