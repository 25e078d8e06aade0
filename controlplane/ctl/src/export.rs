//! `abelectl export`: what gateways count, for Prometheus to fetch.
//!
//! It is a process of its own, which reads the tools' files at each request and keeps nothing: no
//! gateway notices it, and a gateway that is stuck or dead is told of as such.
//!
//! Whoever asks is a stranger to it. So there are few connections at once, each has little time and
//! one short request, and what is answered is the same for all.

mod exposition;
mod figures;
mod http;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use counters::FILE_NAME;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::args::{ExportArgs, Target};
use crate::error::Error;
use crate::instance::Search;
use crate::interrupt::Interrupt;
use crate::limits::{ASKERS_MAX, EXPORT_SLICE_MS};

/// Answers until a signal comes.
pub(crate) fn run(
    args: &ExportArgs,
    interrupt: &Interrupt,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let Search { refused, .. } = Search::run(&args.target, |name| name == FILE_NAME);
    if let Some(folder) = refused {
        return Err(Error::FolderNotPermitted { folder });
    }
    let (listener, address) = listen(args.listen)?;
    writeln!(out, "listening on http://{address}/metrics")?;
    out.flush()?;
    let askers = Arc::new(AtomicUsize::new(0));
    while interrupt.check().is_ok() {
        let Some(stream) = accept(&listener)? else { continue };
        if askers.load(Ordering::Acquire) >= ASKERS_MAX {
            http::refuse(stream);
            continue;
        }
        askers.fetch_add(1, Ordering::AcqRel);
        let (askers, target) = (Arc::clone(&askers), args.target.clone());
        // Who is being answered when a signal comes is not waited for.
        let thread = thread::Builder::new().spawn(move || {
            answer(stream, &target);
            askers.fetch_sub(1, Ordering::AcqRel);
        });
        thread.map_err(|source| Error::System { what: "start a thread", source })?;
    }
    Ok(())
}

fn listen(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The next who asks, if somebody does before it is time to look for a signal.
fn accept(listener: &TcpListener) -> Result<Option<TcpStream>, Error> {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(EXPORT_SLICE_MS)) {
        // One that has gone meanwhile, or for which there is no descriptor, asks again.
        Ok(_) => Ok(listener.accept().ok().map(|(stream, _)| stream)),
        Err(Errno::EINTR) => Ok(None),
        Err(errno) => Err(Error::System { what: "wait for who asks", source: errno.into() }),
    }
}

fn answer(stream: TcpStream, target: &Target) {
    // Who has gone meanwhile is told nothing.
    http::serve(stream, || figures::text(target)).ok();
}
