//! `abelectl export`: what gateways count, for Prometheus to fetch.
//!
//! It is a process of its own, which reads the tools' files at each request and keeps nothing: no
//! gateway notices it, and a gateway that is stuck or dead is told of as such.
//!
//! Whoever asks is a stranger to it. So there are few connections at once, each has little time and
//! one short request, and what is answered is the same for all.

mod figures;

use std::io::Write;

use counters::FILE_NAME;
use exposition::{Listener, Page, ServeError};

use crate::args::ExportArgs;
use crate::error::Error;
use crate::instance::Search;
use crate::interrupt::Interrupt;
use crate::limits::EXPORT_SLICE_MS;

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
    let failed = |source| Error::Listen { address: args.listen, source };
    let listener = Listener::bind(args.listen).map_err(failed)?;
    writeln!(out, "listening on http://{}/metrics", listener.address())?;
    out.flush()?;
    while interrupt.check().is_ok() {
        let target = args.target.clone();
        let page = move |path: &str| match path {
            "/metrics" => Some(Page::Metrics(figures::told(&target))),
            "/" => Some(Page::Text("See /metrics.\n".to_owned())),
            _other => None,
        };
        listener.serve_one(EXPORT_SLICE_MS, page).map_err(|error| match error {
            ServeError::System(source) => Error::System { what: "wait for who asks", source },
            ServeError::ResourceThread(source) => Error::System { what: "start a thread", source },
        })?;
    }
    Ok(())
}
