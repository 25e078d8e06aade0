//! The process that runs the tool again and again, on a core of its own, and checks what it prints.
//!
//! A process of its own and not a thread: what it frees, the kernel would take from the core of the
//! serving thread, too. It speaks as [`crate::child`] has it: it is told what to expect, says when
//! the first line of the first listing is there, lists until its standard input closes, and ends
//! with what each listing held. The listing that runs then is whole, too.

use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::Scope;
use std::time::Instant;

use core_affinity::CoreId;
use serde::{Deserialize, Serialize};

use super::args::ListerArgs;
use super::ledger::{Ledger, Listing, Place};
use super::tools;
use crate::cable::End;
use crate::child::{Child, say};
use crate::cores;
use crate::error::Error;

/// What a listing must hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Expected {
    pub(super) client: IpAddr,
    pub(super) places: Vec<Place>,
}

/// What the thread that measures is told.
#[derive(Debug)]
pub(super) enum Told {
    /// The first listing is under way.
    Begun,
    /// The last listing has ended; what each held.
    Ended(Vec<Listing>),
}

/// Starts and ends the process from a thread that waits for it, so that the one that measures
/// never waits.
#[derive(Debug)]
pub(super) struct Listers {
    orders: Sender<Option<Expected>>,
    told: Receiver<Result<Told, Error>>,
}

impl Listers {
    /// The process will be on `core`, and so is the thread.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, core: CoreId) -> Self {
        let (orders, ordered) = mpsc::channel::<Option<Expected>>();
        let (tell, told) = mpsc::channel();
        scope.spawn(move || {
            let mut child = None;
            for order in ordered {
                let done = match order {
                    Some(expected) => begin(core, &expected).map(|begun| {
                        child = Some(begun);
                        Told::Begun
                    }),
                    None => {
                        child.take().map_or_else(|| Ok(Vec::new()), Child::finish).map(Told::Ended)
                    }
                };
                if tell.send(done).is_err() {
                    // Nobody listens any more: the process is ended with its handle.
                    return;
                }
            }
        });
        Self { orders, told }
    }

    /// Begins to list: [`Told::Begun`] follows.
    pub(super) fn begin(&self, expected: Expected) {
        // Where the thread is gone, `poll` tells it.
        self.orders.send(Some(expected)).ok();
    }

    /// Ends it: [`Told::Ended`] follows.
    pub(super) fn end(&self) {
        self.orders.send(None).ok();
    }

    /// What there is to tell.
    pub(super) fn poll(&self) -> Result<Option<Told>, Error> {
        match self.told.try_recv() {
            Ok(told) => told.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Error::Child {
                side: "listing",
                what: "the thread that waits for it ended".to_owned(),
            }),
        }
    }
}

fn begin(core: CoreId, expected: &Expected) -> Result<Child, Error> {
    cores::pin(core)?;
    let arguments = [
        "lister".to_owned(),
        format!("--core={}", core.id),
        format!("--instance={}", tools::instance()),
    ];
    let mut child = Child::spawn("listing", &arguments)?;
    child.write(expected)?;
    let (): () = child.read()?;
    Ok(child)
}

/// The process's main.
pub(crate) fn serve(args: &ListerArgs) -> Result<(), Error> {
    cores::pin(CoreId { id: args.core })?;
    let program = tools::program()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(Error::io("read what to expect"))?;
    let Expected { client, places } = serde_json::from_str(&line).map_err(|_not_it| {
        Error::Child { side: "measuring", what: "it did not say what to expect".to_owned() }
    })?;
    let mut ledger = Ledger::new(client, &places);
    let end = End::of_input();
    let mut listings = Vec::new();
    let mut say_begun = Some(|| say(&()));
    loop {
        let listing = list(&program, &args.instance, &mut ledger, || {
            say_begun.take().map_or(Ok(()), |say_begun| say_begun())
        })?;
        listings.push(listing);
        if end.is_wanted() || !listing.is_right() {
            break;
        }
    }
    say(&listings)
}

/// One listing; `on_line` is called with each line before it is taken down, and at the end.
fn list(
    program: &Path,
    instance: &str,
    ledger: &mut Ledger,
    mut on_line: impl FnMut() -> Result<(), Error>,
) -> Result<Listing, Error> {
    let begin = Instant::now();
    let mut tool = Command::new(program)
        .args(["connections", "--json", "--instance", instance])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io("start the tool"))?;
    let mut lines = BufReader::new(tool.stdout.take().expect("it is piped"));
    ledger.begin();
    let mut line = String::new();
    loop {
        line.clear();
        let len = lines.read_line(&mut line).map_err(Error::io("read from the tool"))?;
        on_line()?;
        if len == 0 {
            break;
        }
        ledger.add(line.trim_end());
    }
    let status = tool.wait().map_err(Error::io("wait for the tool"))?;
    let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Listing { nanos, failed: !status.success(), ..ledger.end() })
}
